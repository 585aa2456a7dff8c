import { type Backoff, backoffMs } from '../../backoff.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Timer } from '../../bridge/ports.ts';
import { SlackError } from '../api/slack-api.ts';
import type { Ask } from './budget.ts';
import { statusNeverWorks } from './refusal.ts';
import type { StatusLine, StatusParts } from './status.ts';

const METHOD = 'agents.sessions.setStatus';
/** Slack takes `processing` back after an hour; sent again it goes on (docs/slack.md, Agent sessions). */
const RENEW_MS = 50 * 60_000;
const AGAIN: Backoff = { firstMs: 2_000, longestMs: 60_000 };

type Session = 'processing' | 'suspended' | 'active';

/**
 * The state of the thread's session, in an app that is declared as an agent: Slack shows that it works, with a Stop
 * button of its own, until it is told otherwise (docs/slack.md, Agent sessions). The latest wish wins, one call at a
 * time; nothing that goes wrong with it reaches the turn.
 * @param otherwise the line for an app that turns out to be no agent
 */
export function createSessionLine(
  parts: StatusParts,
  address: ThreadAddress,
  otherwise: () => StatusLine | null,
): StatusLine {
  const { scheduler, clock, log, latch, refused } = parts;
  const ask: Ask = { method: METHOD, channel: address.channel, urgency: 'must' };
  const settled = Promise.withResolvers<void>();
  let wanted: Session = 'processing';
  /** What Slack was told last, and when; `null`: nobody knows. */
  let told: { status: Session; at: number } | null = null;
  let retryAt = 0;
  let failures = 0;
  let busy = false;
  let dead = false;
  /** Whether people see that somebody is at work, from here or by a message. */
  let seen = false;
  let timer: Timer | null = null;
  let instead: StatusLine | null = null;

  function look(): void {
    timer?.cancel();
    timer = null;
    if (busy) return;
    const at = dueAt();
    if (at === null) {
      if (dead || wanted === 'active') settled.resolve();
      return;
    }
    const now = clock.monotonic();
    if (at > now) {
      if (told?.status !== wanted) unseen();
      timer = clock.after(at - now, look);
      return;
    }
    busy = true;
    void tell(wanted).then(() => {
      busy = false;
      look();
    });
  }

  function dueAt(): number | null {
    if (dead) return null;
    const known = told?.status === wanted;
    if (known && wanted !== 'processing') return null;
    return Math.max(known && told ? told.at + RENEW_MS : retryAt, scheduler.whenAllowed(ask));
  }

  async function tell(status: Session): Promise<void> {
    try {
      const args = { channel_id: address.channel, thread_ts: address.threadTs, status };
      await scheduler.call(ask, { method: METHOD, args }, 'live');
      told = { status, at: clock.monotonic() };
      failures = 0;
      seen = true;
    } catch (error) {
      told = null;
      if (!(error instanceof SlackError)) {
        log.error({ err: error }, 'the session line has a bug');
        dead = true;
      } else if (error.failure === 'refused') giveUp(error);
      else {
        failures += 1;
        retryAt = clock.monotonic() + backoffMs(AGAIN, failures);
      }
      unseen();
    }
  }

  function giveUp(error: SlackError): void {
    dead = true;
    if (!statusNeverWorks(error)) return;
    if (latch.agent) log.warn({ error: error.error }, 'the app is no agent for Slack; sessions are left alone');
    latch.agent = false;
    if (seen || wanted === 'active') return;
    instead = otherwise();
    seen = instead !== null;
  }

  /** Nothing of the turn is to be seen yet: a message must be the sign of life. */
  function unseen(): void {
    if (!seen) refused();
    seen = true;
  }

  look();
  return {
    posted(found) {
      seen = true;
      instead?.posted(found);
    },
    waits(forPeople) {
      if (wanted === 'active') return;
      wanted = forPeople ? 'suspended' : 'processing';
      look();
    },
    async over(patience = AGAIN.longestMs) {
      wanted = 'active';
      look();
      if (instead) return instead.over(patience);
      const enough = Promise.withResolvers<void>();
      const limit = clock.after(patience, enough.resolve);
      await Promise.race([settled.promise, enough.promise]);
      limit.cancel();
      dead = true;
      look();
    },
  };
}
