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
  /** Whether a turn has not ended yet. */
  isTurnOpen(): boolean;
  /** The sync round trip; rejects when the link is gone or did not answer. */
  sync(): Promise<void>;
  /** Letta is idle, but the end of the turn never came: frames were lost. */
  onMissedFrames(): void;
}

/**
 * Behind the relay, a device's socket can be away for seconds while ours stays open. The relay then drops what the
 * device sends, even the end of a turn, and nothing shows it (docs/letta-protocol.md, Envelope, order, duplicates; Loss
 * and restart). So after half a minute of silence in a turn we ask for the state.
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
        // The state may have overtaken the end of the turn: wait a moment for it.
        await waitForEnd();
        if (!isStopped && isIdle() && isTurnOpen()) {
          onMissedFrames();
          return;
        }
      }
    }
    if (!isStopped) timer = clock.after(CHECKS_EVERY_MS, runCheck);
  };
  // A failed sync has closed the link, and with it this watch.
  const runCheck = () => void checkSilence().catch(() => {});

  timer = clock.after(CHECKS_EVERY_MS, runCheck);
  return {
    stop() {
      isStopped = true;
      timer.cancel();
    },
  };
}
