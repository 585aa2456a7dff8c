import { compareTs, type TurnId, type UserId } from '../ids.ts';
import type { AnswerRef, OpenTurn, PostRecord, ThreadRecord } from './thread-record.ts';

/**
 * The record with the turn's answer as its last one. A turn that was stopped or failed leaves none: its last message may
 * still change.
 */
export function noteAnswer(record: ThreadRecord, turn: OpenTurn | null): ThreadRecord {
  const last = turn?.ended?.outcome === 'done' ? turn.posts.findLast(showsText) : undefined;
  if (!turn || last === undefined) return record;
  return { ...record, answer: { turn: turn.id, by: turn.requester, ts: last.ts } };
}

/** Posts without a `ts` stand for files. */
function showsText({ part, ts, hash }: PostRecord): boolean {
  return ts !== '' && !part.startsWith('card-') && !hash.startsWith('card-');
}

/** An answer that may be shown in the channel, too. */
export type Shareable = Pick<AnswerRef, 'turn' | 'by' | 'shared'>;

/** The record with who shared the turn's answer; the same record when somebody did before, or it is not known any more. */
export function noteShared(record: ThreadRecord, turn: TurnId, by: UserId): ThreadRecord {
  const { answer, details } = record;
  const isNew = (ref: { turn: TurnId; shared?: UserId | undefined }) => ref.turn === turn && ref.shared === undefined;
  const isAnswer = answer !== undefined && isNew(answer);
  if (!isAnswer && !details?.some(isNew)) return record;
  return {
    ...record,
    ...(isAnswer && { answer: { ...answer, shared: by } }),
    ...(details && { details: details.map((ref) => (isNew(ref) ? { ...ref, shared: by } : ref)) }),
  };
}

/** Of two records of one thread: the newer answer. */
export function newerAnswer({ answer: a }: ThreadRecord, { answer: b }: ThreadRecord): { answer?: AnswerRef } {
  const answer = a && b ? (compareTs(a.ts, b.ts) < 0 ? b : a) : (a ?? b);
  return answer ? { answer } : {};
}
