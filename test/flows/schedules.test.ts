import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { type SandboxOptions, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

/** A bridge between both doubles; the scripted Letta's scheduler sees the clock that a test shows it. */
async function story(
  letta: SandboxOptions['letta'],
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  more: Partial<SandboxOptions> = {},
) {
  const usual = { port: 0, limits: 'off', env: {}, pace: 1, log: () => undefined } as const;
  const sandbox = await startSandbox({ ...usual, letta, ...more });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  const crons = () => (sandbox.letta?.state().crons ?? []) as Record<string, unknown>[];
  const say = (text: string, thread?: string, user = 'U01ALICE') =>
    control.message({ channel, user, text, ...(thread && { thread_ts: thread }) });
  const shown = (thread?: string, user = 'U01ALICE') =>
    transcript(sandbox.slack, channel, { user, ...(thread && { thread }), bot: true });
  const shows = (words: string, thread?: string) =>
    until(
      () => shown(thread).includes(words),
      () => shown(thread),
    );
  /** Clicks the button below the newest message of the bot that has it. */
  const click = (label: string, thread: string, user = 'U01ALICE') => {
    const at = control
      .messages(channel, { thread_ts: thread })
      .findLast((message) => message.bot_id && JSON.stringify(message.blocks).includes(`"${label}"`));
    if (!at) throw new Error(`no button ${label}: ${shown(thread)}`);
    return control.interact({ channel, user, messageTs: at.ts, action: label });
  };
  const sees = (thread: string, user = 'U01ALICE') => transcript(sandbox.slack, channel, { user, thread });
  const isQuiet = (thread: string) => control.state().statuses.length === 0 && !/⏳|🔧|\[Stop\]/.test(shown(thread));
  const schedule = async (words: string) => {
    const { ts } = await say(`@agent !schedule ${words}`);
    await shows('should I schedule this', ts);
    await click('Schedule it', ts);
    await until(
      () => crons().length === 1,
      () => shown(ts),
    );
    return ts;
  };
  return { ...sandbox, control, channel, crons, say, shown, shows, sees, click, schedule, isQuiet };
}

const MONDAY_9 = Date.UTC(2026, 10, 30, 8, 0, 5);
const count = (text: string, part: string) => text.split(part).length - 1;

describe('a schedule', () => {
  it('runs once confirmed, in a thread that goes on', async (context) => {
    const { letta, crons, say, shown, shows, schedule, control, channel, isQuiet } = await story('app-server', context);
    const root = await schedule('every Monday 9:00 :: go\nsay: the open incidents');
    expect(crons()[0]).toMatchObject({ cron: '0 9 * * 1', timezone: 'Europe/Amsterdam', status: 'active' });
    expect(crons()[0]?.conversation_id).not.toBe('new');
    letta?.tickCrons(MONDAY_9);
    await shows('Schedule of @alice: every Monday at 9:00 (Europe/Amsterdam)', root);
    await until(
      () => isQuiet(root),
      () => shown(root),
    );
    expect(shown(root)).toMatch(/Schedule of @alice[\s\S]*the open incidents/);
    const broadcasts = control.messages(channel, {}).filter(({ subtype }) => subtype === 'thread_broadcast');
    expect(broadcasts).toHaveLength(1);
    await say('say: and it goes on', root);
    await shows('and it goes on', root);
  });

  it('begins a thread in the channel after a slash command', async (context) => {
    const { crons, shown, shows, click, control, channel } = await story('app-server', context);
    const words = 'schedule every Monday 9:00 :: say: report';
    await control.command({ channel, user: 'U01ALICE', command: '/agent', text: words });
    await shows('A schedule of @alice: the details are in the thread.');
    const root = control.messages(channel, {}).findLast(({ text }) => text?.includes('A schedule of'))?.ts ?? '';
    await shows('should I schedule this', root);
    await click('Schedule it', root);
    await until(
      () => crons().length === 1,
      () => shown(root),
    );
  });

  it('is made and deleted by the agent only with a click', async (context) => {
    const { letta, crons, say, shown, shows, click } = await story('app-server', context);
    const call = (name: string, input: object) => `call ${name} ${JSON.stringify(input)}`;
    const { ts } = await say(
      `@agent ${call('slack_schedule', { when: 'every Monday 9:00', prompt: 'go\nsay: report' })}`,
    );
    await shows('should I schedule this', ts);
    await shows('Nothing is made before they do', ts);
    expect(crons()).toEqual([]);
    await click('Schedule it', ts);
    await until(
      () => crons().length === 1,
      () => shown(ts),
    );
    letta?.tickCrons(MONDAY_9);
    await shows('Schedule of @alice', ts);
    await shows('report', ts);
    const id = /\(slack-(\w{8})\)/.exec(String(crons()[0]?.name))?.[1];
    await say(call('slack_unschedule', { id }), ts);
    await shows('[Approve]', ts);
    expect(crons()).toHaveLength(1);
    await click('Approve', ts);
    await until(
      () => crons().length === 0,
      () => shown(ts),
    );
  });

  it('asks its owner for approval, no one else', async (context) => {
    const { letta, say, shown, shows, click, schedule, sees } = await story('app-server', context);
    const root = await schedule('every day 9:00 :: go\nrun bash touch report.txt');
    await say('@agent say: hello', root, 'U02BOB');
    await shows('hello', root);
    letta?.tickCrons(MONDAY_9);
    await shows('[Approve]', root);
    await click('Approve', root, 'U02BOB');
    await until(
      () => sees(root, 'U02BOB').includes('Only @alice can decide this'),
      () => sees(root, 'U02BOB'),
    );
    expect(letta?.readFile('/home/user/project/report.txt')).toBeUndefined();
    await click('Approve', root);
    await until(
      () => letta?.readFile('/home/user/project/report.txt') !== undefined,
      () => shown(root),
    );
  });

  it.for(['single', 'pair'] as const)('is posted late, once, when it ran unheard (%s)', async (mode, context) => {
    const { letta, crons, shown, shows, schedule } = await story(mode, context);
    const root = await schedule('every Monday 9:00 :: go\nsay: the weekly report');
    // Longer than the relay keeps the bridge's socket without the machine, so the bridge has to connect anew.
    letta?.addFault({ kind: 'offline', ms: 3_500 });
    letta?.tickCrons(MONDAY_9 - 7 * 24 * 3_600_000);
    letta?.tickCrons(MONDAY_9);
    expect(crons()[0]?.fire_count).toBe(2);
    const isIdle = () => JSON.stringify(letta?.state().conversations).includes('"WAITING_ON_INPUT","queued":0');
    await until(isIdle, () => JSON.stringify(letta?.state()));
    await shows('Posted late: it ran on Mon 30 Nov 2026, 9:00, while I was not connected.', root);
    await until(
      () => shown(root).includes('the weekly report') && !shown(root).includes('⏳'),
      () => shown(root),
    );
    expect(count(shown(root), 'Schedule of')).toBe(1);
  });

  it('is known as its owner’s when it waited for the bridge', async (context) => {
    const { letta, shown, shows, schedule, click } = await story('app-server', context);
    const root = await schedule('every Monday 9:00 :: go\nrun bash touch late.txt');
    letta?.addFault({ kind: 'offline', ms: 2_000 });
    await until(
      () => letta?.state().sockets === 0,
      () => JSON.stringify(letta?.state()),
    );
    letta?.tickCrons(MONDAY_9);
    await shows('[Approve]', root);
    expect(shown(root)).toContain('Schedule of @alice');
    await click('Approve', root);
    await until(
      () => letta?.readFile('/home/user/project/late.txt') !== undefined,
      () => shown(root),
    );
  });

  it('is listed, paused, resumed, run and deleted by its owner alone', async (context) => {
    const { crons, say, shows, shown, schedule, sees } = await story('app-server', context);
    const root = await schedule('every Monday 9:00 :: go\nsay: report');
    const id = /\(slack-(\w{8})\)/.exec(String(crons()[0]?.name))?.[1];
    const status = (wanted: string) =>
      until(
        () => crons()[0]?.status === wanted,
        () => JSON.stringify(crons()),
      );
    const told = (words: string, user?: string) =>
      until(
        () => sees(root, user).includes(words),
        () => sees(root, user),
      );
    await say('@agent !schedules', root);
    await told('next: Mon');
    await say(`@agent !schedules pause ${id}`, root, 'U02BOB');
    await told('Only its owner and admins can change this schedule', 'U02BOB');
    await say(`@agent !schedules pause ${id}`, root);
    await status('paused');
    await say(`@agent !schedules resume ${id}`, root);
    await status('active');
    await say(`@agent !schedules run ${id}`, root);
    await shows('Schedule of @alice', root);
    await shows('report', root);
    await say(`@agent !schedules delete ${id}`, root);
    await until(
      () => crons().length === 0,
      () => JSON.stringify(crons()),
    );
    expect(shown(root)).not.toContain('was deleted at Letta');
  });

  it('is made once, though the bridge dies before it hears so', async (context) => {
    const { letta, crons, say, shown, shows, click, sees, killBridge, startBridge, isQuiet } = await story(
      'app-server',
      context,
      { bridge: 'thread' },
    );
    const { ts: root } = await say('@agent !schedule every Monday 9:00 :: go\nsay: the weekly report');
    await shows('should I schedule this', root);
    await click('Schedule it', root);
    while (crons().length === 0) await new Promise((resolve) => setImmediate(resolve));
    await killBridge();
    await startBridge();
    const isListed = async () => {
      await say('@agent !schedules', root);
      return sees(root);
    };
    await context.expect.poll(isListed, { timeout: 40_000, interval: 500 }).toContain('next: Mon');
    expect(crons()).toHaveLength(1);
    letta?.tickCrons(MONDAY_9);
    await shows('Schedule of @alice', root);
    await until(
      () => isQuiet(root),
      () => shown(root),
    );
    expect(crons()).toMatchObject([{ fire_count: 1, status: 'active' }]);
    expect(count(shown(root), 'Schedule of @alice')).toBe(1);
  });

  it('is paused, and people are told, once its owner has no access', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'policy-'));
    context.onTestFinished(() => rmSync(folder, { recursive: true }));
    const POLICY = join(folder, 'policy.yml');
    const allow = (users: string) =>
      writeFileSync(POLICY, `users: [${users}]\nadmins: [U03CARA]\nchannels: [C01GEN]\n`);
    allow('U01ALICE, U02BOB');
    const env = { POLICY, SLACK_ALLOWED_USERS: '', SLACK_ALLOWED_CHANNELS: '', ADMINS: '' };
    const { letta, crons, say, shown, shows, schedule, sees, stopBridge, startBridge } = await story(
      'app-server',
      context,
      { env },
    );
    const root = await schedule('every Monday 9:00 :: go\nsay: the weekly report');
    await stopBridge();
    allow('U02BOB');
    await startBridge();
    await shows('because they may no longer use the agent here', root);
    await until(
      () => crons()[0]?.status === 'paused',
      () => JSON.stringify(crons()),
    );
    letta?.tickCrons(MONDAY_9);
    expect(crons()).toMatchObject([{ fire_count: 0 }]);
    const id = /\(slack-(\w{8})\)/.exec(String(crons()[0]?.name))?.[1];
    await say(`@agent !schedules resume ${id}`, root);
    await until(
      () => sees(root).includes('You can’t use this agent yet'),
      () => sees(root),
    );
    expect(crons()).toMatchObject([{ status: 'paused' }]);
    expect(shown(root)).not.toContain('Schedule of');
    await say(`@agent !schedules delete ${id}`, root, 'U03CARA');
    await until(
      () => crons().length === 0,
      () => JSON.stringify(crons()),
    );
  });
});
