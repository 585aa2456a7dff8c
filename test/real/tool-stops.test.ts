import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { until } from '../support/until.ts';

/** Letta does not ask there, so the bridge does, and the call is open as long as its card. */
const POLICY = 'permissions: unrestricted\ntools: [slack_post_message, slack_react]\n';
const CALL = 'call slack_post_message {"channel":"C02ENG","text":"Version 2 is out."}';
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function start(surface: Surface): Promise<Sandbox> {
  const letta = await startRealLetta(surface);
  closing.push(() => letta.close());
  const file = join(letta.project, '..', 'policy.yml');
  writeFileSync(file, POLICY);
  const env = { ...letta.env, POLICY: file, ALLOW_UNRESTRICTED: '*' };
  const runs = { port: 0, limits: 'off', letta: surface, env, bridge: 'thread', log: () => {} } as const;
  const sandbox = await startSandbox(runs);
  closing.push(() => sandbox.close());
  return sandbox;
}

async function ask(sandbox: Sandbox, text: string) {
  const { control } = sandbox.slack;
  const { ts } = await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: `@agent ${text}` });
  const sees = () => transcript(sandbox.slack, 'C01GEN', { thread: ts, user: 'U01ALICE' });
  const shows = (words: string) => until(() => sees().includes(words), sees, 60_000);
  const click = async (action: string) => {
    const card = control
      .messages('C01GEN', { thread_ts: ts })
      .findLast(({ blocks }) => JSON.stringify(blocks ?? '').includes(`"${action}"`));
    await control.interact({ channel: 'C01GEN', messageTs: card?.ts ?? '', user: 'U01ALICE', action });
  };
  return { shows, click };
}

const posted = ({ slack }: Sandbox) => slack.control.messages('C02ENG').length;

describe.each<Surface>(['app-server', 'single', 'pair'])('an open call on the real Letta over %s', (surface) => {
  it('ends with Stop, and the thread goes on', { timeout: 180_000 }, async () => {
    const sandbox = await start(surface);
    const { shows, click } = await ask(sandbox, CALL);
    await shows('Post this message?');
    await click('Stop');
    await shows('Stopped');
    expect(posted(sandbox)).toBe(0);
    const next = await ask(sandbox, 'call slack_react {"emoji":"eyes"}');
    await next.shows('You reacted with');
  });

  it('is done at most once when the bridge is killed', { timeout: 180_000 }, async () => {
    const sandbox = await start(surface);
    const { shows, click } = await ask(sandbox, CALL);
    await shows('Post this message?');
    await sandbox.killBridge();
    await sandbox.startBridge();
    if (surface === 'app-server') {
      // The turn died with its socket.
      await shows('Continue');
      expect(posted(sandbox)).toBe(0);
      return;
    }
    for (let tries = 0; posted(sandbox) === 0 && tries < 60; tries += 1) {
      // Until the bridge is connected again it decides nothing.
      await click('Approve').catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await shows('Posted in');
    expect(posted(sandbox)).toBe(1);
  });
});
