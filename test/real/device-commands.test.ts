import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { untilIdle } from '../support/until.ts';

const channel = 'C01GEN';
/** Began the thread. */
const ALICE = 'U01ALICE';
/** Runs commands in it. */
const BOB = 'U02BOB';
const MOD = `export default function activate(letta) {
  const d = [];
  if (letta.capabilities.commands) {
    d.push(letta.commands.register({ id: "greet", description: "greets somebody", args: "<name>", async run(ctx) { return { type: "output", output: "hello " + ctx.args }; } }));
    d.push(letta.commands.register({ id: "task", description: "gives a task", args: "<task>", run(ctx) { return { type: "prompt", content: ctx.args }; } }));
  }
  return () => d.forEach((each) => each.dispose?.());
}
`;

/** A real Letta whose machine has two commands, and a thread whose first turn is over. */
async function start(surface: Surface) {
  const letta = await startRealLetta(surface);
  onTestFinished(() => letta.close());
  const mods = join(letta.project, '..', 'home', '.letta', 'mods');
  mkdirSync(mods, { recursive: true });
  writeFileSync(join(mods, 'greet.js'), MOD);
  if (surface === 'single' || surface === 'pair') {
    // The machine looks for commands with its first agent, which it has there already.
    await letta.kill();
    await letta.restart();
  }
  const policy = join(letta.project, '..', 'policy.yml');
  writeFileSync(policy, 'device_commands: everyone\n');
  const env = { ...letta.env, POLICY: policy };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const { ts: thread } = await control.message({ channel, user: ALICE, text: '@agent say: apples' });
  const sees = (user = ALICE) => transcript(sandbox.slack, channel, { thread, user, bot: true });
  const shows = (words: string | RegExp, user = ALICE) =>
    expect.poll(() => sees(user), { timeout: 90_000 }).toMatch(words);
  const say = (text: string, user = ALICE) => control.message({ channel, user, text, thread_ts: thread });
  const approve = async (user: string) => {
    const card = control
      .messages(channel, { thread_ts: thread })
      .findLast(({ blocks }) => JSON.stringify(blocks ?? '').includes('"Approve"'));
    await control.interact({ channel, messageTs: card?.ts ?? '', user, action: 'Approve' });
  };
  await shows(/^\s+apples$/m);
  await untilIdle(say, sees);
  return { letta, say, sees, shows, approve };
}

it('skills are listed, a command of the machine runs, others do not', { timeout: 240_000 }, async () => {
  const { say, shows } = await start('app-server');
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

it.each<Surface>(['app-server', 'single', 'pair', 'listen'])(
  'a command that gives a task: its turn is whose ran it (%s)',
  async (surface) => {
    const { letta, say, sees, shows, approve } = await start(surface);
    const made = () => existsSync(join(letta.project, 'by-command.txt'));
    await say('@agent !run task run bash touch by-command.txt && echo made', BOB);
    await shows('Begun by `!run task run bash touch by-command.txt && echo made`.');
    await shows('[Approve]');
    await say('say: behind it');
    await approve(ALICE);
    await shows(/Only @\S+ can decide this/);
    expect(made()).toBe(false);
    await approve(BOB);
    await shows('Done: made');
    expect(made()).toBe(true);
    await shows(/^\s+behind it$/m);
    expect(sees()).not.toContain('another client');
  },
  240_000,
);
