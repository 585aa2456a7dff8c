import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import { findTurn, mergeHistory } from '../../../src/bridge/turn/after-reconnect.ts';
import { emptyTurn, foldTurn, type TurnState, turnText } from '../../../src/bridge/turn/fold.ts';

const user = (clientMessageId: string | null): HistoryItem => ({
  kind: 'user',
  id: `u-${clientMessageId}`,
  clientMessageId,
  text: '',
});
const said = (id: string, text: string): HistoryItem => ({ kind: 'assistant', id, text });
const tool: HistoryItem = { kind: 'tool', id: 't', callId: null, tool: null, result: 'real' };

const streamed = (...texts: [string, string][]) =>
  texts.reduce((turn, [messageId, text]) => foldTurn(turn, { type: 'text', runId: 'r', messageId, text }), emptyTurn);

const find = (history: HistoryItem[], clientMessageId: string | null, heard: TurnState = emptyTurn) =>
  findTurn(history, {
    clientMessageId,
    heard,
    inputs: [],
    others: [],
    stopped: false,
    another: false,
    hasEnded: false,
  });

describe('finding a turn in the history', () => {
  it('ends it at the next input; reminders without id belong to it', () => {
    const history = [user('a'), said('m1', 'one'), user(null), said('m2', 'two'), user('b'), said('m3', 'three')];
    expect(find(history, 'a')).toMatchObject({ texts: [{ messageId: 'm1' }, { messageId: 'm2' }], answered: true });
    expect(find(history, 'c')).toEqual({ arrived: false });
  });

  it('includes inputs that joined behind a tool, excludes those after the answer', () => {
    const joined = [
      user('slack-a'),
      tool,
      user('cm-q-1'),
      said('m1', 'both done'),
      user('cm-q-2'),
      said('m2', 'later'),
    ];
    expect(find(joined, 'slack-a')).toMatchObject({ texts: [{ messageId: 'm1' }] });
    const several = [user('slack-a'), tool, user('cm-q-1'), user('cm-q-2'), said('m1', 'all done')];
    expect(find(several, 'slack-a')).toMatchObject({ texts: [{ messageId: 'm1' }] });
    expect(find([user('slack-a'), tool, user('slack-b'), said('m1', 'hers')], 'slack-a')).toMatchObject({
      texts: [],
    });
  });

  it('input joined behind a tool: does not count as answered', () => {
    expect(find([user('slack-a'), tool, said('m1', 'done')], 'slack-a')).toMatchObject({ answered: true });
    expect(find([user('slack-a'), tool, user('cm-q-1'), said('m1', 'done')], 'slack-a')).toMatchObject({
      answered: false,
    });
  });

  it.each([undefined, 'closed'] as const)('died in a tool: the next input begins another (result: %s)', (result) => {
    const call: HistoryItem = { kind: 'tool', id: 'c', callId: 'call-1', tool: 'Bash', ...(result && { result }) };
    const history = [user('slack-a'), said('m1', 'let me see'), call, user('prog-1'), said('m2', 'not mine')];
    expect(find(history, 'slack-a')).toMatchObject({ texts: [{ messageId: 'm1' }], answered: false });
  });

  it('input handed to the turn: belongs to it anywhere', () => {
    const history = [user('slack-a'), tool, user('slack-b'), said('m1', 'both'), user('slack-c'), said('m2', 'next')];
    const marks = { heard: emptyTurn, inputs: [], others: [], stopped: false, another: false, hasEnded: false };
    expect(findTurn(history, { ...marks, clientMessageId: 'slack-a', joined: ['slack-b'] })).toMatchObject({
      texts: [{ messageId: 'm1' }],
      answered: true,
    });
  });

  it('another turn runs: excludes it, even right behind a tool', () => {
    const history = [user('slack-a'), said('m1', 'let me see'), tool, user('cm-q-1'), said('m2', 'the task is done')];
    const heard = streamed(['m1', 'let me']);
    const marks = { clientMessageId: 'slack-a', heard, inputs: [], others: [], hasEnded: false };
    expect(findTurn(history, { ...marks, stopped: false, another: true })).toMatchObject({
      texts: [{ messageId: 'm1' }],
      answered: false,
    });
    const joined = [history[0], tool, user('cm-q-0'), said('m0', 'mine'), tool, user('cm-q-1'), said('m2', 'not mine')];
    const unheard = { ...marks, heard: emptyTurn, stopped: false, another: true };
    const whole = joined.flatMap((item) => (item ? [item] : []));
    expect(findTurn(whole, unheard)).toMatchObject({ texts: [{ messageId: 'm0' }] });
    const more = { ...marks, heard: streamed(['m1', 'let me'], ['m2', 'the task']), stopped: false, another: true };
    expect(findTurn(history, more)).toMatchObject({ texts: [{ messageId: 'm1' }, { messageId: 'm2' }] });
  });

  it('had ended: excludes what Letta began later, even right behind a tool', () => {
    const history = [
      ...[user('slack-a'), tool, user('cm-q-0'), said('m1', 'let me see'), tool],
      ...[user('cm-q-1'), said('m2', 'the task is done')],
    ];
    const marks = { clientMessageId: 'slack-a', inputs: [], others: [], stopped: false, another: false };
    const heard = streamed(['m1', 'let me see'], ['m9', 'half a sen']);
    expect(findTurn(history, { ...marks, heard, hasEnded: true })).toMatchObject({
      texts: [{ messageId: 'm1' }],
      answered: false,
    });
    expect(findTurn(history, { ...marks, heard, hasEnded: false })).toMatchObject({
      texts: [{ messageId: 'm1' }, { messageId: 'm2' }],
    });
  });

  it('input joined a running turn: begins with the text heard before it', () => {
    const history = [user('cm-q-1'), said('m1', 'let me see'), tool, user('slack-a'), said('m2', 'both done')];
    const heard = streamed(['m1', 'let me see']);
    const found = find(history, 'slack-a', heard);
    if (!found.arrived) throw new Error('it is there');
    expect(found.texts.map(({ messageId }) => messageId)).toEqual(['m1', 'm2']);
    expect(turnText(mergeHistory(heard, found))).toBe('let me see\n\nboth done');
    // That nothing came of it is no answer.
    expect(find([user('cm-q-1'), said('m1', 'let me see'), user('slack-a')], 'slack-a', heard)).toMatchObject({
      answered: false,
    });
    expect(find([user('a'), said('m0', 'old'), user('b')], 'b')).toMatchObject({ texts: [], answered: false });
  });

  it('turns of which nothing was heard above its input: leaves them out', () => {
    const heard = streamed(['m1', 'heard']);
    const other = fc
      .tuple(fc.constantFrom('slack-', 'cm-q-', 'cli-'), fc.boolean())
      .map(([kind, runsTool]) => ({ kind, runsTool }));
    fc.assert(
      fc.property(fc.array(other, { maxLength: 6 }), (others) => {
        const between = others.flatMap(({ kind, runsTool }, n) => [
          user(`${kind}${n}`),
          ...(runsTool ? [tool] : []),
          said(`other-${n}`, `other ${n}`),
        ]);
        const before = [user('cli-first'), said('m1', 'heard'), said('m2', 'missed')];
        const found = find([...before, ...between, user('slack-mine'), said('m3', 'mine')], 'slack-mine', heard);
        expect(found.arrived && found.texts.map(({ text }) => text)).toEqual(['heard', 'missed', 'mine']);
      }),
    );
  });

  it('tool comes last: does not count as answered', () => {
    expect(find([user('a'), said('m1', 'let me see'), tool], 'a')).toMatchObject({
      arrived: true,
      answered: false,
    });
  });

  it('turn of Letta: begins after the newest input that is not ours', () => {
    const ours = user('slack-T1-C1-1.000001');
    expect(find([ours, said('m1', 'old'), user('cm-q-1'), said('m2', 'done')], null)).toMatchObject({
      texts: [{ messageId: 'm2', text: 'done' }],
    });
    expect(find([ours, said('m1', 'old')], null)).toEqual({ arrived: false });
  });

  it('turn of Letta: is not mistaken for the turn Letta began next', () => {
    const history = [user('cm-q-1'), said('m1', 'first'), user('cm-q-2'), said('m2', 'second')];
    const first = { texts: [{ messageId: 'm1', text: 'first' }] };
    expect(find(history, null, { ...emptyTurn, input: 'cm-q-1' })).toMatchObject(first);
    const part = { kind: 'text', runId: 'r1', messageId: 'm1', text: 'fir' } as const;
    expect(find(history, null, { ...emptyTurn, parts: [part] })).toMatchObject(first);
  });
});

describe('finding a turn behind a summary', () => {
  const summary: HistoryItem = { kind: 'summary', id: 's' };
  const id = 'slack-T-C-1700000002.000100';

  it('input not there: may be summarised', () => {
    expect(find([summary], id)).toEqual({ arrived: false, mayBeSummarised: true });
    expect(find([summary, tool, said('m0', 'old')], id)).toEqual({ arrived: false, mayBeSummarised: true });
  });

  it('other inputs still there: may be gone all the same', () => {
    const other = user('slack-T-C-1700000001.000100');
    expect(find([summary, other, said('m0', 'old')], id)).toEqual({ arrived: false, mayBeSummarised: true });
    const heard = streamed(['m1', 'let me']);
    expect(find([summary, other, said('m0', 'old'), said('m1', 'let me see')], id, heard)).toMatchObject({
      texts: [{ messageId: 'm1' }],
      isCut: true,
    });
  });

  it('a heard part of it there: it arrived', () => {
    const heard = streamed(['m1', 'let me'], ['m3', 'done']);
    expect(find([summary, said('m2', 'look'), tool, said('m3', 'done'), user('slack-b')], id, heard)).toMatchObject({
      arrived: true,
      texts: [{ messageId: 'm2' }, { messageId: 'm3' }],
      answered: true,
      isCut: true,
    });
  });

  it('turn of Letta: is found by a heard part', () => {
    const heard = streamed(['m1', 'one'], ['m2', 'two']);
    expect(find([summary, said('m2', 'two')], null, heard)).toMatchObject({ arrived: true, isCut: true });
  });

  it('its input there: a summary in between changes nothing', () => {
    const history = [user(id), said('m1', 'let me'), tool, summary, user('cm-q-1'), said('m2', 'done')];
    const { isCut, ...found } = find(history, id) as Extract<ReturnType<typeof find>, { arrived: true }>;
    expect(isCut ?? false).toBe(false);
    expect(found).toMatchObject({ texts: [{ messageId: 'm1' }, { messageId: 'm2' }] });
  });

  it('keeps the heard text that was summarised, above what is still there', () => {
    const heard = streamed(['m1', 'let me see'], ['m3', 'all d']);
    const found = find([summary, said('m2', 'halfway'), said('m3', 'all done')], id, heard);
    if (!found.arrived) throw new Error('it is there');
    expect(turnText(mergeHistory(heard, found))).toBe('let me see\n\nhalfway\n\nall done');
  });
});

describe('completing a turn from its history', () => {
  it('adds missing text in its place and keeps longer heard text', () => {
    const turn = streamed(['m1', 'one, to the very end'], ['m3', 'three']);
    const found = find([user('a'), said('m1', 'one'), said('m2', 'two'), said('m3', 'three!'), tool], 'a');
    if (!found.arrived) throw new Error('it is there');
    expect(turnText(mergeHistory(turn, found))).toBe('one, to the very end\n\ntwo\n\nthree!');
  });

  it('answered turn: drops text that the history lacks', () => {
    const found = find([user('a'), said('m2', 'the answer')], 'a');
    if (!found.arrived) throw new Error('it is there');
    expect(turnText(mergeHistory(streamed(['m1', 'half an ans']), found))).toBe('the answer');
  });

  it('input joined and the turn ended well: drops text the history lacks', () => {
    const history = [user('slack-a'), said('m1', 'let me see'), tool, user('cm-q-1'), said('m3', 'both done')];
    const heard = streamed(['m1', 'let me see'], ['m2', 'both d'], ['m3', 'both done'], ['m4', 'later']);
    const ended = (stopReason: string) => foldTurn(heard, { type: 'turn-ended', runId: 'r', stopReason, error: null });
    const text = (turn: TurnState) => {
      const found = find(history, 'slack-a', turn);
      return found.arrived ? turnText(mergeHistory(turn, found)).split('\n\n') : [];
    };
    expect(text(ended('end_turn'))).toEqual(['let me see', 'both done', 'later']);
    expect(text(ended('cancelled'))).toEqual(['let me see', 'both d', 'both done', 'later']);
  });

  it('run retried before a restart: old text stays above new', () => {
    const part = { kind: 'text', runId: 'r', messageId: 'm1', text: 'half an ans', earlier: true } as const;
    const restarted = { ...emptyTurn, parts: [part] };
    const found = find([user('a'), said('m2', 'the answer anew')], 'a', restarted);
    expect(found.arrived && turnText(mergeHistory(restarted, { ...found, answered: false }))).toBe(
      'half an ans\n\nthe answer anew',
    );
  });

  it('another run followed: drops what the history lacks of the first', () => {
    const heard = streamed(['m1', 'half an ans']);
    const found = find([user('a'), said('m2', 'the answer anew'), tool, user('cm-q-1')], 'a', heard);
    if (!found.arrived) throw new Error('it is there');
    const text = (followed: string[]) => turnText(mergeHistory(heard, { ...found, followed }));
    expect(text([])).toContain('half an ans');
    expect(text(['r'])).toBe('the answer anew');
  });

  it('asked after a restart, run retried meanwhile: drops text from before', () => {
    const asks = (callId: string) => ({
      type: 'approval-asked' as const,
      request: {
        ...{ requestId: `perm-${callId}`, callId, tool: 'Bash', input: {} },
        ...{ diffs: [], suggestions: [], questions: null },
      },
    });
    const part = { kind: 'text', runId: 'r', messageId: 'm1', text: 'half an ans', earlier: true } as const;
    const restarted = foldTurn({ ...emptyTurn, parts: [part] }, asks('call-1'));
    const call = (callId: string): HistoryItem => ({ kind: 'tool', id: 't', callId, tool: 'Bash' });
    const text = (...history: HistoryItem[]) => {
      const found = find([user('a'), ...history], 'a', restarted);
      return found.arrived ? turnText(mergeHistory(restarted, found)) : '';
    };
    expect(text(said('m2', 'the answer anew'), call('call-1'))).toBe('the answer anew');
    expect(text(said('m1', 'half an answer'), call('call-1'))).toBe('half an answer');
    // Its run may not be stored yet.
    expect(text(said('m0', 'let me see'), call('call-0'))).toBe('let me see\n\nhalf an ans');
  });

  it('cut turn without text in the history: keeps the heard text', () => {
    const found = find([user('a')], 'a');
    if (!found.arrived) throw new Error('it is there');
    expect(turnText(mergeHistory(streamed(['m1', 'half an ans']), found))).toBe('half an ans');
  });

  it('run broke and was retried: drops its text only then', () => {
    const half = streamed(['m1', 'half an ans']);
    const broken = foldTurn(half, { type: 'run-ended', runId: 'r', stopReason: 'llm_api_error' });
    const text = (turn: TurnState, ...history: HistoryItem[]) => {
      const found = find([user('a'), ...history, user('cm-q-1')], 'a', turn);
      return found.arrived ? turnText(mergeHistory(turn, found)) : '';
    };
    expect(text(broken)).toBe('half an ans');
    expect(text(broken, said('m2', 'the answer anew'), tool)).toBe('the answer anew');
    expect(text(half, said('m2', 'the answer anew'), tool)).toContain('half an ans');
    const heardAnew = foldTurn(broken, { type: 'text', runId: 'r2', messageId: 'm2', text: 'the answer anew' });
    expect(text(heardAnew, said('m2', 'the answer anew'), tool)).toBe('the answer anew');
  });

  it("two turns of Letta's own heard as one: drops nothing", () => {
    const heard = { ...streamed(['m2', 'second']), input: 'cm-q-1' };
    const history = [user('cm-q-1'), said('m1', 'first'), user('cm-q-2'), said('m2', 'second')];
    const found = find(history, null, heard);
    if (!found.arrived) throw new Error('it is there');
    expect(turnText(mergeHistory(heard, found))).toBe('first\n\nsecond');
  });

  it('text of another turn of the history: is not taken for void', () => {
    const heard = streamed(['m1', 'one'], ['m2', 'two']);
    const found = find([user('slack-a'), said('m1', 'one'), user('slack-b'), said('m2', 'two')], 'slack-a', heard);
    if (!found.arrived) throw new Error('it is there');
    expect(found.answered).toBe(true);
    expect(turnText(mergeHistory(heard, found))).toContain('two');
  });

  it('text behind a later input: comes below the text before it', () => {
    const heard = streamed(['m1', 'one'], ['m2', 'cut o']);
    const found = find(
      [user('slack-a'), said('m1', 'one'), tool, user('cm-q-1'), said('m3', 'three')],
      'slack-a',
      heard,
    );
    if (!found.arrived) throw new Error('it is there');
    expect(turnText(mergeHistory(heard, found))).toBe('one\n\ncut o\n\nthree');
  });
});
