import type { Clock, Log } from '../../bridge/ports.ts';

/** Slack's clock beside ours, from the `Date` of its answers (whole seconds, written a moment before they arrive). */
export interface SlackTime {
  /** @param at what Slack's clock said in an answer that has just come; ms since 1970 */
  noteSlackTime(at: number): void;
  /** ms by which our wall clock is ahead of Slack's, negative where it is behind; 0 while they agree, or nothing is known. */
  aheadMs(): number;
}

/** Less is the way of an answer, and harms nobody. */
const IN_STEP_MS = 30_000;

/** Says in the log when the two clocks part, and when they agree again. */
export function createSlackTime({ clock, log }: { clock: Clock; log: Log }): SlackTime {
  let measured: { ahead: number; slackAtZero: number } | null = null;
  let hasWarned = false;

  function aheadMs(): number {
    if (measured === null) return 0;
    // Our clock may have been set since, and a machine that slept has not counted on: only what both ways of counting say.
    const now = clock.now() - clock.monotonic() - measured.slackAtZero;
    if (Math.sign(now) !== Math.sign(measured.ahead)) return 0;
    const ahead = Math.abs(now) < Math.abs(measured.ahead) ? now : measured.ahead;
    return Math.abs(ahead) < IN_STEP_MS ? 0 : Math.round(ahead);
  }

  return {
    noteSlackTime(at) {
      const theirs = at + 500;
      measured = { ahead: clock.now() - theirs, slackAtZero: theirs - clock.monotonic() };
      const aheadNow = aheadMs();
      if (aheadNow !== 0 && !hasWarned) {
        log.error(
          { aheadMs: aheadNow },
          'THE CLOCK OF THIS MACHINE IS WRONG, so messages look late, or never late: set it (NTP)',
        );
      } else if (aheadNow === 0 && hasWarned) log.info({}, 'the clock of this machine agrees with Slack’s again');
      hasWarned = aheadNow !== 0;
    },
    aheadMs,
  };
}
