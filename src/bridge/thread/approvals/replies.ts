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
 * What a message means for a request that waits for its author.
 * - `answers`: it answered the open question, and counts as handled.
 * - `points`: it says yes, which approves nothing, so its author is pointed to the card.
 * - `unreachable`: it would answer the open question, but Letta cannot be reached.
 * - `waits`: a request waits for its author, who is asked what the message means once it is queued.
 * - `nothing`: no request waits for its author, or the message cannot answer it.
 */
export type Typed = 'answers' | 'points' | 'unreachable' | 'waits' | 'nothing';

const YES =
  /^(?:y|yes|yep|yeah|yup|ok|okay|k|sure|approved?|allow(?:ed)?|accept(?:ed)?|go(?: ahead)?|do it|proceed|lgtm|ja|oui|si|\+1|👍|✅|:\+1:|:thumbsup:|:white_check_mark:)(?:[ ,]*please)?[.! ]*$/iu;

/** Handles messages of people for whom a request waits: a message must not approve by accident, nor wait unnoticed. */
export class ApprovalTyping {
  readonly #parts: TypingParts;

  constructor(parts: TypingParts) {
    this.#parts = parts;
  }

  /** Called before the message is stored. One that answers a question is stored as handled together with the answer. */
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

  /** Called after the message is stored: offers its author to deny the request with it as the reason. */
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

  /** Handles "Deny with this as the reason": the message leaves the queue, and the agent reads it as the reason. */
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

  /** The newest open request that this person may at least deny, and that was asked before they wrote. */
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
