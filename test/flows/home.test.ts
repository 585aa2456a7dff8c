import { afterEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';

let sandbox: Sandbox | null = null;

afterEach(async () => {
  await sandbox?.close();
  sandbox = null;
});

async function start(): Promise<Sandbox> {
  sandbox ??= await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
  return sandbox;
}

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
    await homeShows('U01ALICE', ['/agent status', 'Nothing is running for you.', 'slack: connected']);
    await homeShows('U04GUEST', ['Guests can’t use']);
  });

  it('shows the reader’s own threads and requests, no other person’s', async () => {
    const { control } = (await start()).slack;
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent run bash touch x' });
    const link = `/archives/C01GEN/p${ts.replace('.', '')}|thread>`;
    await homeShows('U01ALICE', ['Waiting for you', 'Bash: touch x', 'Your threads', 'waiting for an answer', link]);
    const bobs = await homeShows('U02BOB', ['Nothing is running for you.']);
    expect(bobs).not.toContain('touch x');
  });
});
