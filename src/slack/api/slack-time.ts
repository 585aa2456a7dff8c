import type { Clock, Log } from '../../bridge/ports.ts';

/** Slack's clock beside ours, from the `Date` of its answers (whole seconds, written a moment before they arrive). */
export interface SlackTime {
  /** @param at what Slack's clock said in an answer that has just come; ms since 1970 */
  heard(at: number): void;
  /** ms by which our wall clock is ahead of Slack's, negative where it is behind; 0 while they agree, or nothing is known. */
  aheadMs(): number;
}

/** Less is the way of an answer, and harms nobody. */
const IN_STEP_MS = 30_000;

/** Says in the log when the two clocks part, and when they agree again. */
export function createSlackTime({ clock, log }: { clock: Clock; log: Log }): SlackTime {
  let known: { ahead: number; slackAtZero: number } | null = null;
  let told = false;

  function aheadMs(): number {
    if (known === null) return 0;
    // Our clock may have been set since, and a machine that slept has not counted on: only what both ways of counting say.
    const now = clock.now() - clock.monotonic() - known.slackAtZero;
    if (Math.sign(now) !== Math.sign(known.ahead)) return 0;
    const ahead = Math.abs(now) < Math.abs(known.ahead) ? now : known.ahead;
    return Math.abs(ahead) < IN_STEP_MS ? 0 : Math.round(ahead);
  }

  return {
    heard(at) {
      const theirs = at + 500;
      known = { ahead: clock.now() - theirs, slackAtZero: theirs - clock.monotonic() };
      const off = aheadMs();
      if (off !== 0 && !told) {
        log.error(
          { aheadMs: off },
          'THE CLOCK OF THIS MACHINE IS WRONG: set it (NTP); messages seem late, or never late',
        );
      } else if (off === 0 && told) log.info({}, 'the clock agrees with that of Slack again');
      told = off !== 0;
    },
    aheadMs,
  };
}
