import { createHash } from 'node:crypto';
import { compareTs } from '../../bridge/ids.ts';
import type { PostRecord } from '../../bridge/thread-record.ts';
import type { SlackPost } from '../post.ts';

export type PlannedCall =
  | { kind: 'update'; record: PostRecord; post: SlackPost }
  | { kind: 'post'; post: SlackPost }
  | { kind: 'delete'; record: PostRecord };

/** The hash of a message whose content is not known: an edit of it had no answer, or it was found by looking. */
export const UNKNOWN = '?';

const hashes = new WeakMap<SlackPost, string>();

/** What a post shows, as a short word that is stored; it begins with the post's kind. Whether it is live is no content. */
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
export function doubtful(record: PostRecord): PostRecord {
  const kind = kindOf(record.hash);
  return { ...record, hash: kind ? `${kind}-${UNKNOWN}` : UNKNOWN };
}

const KINDS = ['text', 'card', 'note'] as const;

function kindOf(hash: string): SlackPost['kind'] | null {
  return KINDS.find((kind) => hash.startsWith(`${kind}-`)) ?? null;
}

/**
 * What is left to do so that the thread shows `wanted`, best first: edits, then at most one new post, then deletions.
 * Any one of them may be made next; after it, ask again. Empty when all is as wanted.
 *
 * - A post is planned only when all before it exist, so the thread reads top to bottom.
 * - Text, and a note, is not posted below text that is still to be edited; a card is: people wait for it.
 * - Messages that nothing wants any more (a retry threw their text away) are reused for text or deleted; a card or a
 *   note always is a message of its own, since edits do not notify (PLATFORM.md 2.3).
 */
export function plan(posted: readonly PostRecord[], wanted: readonly SlackPost[]): PlannedCall[] {
  const free = [...posted].sort((a, b) => compareTs(a.ts, b.ts));
  const updates: PlannedCall[] = [];
  let missing: SlackPost | null = null;
  let above = '0.0';
  for (const post of wanted) {
    const hash = contentHash(post);
    const record = messageFor(
      post,
      hash,
      free.filter((candidate) => compareTs(candidate.ts, above) > 0),
    );
    if (!record) {
      missing = post;
      break;
    }
    free.splice(free.indexOf(record), 1);
    above = record.ts;
    if (record.hash !== hash) updates.push({ kind: 'update', record, post });
  }
  if (missing) {
    const post: PlannedCall = { kind: 'post', post: missing };
    return missing.kind === 'card' || updates.length === 0 ? [...updates, post] : updates;
  }
  return [...updates, ...free.map((record): PlannedCall => ({ kind: 'delete', record }))];
}

/** The message that may show a post: the same content, else the same part, else text that nothing wants. */
function messageFor(post: SlackPost, hash: string, candidates: readonly PostRecord[]): PostRecord | undefined {
  const fits = candidates.filter(({ hash: known }) => (kindOf(known) ?? post.kind) === post.kind);
  return (
    fits.find((record) => record.part === post.part && record.hash === hash) ??
    fits.find((record) => record.hash === hash) ??
    fits.find((record) => record.part === post.part) ??
    (post.kind === 'text' ? candidates.find((record) => kindOf(record.hash) === 'text') : undefined)
  );
}

/** The ledger after a call that Slack confirmed; `ts` is the new message's for a post. In reading order. */
export function confirmed(posted: readonly PostRecord[], call: PlannedCall, ts: string): PostRecord[] {
  const rest = call.kind === 'post' ? [...posted] : posted.filter((record) => record.ts !== call.record.ts);
  if (call.kind === 'delete') return rest;
  const record = { part: call.post.part, ts, hash: contentHash(call.post) };
  return [...rest, record].sort((a, b) => compareTs(a.ts, b.ts));
}
