import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';

const CHANNEL = 'C01GEN';

it.each<Surface>(['app-server', 'single', 'listen'])(
  'a chosen model is used by the next turn (%s)',
  async (surface) => {
    const letta = await startRealLetta(surface);
    onTestFinished(() => letta.close());
    const env = { ...letta.env, ADMINS: 'U01ALICE' };
    const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env, log: () => undefined });
    onTestFinished(() => sandbox.close());
    const { control } = sandbox.slack;
    const { ts: thread } = await control.message({ channel: CHANNEL, user: 'U01ALICE', text: '@agent say 3 words' });
    const say = (text: string) => control.message({ channel: CHANNEL, user: 'U01ALICE', text, thread_ts: thread });
    const shown = () => transcript(sandbox.slack, CHANNEL, { thread, user: 'U01ALICE' });
    const shows = (words: string | RegExp) => expect.poll(shown, { timeout: 60_000 }).toMatch(words);
    await shows('word3');
    await say('!model');
    await shows(/This conversation uses `[^`]+`/);
    await shows('To change it');
    const [, name = ''] = /^\s*- `([^`]+)`/m.exec(shown()) ?? [];
    const [, effort = ''] = new RegExp(`- \`${name}\` · .*\\b(high)\\b`).exec(shown()) ?? [];
    await say(`!model ${name} ${effort}`.trim());
    await shows('chose the model');
    await say('!status');
    await shows(`model \`${name}\``);
    await say('@agent say 5 words');
    await shows('word5');
  },
  240_000,
);
