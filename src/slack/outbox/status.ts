import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { SlackError } from '../api/slack-api.ts';
import type { Ask } from './budget.ts';
import { STATUS_AFTER } from './first-post.ts';
import { statusNeverWorks } from './refusal.ts';
import type { Scheduler } from './scheduler.ts';

const METHOD = 'assistant.threads.setStatus';
/** What it says before anything is known of the turn. */
const FIRST_WORDS = 'is thinking…';
/** Slack clears a status after this time (docs/slack.md, Assistant threads). */
const SELF_CLEAR_MS = 120_000;
/** While there is no message, the status is set again this often. */
const RENEW_MS = 100_000;
/** An activity that is over sooner does not change the words. */
const CHANGE_MS = 3_000;

/**
 * The status below the thread that says that the agent works, before there is a message (docs/slack.md, Assistant
 * threads).
 */
export interface StatusLine {
  /** @param words what the status should say, if it has words: "is thinking…" */
  noteActivity(isWaitingForPeople: boolean, words: string): void;
  /** Notes that the app begins to post its first message, or that this failed: a status set after it would stay. */
  notePosting(isPosting: boolean): void;
  /**
   * Notes that the app posted: Slack then clears the status itself, if it was shown before the post.
   * @param wasFound a look found the message, so it may be older than the status
   */
  notePosted(wasFound: boolean): void;
  /** The state of the thread's session as it should be now; left out, or `null`: there is none. */
  sessionState?(): 'processing' | 'suspended' | 'active' | null;
  /**
   * Ends the line. Resolves when the status is cleared, or could not be cleared.
   * @param patience ms to wait for a free slot; default two minutes, after which Slack clears it itself.
   */
  endLine(patience?: number): Promise<void>;
}

/** What we learned about statuses in this workspace. */
export interface StatusLatch {
  /** Whether setting a status never works here. */
  isOff: boolean;
  /**
   * Whether the app may be declared as an agent. Then sessions are used instead of the status, because both use the
   * same place (docs/slack.md, Agent sessions).
   */
  mayBeAgent: boolean;
}

export interface StatusParts {
  scheduler: Scheduler;
  clock: Clock;
  log: Log;
  /** Shared by all threads of the workspace, so that a lasting refusal stops all tries. */
  latch: StatusLatch;
  /** Called when a status is shown, or cannot be, so that a message must show that the agent works. */
  onSign(sign: 'status' | 'none'): void;
}

/** Sets the status, unless a message is posted at once. Failures never affect the turn. */
export function createStatusLine(parts: StatusParts, address: ThreadAddress): StatusLine {
  const { scheduler, clock, log, latch, onSign } = parts;
  const ask: Ask = { method: METHOD, channel: address.channel, urgency: 'must' };
  let isWanted = true;
  let mayBeShown = false;
  let renewal: Timer | null = null;
  let words = FIRST_WORDS;
  /** What Slack shows, as far as we know. */
  let shownWords = FIRST_WORDS;
  let change: Timer | null = null;

  function scheduleStart(wait: number): void {
    start = clock.after(wait, () => {
      start = null;
      lastWrite = showStatus().catch(logBug);
    });
  }

  async function showStatus(): Promise<void> {
    if (latch.isOff || scheduler.whenAllowed(ask) > clock.monotonic()) return onSign('none');
    try {
      shownWords = words;
      await writeStatus(words);
      mayBeShown = true;
      if (isWanted) onSign('status');
      scheduleRenewal();
      scheduleChange();
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      // Without an answer Slack may have set it.
      mayBeShown = error.failure === 'unknown';
      if (statusNeverWorks(error)) {
        latch.isOff = true;
        log.warn({ error: error.error }, 'Slack does not let the bot set a status in this workspace');
      }
      if (isWanted && error.failure !== 'unknown') onSign('none');
    }
    // The status was set after the message that would have cleared it.
    if (!isWanted && mayBeShown) await clearStatus();
  }

  function scheduleRenewal(): void {
    if (!isWanted) return;
    renewal?.cancel();
    renewal = clock.after(RENEW_MS, () => {
      renewal = null;
      lastWrite = showStatus().catch(logBug);
    });
  }

  function stopRenewing(): void {
    isWanted = false;
    renewal?.cancel();
    renewal = null;
    change?.cancel();
    change = null;
    start?.cancel();
    start = null;
  }

  /** Changes the words once they are true for a while. */
  function scheduleChange(): void {
    if (!isWanted || !mayBeShown || change || words === shownWords) return;
    change = clock.after(CHANGE_MS, () => {
      change = null;
      if (!mayBeShown || words === shownWords || scheduler.whenAllowed(ask) > clock.monotonic()) return;
      lastWrite = showStatus().catch(logBug);
    });
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
  let lastWrite = Promise.resolve();
  let start: Timer | null = null;
  /** Set while it is not to begin because a message is on its way. */
  let isPutOff = false;
  const wait = Math.max(STATUS_AFTER.soonest, scheduler.whenAllowed(ask) - clock.monotonic());
  if (latch.isOff || address.threadTs === null || wait > STATUS_AFTER.latest) onSign('none');
  else scheduleStart(wait);
  return {
    noteActivity(_, next) {
      words = next;
      scheduleChange();
    },
    notePosting(isPosting) {
      if (isPosting && start) {
        start.cancel();
        start = null;
        isPutOff = true;
      } else if (!isPosting && isPutOff && isWanted) {
        isPutOff = false;
        scheduleStart(0);
      }
    },
    notePosted(wasFound) {
      stopRenewing();
      if (wasFound && mayBeShown) lastWrite = clearStatus().catch(logBug);
      mayBeShown = false;
    },
    async endLine(patience) {
      stopRenewing();
      await lastWrite;
      if (mayBeShown) await clearStatus(patience);
    },
  };
}
