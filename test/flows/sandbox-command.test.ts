import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'vitest';
import { freePort } from '../../sandbox/free-port.ts';
import { startScriptedLetta } from '../../sandbox/letta/server.ts';
import { COMPILED } from '../support/own-process.ts';
import { until } from '../support/until.ts';

/** `npm run sandbox -- …`, without what the one who tests has set up for themselves. */
function run({ onTestFinished }: TestContext, args: string[], env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(process.execPath, ['sandbox/main.ts', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', ...COMPILED, ...env },
  });
  const parts: string[] = [];
  child.stdout?.on('data', (data) => parts.push(String(data)));
  child.stderr?.on('data', (data) => parts.push(String(data)));
  const exited = once(child, 'exit') as Promise<[number | null]>;
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const output = () => parts.join('');
  const address = async () => {
    await until(() => /Open\s+http/.test(output()), output);
    return /http:\/\/127\.0\.0\.1:\d+\//.exec(output())?.[0] ?? '';
  };
  return { child, exited, output, address };
}

/** What the page is told at first. */
async function hello(address: string): Promise<string> {
  const stop = new AbortController();
  const response = await fetch(`${address}_page/feed?user=U01ALICE`, { signal: stop.signal });
  const first = await response.body?.getReader().read();
  stop.abort();
  return new TextDecoder().decode(first?.value);
}

const post = (url: string, body: object) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

describe.concurrent('npm run sandbox', () => {
  it("prints its page's address and plays in the terminal", async (context) => {
    const { expect } = context;
    const { child, exited, output, address } = run(context, []);
    const page = await address();
    expect(await (await fetch(page)).text()).toContain('<title>Sandbox</title>');
    expect(await hello(page)).toContain('"letta":"scripted"');
    await until(() => output().includes('The sandbox keeps running'), output);
    expect(output()).toContain('You are welcome.');
    child.kill('SIGTERM');
    expect((await exited)[0]).toBe(0);
  });

  it('with --script: plays it, opens no page', async (context) => {
    const { expect } = context;
    const { exited, output } = run(context, ['--script', 'sandbox/scenes/commands.yml', '--json']);
    expect((await exited)[0]).toBe(0);
    expect(JSON.parse(output())).toMatchObject({ name: 'Commands', ok: true });
  });

  it('with your own Letta: the page talks to that agent', async (context) => {
    const { expect, onTestFinished } = context;
    const letta = await startScriptedLetta({ surface: 'app-server', token: null, pace: 2 });
    onTestFinished(() => letta.close());
    const { output, address } = run(context, ['--letta', 'real'], { LETTA_APP_SERVER_URL: letta.url });
    const page = await address();
    expect(await hello(page)).toContain('"letta":"yours"');
    await post(`${page}_control/message`, { channel: 'C01GEN', user: 'U01ALICE', text: '@agent say: from my own' });
    const shown = async () => (await fetch(`${page}_control/messages/C01GEN`)).text();
    let seen = '';
    const look = setInterval(() => {
      void shown().then((text) => {
        seen = text;
      });
    }, 100);
    onTestFinished(() => clearInterval(look));
    await until(
      () => /"name":"Agent".*from my own/.test(seen),
      () => `${seen}\n${output()}`,
    );
    const heard = () => JSON.stringify(letta.log());
    await until(() => heard().includes('from my own'), heard);
  });

  it('with --letta listen: prints the command, waits for a machine', async (context) => {
    const { expect, onTestFinished } = context;
    const port = await freePort();
    const { output, address } = run(context, ['--letta', 'listen'], { LETTA_LISTEN: `127.0.0.1:${port}` });
    expect(await hello(await address())).toContain('"letta":"yours"');
    await until(() => output().includes('--computer-name sandbox'), output);
    const [, url = '', token = ''] = /LETTA_BASE_URL=(\S+) LETTA_API_KEY=(\S+) /.exec(output()) ?? [];
    expect(url).toBe(`http://127.0.0.1:${port}`);
    const machine = await startScriptedLetta({ dials: { url, token, name: 'sandbox' } });
    onTestFinished(() => machine.close());
    const seen = () => JSON.stringify(machine.state());
    await until(() => machine.state().online === true, seen);
  });

  it('with your own Letta and no settings: names the missing ones', async (context) => {
    const { expect } = context;
    const { exited, output } = run(context, ['--letta', 'real']);
    expect((await exited)[0]).toBe(2);
    expect(output()).toContain('set LETTA_APP_SERVER_URL or LETTA_API_KEY');
  });
});
