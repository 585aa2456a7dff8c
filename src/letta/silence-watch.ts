import type { Clock, Timer } from '../bridge/ports.ts';
import type { Session } from './session.ts';

const CHECKS_EVERY_MS = 10_000;
const SILENT_AFTER_MS = 30_000;
const ENDS_WITHIN_MS = 2_000;

export interface SilenceWatch {
  stop(): void;
}

export interface SilenceWatchOptions {
  clock: Clock;
  session: Session;
  /** Whether a turn is still to end. */
  isTurnOpen(): boolean;
  /** The sync round trip; rejects when the link is gone or did not answer. */
  sync(): Promise<void>;
  /** Frames were lost: Letta is idle, but nobody told the end of the turn. */
  onMissedFrames(): void;
}

/**
 * Behind the relay a device's socket can be away for seconds while ours stays open, and what it would have sent is
 * dropped without a trace, the end of a turn included (docs/letta-protocol.md, Envelope, order, duplicates; Loss and
 * restart). So a turn that has been silent for half a minute is asked after.
 */
export function watchSilence({ clock, session, isTurnOpen, sync, onMissedFrames }: SilenceWatchOptions): SilenceWatch {
  let isStopped = false;
  let timer: Timer;
  const isIdle = () => session.snapshot().loop === 'idle';
  const waitForEnd = () => new Promise<void>((resolve) => clock.after(ENDS_WITHIN_MS, resolve));

  const checkSilence = async () => {
    if (isTurnOpen() && clock.monotonic() - session.lastFrameAt() >= SILENT_AFTER_MS) {
      await sync();
      if (!isStopped && isIdle() && isTurnOpen()) {
        // The end may only have been overtaken by the state.
        await waitForEnd();
        if (!isStopped && isIdle() && isTurnOpen()) {
          onMissedFrames();
          return;
        }
      }
    }
    if (!isStopped) timer = clock.after(CHECKS_EVERY_MS, runCheck);
  };
  // A sync that fails has ended the link, and this watch with it.
  const runCheck = () => void checkSilence().catch(() => {});

  timer = clock.after(CHECKS_EVERY_MS, runCheck);
  return {
    stop() {
      isStopped = true;
      timer.cancel();
    },
  };
}
