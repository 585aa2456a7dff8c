import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type RealLetta, startRealLetta } from '../support/letta/real-letta.ts';

const ALICE = 'U01ALICE';
/** Administers. */
const BOB = 'U02BOB';
let letta: RealLetta;
let sandbox: Sandbox;
const lines: string[] = [];

beforeAll(async () => {
  letta = await startRealLetta('app-server');
  sandbox = await startSandbox({
    port: 0,
    limits: 'off',
    letta: 'app-server',
    env: { ...letta.env, ADMINS: BOB },
    log: (line) => void lines.push(line),
  });
});

afterAll(async () => {
  await sandbox?.close();
  await letta?.close();
});

class Thread {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  static async begin(text: string): Promise<Thread> {
    const said = await sandbox.slack.control.message({ channel: 'C01GEN', user: ALICE, text: `@agent ${text}` });
    return new Thread(said.ts);
  }

  shown(user = ALICE): string {
    return transcript(sandbox.slack, 'C01GEN', { thread: this.root, user, bot: true });
  }

  async say(text: string, user = ALICE): Promise<void> {
    await sandbox.slack.control.message({ channel: 'C01GEN', user, text, thread_ts: this.root });
  }

  async seen(pattern: RegExp, user = ALICE): Promise<void> {
    const end = Date.now() + 60_000;
    while (!pattern.test(this.shown(user))) {
      if (Date.now() > end) throw new Error(`never saw ${pattern}:\n${this.shown(user)}\n${lines.slice(-30).join('')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Clicks the newest button of that label. */
  async click(label: string, user: string): Promise<void> {
    const text = `"text":${JSON.stringify(label)}`;
    const buttons = () =>
      sandbox.slack.control
        .messages('C01GEN', { thread_ts: this.root, user })
        .filter(({ blocks }) => JSON.stringify(blocks).includes(text));
    await expect.poll(() => buttons().length, { timeout: 60_000 }).toBeGreaterThan(0);
    const messageTs = buttons().at(-1)?.ts ?? '';
    await sandbox.slack.control.interact({ channel: 'C01GEN', messageTs, user, action: label });
  }
}

const made = (name: string) => existsSync(join(letta.project, name));
/** Long enough for a person to press Stop, short enough to be waited for. */
const SLEEP = 15;
const touches = (name: string) => `sleep ${SLEEP}; touch ${name}`;
const agent = (prompt: string) =>
  `call Agent ${JSON.stringify({ subagent_type: 'general-purpose', description: 'sleeper', prompt })}`;
const command = (words: string) =>
  `call Bash ${JSON.stringify({ command: words, description: 'sleeps', run_in_background: true })}`;
const sleptOut = () => new Promise((resolve) => setTimeout(resolve, (SLEEP + 5) * 1_000));

describe('background tasks on the real Letta', () => {
  it('subagent: started only by an admin, ended by a stop word', async () => {
    const thread = await Thread.begin(agent(`run bash ${touches('sub.txt')}`));
    await thread.seen(/never asks for approval/);
    await thread.click('Approve', ALICE);
    await thread.seen(/Only .*admin/);
    expect(thread.shown()).not.toContain('Task running in background');
    await thread.click('Approve', BOB);
    await thread.seen(/Still running in the background/);
    await thread.say('!status');
    await thread.seen(/In the background: subagent/);
    await thread.say('STOP!!!');
    await thread.seen(/I’m ending the background tasks: subagent/);
    await thread.seen(/Ended in the background/);
    await sleptOut();
    expect(made('sub.txt')).toBe(false);
    expect(thread.shown()).not.toContain('could not stop this');
  });

  it('command: ended by its Stop button', async () => {
    const thread = await Thread.begin(command(touches('command.txt')));
    await thread.click('Approve', ALICE);
    await thread.seen(/Still running in the background/);
    await thread.click('Stop', ALICE);
    await thread.seen(/Ended in the background/);
    await sleptOut();
    expect(made('command.txt')).toBe(false);
  });

  it('!pause: ends both, though their turns are over', async () => {
    const first = await Thread.begin(agent(`run bash ${touches('paused-sub.txt')}`));
    await first.click('Approve', BOB);
    await first.seen(/Still running in the background/);
    const second = await Thread.begin(command(touches('paused-command.txt')));
    await second.click('Approve', ALICE);
    await second.seen(/Still running in the background/);
    await first.say('!pause', BOB);
    await first.seen(/and 2 background tasks\./, BOB);
    for (const thread of [first, second]) await thread.seen(/Ended in the background/);
    await sleptOut();
    expect([made('paused-sub.txt'), made('paused-command.txt')]).toEqual([false, false]);
    await first.say('!resume', BOB);
  });
});
