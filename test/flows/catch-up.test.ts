import { afterEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';

const HOUR = 60 * 60_000;
let sandbox: Sandbox;
let lines: string[] = [];

afterEach(async () => {
  await sandbox.close();
});

async function start(env: Record<string, string> = {}, delivery: 'socket' | 'http' = 'socket'): Promise<void> {
  lines = [];
  const log = (line: string) => void lines.push(line);
  sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    letta: 'app-server',
    pace: 1,
    delivery,
    env: { LOG_LEVEL: 'info', ...env },
    log,
  });
}

async function say(text: string, options: { thread?: string; user?: string; channel?: string } = {}): Promise<string> {
  const { thread: thread_ts, user = 'U01ALICE', channel = 'C01GEN' } = options;
  const said = await sandbox.slack.control.message({ channel, user, text, ...(thread_ts && { thread_ts }) });
  return said.ts;
}

const shown = (thread?: string, channel = 'C01GEN') =>
  transcript(sandbox.slack, channel, { ...(thread && { thread }), user: 'U01ALICE', bot: true });
const count = (text: string, needle: string) => text.split(needle).length - 1;

async function seen(needle: string, thread?: string, channel?: string): Promise<void> {
  await expect.poll(() => shown(thread, channel), { timeout: 25_000, interval: 50 }).toContain(needle);
}

function button(thread: string, label: string) {
  const messages = sandbox.slack.control.messages('C01GEN', { thread_ts: thread });
  const found = messages.findLast((each) => JSON.stringify(each.blocks).includes(`"text":"${label}"`));
  if (!found) throw new Error(`no button ${label}`);
  return found.ts;
}

const click = (thread: string, label: string, user = 'U01ALICE') =>
  sandbox.slack.control.interact({ channel: 'C01GEN', messageTs: button(thread, label), user, action: label });

describe('messages written while the bridge was down', { timeout: 90_000 }, () => {
  it.each(['socket', 'http'] as const)('are answered once each, in order, over %s', async (delivery) => {
    await start({}, delivery);
    const root = await say('@agent say: at first');
    await seen('at first', root);
    await sandbox.stopBridge();
    await say('say: one', { thread: root });
    await say('a word among us', { thread: root, user: 'U02BOB' });
    await say('say: two', { thread: root });
    const other = await say('@agent say: three');
    await say('say: four', { thread: other });
    await say('nothing for the agent');
    await sandbox.startBridge();
    await seen('two', root);
    await seen('four', other);
    // Once more, although nothing is missing: the overlap finds all of it again.
    await sandbox.stopBridge();
    await sandbox.startBridge();
    const last = await say('@agent say: five');
    await seen('five', last);
    await expect.poll(() => count(lines.join(''), 'caught up with slack'), { timeout: 25_000 }).toBe(2);
    for (const [thread, text] of [
      [root, 'one'],
      [root, 'two'],
      [other, 'three'],
      [other, 'four'],
    ] as const) {
      expect(count(shown(thread), text), `${text} in ${shown(thread)}`).toBe(1);
    }
    expect(shown(root).indexOf('one')).toBeLessThan(shown(root).indexOf('two'));
    expect(shown()).not.toContain('nothing for the agent');
  });

  it('are found in direct messages', async () => {
    await start();
    const { channel } = await sandbox.slack.control.openHome({ user: 'U01ALICE', tab: 'messages' });
    await say('say: at first', { channel });
    await seen('at first', undefined, channel);
    await sandbox.stopBridge();
    await say('say: meanwhile', { channel });
    await sandbox.startBridge();
    await seen('meanwhile', undefined, channel);
  });

  it('too old: run when their author clicks, also after a restart', async () => {
    await start();
    const root = await say('@agent say: at first');
    await seen('at first', root);
    await sandbox.stopBridge();
    await say('say 7 words', { thread: root });
    sandbox.passTime(HOUR);
    await sandbox.startBridge();
    await seen('Run now', root);
    await sandbox.stopBridge();
    await sandbox.startBridge();
    await click(root, 'Run now', 'U02BOB');
    const toBob = () => sandbox.slack.control.messages('C01GEN', { user: 'U02BOB' }).filter((each) => each.ephemeral);
    await expect
      .poll(() =>
        toBob()
          .map((each) => each.text)
          .join(),
      )
      .toContain('Only <@U01ALICE>');
    expect(shown(root)).not.toContain('word7');
    await click(root, 'Run now');
    await seen('word7', root);
    await seen('from earlier', root);
    expect(shown(root)).not.toContain('Run now');
    expect(count(shown(root), 'word7')).toBe(1);
  });

  it('too old: are gone once their author drops them', async () => {
    await start();
    const root = await say('@agent say: at first');
    await seen('at first', root);
    await sandbox.stopBridge();
    await say('say 7 words', { thread: root });
    await say('say 8 words', { thread: root });
    sandbox.passTime(HOUR);
    await sandbox.startBridge();
    await seen('these 2 messages', root);
    await click(root, 'Discard');
    await seen('discarded the 2 messages', root);
    await say('say: new', { thread: root });
    await seen('new', root);
    expect(shown(root)).not.toMatch(/word[78]/);
  });

  it('HISTORY=off: are ignored', async () => {
    await start({ HISTORY: 'off' });
    const root = await say('@agent say: at first');
    await seen('at first', root);
    await sandbox.stopBridge();
    await say('say 7 words', { thread: root });
    await sandbox.startBridge();
    const calls = sandbox.slack.control.log({ type: 'call' });
    const after = await say('@agent say: later');
    await seen('later', after);
    expect(JSON.stringify(calls)).not.toContain('conversations.replies');
    expect(shown(root)).not.toContain('word7');
  });
});

describe('a turn interrupted by a restart', { timeout: 60_000 }, () => {
  it('is continued by its requester', async () => {
    await start();
    const root = await say('@agent slow 60 words 50 ms');
    await seen('word3', root);
    await sandbox.stopBridge();
    await sandbox.startBridge();
    await seen('Continue', root);
    await click(root, 'Continue');
    await seen('let the agent continue', root);
    await expect
      .poll(() => shown(root).split('let the agent continue')[1]?.trim() ?? '', { timeout: 20_000 })
      .not.toBe('');
    expect(count(shown(root), 'word3 ')).toBe(1);
  });
});
