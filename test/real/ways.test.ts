import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../sandbox/free-port.ts';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type RealLetta, startRealLetta } from '../support/letta/real-letta.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const TOKEN = 'f'.repeat(64);

/** The two blocks below one way in README.md: what to run on the machine, and the settings of the bridge. */
function blocksOf(way: string): { command: string; settings: Record<string, string> } {
  const readme = readFileSync('README.md', 'utf8');
  const from = readme.indexOf(`**${way}.**`);
  expect(from).toBeGreaterThan(0);
  const [machine = '', bridge = ''] = [...readme.slice(from).matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text]) => text);
  const settings = bridge
    .trim()
    .split('\n')
    .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]);
  return { command: machine.trim(), settings: Object.fromEntries(settings) };
}

/** Starts the bridge with these settings and asks its agent for an answer. */
async function answers(letta: RealLetta, env: Record<string, string>): Promise<string> {
  closing.push(() => letta.close());
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: 'app-server', env, log: () => undefined });
  closing.push(() => sandbox.close());
  await sandbox.slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent say: it works' });
  const shown = () => transcript(sandbox.slack, 'C01GEN', { bot: true });
  for (let n = 0; n < 600 && !shown().includes('it works'); n += 1) await new Promise((next) => setTimeout(next, 100));
  return shown();
}

describe('the ways of README.md to reach an agent, as they stand there', () => {
  it('an App Server of your own', async () => {
    const port = String(await freePort());
    const filled = (text: string) => text.replaceAll('4500', port);
    const { command, settings } = blocksOf('An App Server of your own');
    const letta = await startRealLetta('app-server', { command: filled(command), ready: /^WebSocket: /m });
    const url = filled(settings.LETTA_APP_SERVER_URL ?? '');
    expect(await answers(letta, { ...settings, LETTA_APP_SERVER_URL: url })).toContain('it works');
  });

  it('machines that dial the bridge', async () => {
    const port = String(await freePort());
    const filled = (text: string) => text.replaceAll('4600', port).replaceAll('YOUR_TOKEN', TOKEN);
    const { command, settings } = blocksOf('Machines that dial the bridge');
    // It says nothing before a bridge is there; it tries again then.
    const letta = await startRealLetta('listen', { command: `${filled(command)} --debug`, ready: /./ });
    const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, filled(value)]));
    expect(await answers(letta, env)).toContain('it works');
  });

  it.each([
    ['single', "Letta's cloud"],
    ['pair', "Letta's cloud, over a pair of sockets"],
  ] as const)('the cloud, by a double of it: %s', async (surface, way) => {
    const { command, settings } = blocksOf(way);
    // Only the double's key and the flag for a Letta that is not the cloud are added.
    const filled = command
      .replace('YOUR_KEY', 'test-token-of-24-characters')
      .replace('letta ', 'letta --backend local ');
    const debug = `export IGNORE_SELF_HOSTED_LISTENER_ERROR=1; exec env ${filled} --debug`;
    const letta = await startRealLetta(surface, { command: debug, ready: /Connected\./ });
    const { LETTA_API_KEY, ...rest } = settings;
    expect(LETTA_API_KEY).toBe('YOUR_KEY');
    // What the block does not say must not come from elsewhere, so that the block is what runs.
    const { LETTA_RELAY, ...double } = letta.env;
    expect(rest.LETTA_RELAY ?? 'single').toBe(LETTA_RELAY);
    expect(await answers(letta, { ...double, ...rest })).toContain('it works');
  });
});
