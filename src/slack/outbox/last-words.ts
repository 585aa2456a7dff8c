import type { SlackTs } from '../../bridge/ids.ts';
import type { Clock } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { SlackPost } from '../render/post.ts';
import type { Content } from './content.ts';
import type { PlannedCall } from './plan.ts';

/**
 * The end of a turn is posted below its last message if that can be edited only so long after it (ms). People shall see
 * it within 1.5 s, and the call takes its time.
 */
const LAST_WORDS_MS = 1_300;

/**
 * What makes the end of a turn seen although an edit must wait. `below`: nothing, because all edits that wait only tidy
 * up, so posts need not wait for them. `seam`: the message keeps what it shows, and the text goes on in a new one.
 * `replace`: it shows nothing that could stay, so it is deleted and its content posted anew.
 */
export type LastWordsStep = { kind: 'below' } | { kind: 'seam' | 'replace'; record: PostRecord; seam: number };

/** Decides how the end of one turn is shown when an edit must wait. */
export interface LastWords {
  /** Whether posts need not wait for edits above them any more. */
  readonly isBelow: boolean;
  /** The turn is over from now on. */
  noteEnd(): void;
  /** @param isRendered whether it was made as rendered, not in a simpler form */
  noteCall(call: PlannedCall, ts: SlackTs, isRendered: boolean): void;
  /** What the message shows is not known any more. */
  forget(ts: SlackTs): void;
  /**
   * The step before the planned calls are made; then they are planned anew. `null`: none.
   * @param times when each of the calls is allowed
   */
  nextStep(shown: Shown, calls: readonly PlannedCall[], times: readonly number[]): LastWordsStep | null;
}

interface Shown {
  content: Pick<Content, 'isFinal' | 'isTextUnknown' | 'hasLastWords'>;
  /** As rendered, before any simpler form, in reading order. */
  raw: readonly SlackPost[];
}

export function createLastWords(clock: Pick<Clock, 'monotonic'>): LastWords {
  /** By ts: what each text message shows, as far as this process put it there. */
  const texts = new Map<SlackTs, SlackPost>();
  let endedAt = 0;
  let isBelow = false;

  return {
    get isBelow() {
      return isBelow;
    },
    noteEnd() {
      endedAt = clock.monotonic();
    },
    noteCall(call, ts, isRendered) {
      if (call.kind === 'delete' || !isRendered || call.post.kind !== 'text') texts.delete(ts);
      else texts.set(ts, call.post);
    },
    forget: (ts) => void texts.delete(ts),
    nextStep({ content, raw }, calls, times) {
      const at = times[calls.findIndex(({ kind }) => kind === 'update')];
      if (!content.isFinal || content.isTextUnknown || at === undefined) return null;
      if (at <= Math.max(clock.monotonic(), endedAt + LAST_WORDS_MS)) return null;
      const step = planLastWords(calls, raw, content.hasLastWords === true, texts);
      if (step === null || (step.kind === 'below' && isBelow)) return null;
      isBelow = true;
      return step;
    },
  };
}

/**
 * What to do when the next edit at the end of a turn would wait too long; `null`: only to wait for it, because it is not
 * known what the message shows.
 * @param posts what the messages should show, as rendered, in reading order
 */
function planLastWords(
  calls: readonly PlannedCall[],
  posts: readonly SlackPost[],
  hasLastWords: boolean,
  texts: ReadonlyMap<SlackTs, SlackPost>,
): LastWordsStep | null {
  for (const call of calls) {
    if (call.kind !== 'update' || !isNews(call.post, hasLastWords)) continue;
    const { record, post } = call;
    const shown = texts.get(record.ts);
    if (!posts.includes(post)) return null;
    if (isShown(post, shown, record, hasLastWords)) continue;
    if (!shown || record.refuses !== undefined) return null;
    const seam = shown.upTo ?? 0;
    const canStay = record.seam === undefined && record.part === post.part && isBeginning(shown, post, posts);
    return { kind: canStay ? 'seam' : 'replace', record, seam };
  }
  return { kind: 'below' };
}

/** Whether people must see the post at the end of the turn. */
function isNews({ kind, isEditOnly, source, ends }: SlackPost, hasLastWords: boolean): boolean {
  return kind === 'text' && !isEditOnly && (source !== undefined || (ends === true && hasLastWords));
}

/** Whether people see all of the post already, but for figures and buttons. */
function isShown(post: SlackPost, shown: SlackPost | undefined, record: PostRecord, hasLastWords: boolean): boolean {
  if (post.ends && hasLastWords) return false;
  // After a restart only the seam tells what the message shows.
  if (!shown) return record.seam !== undefined && (post.upTo ?? 0) <= record.seam;
  return startOf(shown) === startOf(post) && textOf(shown).startsWith(textOf(post));
}

/** Whether the message shows the beginning of what the post and those after it say. */
function isBeginning(shown: SlackPost, post: SlackPost, posts: readonly SlackPost[]): boolean {
  const item = itemOf(post);
  const rest = posts.slice(posts.indexOf(post)).filter((other) => other.kind === 'text' && itemOf(other) === item);
  const text = rest.map(textOf).join('');
  return textOf(shown).trim() !== '' && startOf(shown) === startOf(post) && text.startsWith(textOf(shown));
}

const itemOf = ({ part }: SlackPost) => part.split('.')[0];
const textOf = ({ source }: SlackPost) => source?.source ?? '';
/** Where the post's text begins in the text of its item. */
const startOf = (post: SlackPost) => (post.upTo ?? 0) - textOf(post).length;
