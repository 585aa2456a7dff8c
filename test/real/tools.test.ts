import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type RealLetta, type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const POLICY = `tools: [slack_upload_file, slack_react, slack_read_thread, slack_find_people, slack_post_message, slack_read_channel]
post_unasked: [C03OUT]
`;
const closing: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const hash = (bytes: Uint8Array | undefined) => bytes && createHash('sha256').update(bytes).digest('hex');

interface Stage {
  letta: RealLetta;
  sandbox: Sandbox;
}

async function start(surface: Surface): Promise<Stage> {
  const letta = await startRealLetta(surface);
  closing.push(() => letta.close());
  const policy = join(letta.project, '..', 'policy.yml');
  writeFileSync(policy, POLICY);
  const env = { ...letta.env, POLICY: policy, HISTORY: 'full' };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: 'app-server', env, log: () => {} });
  closing.push(() => sandbox.close());
  return { letta, sandbox };
}

async function send({ sandbox }: Stage, text: string): Promise<string> {
  return (await sandbox.slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: `@agent ${text}` })).ts;
}

async function answers({ sandbox }: Stage, thread: string, words: string): Promise<string> {
  const shown = () => String(transcript(sandbox.slack, 'C01GEN', { thread, bot: true }));
  await until(() => shown().includes(words), shown, 60_000);
  return shown();
}

const call = (tool: string, input: object) => `call ${tool} ${JSON.stringify(input)}`;

/** What the model was asked in all its calls. */
const asked = ({ letta }: Stage) => readFileSync(letta.modelLog, 'utf8');

function uploaded({ sandbox }: Stage, thread: string): Buffer | undefined {
  const files = sandbox.slack.control.messages('C01GEN', { thread_ts: thread }).flatMap((message) => message.files);
  return sandbox.slack.control.file(String(files[0]?.id))?.content;
}

describe.each(['app-server', 'single', 'pair', 'listen'] as const)('tools of the real Letta over %s', (surface) => {
  it('work: files out, reactions, reading, people, posts', { timeout: 300_000 }, async () => {
    const stage = await start(surface);
    const { control } = stage.sandbox.slack;
    const big = randomBytes(7 * MIB);
    const small = randomBytes(5 * MIB);
    writeFileSync(join(stage.letta.project, 'big.bin'), big);
    writeFileSync(join(stage.letta.project, 'small.bin'), small);

    // With an App Server files come over a socket of their own, elsewhere over that of the turn.
    const isOwnLink = surface === 'app-server';
    const size = isOwnLink ? {} : { bytes: 7 * MIB };
    const first = await send(stage, call('slack_upload_file', { path: 'big.bin', ...size }));
    if (isOwnLink) {
      await until(
        () => uploaded(stage, first) !== undefined,
        () => String(transcript(stage.sandbox.slack, 'C01GEN', { thread: first })),
        60_000,
      );
      expect(hash(uploaded(stage, first))).toBe(hash(big));
    } else {
      expect(await answers(stage, first, 'Done:')).toContain('too large');
      const second = await send(stage, call('slack_upload_file', { path: 'small.bin', bytes: 5 * MIB }));
      await until(
        () => uploaded(stage, second) !== undefined,
        () => String(transcript(stage.sandbox.slack, 'C01GEN', { thread: second })),
        60_000,
      );
      expect(hash(uploaded(stage, second))).toBe(hash(small));
    }

    const reacts = await send(stage, call('slack_react', { emoji: 'eyes' }));
    await answers(stage, reacts, 'You reacted with');
    expect(control.messages('C01GEN', { thread_ts: reacts })[0]?.reactions).toEqual({ eyes: ['U0BOT'] });

    await control.message({ channel: 'C02ENG', user: 'U02BOB', text: 'the build is green' });
    const reads = await send(stage, call('slack_read_channel', { channel: 'C02ENG' }));
    await answers(stage, reads, 'Done:');
    expect(asked(stage)).toContain('the build is green');

    const finds = await send(stage, call('slack_find_people', { query: 'moreau' }));
    await answers(stage, finds, 'U01ALICE');

    await control.member({ channel: 'C01GEN', user: 'U05EXT', joined: false });
    await control.member({ channel: 'C03OUT', user: control.state().bot, joined: true });
    const posts = await send(stage, call('slack_post_message', { channel: 'C03OUT', text: '**Ready?**' }));
    await answers(stage, posts, 'Posted in');
    const posted = control.messages('C03OUT').find(({ text }) => text.includes('Ready?'));
    const there = String(posted?.ts);
    await control.message({ channel: 'C03OUT', user: 'U01ALICE', text: 'say: we are ready', thread_ts: there });
    const shown = () => String(transcript(stage.sandbox.slack, 'C03OUT', { thread: there, bot: true }));
    await until(() => shown().includes('we are ready'), shown, 60_000);
    expect(await answers(stage, posts, 'Posted in')).not.toContain('we are ready');
  });
});
