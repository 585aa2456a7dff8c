import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { SlackError } from '../api/slack-api.ts';
import type { Ask } from './budget.ts';
import { statusNeverWorks } from './refusal.ts';
import type { Scheduler } from './scheduler.ts';

const METHOD = 'assistant.threads.setStatus';
const WORDS = 'is thinking…';
/** Slack forgets a status by itself after this (docs/slack.md, Assistant threads). */
const SELF_CLEAR_MS = 120_000;
/** While there is still no message it is set again in time. */
const RENEW_MS = 100_000;

/**
 * The line under the thread that says that somebody is at work before there is a message (docs/slack.md, Assistant
 * threads).
 */
export interface StatusLine {
  /** Whether the turn waits for people now. */
  noteWaiting(forPeople: boolean): void;
  /**
   * The app posted: Slack has cleared the line itself, if it was there by then.
   * @param found the message was posted before and found by looking: the line may have come after it
   */
  notePosted(found: boolean): void;
  /**
   * The turn is over. Resolves when a line that still stands was cleared, or could not be.
   * @param patience ms to wait for a free slot; default two minutes: then Slack clears it itself.
   */
  endLine(patience?: number): Promise<void>;
}

/** What the workspace turned out to allow. */
export interface StatusLatch {
  /** No status can be set. */
  isOff: boolean;
  /**
   * The app may be declared as an agent: sessions take the place of the status, as both write one slot (docs/slack.md,
   * Agent sessions).
   */
  mayBeAgent: boolean;
}

export interface StatusParts {
  scheduler: Scheduler;
  clock: Clock;
  log: Log;
  /** Shared by all threads of the workspace: set once the app turned out not to be allowed. */
  latch: StatusLatch;
  /** Told when there will be no line, so that a message must give the sign of life. Never after `posted`. */
  onUnavailable(): void;
}

/** Sets the status now. Nothing that goes wrong with it reaches the turn. */
export function createStatusLine(parts: StatusParts, address: ThreadAddress): StatusLine {
  const { scheduler, clock, log, latch, onUnavailable } = parts;
  const ask: Ask = { method: METHOD, channel: address.channel, urgency: 'must' };
  let isWanted = true;
  let mayBeShown = false;
  let renewal: Timer | null = null;
  const setting = showStatus();

  async function showStatus(): Promise<void> {
    if (latch.isOff || address.threadTs === null || scheduler.whenAllowed(ask) > clock.monotonic())
      return onUnavailable();
    try {
      await writeStatus(WORDS);
      mayBeShown = true;
      scheduleRenewal();
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      // Without an answer it may stand all the same.
      mayBeShown = error.failure === 'unknown';
      if (statusNeverWorks(error)) {
        latch.isOff = true;
        log.warn({ error: error.error }, 'Slack does not let the bot set a status in this workspace');
      }
      if (isWanted && error.failure !== 'unknown') onUnavailable();
    }
    // It came after the message that would have cleared it.
    if (!isWanted && mayBeShown) await clearStatus();
  }

  function scheduleRenewal(): void {
    if (!isWanted) return;
    renewal = clock.after(RENEW_MS, () => {
      renewal = null;
      lastWrite = showStatus().catch(logBug);
    });
  }

  function stopRenewing(): void {
    isWanted = false;
    renewal?.cancel();
    renewal = null;
  }

  async function clearStatus(patience = SELF_CLEAR_MS): Promise<void> {
    mayBeShown = false;
    const until = clock.monotonic() + patience;
    for (let at = scheduler.whenAllowed(ask); at > clock.monotonic(); at = scheduler.whenAllowed(ask)) {
      if (at > until) return;
      const ms = at - clock.monotonic();
      await new Promise<void>((resolve) => void clock.after(ms, resolve));
    }
    try {
      await writeStatus('');
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      log.debug({ error: error.error }, 'could not clear the status; Slack clears it after two minutes');
    }
  }

  async function writeStatus(status: string): Promise<void> {
    const args = { channel_id: address.channel, thread_ts: address.threadTs, status };
    await scheduler.call(ask, { method: METHOD, args }, 'live');
  }

  const logBug = (error: unknown) => log.error({ err: error }, 'the status line has a bug');
  let lastWrite = setting.catch(logBug);
  return {
    noteWaiting() {},
    notePosted(found) {
      stopRenewing();
      if (found && mayBeShown) lastWrite = clearStatus().catch(logBug);
      mayBeShown = false;
    },
    async endLine(patience) {
      stopRenewing();
      await lastWrite;
      if (mayBeShown) await clearStatus(patience);
    },
  };
}
