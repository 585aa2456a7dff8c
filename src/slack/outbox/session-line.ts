import { type Backoff, backoffMs } from '../../backoff.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Timer } from '../../bridge/ports.ts';
import { SlackError } from '../api/slack-api.ts';
import type { Ask } from './budget.ts';
import { statusNeverWorks } from './refusal.ts';
import type { StatusLine, StatusParts } from './status.ts';

const METHOD = 'agents.sessions.setStatus';
/** Slack ends `processing` after an hour unless it is sent again (docs/slack.md, Agent sessions). */
const RENEW_MS = 50 * 60_000;
const AGAIN: Backoff = { firstMs: 2_000, longestMs: 60_000 };

type Session = 'processing' | 'suspended' | 'active';

/**
 * Sets the state of the thread's session, in an app that is declared as an agent: Slack shows that the agent works,
 * with its own Stop button, until we set another state (docs/slack.md, Agent sessions). The latest wish wins, one call
 * at a time; failures never affect the turn.
 * @param createFallback makes the line for an app that turns out not to be an agent
 */
export function createSessionLine(
  parts: StatusParts,
  address: ThreadAddress,
  createFallback: () => StatusLine | null,
): StatusLine {
  const { scheduler, clock, log, latch, onSign } = parts;
  const ask: Ask = { method: METHOD, channel: address.channel, urgency: 'must' };
  const settled = Promise.withResolvers<void>();
  let wanted: Session = 'processing';
  /** The state that Slack last accepted, and when; `null`: not known. */
  let lastTold: { status: Session; at: number } | null = null;
  let retryAt = 0;
  let failures = 0;
  let isBusy = false;
  let hasGivenUp = false;
  /** Whether people see that the agent works, by the session or by a message. */
  let hasSignOfLife = false;
  let timer: Timer | null = null;
  let fallbackLine: StatusLine | null = null;

  function updateSession(): void {
    timer?.cancel();
    timer = null;
    if (isBusy) return;
    const at = dueAt();
    if (at === null) {
      if (hasGivenUp || wanted === 'active') settled.resolve();
      return;
    }
    const now = clock.monotonic();
    if (at > now) {
      if (lastTold?.status !== wanted) requestSignOfLife();
      timer = clock.after(at - now, updateSession);
      return;
    }
    isBusy = true;
    void sendStatus(wanted).then(() => {
      isBusy = false;
      updateSession();
    });
  }

  function dueAt(): number | null {
    if (hasGivenUp) return null;
    const isUpToDate = lastTold?.status === wanted;
    if (isUpToDate && wanted !== 'processing') return null;
    return Math.max(isUpToDate && lastTold ? lastTold.at + RENEW_MS : retryAt, scheduler.whenAllowed(ask));
  }

  async function sendStatus(status: Session): Promise<void> {
    try {
      const args = { channel_id: address.channel, thread_ts: address.threadTs, status };
      await scheduler.call(ask, { method: METHOD, args }, 'live');
      lastTold = { status, at: clock.monotonic() };
      failures = 0;
      if (!hasSignOfLife) onSign('status');
      hasSignOfLife = true;
    } catch (error) {
      lastTold = null;
      if (!(error instanceof SlackError)) {
        log.error({ err: error }, 'the session line has a bug');
        hasGivenUp = true;
      } else if (error.failure === 'refused') stopTrying(error);
      else {
        failures += 1;
        retryAt = clock.monotonic() + backoffMs(AGAIN, failures);
      }
      requestSignOfLife();
    }
  }

  function stopTrying(error: SlackError): void {
    hasGivenUp = true;
    if (!statusNeverWorks(error)) return;
    if (latch.mayBeAgent)
      log.warn({ error: error.error }, 'Slack does not treat the app as an agent; not using sessions');
    latch.mayBeAgent = false;
    if (hasSignOfLife || wanted === 'active') return;
    fallbackLine = createFallback();
    hasSignOfLife = fallbackLine !== null;
  }

  /** If people see nothing of the turn yet, asks for a message. */
  function requestSignOfLife(): void {
    if (!hasSignOfLife) onSign('none');
    hasSignOfLife = true;
  }

  updateSession();
  return {
    notePosting: (isPosting) => fallbackLine?.notePosting(isPosting),
    notePosted(wasFound) {
      hasSignOfLife = true;
      fallbackLine?.notePosted(wasFound);
    },
    noteActivity(isWaitingForPeople, words) {
      fallbackLine?.noteActivity(isWaitingForPeople, words);
      if (wanted === 'active') return;
      wanted = isWaitingForPeople ? 'suspended' : 'processing';
      updateSession();
    },
    sessionState: () => (hasGivenUp || fallbackLine ? null : wanted),
    async endLine(patience = AGAIN.longestMs) {
      wanted = 'active';
      updateSession();
      if (fallbackLine) return fallbackLine.endLine(patience);
      const enough = Promise.withResolvers<void>();
      const limit = clock.after(patience, enough.resolve);
      await Promise.race([settled.promise, enough.promise]);
      limit.cancel();
      hasGivenUp = true;
      updateSession();
    },
  };
}
