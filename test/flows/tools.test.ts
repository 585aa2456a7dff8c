import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const CHANNEL = 'C01GEN';

interface Options {
  permissions?: string;
  tools?: string;
  letta?: 'app-server' | 'single' | 'pair' | 'listen';
}

async function start({ permissions = 'guarded', tools, letta = 'app-server' }: Options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-tools-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'policy.yml');
  const named = tools === undefined ? '' : `tools: ${tools}\n`;
  writeFileSync(file, `permissions: ${permissions}\n${named}channels: [C01GEN, C02ENG, dm]\n`);
  const env = { POLICY: file, SLACK_ALLOWED_CHANNELS: '', ADMINS: 'U03CARA', PERMISSIONS: '', ALLOW_UNRESTRICTED: '*' };
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta, env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const sees = () => transcript(sandbox.slack, CHANNEL, { user: 'U01ALICE', bot: true });
  const shows = (words: string | RegExp) =>
    until(
      () => (typeof words === 'string' ? sees().includes(words) : words.test(sees())),
      () => sees(),
    );
  const write = async (text: string) =>
    (await control.message({ channel: CHANNEL, user: 'U01ALICE', text: `<@U0BOT> ${text}` })).ts;
  const reactionsOf = (ts: string | undefined) =>
    control.messages(CHANNEL, {}).find((message) => message.ts === ts)?.reactions ?? {};
  const frames = (type: string) =>
    (sandbox.letta?.log() ?? []).flatMap(({ frame }) =>
      frame !== undefined && (frame as { type?: unknown }).type === type ? [frame as Record<string, unknown>] : [],
    );
  const click = async (label: string) => {
    await until(
      () => control.messages(CHANNEL).some(({ blocks }) => JSON.stringify(blocks ?? '').includes(label)),
      () => sees(),
    );
    const card = control.messages(CHANNEL).findLast(({ blocks }) => JSON.stringify(blocks ?? '').includes(label));
    return control.interact({ channel: CHANNEL, messageTs: card?.ts ?? '', user: 'U01ALICE', action: label });
  };
  return { sandbox, control, sees, shows, write, reactionsOf, frames, click };
}

describe('a tool of the bridge', () => {
  it.each([
    ['guarded', 'app-server'],
    ['unrestricted', 'app-server'],
    ['guarded', 'single'],
    ['standard', 'pair'],
    ['guarded', 'listen'],
  ] as const)('runs without a card where the policy says so (%s, %s)', async (permissions, letta) => {
    const { write, shows, reactionsOf, frames, sees } = await start({ permissions, letta });
    const ts = await write('call slack_react {"emoji":"eyes"} THEN call slack_react {"emoji":"tada"}');
    await shows('Done: ');
    expect(reactionsOf(ts)).toEqual({ eyes: ['U0BOT'], tada: ['U0BOT'] });
    expect(sees()).not.toContain('Approve');
    expect(frames('external_tool_call_response')).toHaveLength(2);
    expect(JSON.stringify(frames('input'))).not.toContain('save-default');
  });

  it.each(['guarded', 'unrestricted'])('posts elsewhere only after a click on its card (%s)', async (permissions) => {
    const { control, write, shows, click } = await start({ permissions, tools: '[slack_post_message]' });
    await write('call slack_post_message {"channel":"C02ENG","text":"Version 2 is out."}');
    await shows('Post this message?');
    await shows('Version 2 is out.');
    expect(control.messages('C02ENG')).toHaveLength(0);
    await click('Approve');
    await shows('Done: ');
    expect(control.messages('C02ENG').map(({ text }) => text)).toEqual([expect.stringContaining('Version 2 is out.')]);
  });

  it('does not exist where the policy names others', async () => {
    const { write, shows, reactionsOf } = await start({ permissions: 'unrestricted', tools: '[slack_find_people]' });
    const ts = await write('call slack_react {"emoji":"eyes"}');
    await shows('Tool not found: slack_react');
    expect(reactionsOf(ts)).toEqual({});
  });

  it.each(['app-server', 'single'] as const)('ends with Stop while it waits for people (%s)', async (letta) => {
    const { control, write, shows, click, frames } = await start({
      permissions: 'unrestricted',
      tools: '[slack_post_message]',
      letta,
    });
    await write('call slack_post_message {"channel":"C02ENG","text":"Version 2 is out."}');
    await shows('Post this message?');
    await click('Stop');
    await shows('Stopped');
    expect(control.messages('C02ENG')).toHaveLength(0);
    expect(JSON.stringify(frames('external_tool_call_response'))).toContain('was stopped');
  });
});
