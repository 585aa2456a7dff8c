import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { startRealLetta } from '../support/letta/real-letta.ts';
import { untilIdle } from '../support/until.ts';

const channel = 'C01GEN';
const user = 'U01ALICE';
const MOD = `export default function activate(letta) {
  const d = [];
  if (letta.capabilities.commands) {
    d.push(letta.commands.register({ id: "greet", description: "greets somebody", args: "<name>", async run(ctx) { return { type: "output", output: "hello " + ctx.args }; } }));
  }
  return () => d.forEach((each) => each.dispose?.());
}
`;

it('skills are listed, a command of the machine runs, others do not', { timeout: 240_000 }, async () => {
  const letta = await startRealLetta('app-server');
  onTestFinished(() => letta.close());
  const mods = join(letta.project, '..', 'home', '.letta', 'mods');
  mkdirSync(mods, { recursive: true });
  writeFileSync(join(mods, 'greet.js'), MOD);
  const policy = join(letta.project, '..', 'policy.yml');
  writeFileSync(policy, 'device_commands: everyone\n');
  const env = { ...letta.env, POLICY: policy };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: 'app-server', env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const { ts: thread } = await control.message({ channel, user, text: '@agent say: apples' });
  const sees = () => transcript(sandbox.slack, channel, { thread, user, bot: true });
  const shows = (words: string | RegExp) => expect.poll(sees, { timeout: 60_000 }).toMatch(words);
  const say = (text: string) => control.message({ channel, user, text, thread_ts: thread });
  await shows(/^\s+apples$/m);
  await untilIdle(say, sees);
  await say('!skills');
  await shows('acquiring-skills');
  await shows('`greet');
  await say('!run greet bob');
  await shows('hello bob');
  await say('!run clear');
  await shows('has no command `clear`');
  await say('say: after');
  await shows(/^\s+after$/m);
});
