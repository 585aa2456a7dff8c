import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/bridge/agent-event.ts';
import { forgetThrough, hold } from '../../../src/bridge/thread/core/held.ts';
import type { Held } from '../../../src/bridge/thread/core/thread.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createMiddle, createRunning } from '../../support/middle.ts';
import { bash } from './approvals/asking-people.ts';

const text = (runId: string): AgentEvent => ({ type: 'text', runId, messageId: `m-${runId}`, text: 'word' });
const asked: AgentEvent = { type: 'approval-asked', request: bash('touch x') };
const isFirst = (event: AgentEvent) => 'runId' in event && event.runId === 'run-1';

function held(...events: AgentEvent[]): readonly Held[] {
  return events.reduce(hold, [] as readonly Held[]);
}

describe('held events', () => {
  it('forget events of the turn that ended, and those before them', () => {
    const all = held(text('run-0'), text('run-1'), text('run-2'));
    expect(forgetThrough(all, isFirst, false)).toEqual([text('run-2')]);
  });

  it('keep words of the next turn before a repair of the ended', () => {
    const repaired: AgentEvent = { type: 'text-repaired', runId: 'run-1', messageId: 'm-run-1', text: 'words' };
    expect(forgetThrough(held(text('run-1'), text('run-2'), repaired, text('run-2')), isFirst, false)).toEqual([
      text('run-2'),
      text('run-2'),
    ]);
  });

  it('keep a request that a late event of the ended turn follows', () => {
    const all = held(asked, text('run-1'), text('run-2'));
    expect(forgetThrough(all, isFirst, true)).toEqual([asked, text('run-2')]);
  });

  it('forget a request that was withdrawn, or that no run awaits', () => {
    const withdrawn = held(asked, { type: 'approvals-open', requestIds: [] }, text('run-1'));
    expect(forgetThrough(withdrawn, isFirst, true)).toEqual([]);
    // Also when it was put there as the next one's: a stop ends the turn before it empties Letta's list.
    const taken = held(asked, { type: 'approvals-open', requestIds: [] });
    expect(forgetThrough(taken, isFirst, true)).toEqual([{ type: 'approvals-open', requestIds: [] }]);
    expect(forgetThrough(held(asked, text('run-1')), isFirst, false)).toEqual([]);
  });

  it('without end: are bounded, whatever they are', () => {
    let all: readonly Held[] = [text('run-1')];
    let most = 0;
    for (let n = 0; n < 25_000; n += 1) {
      all = hold(all, n % 2 === 0 ? asked : { type: 'turn-ended', runId: `${n}`, stopReason: 'end_turn', error: null });
      most = Math.max(most, all.length);
    }
    expect(most).toBeLessThanOrEqual(11_000);
    expect(all[0]).toEqual({ type: 'cut' });
    expect(all.at(-1)).toMatchObject({ runId: '24999' });
  });

  it('input refused during a look: shown at once, in order', async () => {
    const middle = createMiddle({ turnsDieWithLink: false });
    await middle.write('list the files');
    middle.connection.ready();
    const submitted = Promise.withResolvers<void>();
    middle.connection.onSubmit = () => submitted.promise;
    await middle.clock.settle();
    const history = Promise.withResolvers<never>();
    middle.connection.fetchHistory = () => history.promise;
    middle.connection.ready({ reconnected: true });
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-9'], clientMessageIdsByRun: {} });
    middle.connection.say('One, ', 'run-9', 'm-9');
    await middle.clock.settle();
    middle.connection.fetchHistory = () =>
      Promise.resolve([{ kind: 'user', id: 'u9', clientMessageId: 'cm-q-1', text: '<task-notification>' }]);
    submitted.reject(
      new BridgeError('link_lost', 'the socket closed before the input left', { certain: true, retry: true }),
    );
    await middle.clock.settle();
    expect(middle.record().turn?.origin).toBe('agent');
    middle.connection.say('two.', 'run-9', 'm-9');
    await middle.clock.settle();
    expect(middle.surface.last.items).toMatchObject([{ kind: 'text', markdown: 'One, two.' }]);
  });

  it('Letta’s turn after a lost link: the history completes it', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.say('one');
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'one' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: '<task-notification>' },
      { kind: 'assistant', id: 'm-2', text: 'not heard' },
      { kind: 'assistant', id: 'm-3', text: 'heard' },
    ];
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    middle.connection.say('heard', 'run-3', 'm-3');
    middle.connection.emit({ type: 'turn-ended', runId: 'run-3', stopReason: 'end_turn', error: null });
    await middle.clock.settle();
    expect(middle.surface.turns).toHaveLength(2);
    expect(JSON.stringify(middle.surface.last.items)).toContain('not heard');
  });

  it('overflow: both held turns are completed from the history', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    middle.connection.say('one');
    middle.connection.end();
    await middle.clock.settle();
    const words = Array.from({ length: 12_000 }, (_, at) => `w${at} `);
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    for (const word of words) middle.connection.say(word, 'run-2', 'm-2');
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-2', automatic: true });
    middle.connection.say('and that', 'run-3', 'm-3');
    middle.connection.emit({ type: 'turn-ended', runId: 'run-3', stopReason: 'end_turn', error: null });
    middle.connection.past = [
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: '<task-notification>' },
      { kind: 'assistant', id: 'm-2', text: words.join('') },
      { kind: 'user', id: 'u3', clientMessageId: 'cm-q-2', text: '<task-notification>' },
      { kind: 'assistant', id: 'm-3', text: 'and that' },
    ];
    middle.surface.gate = null;
    gate.resolve();
    await middle.clock.advance(60_000);
    const shown = middle.surface.turns.map((turn) => {
      const { items, ending } = middle.surface.views.findLast((view) => view.turn === turn) ?? middle.surface.last;
      return { text: items.flatMap((item) => (item.kind === 'text' ? [item.markdown] : [])).join(''), ending };
    });
    expect(shown.map(({ text }) => text)).toEqual(['one', words.join(''), 'and that']);
    expect(shown.map(({ ending }) => ending?.outcome)).toEqual(['done', 'done', 'done']);
  });

  it('overflow before a turn begins: its text comes from the history', async () => {
    const middle = await createRunning({ turnsDieWithLink: false });
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    middle.connection.say('one');
    middle.connection.end();
    await middle.clock.settle();
    for (let count = 0; count < 10_000; count += 1)
      middle.connection.emit({ type: 'tool-output', callId: 'call-9', output: `${count}` });
    middle.connection.say('Look:', 'run-2', 'm-2');
    middle.connection.emit(asked);
    middle.surface.gate = null;
    gate.resolve();
    await middle.clock.advance(1_000);
    expect(middle.record().turn?.origin).toBe('agent');
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    middle.connection.say('done', 'run-2', 'm-3');
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: id, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'one' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: '<task-notification>' },
      { kind: 'assistant', id: 'm-2', text: 'Look:' },
      { kind: 'assistant', id: 'm-3', text: 'done' },
    ];
    middle.connection.emit({ type: 'turn-ended', runId: 'run-2', stopReason: 'end_turn', error: null });
    await middle.clock.advance(60_000);
    const shown = middle.surface.last.items.flatMap((item) => (item.kind === 'text' ? [item.markdown] : []));
    expect(shown).toEqual(['Look:\n\ndone']);
  });
});
