import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/bridge/agent-event.ts';
import { createRunning, type Middle } from '../../support/middle.ts';
import { touchX } from './approvals/asking-people.ts';

const ANSWER = 'The whole answer.';

/** On the App Server a turn dies with its socket. */
async function answered(): Promise<Middle> {
  const middle = await createRunning({ turnsDieWithLink: true });
  middle.connection.say(ANSWER);
  const clientMessageId = middle.connection.submitted[0]?.clientMessageId ?? '';
  middle.connection.past = [
    { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
    { kind: 'assistant', id: 'm-1', text: ANSWER },
  ];
  await middle.clock.settle();
  return middle;
}

const idle = {
  type: 'loop' as const,
  status: 'idle' as const,
  activeRunIds: [],
  clientMessageIdsByRun: {},
} satisfies AgentEvent;
const ran = (stopReason: string) => ({ type: 'run-ended', runId: 'run-1', stopReason }) as const;

async function reconnect({ connection, clock }: Middle): Promise<void> {
  connection.emit({ type: 'lost', reason: 'reset' });
  connection.ready({ reconnected: true });
  await clock.advance(30_000);
}

describe('a turn whose end was missed', () => {
  it('died with its link, Letta began another: two turns', async () => {
    const middle = await answered();
    const { connection, clock } = middle;
    connection.past = connection.past.slice(0, 1);
    connection.emit({ type: 'lost', reason: 'reset' });
    connection.ready({ reconnected: true });
    // It begins while the history is read, and has no run yet.
    connection.emit({ ...idle, status: 'busy' }, { type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    connection.say('By itself.', 'run-9', 'm-9');
    await clock.advance(1_000);
    expect(middle.surface.turns).toHaveLength(2);
    expect(middle.surface.views.filter(({ ending }) => ending).at(-1)?.ending?.outcome).toBe('interrupted');
    expect(middle.record().turn?.origin).toBe('agent');
  });

  it('died in its tool while Letta begins another: two turns', async () => {
    const middle = await createRunning();
    const { connection, clock } = middle;
    const clientMessageId = connection.submitted[0]?.clientMessageId ?? '';
    const clientMessageIdsByRun = { 'run-1': [clientMessageId] };
    connection.say('Let me see.');
    connection.emit({ type: 'lost', reason: 'reset' });
    connection.past = [
      { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
      { kind: 'assistant', id: 'm-1', text: 'Let me see.' },
      { kind: 'tool', id: 't1', callId: 'c-1', tool: 'Bash' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: 'a task is done' },
    ];
    connection.ready({ reconnected: true, clientMessageIdsByRun });
    // It begins while the history is read, and has no run yet.
    connection.emit({ ...idle, status: 'busy', clientMessageIdsByRun });
    connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    connection.say('By itself.', 'run-9', 'm-9');
    await clock.advance(1_000);
    expect(middle.surface.turns).toHaveLength(2);
    expect(middle.surface.views.filter(({ ending }) => ending).at(-1)?.ending?.outcome).toBe('interrupted');
    expect(middle.record().turn?.origin).toBe('agent');
  });

  it('shown with words of the next turn: shown once', async () => {
    const middle = await answered();
    const { connection, clock } = middle;
    const next = { ...idle, status: 'busy' as const, activeRunIds: ['run-9'] };
    connection.past = [
      ...connection.past.slice(0, 1),
      { kind: 'tool', id: 't1', callId: 'c-1', tool: 'Bash' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: 'a task is done' },
      { kind: 'assistant', id: 'm-8', text: 'Words of the next.' },
      { kind: 'tool', id: 't2', callId: 'c-2', tool: 'Bash' },
      { kind: 'user', id: 'u3', clientMessageId: 'cm-q-2', text: 'another task is done' },
    ];
    connection.emit({ type: 'lost', reason: 'reset' });
    connection.ready({ reconnected: true, loop: 'busy', activeRunIds: ['run-9'] });
    await clock.advance(1_000);
    connection.emit(next);
    connection.say('And more.', 'run-9', 'm-9');
    connection.past = [...connection.past, { kind: 'assistant', id: 'm-9', text: 'And more.' }];
    connection.end('end_turn', 'run-9');
    await clock.advance(30_000);
    const shown = middle.surface.views.filter(({ ending }) => ending).map(({ items }) => JSON.stringify(items));
    expect(shown).toHaveLength(2);
    expect(shown.filter((items) => items.includes('Words of the next.'))).toHaveLength(1);
    expect(shown[1]).toContain('And more.');
  });

  it('ended behind a request of the next: that one keeps its words', async () => {
    const { connection, clock, surface } = await createRunning();
    connection.say(ANSWER);
    connection.end();
    await clock.settle();
    connection.emit({ type: 'lost', reason: 'reset' });
    connection.past = [
      { kind: 'user', id: 'u1', clientMessageId: 'cm-q-1', text: '<task-notification>one</task-notification>' },
      { kind: 'assistant', id: 'm-one', text: 'One.' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-2', text: '<task-notification>two</task-notification>' },
      { kind: 'assistant', id: 'm-two', text: 'Two.' },
      { kind: 'tool', id: 't1', callId: touchX.callId, tool: 'Bash' },
    ];
    connection.ready({ reconnected: true, loop: 'waiting_on_approval', approvals: [touchX] });
    // A relay repeats the frames of both behind the state that Letta is in.
    connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    connection.say('One.', 'run-8', 'm-one');
    connection.emit({ type: 'turn-ended', runId: 'run-8', stopReason: 'end_turn', error: null });
    connection.emit({ type: 'user-message', clientMessageId: 'cm-q-2', automatic: true });
    connection.say('Two.', 'run-9', 'm-two');
    await clock.advance(30_000);
    const ended = surface.views.filter(({ ending }) => ending).at(-1);
    expect(ended?.items.flatMap((item) => (item.kind === 'text' ? [item.markdown] : []))).toEqual(['One.']);
    expect(surface.last).toMatchObject({
      ending: null,
      items: [{ card: { title: 'touch x', state: { state: 'open' } } }, {}],
    });
  });

  it('took words of the next: a restart does not repeat them', async () => {
    const middle = await createRunning();
    const { clock } = middle;
    const clientMessageId = middle.connection.submitted[0]?.clientMessageId ?? '';
    await middle.write('!stop');
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    middle.connection.say('By itself.', 'run-9', 'm-9');
    middle.connection.emit({ type: 'lost', reason: 'reset' });
    const past = [
      { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
      { kind: 'user', id: 'u2', clientMessageId: 'cm-q-1', text: '<task-notification>one</task-notification>' },
      { kind: 'assistant', id: 'm-9', text: 'By itself.' },
      { kind: 'tool', id: 't1', callId: touchX.callId, tool: 'Bash' },
    ] as const;
    const asking = { loop: 'waiting_on_approval' as const, activeRunIds: ['run-9'], approvals: [touchX] };
    middle.connection.past = [...past];
    middle.connection.ready({ ...asking, reconnected: true });
    await clock.advance(30_000);
    await middle.restart();
    middle.connection.past = [...past];
    middle.connection.ready(asking);
    await clock.advance(30_000);
    const views = new Map(middle.surface.views.map((view) => [view.turn, JSON.stringify(view.items)]));
    expect([...views.values()].map((items) => items.includes('By itself.'))).toEqual([true, false]);
    expect(middle.surface.last.items).toMatchObject([{ card: { title: 'touch x' } }]);
  });

  it('text above a card known at the end: keeps its place', async () => {
    const middle = await createRunning();
    const clientMessageId = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.begin();
    await middle.restart();
    // What was said before the request cannot be read while it waits.
    const asked = { loop: 'waiting_on_approval' as const, approvals: [touchX] };
    middle.connection.ready(asked);
    await middle.clock.advance(10_000);
    middle.connection.past = [
      { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
      { kind: 'assistant', id: 'm-9', text: 'Let me see.' },
      { kind: 'tool', id: 't1', callId: touchX.callId, tool: 'Bash' },
    ];
    middle.surface.gate = new Promise(() => undefined);
    middle.connection.emit({ type: 'turn-ended', runId: null, stopReason: 'cancelled', error: null });
    await middle.clock.advance(30_000);
    // After another restart the stored text comes first, and only this says where the card belongs.
    expect(middle.record()).toMatchObject({ turn: { said: [{ messageId: 'm-9' }] }, approvals: [{ after: 'm-9' }] });
  });

  it('end of a run missed: the history tells what it took back', async () => {
    const { connection, clock, surface } = await createRunning();
    const clientMessageId = connection.submitted[0]?.clientMessageId ?? '';
    connection.say('Half an ans', 'run-1', 'm-1');
    connection.say(ANSWER, 'run-2', 'm-2');
    connection.past = [
      { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
      { kind: 'assistant', id: 'm-2', text: ANSWER },
    ];
    connection.end('end_turn', 'run-2');
    await clock.advance(30_000);
    expect(surface.last.ending?.outcome).toBe('done');
    expect(JSON.stringify(surface.last.items)).toContain(ANSWER);
    expect(JSON.stringify(surface.last.items)).not.toContain('Half');
  });

  it('run that ended to use a tool: nothing was missed', async () => {
    const { connection, clock, surface } = await createRunning();
    const clientMessageId = connection.submitted[0]?.clientMessageId ?? '';
    connection.say('Let me see.', 'run-1', 'm-1');
    connection.emit({ type: 'run-ended', runId: 'run-1', stopReason: 'requires_approval' });
    connection.say(ANSWER, 'run-2', 'm-2');
    connection.past = [
      { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
      { kind: 'assistant', id: 'm-9', text: 'Only the history has this.' },
    ];
    connection.end('end_turn', 'run-2');
    await clock.advance(30_000);
    const items = JSON.stringify(surface.last.items);
    expect(items).toContain('Let me see.');
    expect(items).not.toContain('Only the history');
  });

  it('link held and Letta idle: is done', async () => {
    const middle = await answered();
    middle.connection.emit(idle);
    await middle.clock.advance(30_000);
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'done', line: null });
  });

  it('last run ended before the link was lost: is done', async () => {
    const middle = await answered();
    middle.connection.emit(ran('end_turn'));
    await reconnect(middle);
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'done', line: null });
    expect(middle.record().offers).toEqual([]);
  });

  it.each([
    ['its text was not at its end', []],
    ['its last run had broken', [ran('error')]],
    [
      'more was said after the run had ended',
      [ran('end_turn'), { type: 'text', runId: 'run-2', messageId: 'm-2', text: 'And' }],
    ],
  ] as const)('may be interrupted when %s', async (_why, events) => {
    const middle = await answered();
    middle.connection.emit(...events);
    await reconnect(middle);
    expect(middle.surface.last.ending).toMatchObject({ outcome: 'interrupted' });
  });
});
