import { describe, expect, it } from 'vitest';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import { newerAnswer, noteAnswer, noteShared } from '../../../src/bridge/record/answer.ts';
import { newRecord } from '../../../src/bridge/record/inbox.ts';
import type { Ending, OpenTurn, PostRecord } from '../../../src/bridge/record/thread-record.ts';

const address = { team: 'T01', channel: 'C01GEN', threadTs: '1.000001' };
const record = newRecord(
  makeThreadKey({ team: 'T01', channel: 'C01GEN', root: '1.000001' }),
  address,
  'U01ALICE',
  1_000,
);
const post = (part: string, ts: string, hash = 'h'): PostRecord => ({ part, ts, hash });

function turn(outcome: Ending['outcome'] | null, posts: PostRecord[], id = 'turn-1'): OpenTurn {
  const ended = outcome && { outcome, by: null, line: null, tools: 0, durationMs: 1 };
  return {
    ...{ id: id as OpenTurn['id'], requester: 'U01ALICE', origin: 'people', items: [], context: [], posts },
    ...{
      clientMessageId: null,
      state: 'submitted',
      notPassedOn: [],
      startedAt: 1,
      stopToken: 's' as never,
      stoppedBy: null,
    },
    ...(ended && { ended }),
  } as OpenTurn;
}

describe('the last answer of a thread', () => {
  it("is the turn's last message, without cards and files", () => {
    const posts = [
      post('0.0', '1.000002'),
      post('1.0', '1.000003'),
      post('card-abc', '1.000004', 'card-h'),
      post('file-1', '', 'file-F1'),
    ];
    expect(noteAnswer(record, turn('done', posts)).answer).toEqual({
      ...{ turn: 'turn-1', by: 'U01ALICE', ts: '1.000003' },
    });
  });

  it.each(['stopped', 'failed', 'interrupted', null] as const)('%s: is the one before', (outcome) => {
    const before = noteAnswer(record, turn('done', [post('0.0', '1.000002')]));
    expect(noteAnswer(before, turn(outcome, [post('0.0', '1.000009')], 'turn-2'))).toBe(before);
    expect(noteAnswer(before, null)).toBe(before);
    expect(noteAnswer(before, turn('done', [], 'turn-2'))).toBe(before);
  });

  it('is the newer one when a channel has changed its id', () => {
    const [older, newer] = ['9.000001', '10.000001'].map((ts) => noteAnswer(record, turn('done', [post('0.0', ts)])));
    if (!older || !newer) throw new Error('two records');
    expect([newerAnswer(older, newer), newerAnswer(newer, older)]).toEqual([
      { answer: newer.answer },
      { answer: newer.answer },
    ]);
    expect([newerAnswer(record, older), newerAnswer(record, record)]).toEqual([{ answer: older.answer }, {}]);
  });

  it('is shared by one person, as both', () => {
    const details = [{ token: 'tok', turn: 'turn-1', at: 1, by: 'U01ALICE' }] as never;
    const answered = { ...noteAnswer(record, turn('done', [post('0.0', '1.000002')])), details };
    const shared = noteShared(answered, 'turn-1' as never, 'U01ALICE');
    expect(shared).toMatchObject({ answer: { shared: 'U01ALICE' }, details: [{ shared: 'U01ALICE' }] });
    expect(noteShared(shared, 'turn-1' as never, 'U02BOB')).toBe(shared);
    expect(noteShared(answered, 'turn-2' as never, 'U02BOB')).toBe(answered);
  });
});
