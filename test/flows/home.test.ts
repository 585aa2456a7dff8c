import { afterEach, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';

let sandbox: Sandbox | null = null;

afterEach(async () => {
  await sandbox?.close();
  sandbox = null;
});

async function homeOf(user: string): Promise<string> {
  sandbox ??= await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
  const { control } = sandbox.slack;
  await control.openHome({ user, tab: 'home' });
  for (let tries = 0; tries < 200; tries += 1) {
    const { home } = control.views(user);
    if (home) return JSON.stringify(home);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('the Home tab stayed empty');
}

it('the Home tab says how to begin, and to those who may not, why not', async () => {
  expect(await homeOf('U01ALICE')).toContain('/agent status');
  expect(await homeOf('U04GUEST')).toContain('Guests may not use');
});
