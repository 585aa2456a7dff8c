import { createHash } from 'node:crypto';
import { compareTs } from '../../bridge/ids.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { SlackPost } from '../render/post.ts';

export type PlannedCall =
  | { kind: 'update'; record: PostRecord; post: SlackPost }
  | { kind: 'post'; post: SlackPost }
  | { kind: 'delete'; record: PostRecord };

/** What stands where something live stood, of which nobody knows what it said besides. */
const FORGOTTEN = '… (I restarted and could not reload this text yet)';

/** What stands in a message that Slack does not let us delete, although nothing of it holds any more. */
const REPLACED = '(replaced by the text below)';

/** The hash of a message whose content is not known: an edit of it had no answer, or it was found by looking. */
export const UNKNOWN = '?';

const hashes = new WeakMap<SlackPost, string>();

/**
 * What a post shows, as a short word that is stored; it begins with the post's kind. Whether it is live is no content.
 */
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

/** The hash of the same message after an edit without an answer: its kind is still known. */
export function withUnknownContent(record: PostRecord): PostRecord {
  const kind = kindOf(record.hash);
  return { ...record, hash: kind ? `${kind}-${UNKNOWN}` : UNKNOWN };
}

const KINDS = ['text', 'card', 'note'] as const;

function kindOf(hash: string): SlackPost['kind'] | null {
  return KINDS.find((kind) => hash.startsWith(`${kind}-`)) ?? null;
}

/**
 * What is left to do so that the thread shows `wanted`, best first: deletions of messages that Slack lets nobody edit
 * any more, edits, then at most one new post, then other deletions. Any one of them may be made next; after it, ask
 * again. Empty when all is as wanted.
 *
 * - A post is planned only when all before it exist, so the thread reads top to bottom.
 * - Text, and a note, is not posted below text that is still to be edited; a card is: people wait for it.
 * - Messages that nothing wants any more (a retry threw their text away) are reused for text or deleted; a card or a
 *   note always is a message of its own, since edits do not notify (docs/slack.md, Editing).
 * - A card keeps its message, which people may be about to click: text for which no message is left above it goes
 * below.
 * - With `textUnknown` the wanted posts lack what was said before a restart. Messages that may show it, and those above
 *   a card where it may have its place again, stay, but for their buttons; what is known now goes to the newest of
 * those
 *   that were live, or below.
 */
export function planCalls(
  posted: readonly PostRecord[],
  wanted: readonly SlackPost[],
  isTextUnknown = false,
): PlannedCall[] {
  const free = posted.filter((record) => !isUneditable(record)).sort((a, b) => compareTs(a.ts, b.ts));
  const first = deletionsOfUneditable(posted);
  const updates: PlannedCall[] = [];
  const rest = [...wanted];
  let unposted: SlackPost | null = null;
  let awaitsCard = false;
  let above = '0.0';
  let lowestCard = '0.0';
  for (let post = rest.shift(); post; post = rest.shift()) {
    const below = free.filter((candidate) => compareTs(candidate.ts, above) > 0);
    const card = post.kind === 'text' ? findNextCard(rest, below) : undefined;
    const between = card ? below.filter(({ ts }) => compareTs(ts, card.record.ts) < 0) : below;
    const record = findMessage(post, between, isTextUnknown);
    if (!record && card) {
      rest.splice(rest.indexOf(card.post), 1);
      rest.unshift(card.post, post);
      continue;
    }
    // What says how the turn goes on waits, too: it would stand where the card belongs.
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
    return [...first, ...updates, ...(unposted.kind === 'card' || updates.length === 0 ? [post] : [])];
  }
  const mayReturn = ({ part, ts }: PostRecord) => compareTs(ts, lowestCard) < 0 || !part.startsWith('+');
  const kept = isTextUnknown ? free.filter(mayReturn) : [];
  updates.push(...kept.filter(mayBeLive).map(planForgotten));
  const left = free.filter((record) => !kept.includes(record));
  return [...first, ...updates, ...left.flatMap(planRemoval)];
}

function isUneditable({ refuses }: PostRecord): boolean {
  return refuses === 'edit';
}

/** They show something that is not true any more, and what is shown instead must not stand beside it. */
export function deletionsOfUneditable(posted: readonly PostRecord[]): PlannedCall[] {
  return posted.filter(isUneditable).map((record): PlannedCall => ({ kind: 'delete', record }));
}

/** A message that nothing wants any more goes, or says so. */
function planRemoval(record: PostRecord): PlannedCall[] {
  if (record.refuses !== 'delete') return [{ kind: 'delete', record }];
  const post: SlackPost = { part: record.part, kind: 'text', blocks: [], text: REPLACED, live: false };
  return record.hash === contentHash(post) ? [] : [{ kind: 'update', record, post }];
}

/** The first of these posts that is a card and has a message, and that. */
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
 * Whether a message of text may say that something goes on. One that was found again is what it was when it was posted.
 */
function mayBeLive({ part, hash, live }: PostRecord): boolean {
  const isText = (kindOf(hash) ?? 'text') === 'text' && !part.startsWith('card-');
  return isText && (live === true || (hash !== UNKNOWN && hash.endsWith(UNKNOWN)));
}

function planForgotten(record: PostRecord): PlannedCall {
  return {
    kind: 'update',
    record,
    post: { part: record.part, kind: 'text', blocks: [], text: FORGOTTEN, live: false },
  };
}

/**
 * The message that may show a post: the same content, else the same part, else text that nothing wants: the first, or
 * the `newest` of it.
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
 * Text that may be all there is of what was said is not written over: only what was live, or is of after the restart.
 */
function findWritable(post: SlackPost, candidates: readonly PostRecord[]): PostRecord | undefined {
  const isFree = (record: PostRecord) => mayBeLive(record) || record.part.startsWith('+');
  return candidates.findLast(({ ends }) => post.ends && ends) ?? candidates.findLast(isFree);
}

/** The ledger after a call that Slack confirmed; `ts` is the new message's for a post. In reading order. */
export function applyCall(posted: readonly PostRecord[], call: PlannedCall, ts: string): PostRecord[] {
  const rest = call.kind === 'post' ? [...posted] : posted.filter((record) => record.ts !== call.record.ts);
  if (call.kind === 'delete') return rest;
  const { part, live, ends } = call.post;
  const refuses = call.kind === 'update' ? call.record.refuses : undefined;
  const marks = { ...(live && { live }), ...(ends && { ends }), ...(refuses && { refuses }) };
  const record: PostRecord = { part, ts, hash: contentHash(call.post), ...marks };
  return [...rest, record].sort((a, b) => compareTs(a.ts, b.ts));
}
