import { afterEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { until } from '../support/until.ts';

let sandbox: Sandbox | null = null;

afterEach(async () => {
  await sandbox?.close();
  sandbox = null;
});

async function start(): Promise<Sandbox> {
  sandbox ??= await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
  return sandbox;
}

const homeOf = (control: Sandbox['slack']['control'], user: string) => JSON.stringify(control.views(user).home ?? '');

/** Opens the Home tab until it shows all of `words`: it is drawn anew each time it is opened. */
async function homeShows(user: string, words: readonly string[]): Promise<string> {
  const { control } = (await start()).slack;
  let shown = '';
  for (let tries = 0; tries < 100; tries += 1) {
    await control.openHome({ user, tab: 'home' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    shown = JSON.stringify(control.views(user).home ?? '');
    if (words.every((word) => shown.includes(word))) return shown;
  }
  throw new Error(`the Home tab does not show ${words.join(', ')}: ${shown}`);
}

describe('the Home tab', () => {
  it('says how to begin; to guests, why they may not', async () => {
    await homeShows('U01ALICE', ['!commands', 'Nothing is running for you.', 'Everything works', 'Run the tests.']);
    await homeShows('U04GUEST', ['Guests can’t use']);
  });

  it('shows the reader’s own threads and requests, no other person’s', async () => {
    const { control } = (await start()).slack;
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent run bash touch x' });
    const link = `/archives/C01GEN/p${ts.replace('.', '')}"`;
    await homeShows('U01ALICE', ['Waiting for you', 'Bash: touch x', 'Your threads', 'Waiting for an answer', link]);
    const bobs = await homeShows('U02BOB', ['Nothing is running for you.']);
    expect(bobs).not.toContain('touch x');
  });

  it('shows why a turn failed, also after a restart', async () => {
    const { control } = (await start()).slack;
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent error 500' });
    const link = `/archives/C01GEN/p${ts.replace('.', '')}"`;
    const words = [
      'Left for you to decide',
      'The model’s provider returned an error (500)',
      'You can try again.',
      link,
    ];
    await homeShows('U01ALICE', words);
    await sandbox?.stopBridge();
    await sandbox?.startBridge();
    await homeShows('U01ALICE', words);
    expect(await homeShows('U02BOB', ['Nothing is running for you.'])).not.toContain('Left for you');
    const status = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '!status', thread_ts: ts });
    expect(status.ts).not.toBe('');
    const seen = () => JSON.stringify(control.messages('C01GEN', { thread_ts: ts, user: 'U01ALICE' }));
    await until(() => seen().includes('The last turn failed'), seen);
    await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'say it works', thread_ts: ts });
    await until(
      () => !homeOf(control, 'U01ALICE').includes('Left for you'),
      () => homeOf(control, 'U01ALICE'),
    );
  });

  it('left open: shows a new thread, and stops it', async () => {
    const { control } = (await start()).slack;
    await homeShows('U01ALICE', ['Nothing is running for you.']);
    await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent run bash sleep 1' });
    await until(
      () => homeOf(control, 'U01ALICE').includes('run bash sleep 1'),
      () => homeOf(control, 'U01ALICE'),
    );
    const stopped = await control.interact({ user: 'U01ALICE', view: 'home', action: 'Stop' });
    expect(stopped.acked).toBe(true);
    await until(
      () => homeOf(control, 'U01ALICE').includes('Nothing is running for you.'),
      () => homeOf(control, 'U01ALICE'),
    );
  });

  it('keeps the time after which its reader wants to be notified', async () => {
    const { control } = (await start()).slack;
    await homeShows('U01ALICE', ['As usual (after 2 min)']);
    const chosen = { user: 'U01ALICE', view: 'home', action: 'bridge_notify_after', option: 'Never' } as const;
    expect((await control.interact(chosen)).acked).toBe(true);
    await until(
      () => /"initial_option":\{[^}]*"text":"Never"/.test(homeOf(control, 'U01ALICE')),
      () => homeOf(control, 'U01ALICE'),
    );
    await homeShows('U02BOB', ['"initial_option":{"text":{"type":"plain_text","text":"As usual']);
  });
});
