import type { Clock, Log } from '../../bridge/ports.ts';

/**
 * Compares our clock with Slack's, by the `Date` header of its answers (whole seconds, written just before sending).
 */
export interface SlackTime {
  /** @param at Slack's time in an answer that has just arrived; ms since 1970 */
  noteSlackTime(at: number): void;
  /** By how many ms our wall clock is ahead of Slack's; negative: behind; 0: they agree, or Slack told no time yet. */
  aheadMs(): number;
}

/** Smaller differences are ignored: the answer's travel time causes them, and they do no harm. */
const IN_STEP_MS = 30_000;

/** Logs when the clocks begin to differ, and when they agree again. */
export function createSlackTime({ clock, log }: { clock: Clock; log: Log }): SlackTime {
  let measured: { ahead: number; slackAtZero: number } | null = null;
  let hasWarned = false;

  function aheadMs(): number {
    if (measured === null) return 0;
    // Since the measurement somebody may have set the wall clock, or the monotonic clock may have stopped while the
    // machine slept. So only the part of the difference that both the measurement and the present clocks show counts.
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
