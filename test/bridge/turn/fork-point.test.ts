import { describe, expect, it } from 'vitest';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import { forkPointIn } from '../../../src/bridge/turn/fork-point.ts';

const thread = makeThreadKey({ team: 'T1', channel: 'C1', root: '100.000000' });
const asked = (ts: string, at: number, channel = 'C1'): HistoryItem => ({
  ...{ kind: 'user', id: `u${ts}`, text: 'x', at: at * 1_000 },
  clientMessageId: `slack-T1-${channel}-${ts}`,
});
const says = (id: string): HistoryItem => ({ kind: 'assistant', id, text: 'x' });
const called = (id: string): HistoryItem => ({ kind: 'tool', id, callId: id, tool: 'Bash' });
const returned = (id: string): HistoryItem => ({ kind: 'tool', id, callId: id, tool: 'Bash', result: 'real' });
/** Two turns; the second message was written while the first turn ran. */
const two = [asked('100.000000', 101), says('a1'), asked('105.000000', 120), says('a2')];
const find = (history: HistoryItem[], ts: string, isAnswer = false) => forkPointIn(history, thread, { ts, isAnswer });

describe('the end of a copy', () => {
  it('at a person’s message: behind the answer to it', () => {
    expect(find(two, '100.000000')).toEqual({ id: 'a1' });
    expect(find(two, '105.000000')).toEqual({ id: null });
  });

  it('at an answer: behind it, also when a message waited', () => {
    expect(find(two, '102.000000', true)).toEqual({ id: 'a1' });
    expect(find(two, '110.000000', true)).toEqual({ id: 'a1' });
    expect(find(two, '121.000000', true)).toEqual({ id: null });
  });

  it('at a message of several in one turn: behind their answer', () => {
    expect(find(two, '103.000000')).toEqual({ id: 'a1' });
  });

  it('takes along what joined the turn behind a tool', () => {
    const joined = [asked('100.000000', 101), called('c'), returned('r'), asked('104.000000', 105), says('a1')];
    expect(find([...joined, asked('200.000000', 201), says('a2')], '100.000000')).toEqual({ id: 'a1' });
  });

  it('ends before a turn that Letta began by itself', () => {
    const own: HistoryItem = { kind: 'user', id: 'n', clientMessageId: 'cm-q-1', text: '<task-notification>' };
    expect(find([...two.slice(0, 2), own, says('a2')], '100.000000')).toEqual({ id: 'a1' });
  });

  it('a message sent again: is found', () => {
    const again: HistoryItem = { ...two[0], clientMessageId: 'slack-T1-C1-100.000000-again2' } as HistoryItem;
    expect(find([again, ...two.slice(1)], '100.000000')).toEqual({ id: 'a1' });
  });

  it('not in the history: is missing', () => {
    expect(find(two, '99.000000')).toBe('missing');
    expect(find([{ kind: 'summary', id: 's' }], '100.000000', true)).toBe('missing');
    expect(find([asked('100.000000', 101, 'C2'), says('a1')], '100.000000')).toBe('missing');
  });
});
