import { readFileSync } from 'node:fs';
import type { SmallSlack } from '../../sandbox/slack/server.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from './until.ts';

interface AppMessage {
  app: string;
  event: {
    text: string;
    attachments?: Record<string, unknown>[] | undefined;
    blocks?: Record<string, unknown>[] | undefined;
  };
  reads: string[];
}

export const apps = JSON.parse(
  readFileSync(new URL('../fixtures/slack/apps.json', import.meta.url), 'utf8'),
) as AppMessage[];

const CHANNEL = 'C01GEN';

/** People and apps in a channel of the small Slack, and what reached the agent. */
export function threadStory(slack: SmallSlack, inputs: () => string[], waitMs?: number) {
  const { control } = slack;

  async function say(text: string, options: { user?: string; thread?: string } = {}): Promise<string> {
    const { user = 'U01ALICE', thread } = options;
    const said = await control.message({ channel: CHANNEL, user, text, ...(thread && { thread_ts: thread }) });
    return said.ts;
  }

  /** An alert of an app, as the fixtures have it. */
  async function alert(app: string): Promise<string> {
    const found = apps.find((each) => each.app === app);
    if (!found) throw new Error(`no fixture of ${app}`);
    const { text, attachments, blocks } = found.event;
    const bot = { channel: CHANNEL, user: '', subtype: 'bot_message' };
    const said = await control.message({
      ...bot,
      text,
      ...(attachments && { attachments }),
      ...(blocks && { blocks }),
    });
    return said.ts;
  }

  const shown = (thread: string) => transcript(slack, CHANNEL, { thread, user: 'U01ALICE', bot: true });

  /** The input that asked the agent to say this word, once it has said it and its turn is over. */
  async function answered(word: string, thread: string): Promise<string> {
    const found = () => inputs().findLast((input) => input.includes(`say: ${word}`));
    const isSaid = () =>
      shown(thread)
        .split('\n')
        .some((line) => line.trim() === word);
    await until(
      () => found() !== undefined && isSaid() && !shown(thread).includes('[Stop]'),
      () => `${word}\n${shown(thread)}\n${inputs().join('\n---\n')}`,
      waitMs,
    );
    return found() ?? '';
  }

  return { say, alert, shown, answered };
}

/** The lines of an input that the bridge did not write. */
export function spokenLines(input: string): string[] {
  return input.split('\n').filter((line) => !/^\[\w{8}\] /.test(line));
}
