import { createHash } from 'node:crypto';
import { compareTs } from '../../bridge/ids.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { SlackPost } from '../render/post.ts';
import { ANSWER_NOTES } from '../words/answer.ts';

export type PlannedCall =
  | { kind: 'update'; record: PostRecord; post: SlackPost }
  | { kind: 'post'; post: SlackPost }
  | { kind: 'delete'; record: PostRecord };

/** The hash of a message whose content is not known: an edit had no answer, or a look found the message. */
export const UNKNOWN = '?';

const hashes = new WeakMap<SlackPost, string>();

/** A hash of what a post shows, for the record; it begins with the post's kind. `live` is not part of it. */
export function contentHash(post: SlackPost): string {
  let hash = hashes.get(post);
  if (hash === undefined) {
    const digest = createHash('sha256')
      .update(JSON.stringify([post.text, post.blocks]))
      .digest('base64url');
    hash = `${post.kind}-${digest.slice(0, 22)}`;
    hashes.set(post, hash);
  }
  return hash;
}

/** The record after an edit without an answer: we know its kind, but not its content. */
export function withUnknownContent(record: PostRecord): PostRecord {
  const kind = kindOf(record.hash);
  return { ...record, hash: kind ? `${kind}-${UNKNOWN}` : UNKNOWN };
}

const KINDS = ['text', 'card', 'note'] as const;

function kindOf(hash: string): SlackPost['kind'] | null {
  return KINDS.find((kind) => hash.startsWith(`${kind}-`)) ?? null;
}

/**
 * The calls that make the thread show `wanted`, most important first: deletions of messages that Slack does not let us
 * edit, a new card, edits, then at most one other new post, then other deletions. Any one of them may be made next; then plan again.
 * Empty when the thread shows `wanted`.
 *
 * - A post is planned only when all posts before it exist, so that the thread reads from top to bottom.
 * - Text, or a note, is not posted while text above it must still be edited. A card is, because people wait for it.
 * - Messages that are no longer needed (a retry dropped their text) are reused for text or deleted. A card or a note
 *   always gets a new message, because edits do not notify (docs/slack.md, Editing).
 * - Once a turn is over and an edit would wait (`isBelow`), new posts do not wait for edits: those only tidy up.
 * - A card keeps its message, because people may be about to click it. If no message is left above it, text goes below,
 *   and so does a card that was not posted before it.
 * - A post that is only to be edited, and has no message, is left out.
 * - With `isTextUnknown` the wanted posts lack what was said before a restart. Messages that may show that text stay,
 *   and so do those above a card, where the text may belong; only their buttons go. New text goes to the newest message
 *   that was live, or below.
 */
export function planCalls(
  posted: readonly PostRecord[],
  wanted: readonly SlackPost[],
  isTextUnknown = false,
  isBelow = false,
): PlannedCall[] {
  const free = posted.filter((record) => !isUneditable(record)).sort((a, b) => compareTs(a.ts, b.ts));
  const first = deletionsOfUneditable(posted);
  const updates: PlannedCall[] = [];
  const rest = withCardsInPlace(wanted, free);
  let unposted: SlackPost | null = null;
  let awaitsCard = false;
  let above = '0.0';
  let lowestCard = '0.0';
  for (let post = rest.shift(); post; post = rest.shift()) {
    const below = free.filter((candidate) => compareTs(candidate.ts, above) > 0);
    const card = post.kind === 'text' ? findNextCard(rest, below) : undefined;
    const between = card ? below.filter(({ ts }) => compareTs(ts, card.record.ts) < 0) : below;
    const record = findMessage(post, between, isTextUnknown);
    if (!record && post.isEditOnly) continue;
    if (!record && card) {
      rest.splice(rest.indexOf(card.post), 1);
      rest.unshift(card.post, post);
      continue;
    }
    // The live status waits, too, because otherwise it would take the place of the card.
    if (!record && (post.isFrozen || post.waitsForTextAbove || (awaitsCard && post.live))) {
      awaitsCard ||= post.isFrozen === true && !isTextUnknown && posted.length > 0;
      continue;
    }
    if (!record) {
      unposted = post;
      break;
    }
    free.splice(free.indexOf(record), 1);
    above = record.ts;
    if (post.kind === 'card') lowestCard = record.ts;
    const mustStay = post.isFrozen || (isTextUnknown && post.ends && record.ends);
    if (record.hash !== contentHash(post) && !mustStay) updates.push({ kind: 'update', record, post });
  }
  if (unposted) {
    const post: PlannedCall = { kind: 'post', post: unposted };
    if (unposted.kind === 'card' || isBelow) return [...first, post, ...updates];
    return [...first, ...(updates.length === 0 ? [post] : updates)];
  }
  const mayReturn = ({ part, ts }: PostRecord) => compareTs(ts, lowestCard) < 0 || !part.startsWith('+');
  const kept = isTextUnknown ? free.filter(mayReturn) : [];
  updates.push(...kept.filter(mayBeLive).map(planForgotten));
  const left = free.filter((record) => !kept.includes(record));
  return [...first, ...updates, ...left.flatMap(planRemoval)];
}

/** Cards that have messages come in the order of these, the others behind them. Text keeps its order. */
function withCardsInPlace(wanted: readonly SlackPost[], free: readonly PostRecord[]): SlackPost[] {
  const placed = [...wanted];
  const known = free.filter(({ hash }) => (kindOf(hash) ?? 'card') === 'card');
  const cards = wanted.filter(({ kind }) => kind === 'card');
  const there = known.flatMap(({ part }) => cards.find((card) => card.part === part) ?? []);
  const ordered = [...new Set([...there, ...cards])];
  for (const [at, card] of ordered.entries()) {
    const before = ordered[at - 1];
    const from = placed.indexOf(card);
    if (!before || placed.indexOf(before) < from) continue;
    // With it goes what stands above it only to say that work went on until the card.
    const status = placed[from - 1]?.isEditOnly ? 1 : 0;
    placed.splice(from - status, 1 + status);
    placed.splice(placed.indexOf(before) + 1, 0, card);
  }
  return placed;
}

function isUneditable({ refuses }: PostRecord): boolean {
  return refuses === 'edit';
}

/** Messages that Slack does not let us edit are out of date, so they are deleted before their replacement is posted. */
export function deletionsOfUneditable(posted: readonly PostRecord[]): PlannedCall[] {
  return posted.filter(isUneditable).map((record): PlannedCall => ({ kind: 'delete', record }));
}

/** Deletes a message that is no longer needed, or marks it as replaced if Slack does not let us delete it. */
function planRemoval(record: PostRecord): PlannedCall[] {
  if (record.refuses !== 'delete') return [{ kind: 'delete', record }];
  const post: SlackPost = { part: record.part, kind: 'text', blocks: [], text: ANSWER_NOTES.replaced, live: false };
  return record.hash === contentHash(post) ? [] : [{ kind: 'update', record, post }];
}

/** The first of these posts that is a card with a message, and that message. */
function findNextCard(
  posts: readonly SlackPost[],
  candidates: readonly PostRecord[],
): { post: SlackPost; record: PostRecord } | undefined {
  for (const post of posts) {
    const record = post.kind === 'card' ? findMessage(post, candidates, false) : undefined;
    if (record) return { post, record };
  }
  return undefined;
}

/**
 * Whether a text message may show the turn as running. For a message that a look found, the metadata of its post tells.
 */
function mayBeLive({ part, hash, live }: PostRecord): boolean {
  const isText = (kindOf(hash) ?? 'text') === 'text' && !part.startsWith('card-');
  return isText && (live === true || (hash !== UNKNOWN && hash.endsWith(UNKNOWN)));
}

function planForgotten(record: PostRecord): PlannedCall {
  return {
    kind: 'update',
    record,
    post: { part: record.part, kind: 'text', blocks: [], text: ANSWER_NOTES.forgotten, live: false },
  };
}

/**
 * The message that shall show a post: one with the same content, else with the same part, else an unused text message.
 */
function findMessage(
  post: SlackPost,
  candidates: readonly PostRecord[],
  isTextUnknown: boolean,
): PostRecord | undefined {
  const hash = contentHash(post);
  const texts = candidates.filter((record) => kindOf(record.hash) === 'text');
  const fits = candidates.filter(({ hash: known }) => (kindOf(known) ?? post.kind) === post.kind);
  return (
    fits.find((record) => record.part === post.part && record.hash === hash) ??
    fits.find((record) => record.hash === hash) ??
    fits.find((record) => record.part === post.part) ??
    (post.kind !== 'text' ? undefined : isTextUnknown ? findWritable(post, candidates) : texts[0])
  );
}

/**
 * The newest message that new text may overwrite after a restart: one that was live, or was posted since. Older text
 * may be the only copy of what was said, so it stays.
 */
function findWritable(post: SlackPost, candidates: readonly PostRecord[]): PostRecord | undefined {
  const isFree = (record: PostRecord) => mayBeLive(record) || record.part.startsWith('+');
  return candidates.findLast(({ ends }) => post.ends && ends) ?? candidates.findLast(isFree);
}

/** The messages after a call that Slack confirmed, in reading order; `ts`: of the new message, for a post. */
export function applyCall(posted: readonly PostRecord[], call: PlannedCall, ts: string): PostRecord[] {
  const rest = call.kind === 'post' ? [...posted] : posted.filter((record) => record.ts !== call.record.ts);
  if (call.kind === 'delete') return rest;
  const { part, live, ends, isStream } = call.post;
  const { refuses, seam } = call.kind === 'update' ? call.record : {};
  const marks = {
    // A stream has no Stop button of ours, and does not say what the agent does.
    ...(isStream ? { stream: true as const } : live && { live }),
    ...(ends && { ends }),
    ...(refuses && { refuses }),
    ...(seam !== undefined && { seam }),
  };
  const record: PostRecord = { part, ts, hash: contentHash(call.post), ...marks };
  return [...rest, record].sort((a, b) => compareTs(a.ts, b.ts));
}
