import { describe, expect, it } from 'vitest';
import { closedPolicy } from '../../../src/bridge/access/policy.ts';
import { makeToken, type Token } from '../../../src/bridge/ids.ts';
import type { ActionOutcome } from '../../../src/bridge/inbound.ts';
import type { TurnDetails } from '../../../src/bridge/turn/steps.ts';
import type { StoredDetails } from '../../../src/storage/details.ts';
import { memoryAdapter } from '../../../src/storage/memory.ts';
import { assembleStore } from '../../../src/storage/open.ts';
import { createMiddle, type Middle, type MiddleOptions, ROOT, silentLog, TEAM } from '../../support/middle.ts';

const DAY = 86_400_000;

/** A middle that keeps details for a day in a store of its own, on the middle's clock. */
function story(options: MiddleOptions = {}): Middle & { details: StoredDetails } {
  const store = assembleStore(
    () => memoryAdapter(),
    {
      clock: { now: () => bridge.clock.now(), monotonic: () => bridge.clock.monotonic(), after: later },
      log: silentLog,
    },
    () => {},
  );
  const bridge: Middle = createMiddle({ ...options, details: store.details });
  store.details.start(DAY);
  return Object.assign(bridge, { details: store.details });
}

const later = () => ({ cancel: () => undefined });

async function work(bridge: Middle, tools = 1): Promise<Token | undefined> {
  await bridge.write('go');
  const { connection } = bridge;
  if (connection.submitted.length === 0) {
    connection.ready();
    await bridge.clock.settle();
  }
  connection.begin();
  for (let n = 0; n < tools; n += 1) {
    const callId = `${n}`;
    const input = { command: `deploy --token abcdef${n}`, note: 'x' };
    connection.emit({ type: 'tool-called', runId: 'run-1', callId, tool: 'Bash', input });
    connection.emit({ type: 'tool-returned', callId, ok: n % 2 === 0, output: `PASSWORD=hunter2\nline ${n}` });
  }
  connection.say('Done.');
  connection.end();
  await bridge.clock.settle();
  return bridge.surface.last.ending?.details;
}

async function click(bridge: Middle, token: Token | undefined, user = 'U01ALICE'): Promise<ActionOutcome> {
  const place = { team: TEAM, channel: 'C01GEN', messageTs: '2000.000001', threadTs: ROOT };
  const action = { name: 'details', token: token ?? makeToken('none'), choice: null, ...place } as const;
  const outcome = bridge.intake.handleAction({ ...action, actor: { user, team: TEAM } });
  await bridge.clock.settle();
  return outcome;
}

function shown(outcome: ActionOutcome): TurnDetails {
  if (outcome.result !== 'modal' || outcome.modal.kind !== 'details') throw new Error(JSON.stringify(outcome));
  return outcome.modal.details;
}

describe('details of a finished turn', () => {
  it('show each call with input and result, without secrets', async () => {
    const bridge = story();
    const details = shown(await click(bridge, await work(bridge, 2)));
    expect(details.steps).toEqual([
      {
        kind: 'call',
        tool: 'Bash',
        input: 'command: deploy --token «redacted»\nnote: x',
        output: 'PASSWORD=«redacted»\nline 0',
        status: 'ok',
      },
      expect.objectContaining({ output: 'PASSWORD=«redacted»\nline 1', status: 'failed' }),
    ]);
  });

  it('show what the model used, and where Letta summarised', async () => {
    const bridge = story();
    await bridge.write('go');
    bridge.connection.ready({ model: { handle: 'a/b', effort: null, contextWindow: 1_000 } });
    await bridge.clock.settle();
    bridge.connection.begin();
    bridge.connection.emit(
      { type: 'tool-called', runId: 'run-1', callId: '1', tool: 'LS', input: {} },
      { type: 'tool-returned', callId: '1', ok: true, output: 'a.txt' },
      { type: 'tokens-used', runId: 'run-1', input: 900, cached: 100, output: 10 },
      { type: 'compacted', tokens: 300 },
      { type: 'tokens-used', runId: 'run-1', input: 100, cached: 0, output: 5 },
      { type: 'context-used', tokens: 400 },
    );
    bridge.connection.end();
    await bridge.clock.settle();
    const details = shown(await click(bridge, bridge.surface.last.ending?.details));
    expect(details.steps.map(({ kind }) => kind)).toEqual(['call', 'summary']);
    expect(details.used).toEqual({ input: 1_000, cached: 100, output: 15, isAll: true, model: 'a/b', context: 40 });
    expect(bridge.usedTurns).toEqual([expect.objectContaining({ context: 40, compactions: 1 })]);
  });

  it('show thoughts in their place when the settings ask for them', async () => {
    const bridge = story({ policy: { defaults: { ...closedPolicy.defaults, showReasoning: true } } });
    await bridge.write('go');
    bridge.connection.ready();
    await bridge.clock.settle();
    bridge.connection.begin();
    bridge.connection.emit(
      { type: 'reasoning', runId: 'run-1', messageId: 'a', text: 'First ' },
      { type: 'reasoning', runId: 'run-1', messageId: 'a', text: 'look.' },
      { type: 'tool-called', runId: 'run-1', callId: '1', tool: 'Bash', input: { command: 'ls' } },
      { type: 'reasoning', runId: 'run-1', messageId: 'b', text: 'Fine, token=abcdef.' },
    );
    bridge.connection.say('Done.');
    bridge.connection.end();
    await bridge.clock.settle();
    expect(bridge.surface.last).toMatchObject({ ending: { thoughts: 2, tools: 1 } });
    expect(bridge.surface.last.items).toEqual([{ kind: 'text', markdown: 'Done.' }]);
    const { steps } = shown(await click(bridge, bridge.surface.last.ending?.details));
    expect(steps).toMatchObject([
      { kind: 'thought', text: 'First look.' },
      { kind: 'call', tool: 'Bash' },
      { kind: 'thought', text: 'Fine, token=«redacted»' },
    ]);
  });

  it('are kept over a restart and later turns', async () => {
    const bridge = story();
    const token = await work(bridge);
    await bridge.restart();
    await work(bridge);
    expect(shown(await click(bridge, token)).steps).toHaveLength(1);
  });

  it('person without access: refused', async () => {
    const bridge = story({ users: ['U01ALICE'] });
    const token = await work(bridge);
    expect(await click(bridge, token, 'U02BOB')).toMatchObject({ result: 'refused', why: 'not_allowed' });
  });

  it('expire, also on disk', async () => {
    const bridge = story();
    const token = await work(bridge);
    await bridge.clock.advance(DAY - 60_000);
    expect(shown(await click(bridge, token)).steps).toHaveLength(1);
    expect(await bridge.details.deleteOld()).toBe(0);
    await bridge.clock.advance(120_000);
    expect(await click(bridge, token)).toMatchObject({
      result: 'refused',
      notice: expect.stringContaining('no longer have'),
    });
    expect(await bridge.details.deleteOld()).toBe(1);
  });

  it('are kept for the last 20 turns of a thread', async () => {
    const bridge = story();
    const first = await work(bridge);
    for (let n = 0; n < 20; n += 1) await work(bridge);
    expect(bridge.record().details).toHaveLength(20);
    expect(await click(bridge, first)).toMatchObject({ result: 'refused', why: 'expired' });
    await bridge.clock.advance(2 * DAY);
    expect(await bridge.details.deleteOld()).toBe(20);
  });

  it('nothing done, quiet, or not kept: no button', async () => {
    expect(await work(story(), 0)).toBeUndefined();
    expect(
      await work(story({ policy: { defaults: { ...closedPolicy.defaults, verbosity: 'quiet' } } })),
    ).toBeUndefined();
    expect(await work(createMiddle())).toBeUndefined();
  });

  it('are bounded for any amount of work', async () => {
    const bridge = story();
    await bridge.write('go');
    bridge.connection.ready();
    await bridge.clock.settle();
    bridge.connection.begin();
    for (let n = 0; n < 500; n += 1) {
      const input = { content: 'word '.repeat(10_000) };
      bridge.connection.emit({ type: 'tool-called', runId: 'run-1', callId: `${n}`, tool: 'Write', input });
      bridge.connection.emit({ type: 'tool-returned', callId: `${n}`, ok: true, output: 'line\n'.repeat(10_000) });
    }
    bridge.connection.end();
    await bridge.clock.settle();
    const details = shown(await click(bridge, bridge.surface.last.ending?.details));
    expect(details).toMatchObject({ earlier: 200, steps: { length: 300 } });
    expect(JSON.stringify(details).length).toBeLessThan(120_000);
    expect(details.steps.at(-1)).toMatchObject({ output: expect.stringContaining('characters left out') });
  });

  it('disk fails: the answer is shown without details', async () => {
    const bridge = story();
    bridge.details.put = () => Promise.reject(new Error('disk full'));
    const token = await work(bridge);
    expect(bridge.record().turn).toBeNull();
    expect(await click(bridge, token)).toMatchObject({ result: 'refused', why: 'expired' });
  });
});
