import type { Feedback, FeedbackBook } from '../commands/feedback.ts';
import type { ThreadKey, TurnId } from '../ids.ts';
import {
  type ActionOutcome,
  type InboundClick,
  type InboundForm,
  type ReactionOutcome,
  type Refused,
  refused,
  type SubmissionOutcome,
} from '../inbound.ts';
import type { Metrics, Threads } from '../ports.ts';
import { FEEDBACK_OVER, FEEDBACK_THANKS } from '../words/feedback.ts';
import type { Notices } from './notices.ts';

/** A reaction on an answer, and whether one of the other kind by the same person is there. */
export interface Reacted {
  verdict: Feedback['verdict'];
  isThere: boolean;
  isOtherThere: boolean;
  isNew: boolean;
}

/** What a reaction on an answer says of it; `null`: nothing. */
export function verdictOf(emoji: string): Feedback['verdict'] | null {
  return emoji === '+1' ? 'good' : emoji === '-1' ? 'bad' : null;
}

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

  /**
   * Notes a reaction on an answer, as a click would, or takes it back: then a reaction of the other kind counts that is
   * still there. Resolves when it is on disk.
   * @param isThere whether Slack shows the reaction now; `isNew`: whether it was added, not removed
   */
  async react(
    about: Pick<Feedback, 'thread' | 'user'> & { turn: string },
    { verdict, isThere, isOtherThere, isNew }: Reacted,
  ): Promise<ReactionOutcome> {
    const { book, metrics } = this.#parts;
    if (!book) return { outcome: 'ignored', reason: 'feedback_is_off' };
    const given = { ...about, turn: about.turn as TurnId };
    if (isThere !== isNew) return { outcome: 'ignored', reason: 'overtaken' };
    if (isThere) {
      // Delivered again, it must not wipe the words that were added since.
      if (await book.hasSaid({ ...given, verdict })) return { outcome: 'repeated' };
      await book.note({ ...given, verdict, words: null });
      metrics?.count('feedback', { verdict });
      return { outcome: 'noted' };
    }
    if (!(await book.takeBack({ ...given, verdict }))) return { outcome: 'ignored', reason: 'not_noted' };
    if (isOtherThere) await book.note({ ...given, verdict: verdict === 'good' ? 'bad' : 'good', words: null });
    return { outcome: 'taken_back' };
  }

  async #findTurn(key: ThreadKey, token: string) {
    const record = await this.#parts.threads.load(key);
    return record?.details?.find((ref) => ref.token === token)?.turn ?? null;
  }
}

const tooOld = (): Refused => refused('expired', FEEDBACK_OVER);
