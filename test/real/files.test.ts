import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import type { FileInput } from '../../sandbox/slack/control/api.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type RealLetta, type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { until } from '../support/until.ts';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30" fill="red"/></svg>';
const closing: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

interface Stage {
  letta: RealLetta;
  sandbox: Sandbox;
  home: string;
}

async function start(surface: Surface, env: Record<string, string> = {}): Promise<Stage> {
  const letta = await startRealLetta(surface);
  closing.push(() => letta.close());
  const settings = { ...letta.env, ...env };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: 'app-server', env: settings, log: () => {} });
  closing.push(() => sandbox.close());
  return { letta, sandbox, home: join(dirname(letta.project), 'home') };
}

async function send({ sandbox }: Stage, text: string, files: FileInput[] = [], thread?: string): Promise<string> {
  const place = { channel: 'C01GEN', user: 'U01ALICE', ...(thread !== undefined && { thread_ts: thread }) };
  return (await sandbox.slack.control.message({ ...place, text: `@agent ${text}`, files })).ts;
}

async function answers({ sandbox }: Stage, thread: string, words: string): Promise<string> {
  const shown = () => String(transcript(sandbox.slack, 'C01GEN', { thread, bot: true }));
  await until(() => shown().includes(words), shown, 60_000);
  return shown();
}

/** The text that the model got last. */
function lastPrompt({ letta }: Stage): string {
  const lines = readFileSync(letta.modelLog, 'utf8').trimEnd().split('\n');
  const asked = lines.map((line) => JSON.parse(line) as { messages?: { role: string; content: unknown }[] });
  const said = asked.findLast(({ messages }) => messages)?.messages?.findLast(({ role }) => role === 'user')?.content;
  return typeof said === 'string' ? said : (said as { text?: string }[]).map(({ text = '' }) => text).join('\n');
}

/** Sends a file, lets the agent run the command that decodes it, and reads what lies on its machine then. */
async function decoded(stage: Stage, file: FileInput): Promise<Buffer> {
  const thread = await send(stage, 'say: thanks', [file]);
  await answers(stage, thread, 'thanks');
  const [command = '', path = ''] = /cat ~\S+(?: ~\S+)* \| base64 -d > (~\S+)/.exec(lastPrompt(stage)) ?? [];
  expect(command).not.toBe('');
  await send(stage, `run bash ${command}`, [], thread);
  expect(await answers(stage, thread, 'Done:')).not.toContain('Approve');
  return readFileSync(path.replace('~', stage.home));
}

describe.each(['app-server', 'single', 'pair', 'listen'] as const)('files for the real Letta over %s', (surface) => {
  it('arrive: pictures at the model, others byte for byte', { timeout: 300_000 }, async () => {
    const stage = await start(surface);
    const thread = await send(stage, 'count images', [
      { name: 'chart.png', base64: PNG },
      { name: 'plan.svg', content: SVG },
      { name: 'broken.png', base64: Buffer.from('iVBORw0KGgo=', 'base64').toString('base64') },
    ]);
    const shown = await answers(stage, thread, 'image(s)');
    expect(shown).toContain('I see 2 image(s).');

    const pdf = Buffer.concat([Buffer.from('%PDF-1.4\n'), randomBytes(30_000)]);
    expect(hash(await decoded(stage, { name: 'Übersicht 1.pdf', base64: pdf.toString('base64') }))).toBe(hash(pdf));
    const zip = randomBytes(7 * 1024 * 1024);
    expect(hash(await decoded(stage, { name: 'logs.zip', base64: zip.toString('base64') }))).toBe(hash(zip));

    const log = 'erste Zeile ✓\r\nprice: $1 $& end\r\n';
    const third = await send(stage, 'say: read it', [{ name: 'build.log', content: log }]);
    await answers(stage, third, 'read it');
    const path = /It is on your machine: (~\S+)/.exec(lastPrompt(stage))?.[1] ?? '';
    expect(readFileSync(path.replace('~', stage.home), 'utf8')).toBe(log);
    await send(stage, `read file ${path}`, [], third);
    expect(await answers(stage, third, 'erste Zeile')).not.toContain('Approve');
  });
});

describe('files for an agent on the same machine', () => {
  it('are found out to be shared, and written directly', async () => {
    const letta = await startRealLetta('app-server');
    closing.push(() => letta.close());
    const home = join(dirname(letta.project), 'home');
    const env = { ...letta.env, HOME: home };
    const sandbox = await startSandbox({ port: 0, limits: 'off', letta: 'app-server', env, log: () => {} });
    closing.push(() => sandbox.close());
    const stage = { letta, sandbox, home };
    const zip = randomBytes(9 * 1024 * 1024);
    const thread = await send(stage, 'say: thanks', [{ name: 'logs.zip', base64: zip.toString('base64') }]);
    await answers(stage, thread, 'thanks');
    const path = /It is on your machine: (\/\S+)/.exec(lastPrompt(stage))?.[1] ?? '';
    expect(path.startsWith(join(home, '.letta/slack-bridge/inbox'))).toBe(true);
    expect(hash(readFileSync(path))).toBe(hash(zip));
  });
});
