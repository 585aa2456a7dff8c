import { describe, expect, it } from 'vitest';
import { createMiddle, type HandConnection, type Middle, ROOT } from '../../support/middle.ts';
import { bash } from './approvals/asking-people.ts';

const other = (n: number) => ({ thread: null, mention: true, ts: `2000.${String(n).padStart(6, '0')}` });

/** Somebody writes in a thread of their own, and the agent begins. */
async function begins(
  middle: Middle,
  n: number,
  where: { workingDirectory?: string | null; device?: string } = {},
): Promise<HandConnection> {
  await middle.write('go', n === 0 ? { ts: ROOT, mention: true } : other(n));
  const { connection } = middle;
  const { device = null, workingDirectory = '/project' } = where;
  connection.ready({
    workingDirectory,
    runtime: { agentId: 'agent-1', conversationId: `conv-${n}`, deviceId: device },
  });
  await middle.clock.settle();
  connection.begin();
  await middle.clock.settle();
  return connection;
}

/** The agent changes a file. */
async function writes(middle: Middle, connection: HandConnection, n: number, tool = 'Write'): Promise<void> {
  const call = { callId: `call-${n}`, tool, input: { file_path: `/project/${n}.ts`, content: 'x' } };
  connection.emit({ type: 'tool-called', runId: 'run-1', ...call });
  connection.emit({ type: 'tool-started', ...call });
  await middle.clock.settle();
}

const told = (middle: Middle) => middle.surface.views.flatMap(({ alongside }) => alongside ?? []);

describe('the warning of other threads in the same directory', () => {
  it('comes with the first change, and counts threads that changed something', async () => {
    const middle = createMiddle();
    const [first, second, third] = [await begins(middle, 0), await begins(middle, 1), await begins(middle, 2)];
    await writes(middle, first, 0);
    expect(told(middle)).toEqual([]);
    await writes(middle, second, 1);
    expect(middle.surface.last.alongside).toBe(1);
    await writes(middle, third, 2);
    expect(middle.surface.last.alongside).toBe(2);
  });

  it('does not come with reads, nor because of them', async () => {
    const middle = createMiddle();
    const [first, second] = [await begins(middle, 0), await begins(middle, 1)];
    const read = { callId: 'read', tool: 'Read', input: { file_path: '/project/a.ts' } };
    first.emit({ type: 'tool-started', ...read });
    await middle.clock.settle();
    await writes(middle, second, 1);
    expect(told(middle)).toEqual([]);
  });

  it('comes once in a thread', async () => {
    const middle = createMiddle();
    const [first, second] = [await begins(middle, 0), await begins(middle, 1)];
    await writes(middle, first, 0);
    await writes(middle, second, 1);
    second.end();
    await middle.clock.settle();
    const before = told(middle).length;
    await middle.write('go on', { ts: '2000.000009', thread: '2000.000001', mention: true });
    second.begin('run-2');
    await writes(middle, second, 2);
    expect(told(middle)).toHaveLength(before);
  });

  it('leaves out threads that wait for people or for Letta', async () => {
    const middle = createMiddle();
    const [first, second, third] = [await begins(middle, 0), await begins(middle, 1), await begins(middle, 2)];
    await writes(middle, first, 0);
    await writes(middle, second, 1);
    const before = told(middle).length;
    first.emit({ type: 'lost', reason: 'closed' });
    second.emit({ type: 'approval-asked', request: bash('make deploy') });
    await middle.clock.settle();
    await writes(middle, third, 2);
    expect(middle.surface.last.alongside).toBeUndefined();
    expect(before).toBeGreaterThan(0);
  });

  it('leaves out other directories, other devices and ended turns', async () => {
    const middle = createMiddle();
    const first = await begins(middle, 0);
    await writes(middle, first, 0);
    await writes(middle, await begins(middle, 1, { workingDirectory: '/elsewhere' }), 1);
    await writes(middle, await begins(middle, 2, { device: 'laptop' }), 2);
    await writes(middle, await begins(middle, 3, { workingDirectory: null }), 3);
    first.end();
    await middle.clock.settle();
    await writes(middle, await begins(middle, 4), 4);
    expect(told(middle)).toEqual([]);
  });
});
