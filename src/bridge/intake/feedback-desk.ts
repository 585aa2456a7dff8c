import type { FeedbackBook } from '../commands/feedback.ts';
import type { ThreadKey } from '../ids.ts';
import {
  type ActionOutcome,
  type InboundClick,
  type InboundForm,
  type Refused,
  refused,
  type SubmissionOutcome,
} from '../inbound.ts';
import type { Metrics, Threads } from '../ports.ts';
import { FEEDBACK_OVER, FEEDBACK_THANKS } from '../words/feedback.ts';
import type { Notices } from './notices.ts';

export interface FeedbackDeskParts {
  threads: Pick<Threads, 'load'>;
  /** Left out: nothing is noted. */
  book?: FeedbackBook | undefined;
  notices: Notices;
  metrics?: Metrics | undefined;
}

/** Takes what people think of an answer: a click on 👍 or 👎 below it, and for 👎 a line that says what was wrong. */
export class FeedbackDesk {
  readonly #parts: FeedbackDeskParts;

  constructor(parts: FeedbackDeskParts) {
    this.#parts = parts;
  }

  /** Resolves when it is on disk. */
  async act(key: ThreadKey, action: InboundClick): Promise<ActionOutcome> {
    const { book, notices, metrics } = this.#parts;
    const verdict = action.name === 'feedback_good' ? 'good' : 'bad';
    const turn = await this.#findTurn(key, action.token);
    if (turn === null || !book) return tooOld();
    const { user } = action.actor;
    await book.note({ thread: key, turn, user, verdict, words: null });
    metrics?.count('feedback', { verdict });
    if (verdict === 'bad') return { result: 'modal', modal: { kind: 'feedback', token: action.token } };
    const { team, channel, threadTs } = action;
    notices.whisper({ team, channel, threadTs }, user, FEEDBACK_THANKS);
    return { result: 'decided' };
  }

  /** Adds what was wrong. Resolves when it is on disk. */
  async submit(key: ThreadKey, { token, texts, actor }: InboundForm): Promise<SubmissionOutcome> {
    const { book } = this.#parts;
    const turn = await this.#findTurn(key, token);
    if (turn === null || !book) return tooOld();
    const words = texts[0]?.trim() || null;
    await book.note({ thread: key, turn, user: actor.user, verdict: 'bad', words });
    return { result: 'decided' };
  }

  async #findTurn(key: ThreadKey, token: string) {
    const record = await this.#parts.threads.load(key);
    return record?.details?.find((ref) => ref.token === token)?.turn ?? null;
  }
}

const tooOld = (): Refused => refused('expired', FEEDBACK_OVER);
