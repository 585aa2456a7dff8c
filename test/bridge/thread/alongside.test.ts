import { describe, expect, it } from 'vitest';
import { createMiddle, type HandConnection, type Middle, ROOT } from '../../support/middle.ts';

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

describe('the number of turns in the same directory', () => {
  it('is shown to a turn that begins beside others', async () => {
    const middle = createMiddle();
    await begins(middle, 0);
    expect(middle.surface.last.alongside).toBeUndefined();
    await begins(middle, 1);
    expect(middle.surface.last.alongside).toBe(1);
    await begins(middle, 2);
    expect(middle.surface.last.alongside).toBe(2);
  });

  it('is shown when turns begin at the same moment', async () => {
    const middle = createMiddle();
    await Promise.all([middle.write('go', { ts: ROOT, mention: true }), middle.write('go', other(1))]);
    middle.connections.forEach((connection, n) => {
      connection.ready({ runtime: { agentId: 'agent-1', conversationId: `conv-${n}`, deviceId: null } });
    });
    await middle.clock.settle();
    expect(middle.surface.views.some(({ alongside }) => alongside === 1)).toBe(true);
  });

  it('leaves out other directories, other devices and idle threads', async () => {
    const middle = createMiddle();
    const first = await begins(middle, 0);
    await begins(middle, 1, { workingDirectory: '/elsewhere' });
    expect(middle.surface.last.alongside).toBeUndefined();
    await begins(middle, 2, { device: 'laptop' });
    expect(middle.surface.last.alongside).toBeUndefined();
    await begins(middle, 3, { workingDirectory: null });
    expect(middle.surface.last.alongside).toBeUndefined();
    first.end();
    await middle.clock.settle();
    await begins(middle, 4);
    expect(middle.surface.last.alongside).toBeUndefined();
  });
});
