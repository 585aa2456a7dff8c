import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'vitest';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { createReplicas, findHouses, type Replicas, type ReplicasOptions } from '../support/replicas.ts';
import { until } from '../support/until.ts';
import { LISTENING } from '../support/whole.ts';

const CHANNEL = 'C01GEN';
const ALICE = 'U01ALICE';

/** Replicas `a`, `b` … of a bridge; the first one serves the workspace. */
async function story(context: TestContext, count: number, options?: ReplicasOptions) {
  const stage = await createReplicas(context, options);
  for (const name of ['a', 'b', 'c'].slice(0, count)) await stage.start(name);
  const { control } = stage.slack;
  const thread = () => {
    let root: string | undefined;
    const shown = () => transcript(stage.slack, CHANNEL, { ...(root && { thread: root }), bot: true });
    return {
      root: () => root ?? '',
      shown,
      async say(text: string, user = ALICE) {
        const said = await control.message({ channel: CHANNEL, user, text, ...(root && { thread_ts: root }) });
        root ??= said.ts;
      },
      sees: (text: string) => until(() => shown().includes(text), shown),
      isDone: (text: string) => until(() => shown().includes(text) && !shown().includes('[Stop]'), shown),
    };
  };
  const card = (root: string) =>
    control
      .messages(CHANNEL, { thread_ts: root })
      .find(({ blocks }) => JSON.stringify(blocks ?? '').includes('Approve'));
  return { ...stage, control, thread, card };
}

const occurrences = (text: string, part: string) => text.split(part).length - 1;

/** Sockets that got envelopes. */
function socketsUsed({ slack }: Pick<Replicas, 'slack'>): number {
  const entries = slack.control.log({ type: 'envelope' }) as { connection?: number }[];
  return new Set(entries.map(({ connection }) => connection)).size;
}

describe.for(await findHouses())('two replicas of one bridge on $on', { concurrent: true }, ({ server }) => {
  it('a message that comes to any of them: answered once', async (context) => {
    const stage = await story(context, 2, { server });
    const threads = Array.from({ length: 8 }, () => stage.thread());
    for (const [n, { say }] of threads.entries()) await say(`@agent say: answer number ${n}`);
    for (const [n, { isDone, shown }] of threads.entries()) {
      await isDone(`answer number ${n}`);
      context.expect(occurrences(shown(), `answer number ${n}`)).toBe(1);
    }
    context.expect(socketsUsed(stage)).toBe(2);
    context.expect(stage.owner()?.name).toBe('a');
    context.expect(stage.all[1]?.calls.filter(({ method }) => method.startsWith('chat.'))).toEqual([]);
    const served: string[][] = [];
    for (const each of stage.all) {
      const { ok, serves } = await each.checks();
      context.expect(ok).toBe(true);
      served.push(serves.workspaces);
    }
    context.expect(served).toEqual([['T01SANDBOX'], []]);
  });

  it('clicks and commands that come to any: decided, answered once', async (context) => {
    const { thread, card, control, ...stage } = await story(context, 2, { server });
    for (let n = 0; n < 6; n += 1) {
      const { say, sees, isDone, root } = thread();
      await say(`@agent run bash touch file-${n}`);
      await sees('[Approve]');
      await control.interact({ user: ALICE, channel: CHANNEL, messageTs: card(root())?.ts ?? '', action: 'Approve' });
      await isDone('Done:');
      const answer = await control.command({ channel: CHANNEL, user: ALICE, command: '/agent', text: 'status' });
      context.expect(JSON.stringify(answer)).not.toContain('try again');
    }
    const clicks = stage.all
      .flatMap(({ lines }) => lines())
      .filter(({ msg, kind }) => msg === 'inbound event' && kind === 'click');
    context.expect(clicks.map(({ outcome }) => outcome)).toEqual(Array(6).fill('decided'));
    context.expect(socketsUsed(stage)).toBe(2);
  });

  it('owner ends: the other one goes on in the same threads', async (context) => {
    const { thread, ...stage } = await story(context, 2, { server });
    const { say, isDone } = thread();
    await say('@agent say: from the first');
    await isDone('from the first');
    const [a, b] = stage.all;
    await a?.app.drain();
    await until(
      () => stage.owner() === b,
      () => stage.owner()?.name ?? 'none',
    );
    await say('say: from the second');
    await isDone('from the second');
  });

  it('owner ends during a turn at the relay: it goes on', async (context) => {
    const env = { DRAIN_TIMEOUT: '0s' };
    const { thread, ...stage } = await story(context, 2, { surface: 'hosted', env, server });
    const { say, sees, isDone, shown } = thread();
    await say('@agent slow 60 words 40 ms');
    await sees('word3');
    await stage.all[0]?.app.drain();
    await isDone('word60');
    context.expect(occurrences(shown(), 'word60')).toBe(1);
    context.expect(shown()).not.toContain('nterrupted');
  });

  it('owner cut off from the store: silent before the other one begins', async (context) => {
    const { thread, ...stage } = await story(context, 2, { surface: 'hosted', server });
    const { say, sees, isDone } = thread();
    await say('@agent slow 100 words 50 ms');
    await sees('word3');
    const [a, b] = stage.all;
    a?.cut();
    await until(
      () => stage.owner() === b,
      () => stage.owner()?.name ?? 'none',
    );
    const takenAt = performance.now();
    await isDone('word100');
    context.expect(a?.calls.filter(({ at }) => at > takenAt)).toEqual([]);
    context.expect(b?.calls.some(({ method }) => method === 'chat.update')).toBe(true);
    context.expect((await a?.checks())?.ok).toBe(false);
    a?.heal();
    await say('say: both are back');
    await isDone('both are back');
  });

  it('machine that dials: found by whoever serves, the turn goes on', async (context) => {
    // As behind a load balancer: each connection goes to the next replica.
    const ports: number[] = [];
    const balancer = await startBalancer(context, () => ports);
    const env = { ...LISTENING, LETTA_LISTEN: '127.0.0.1:0', LETTA_LISTEN_URL: balancer, DRAIN_TIMEOUT: '0s' };
    const { thread, ...stage } = await story(context, 2, { server, env });
    for (const { lines } of stage.all)
      ports.push(Number(lines().find(({ msg }) => msg === 'devices can dial in')?.port));
    const device = await startScriptedLetta({
      ...{ dials: { url: balancer, token: LISTENING.LETTA_LISTEN_TOKEN, name: 'laptop' }, pace: 1 },
    });
    context.onTestFinished(() => device.close());
    const { say, sees, isDone, shown } = thread();
    await say('@agent slow 80 words 60 ms');
    await sees('word3');
    await stage.all[0]?.app.drain();
    await isDone('word80');
    context.expect(occurrences(shown(), 'word80')).toBe(1);
    context.expect(stage.owner()?.name).toBe('b');
  });
});

/** A load balancer that knows nothing of what it carries. @returns its address */
async function startBalancer({ onTestFinished }: TestContext, ports: () => readonly number[]): Promise<string> {
  let next = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    next += 1;
    const port = ports()[next % ports().length];
    const inner = connect(port ?? 0, '127.0.0.1');
    for (const socket of [client, inner]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    client.pipe(inner).pipe(client);
    client.on('close', () => inner.destroy());
    inner.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
