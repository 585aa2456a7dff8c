import { answerWithReply, deny } from '../../approvals/answers.ts';
import { makeToken } from '../../ids.ts';
import { type ActionOutcome, type InboundAction, refused } from '../../inbound.ts';
import type { Person } from '../../person.ts';
import type { Clock, Random } from '../../ports.ts';
import { decideOffer, markSeen, offerDenial } from '../../record/offers.ts';
import type { ApprovalRecord, InboxItem, ThreadRecord } from '../../record/thread-record.ts';
import { noNames, spansText } from '../../turn/prompt.ts';
import type { ThreadState } from '../state.ts';
import type { ApprovalDecisions } from './decide.ts';

export interface TypingParts {
  state: ThreadState;
  decisions: ApprovalDecisions;
  clock: Clock;
  random: Random;
  botUser: string;
}

/**
 * - `answers`: it answered the question that was open.
 * - `points`: it says yes, which approves nothing: its author is shown the card.
 * - `unreachable`: it would have answered the question that is open, and Letta can not hear it.
 * - `waits`: a request waits for its author; the message is queued, and they say what they mean by it.
 * - `nothing`: nothing waits for them.
 */
export type Typed = 'answers' | 'points' | 'unreachable' | 'waits' | 'nothing';

const YES =
  /^(?:y|yes|yep|yeah|yup|ok|okay|k|sure|approved?|allow(?:ed)?|accept(?:ed)?|go(?: ahead)?|do it|proceed|lgtm|ja|oui|si|\+1|👍|✅|:\+1:|:thumbsup:|:white_check_mark:)(?:[ ,]*please)?[.! ]*$/iu;

/** What people write while a request waits for them: it must neither decide by accident nor wait for ever. */
export class ApprovalTyping {
  readonly #parts: TypingParts;

  constructor(parts: TypingParts) {
    this.#parts = parts;
  }

  /** Before the message is stored. What answered counts as handled, on disk together with the answer. */
  typed(item: Pick<InboxItem, 'key' | 'ts' | 'spans'>, person: Person): Typed {
    const { decisions, clock } = this.#parts;
    const waiting = this.#waiting(item, person);
    if (!waiting) return 'nothing';
    const text = this.#text(item);
    if (waiting.tool !== 'AskUserQuestion') {
      return YES.test(text) ? 'points' : 'waits';
    }
    const found = decisions.find(waiting.token, person, 'decide');
    if ('result' in found) return found.why === 'unreachable' ? 'unreachable' : 'nothing';
    const decided = answerWithReply(found.request, text);
    if (!decided) return 'nothing';
    const also = (record: ThreadRecord) => markSeen(record, item.key, clock.now());
    const outcome = decisions.decide(found, decided, person, { via: 'reply', also });
    return outcome.result === 'decided' ? 'answers' : 'nothing';
  }

  /** After the message is stored: its author says whether it is the reason for a no. */
  ask(item: Pick<InboxItem, 'key' | 'ts'>, person: Person): void {
    const { state, clock, random } = this.#parts;
    const waiting = this.#waiting(item, person);
    if (!waiting || waiting.tool === 'AskUserQuestion') return;
    const token = makeToken(random.id());
    const about = { approval: waiting.token, message: item.key };
    state.change((record) => {
      const isQueued = record.inbox.some(({ key }) => key === item.key);
      return isQueued ? offerDenial(record, about, person.id, token, clock.now()) : record;
    });
  }

  /** "Deny with this as the reason": the message leaves the queue and becomes what the agent reads. */
  deny(action: InboundAction, person: Person): ActionOutcome {
    const { state, decisions, clock } = this.#parts;
    const { token, team: _, messageTs: ts } = action;
    const offer = state.record?.offers.find((each) => each.token === token);
    if (!offer?.about) return refused('expired', 'This is over, so the button no longer does anything.');
    if (offer.for !== person.id)
      return refused('not_allowed', `Only <@${offer.for}> can decide this.`, 'not_the_author');
    const { approval, message } = offer.about;
    const item = state.record?.inbox.find(({ key }) => key === message);
    if (offer.state.state !== 'open' || !item) return refused('expired', 'That message is no longer queued.');
    const found = decisions.find(approval, person, 'deny');
    if ('result' in found) return found;
    const click = { action: 'deny_with_this', key: message, ts, now: clock.now() } as const;
    const reason = this.#text(item) || 'no';
    return decisions.decide(found, deny(person.name, reason), person, {
      via: 'reply',
      also: (record) => ({
        ...decideOffer(record, token, click),
        inbox: record.inbox.filter(({ key }) => key !== message),
      }),
    });
  }

  /** The newest open request that this person may decide, and that was asked when they wrote. */
  #waiting({ ts }: Pick<InboxItem, 'ts'>, person: Person): ApprovalRecord | undefined {
    const { state, decisions } = this.#parts;
    const isOpen = (record: ApprovalRecord) => record.turn === state.open?.id && record.state.state === 'open';
    const isAsked = (record: ApprovalRecord) => record.askedAt <= Number(ts) * 1000;
    return state.record?.approvals.findLast(
      (record) => isOpen(record) && isAsked(record) && decisions.mayDecide(record, person, 'deny'),
    );
  }

  #text({ spans }: Pick<InboxItem, 'spans'>): string {
    return spansText(spans, noNames, this.#parts.botUser).trim();
  }
}
