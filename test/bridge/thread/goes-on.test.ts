import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy } from '../../../src/bridge/access/policy.ts';
import type { HistoryItem } from '../../../src/bridge/agent-event.ts';
import { createMiddle, createRunning, type Middle, type MiddleOptions } from '../../support/middle.ts';
import { ask, bash } from './approvals/asking-people.ts';

const AUTO: Partial<Policy> = { defaults: { ...closedPolicy.defaults, resume: 'auto' } };
const GOES_ON = 'I’ll go on by myself.';

const called = (callId: string, result?: 'real' | 'closed'): HistoryItem[] => [
  { kind: 'tool', id: `c-${callId}`, callId, tool: 'Bash' },
  ...(result ? [{ kind: 'tool' as const, id: `r-${callId}`, callId, tool: 'Bash', result }] : []),
];

const inputs = (middle: Middle) => middle.connections.flatMap((each) => each.submitted);
const endings = (middle: Middle) => middle.surface.views.filter(({ ending }) => ending).map(({ ending }) => ending);
const offers = (middle: Middle) =>
  middle.record().offers.flatMap(({ kind, state }) => (state.state === 'open' ? [kind] : []));

/** The agent works for Alice, and says its first words. @param behind what the history has behind her message */
async function working(behind: HistoryItem[] = called('call-1', 'real'), options: MiddleOptions = {}): Promise<Middle> {
  const middle = await createRunning({ turnsDieWithLink: true, policy: AUTO, ...options });
  middle.surface.notesPosts = true;
  middle.connection.say('I build it now.', 'run-1', 'm-1');
  const clientMessageId = inputs(middle)[0]?.clientMessageId ?? '';
  middle.connection.past = [
    { kind: 'user', id: 'u1', clientMessageId, text: 'list the files' },
    { kind: 'assistant', id: 'm-1', text: 'I build it now.' },
    ...behind,
  ];
  await middle.clock.settle();
  return middle;
}

/** The link is lost for a moment, and the turn is gone. */
async function cut(middle: Middle, awayMs = 0): Promise<void> {
  middle.connection.emit({ type: 'lost', reason: 'reset' });
  await middle.clock.advance(awayMs);
  middle.connection.ready({ reconnected: true });
  await middle.clock.advance(30_000);
}

describe('a cut turn that may go on by itself', () => {
  it('goes on by itself as its requester’s next turn, and says so', async () => {
    const middle = await working();
    await cut(middle);
    expect(endings(middle).at(-1)).toMatchObject({ outcome: 'interrupted', line: expect.stringContaining(GOES_ON) });
    expect(inputs(middle)).toHaveLength(2);
    expect(inputs(middle)[1]?.content).toContain('From the bridge, for U01ALICE');
    expect(middle.record().turn).toMatchObject({ requester: 'U01ALICE', origin: 'people' });
    expect(middle.surface.last.begunBy?.join()).toContain('going on by myself');
    expect(offers(middle)).toEqual([]);
  });

  it('goes on once: cut off again, its requester is asked', async () => {
    const middle = await working();
    await cut(middle);
    const clientMessageId = inputs(middle)[1]?.clientMessageId ?? '';
    middle.connection.past = [
      ...middle.connection.past,
      { kind: 'user', id: 'u2', clientMessageId, text: 'continue' },
      { kind: 'assistant', id: 'm-2', text: 'Half' },
    ];
    await cut(middle);
    expect(inputs(middle)).toHaveLength(2);
    expect(offers(middle)).toEqual(['continue']);
  });

  it('cut off by a crash of the bridge: goes on', async () => {
    const middle = await working();
    const { past } = middle.connection;
    await middle.restart();
    middle.connection.past = past;
    middle.connection.ready();
    await middle.clock.advance(30_000);
    expect(inputs(middle)).toHaveLength(2);
  });

  it('crash before Slack had its end: goes on once', async () => {
    const middle = await working();
    const { past } = middle.connection;
    const restart = async () => {
      await middle.restart();
      middle.connection.past = past;
      middle.connection.ready();
      await middle.clock.advance(30_000);
    };
    let open = () => {};
    middle.surface.gate = new Promise((resolve) => {
      open = resolve;
    });
    await cut(middle);
    expect(middle.record().turn?.ended).toMatchObject({ goesOn: true });
    middle.surface.gate = null;
    await restart();
    open();
    await middle.clock.settle();
    const sent = inputs(middle).map(({ clientMessageId }) => clientMessageId);
    expect(new Set(sent).size).toBe(2);
    await restart();
    expect(new Set(inputs(middle).map(({ clientMessageId }) => clientMessageId))).toEqual(new Set(sent));
  });

  it.each<[string, HistoryItem[]]>([
    ['a call has no result', called('call-1')],
    ['Letta closed a call', called('call-1', 'closed')],
    ['one of two calls has no result', [...called('call-1', 'real'), ...called('call-2')]],
  ])('%s: its requester is asked', async (_why, behind) => {
    const middle = await working(behind);
    await cut(middle);
    expect(inputs(middle)).toHaveLength(1);
    expect(offers(middle)).toEqual(['continue']);
    expect(endings(middle).at(-1)?.line).not.toContain(GOES_ON);
  });

  it('a heard call is not in the history: its requester is asked', async () => {
    const middle = await working([]);
    middle.connection.emit({ type: 'tool-called', runId: 'run-1', callId: 'call-9', tool: 'Bash', input: {} });
    await cut(middle);
    expect(offers(middle)).toEqual(['continue']);
  });

  it('a request waited for a person: asks again, does not go on', async () => {
    const middle = await working();
    await ask(middle, bash('touch x'));
    await middle.clock.settle();
    await cut(middle);
    expect(inputs(middle)).toHaveLength(1);
    expect(offers(middle)).toEqual(['ask_again']);
  });

  it('stopped before it was cut: stays stopped', async () => {
    const middle = await working();
    await middle.write('stop', { mention: false });
    await cut(middle);
    expect(inputs(middle)).toHaveLength(1);
    expect(offers(middle)).toEqual([]);
  });

  it('somebody has written meanwhile: goes on with that', async () => {
    const middle = await working();
    await middle.write('and use staging', { mention: false });
    await cut(middle);
    expect(inputs(middle)).toHaveLength(2);
    expect(inputs(middle)[1]?.content).toContain('and use staging');
    expect(inputs(middle)[1]?.content).not.toContain('From the bridge');
    expect(endings(middle)[0]?.line).not.toContain(GOES_ON);
  });

  it('its author may no longer use the agent: ends unsent', async () => {
    const middle = await working();
    middle.people.kinds.U01ALICE = 'guest';
    await middle.clock.advance(10 * 60_000);
    await cut(middle);
    expect(inputs(middle)).toHaveLength(1);
    expect(endings(middle).at(-1)?.line).toContain('may no longer use');
  });

  it('Letta was away for too long: its requester is asked', async () => {
    const middle = await working(undefined, { staleAfterMs: 60_000, now: 1_000_000 });
    await cut(middle, 61_000);
    expect(inputs(middle)).toHaveLength(1);
    expect(offers(middle)).toEqual(['continue']);
  });

  it('the policy changed before Slack had its end: offers to continue', async () => {
    const middle = await working();
    let open = () => {};
    middle.surface.gate = new Promise((resolve) => {
      open = resolve;
    });
    await cut(middle);
    middle.policy.defaults = { ...closedPolicy.defaults, resume: 'ask' };
    open();
    middle.surface.gate = null;
    await middle.clock.advance(5_000);
    expect(inputs(middle)).toHaveLength(1);
    expect(offers(middle)).toEqual(['continue']);
  });

  it('began by itself: its requester is asked', async () => {
    const middle = createMiddle({ turnsDieWithLink: true, policy: AUTO });
    await middle.write('hello');
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.say('Hi.');
    middle.connection.end();
    await middle.clock.settle();
    middle.surface.notesPosts = true;
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    middle.connection.say('The build is', 'run-2', 'm-2');
    middle.connection.past = [
      { kind: 'user', id: 'u9', clientMessageId: 'cm-q-1', text: '<task-notification>' },
      { kind: 'assistant', id: 'm-2', text: 'The build is' },
    ];
    await middle.clock.settle();
    await cut(middle);
    expect(inputs(middle)).toHaveLength(1);
    expect(offers(middle)).toEqual(['continue']);
  });
});

it('a cut turn asks its requester unless the policy says otherwise', async () => {
  const middle = await working(undefined, { policy: {} });
  await cut(middle);
  expect(inputs(middle)).toHaveLength(1);
  expect(offers(middle)).toEqual(['continue']);
});
