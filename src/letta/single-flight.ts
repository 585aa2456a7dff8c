/**
 * Calls that come while one is under way share it; a success is kept for good, a failure is forgotten, so that the
 * next call tries again.
 */
export function singleFlight<Result>(run: () => Promise<Result>): () => Promise<Result> {
  let flight: Promise<Result> | null = null;
  return () => {
    if (flight) return flight;
    const started = run();
    flight = started;
    started.catch(() => {
      flight = null;
    });
    return started;
  };
}
