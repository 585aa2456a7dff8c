import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it, type TestContext } from 'vitest';
import { WebSocket } from 'ws';
import { freePort } from '../../sandbox/free-port.ts';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';
import { LISTENING, startWhole, temporaryFolder } from '../support/whole.ts';

const TOKEN = LISTENING.LETTA_LISTEN_TOKEN;

/** A bridge that machines dial. @param env further settings */
async function story(context: TestContext, env: Record<string, string> = {}) {
  const whole = await startWhole(context, { env: { ...LISTENING, ADMINS: 'U03CARA', ...env } });
  const { control } = whole.slack;
  const port = whole.lines().find(({ msg }) => msg === 'devices can dial in')?.port;
  const url = env.LETTA_LISTEN?.startsWith('/')
    ? `http://127.0.0.1:${whole.app.port}${env.LETTA_LISTEN}`
    : `http://127.0.0.1:${String(port)}`;
  const dial = async (
    name: string,
    agents = [{ id: `agent-local-${name}`, name: `Agent of ${name}` }],
    token = TOKEN,
  ) => {
    const machine = await startScriptedLetta({ dials: { url, token, name }, pace: 1, seed: { agents } });
    context.onTestFinished(() => machine.close());
    const seen = () => JSON.stringify(machine.state());
    await until(() => machine.state().online === true || machine.state().ended !== null, seen);
    return machine;
  };
  const thread = (channel: string) => {
    let root: string | undefined;
    const say = async (text: string, user = 'U01ALICE') => {
      const said = await control.message({ channel, user, text, ...(root && { thread_ts: root }) });
      root ??= said.ts;
    };
    const shown = (user?: string) =>
      transcript(whole.slack, channel, { ...(root && { thread: root }), ...(user ? { user } : { bot: true }) });
    const sees = (text: string, user?: string) =>
      until(
        () => shown(user).includes(text),
        () => shown(user),
      );
    return { say, shown, sees };
  };
  return { ...whole, url, dial, thread };
}

type Machine = Awaited<ReturnType<typeof startScriptedLetta>>;
const conversationsOf = (machine: Machine) => (machine.state().conversations as unknown[]).length;

describe.concurrent('machines that dial the bridge', () => {
  it('are chosen by name: for all, for a channel, by command', async (context) => {
    const policy = join(temporaryFolder(context), 'policy.yml');
    writeFileSync(policy, 'channels:\n  C01GEN: {}\n  C02ENG: {device: laptop}\nusers: [members]\nadmins: [U03CARA]\n');
    const names = { SLACK_ALLOWED_USERS: '', SLACK_ALLOWED_CHANNELS: '', ADMINS: '', POLICY: policy };
    const { dial, thread } = await story(context, { ...names, LETTA_ENVIRONMENT: 'build-box' });
    const build = await dial('build-box');
    const laptop = await dial('laptop');
    const general = thread('C01GEN');
    await general.say('@agent say: from the build box');
    await general.sees('from the build box');
    const engineering = thread('C02ENG');
    await engineering.say('@agent say: from the laptop');
    await engineering.sees('from the laptop');
    context.expect([conversationsOf(build), conversationsOf(laptop)]).toEqual([1, 1]);
    await general.say('!agent on laptop', 'U03CARA');
    await general.sees('on `laptop`', 'U03CARA');
    const later = thread('C01GEN');
    await later.say('@agent say: now from the laptop');
    await later.sees('now from the laptop');
    context.expect([conversationsOf(build), conversationsOf(laptop)]).toEqual([1, 2]);
    // The thread from before stays where it began.
    await general.say('say: still from the build box');
    await general.sees('still from the build box');
    await general.say('!status');
    await general.sees('Machines: `build-box` (online), `laptop` (online)', 'U01ALICE');
  });

  it('two of them and none named: the thread says which there are', async (context) => {
    const { dial, thread } = await story(context);
    await dial('build-box');
    await dial('laptop');
    const { say, sees } = thread('C01GEN');
    await say('@agent say: hello');
    await sees('Several Letta devices are online: set LETTA_ENVIRONMENT');
  });

  it('one talks nonsense: threads of the other notice nothing', async (context) => {
    const { dial, thread, url, lines } = await story(context, { LETTA_ENVIRONMENT: 'build-box' });
    const build = await dial('build-box');
    const { say, sees, shown } = thread('C01GEN');
    await say('@agent slow 30 words 20 ms');
    await sees('word3');
    const registration = {
      deviceId: 'd-noise',
      connectionName: 'noise',
      metadata: { environmentMessageProtocol: 'v2-input' },
    };
    const headers = { authorization: `Bearer ${TOKEN}` };
    const register = () =>
      fetch(`${url}/v1/environments/register`, { method: 'POST', headers, body: JSON.stringify(registration) });
    const { wsUrl } = (await (await register()).json()) as { wsUrl: string };
    await Promise.all(Array.from({ length: 100 }, register));
    const noise = new WebSocket(`${wsUrl}?deviceId=d-noise&connectionName=noise`, { headers });
    context.onTestFinished(() => noise.terminate());
    await new Promise((resolve) => noise.once('open', resolve));
    noise.send('{"type":"stream_delta","runtime":');
    for (const seq of [-1, 1e300]) {
      const runtime = { agent_id: 'x', conversation_id: 'y' };
      noise.send(JSON.stringify({ type: 'turn_finished', runtime, event_seq: seq, emitted_at: '1970-01-01' }));
    }
    await sees('word30');
    context.expect(shown()).not.toContain('Interrupted');
    context.expect(build.state()).toMatchObject({ online: true, ended: null });
    await until(
      () => lines().some(({ msg }) => msg === 'could not read a frame of the device'),
      () => JSON.stringify(lines().at(-1)),
    );
  });

  it('cloud agent configured: the thread says why it cannot be used', async (context) => {
    const { dial, thread } = await story(context, { LETTA_AGENT_ID: 'agent-12345678' });
    await dial('laptop');
    const { say, sees } = thread('C01GEN');
    await say('@agent say: hello');
    await sees(
      'it looks like an agent of Letta’s cloud, and machines that dial this bridge have only agents of their own',
    );
  });

  it('on a path of the bridge’s own port, beside its health', async (context) => {
    const port = await freePort();
    const at = { LETTA_LISTEN: '/devices', LETTA_LISTEN_URL: `http://127.0.0.1:${port}/devices`, PORT: String(port) };
    const { app, get, url, dial, thread } = await story(context, at);
    context.expect(await get('/healthz')).toContain('"ok":true');
    context.expect((await fetch(`${url}/v1/environments/register`, { method: 'POST' })).status).toBe(401);
    context.expect((await fetch(`http://127.0.0.1:${port}/v1/environments/register`)).status).toBe(404);
    await dial('laptop');
    const { say, sees } = thread('C01GEN');
    await say('@agent say: by a path');
    await sees('by a path');
    // While the machine is still there.
    await app.stop();
  });

  it('are counted in the metrics and named in Home', async (context) => {
    const { dial, get, slack } = await story(context);
    context.expect(await get('/metrics')).toContain('letta_slack_devices_online 0');
    await dial('laptop');
    context.expect(await get('/metrics')).toContain('letta_slack_devices_online 1');
    const home = () => JSON.stringify(slack.control.views('U03CARA').home ?? '');
    while (!home().includes('laptop (online)')) {
      await slack.control.openHome({ user: 'U03CARA', tab: 'home' });
      await sleep(100);
    }
    context.expect(home()).toContain('LETTA_API_KEY=LETTA_LISTEN_TOKEN');
    context.expect(home()).not.toContain(TOKEN);
  });
});
