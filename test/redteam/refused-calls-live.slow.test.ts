import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';

let sandbox: Sandbox | null = null;
afterEach(() => sandbox?.close());

const WORDS = Array.from({ length: 30 }, (_, n) => `word${n + 1}`);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Somebody asks for 30 words, over about four seconds, on the whole bridge between the doubles. */
async function ask(channel = 'C01GEN') {
  sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
  const { control } = sandbox.slack;
  const { ts } = await control.message({ channel, user: 'U01ALICE', text: '@agent slow 30 words 130 ms' });
  const answer = () => control.messages(channel, { thread_ts: ts }).filter(({ bot_id }) => bot_id !== null);
  const shown = () => JSON.stringify(answer().map(({ blocks, text }) => [blocks, text]));
  const whole = () =>
    vi.waitFor(
      () => {
        for (const word of WORDS) expect(shown()).toContain(word);
        expect(shown()).not.toMatch(/bridge_stop|Writing/);
        expect(answer()).toHaveLength(1);
      },
      { timeout: 45_000, interval: 100 },
    );
  await vi.waitFor(() => expect(shown()).toContain('word5'), { timeout: 15_000, interval: 50 });
  return { control, whole, shown };
}

describe('the answer of a turn', () => {
  it.each([
    'invalid_auth',
    'account_inactive',
    'not_in_channel',
    'is_archived',
    'restricted_action',
    'edit_window_closed',
  ])(
    'one edit refused with %s: arrives whole',
    async (error) => {
      const { control, whole } = await ask();
      await control.faults({ method: 'chat.update', kind: 'ok_false', error, times: 1 });
      await whole();
    },
    60_000,
  );

  it('bot removed and invited again: arrives whole', async () => {
    const { control, whole } = await ask('C02ENG');
    await control.member({ channel: 'C02ENG', user: 'U0BOT', joined: false });
    await pause(8_000);
    await control.member({ channel: 'C02ENG', user: 'U0BOT', joined: true });
    await whole();
  }, 90_000);

  it('channel archived for a while: arrives whole', async () => {
    const { control, whole } = await ask();
    await control.archive({ channel: 'C01GEN' });
    await pause(8_000);
    await control.archive({ channel: 'C01GEN', archived: false });
    await whole();
  }, 90_000);

  it('bot stays removed: arrives whole in a direct message', async () => {
    const { control } = await ask('C02ENG');
    await control.member({ channel: 'C02ENG', user: 'U0BOT', joined: false });
    await vi.waitFor(() => expect(JSON.stringify(control.messages('D01ALICE', {}))).toContain('word30'), {
      timeout: 60_000,
      interval: 200,
    });
  }, 90_000);

  it('every call refused for seconds: arrives', async () => {
    sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
    const { control } = sandbox.slack;
    await control.faults({ kind: 'ok_false', error: 'invalid_auth', times: 6 });
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent say: here I am' });
    const shown = () => JSON.stringify(control.messages('C01GEN', { thread_ts: ts }).filter(({ bot_id }) => bot_id));
    await vi.waitFor(() => expect(shown()).toContain('here I am'), { timeout: 60_000, interval: 100 });
  }, 90_000);
});
