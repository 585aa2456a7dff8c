import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';
import { temporaryFolder } from '../support/whole.ts';

const HOUR = 60 * 60_000;
const count = (text: string, needle: string) => text.split(needle).length - 1;

async function start(
  { onTestFinished }: TestContext,
  env: Record<string, string> = {},
  delivery: 'socket' | 'http' = 'socket',
) {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    letta: 'app-server',
    pace: 1,
    delivery,
    env: { LOG_LEVEL: 'info', ...env },
    log,
  });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;

  async function say(text: string, options: { thread?: string; user?: string; channel?: string } = {}) {
    const { thread: thread_ts, user = 'U01ALICE', channel = 'C01GEN' } = options;
    const said = await control.message({ channel, user, text, ...(thread_ts && { thread_ts }) });
    return said.ts;
  }

  const shown = (thread?: string, channel = 'C01GEN') =>
    transcript(sandbox.slack, channel, { ...(thread && { thread }), user: 'U01ALICE', bot: true });

  const seen = (needle: string, thread?: string, channel?: string) =>
    until(
      () => shown(thread, channel).includes(needle),
      () => `${needle}\n${shown(thread, channel)}\n${lines.join('')}`,
    );

  /** Its turn is over for Slack, too: a bridge that stops before that looks into the thread when it starts. */
  const answered = (needle: string, thread?: string, channel?: string) =>
    until(
      () => shown(thread, channel).includes(needle) && !shown(thread, channel).includes('[Stop]'),
      () => `${needle}\n${shown(thread, channel)}\n${lines.join('')}`,
    );

  function click(thread: string, label: string, user = 'U01ALICE') {
    const messages = control.messages('C01GEN', { thread_ts: thread });
    const found = messages.findLast((each) => JSON.stringify(each.blocks).includes(`"text":"${label}"`));
    if (!found) throw new Error(`no button ${label}`);
    return control.interact({ channel: 'C01GEN', messageTs: found.ts, user, action: label });
  }

  return { sandbox, lines, say, shown, seen, answered, click };
}

describe.concurrent('messages written while the bridge was down', () => {
  it.for(['socket', 'http'] as const)('are answered once each, in order, over %s', async (delivery, context) => {
    const { expect } = context;
    const { sandbox, lines, say, shown, seen, answered } = await start(context, {}, delivery);
    const root = await say('@agent say: at first');
    await answered('at first', root);
    await sandbox.stopBridge();
    await say('say: one', { thread: root });
    await say('a word among us', { thread: root, user: 'U02BOB' });
    await say('say: two', { thread: root });
    const other = await say('@agent say: three');
    await say('say: four', { thread: other });
    await say('nothing for the agent');
    await sandbox.startBridge();
    await answered('two', root);
    await answered('four', other);
    // Once more, although nothing is missing: the overlap finds all of it again.
    await sandbox.stopBridge();
    await sandbox.startBridge();
    const last = await say('@agent say: five');
    await seen('five', last);
    const caughtUp = () => count(lines.join(''), 'caught up with slack');
    await until(
      () => caughtUp() >= 2,
      () => lines.join(''),
    );
    expect(caughtUp()).toBe(2);
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

  it('are found below what the agent posted elsewhere', async (context) => {
    const policy = join(temporaryFolder(context), 'policy.yml');
    writeFileSync(policy, 'tools: [slack_post_message]\nchannels:\n  C01GEN:\n  C03OUT:\n');
    const { sandbox, say, seen, answered, click } = await start(context, {
      POLICY: policy,
      SLACK_ALLOWED_CHANNELS: '',
    });
    await sandbox.slack.control.member({ channel: 'C01GEN', user: 'U05EXT', joined: false });
    await sandbox.slack.control.member({ channel: 'C03OUT', user: sandbox.slack.control.state().bot, joined: true });
    const root = await say('@agent call slack_post_message {"channel":"C03OUT","text":"Ready?"}');
    await seen('[Approve]', root);
    await click(root, 'Approve');
    await answered('Done:', root);
    const there = sandbox.slack.control.messages('C03OUT').find(({ text }) => text.includes('Ready?'))?.ts ?? '';
    await sandbox.stopBridge();
    await say('say: we are', { thread: there, channel: 'C03OUT' });
    await sandbox.startBridge();
    await answered('we are', there, 'C03OUT');
  });

  it('are found in direct messages', async (context) => {
    const { sandbox, say, seen, answered } = await start(context);
    const { channel } = await sandbox.slack.control.openHome({ user: 'U01ALICE', tab: 'messages' });
    await say('say: at first', { channel });
    await answered('at first', undefined, channel);
    await sandbox.stopBridge();
    await say('say: meanwhile', { channel });
    await sandbox.startBridge();
    await seen('meanwhile', undefined, channel);
  });

  it('too old: run when their author clicks, also after a restart', async (context) => {
    const { expect } = context;
    const { sandbox, say, shown, seen, answered, click } = await start(context);
    const root = await say('@agent say: at first');
    await answered('at first', root);
    await sandbox.stopBridge();
    await say('say 7 words', { thread: root });
    sandbox.passTime(HOUR);
    await sandbox.startBridge();
    await seen('Run now', root);
    await sandbox.stopBridge();
    await sandbox.startBridge();
    await click(root, 'Run now', 'U02BOB');
    const toBob = () =>
      sandbox.slack.control
        .messages('C01GEN', { user: 'U02BOB' })
        .filter((each) => each.ephemeral)
        .map((each) => each.text)
        .join();
    await until(() => toBob().includes('Only <@U01ALICE>'), toBob);
    expect(shown(root)).not.toContain('word7');
    await click(root, 'Run now');
    await seen('word7', root);
    await seen('from earlier', root);
    expect(shown(root)).not.toContain('Run now');
    expect(count(shown(root), 'word7')).toBe(1);
  });

  it('too old: are gone once their author drops them', async (context) => {
    const { expect } = context;
    const { sandbox, say, shown, seen, answered, click } = await start(context);
    const root = await say('@agent say: at first');
    await answered('at first', root);
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

  it('HISTORY=off: are ignored', async (context) => {
    const { expect } = context;
    const { sandbox, say, shown, seen, answered } = await start(context, { HISTORY: 'off' });
    const root = await say('@agent say: at first');
    await answered('at first', root);
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

describe.concurrent('a turn interrupted by a restart', () => {
  it('is continued by its requester', async (context) => {
    const { expect } = context;
    const { sandbox, say, shown, seen, click } = await start(context);
    const root = await say('@agent slow 60 words 50 ms');
    await seen('word3', root);
    await sandbox.stopBridge();
    await sandbox.startBridge();
    await seen('Continue', root);
    await click(root, 'Continue');
    await seen('let the agent continue', root);
    const continued = () => shown(root).split('let the agent continue')[1]?.trim() ?? '';
    await until(
      () => continued() !== '',
      () => shown(root),
    );
    expect(count(shown(root), 'word3 ')).toBe(1);
  });
});
