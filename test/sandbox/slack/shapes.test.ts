import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, events, type Json, payloads, slackFor } from './support.ts';

interface Recorded {
  kind: string;
  origin: string;
  payload: Json;
}

const recorded: Recorded[] = readFileSync(new URL('../../fixtures/slack/payloads.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);

/** Keys and types of a payload as `path: type` lines; items of an array are numbered. */
function shape(value: unknown, path = ''): string[] {
  if (Array.isArray(value))
    return [`${path}: array`, ...value.flatMap((item, index) => shape(item, `${path}[${index}]`))];
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => {
      const at = path === '' ? key : `${path}.${key}`;
      return typeof inner === 'object' && inner !== null ? [`${at}: object`, ...shape(inner, at)] : shape(inner, at);
    });
  }
  return [`${path}: ${value === null ? 'null' : typeof value}`];
}

/** What this Slack has nothing of: Enterprise Grid, image previews, the assistant's token, pasted tables. */
const NOT_HERE = /enterprise|\.thumb_|\.original_[wh]|assistant_thread|\.attachments|dispatch_action_config/;

function comparable(value: unknown): string[] {
  return shape(value).filter((line) => !NOT_HERE.test(line));
}

function of(kind: RegExp): Recorded[] {
  return recorded.filter((item) => kind.test(item.kind));
}

/** Recordings with all keys that Slack sends; the others were trimmed by their recorders. */
const isWhole = ({ payload }: Recorded) => 'event_context' in payload && 'blocks' in (payload.event as Json);

function typedText(text: unknown): string {
  return String(text)
    .replace(/<@U\w*BOT\w*>|<@U0A9G5N5URZ>|<@U0B2H7P8VTX>/g, '@agent')
    .replace(/<@U\w+>/g, '@bob')
    .replace(/<#C\w+>/g, '#eng');
}

function last(slack: SmallSlack, type: string): Json {
  const found = payloads(slack).filter(({ event }) => (event as Json | undefined)?.type === type);
  return found.at(-1) ?? {};
}

describe('a person’s action in the shape of real Slack', () => {
  const spoken = recorded.filter(({ kind }) => /^event:(app_mention|message(:thread)?(:channel|:im)?)$/.test(kind));

  test.each(spoken.map((item) => [`${item.kind} of ${item.origin}`, item] as const))(
    'sends the event %s',
    async (_name, item) => {
      const event = item.payload.event as Json;
      const im = event.channel_type === 'im';
      const slack = await slackFor({ agent: 'app_context' in event });
      const channel = im ? 'D01ALICE' : 'C02ENG';
      const root = event.thread_ts
        ? await slack.control.message({ channel, user: 'U01ALICE', text: 'root' })
        : undefined;
      const files = Array.isArray(event.files) ? [{ name: 'image.png', base64: 'iVBORw0KGgo=' }] : undefined;
      await slack.control.message({
        channel,
        user: 'U01ALICE',
        text: typedText(event.text),
        thread_ts: root?.ts,
        files,
      });

      const ours = last(slack, String(event.type));
      expect(comparable(ours)).toEqual(expect.arrayContaining(comparable(item.payload)));
      if (isWhole(item)) expect(comparable(item.payload)).toEqual(expect.arrayContaining(comparable(ours)));
    },
  );

  test('sends a reaction', async () => {
    const slack = await slackFor();
    const { ts } = await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'hi' });
    await slack.control.reaction({ channel: 'C01GEN', messageTs: ts, user: 'U02BOB', name: '+1' });
    const [item] = of(/^event:reaction_added$/);
    expect(comparable(last(slack, 'reaction_added'))).toEqual(expect.arrayContaining(comparable(item?.payload)));
  });

  test('sends joining a channel', async () => {
    const slack = await slackFor();
    await slack.control.member({ channel: 'C03OUT', user: 'U0BOT', joined: true });
    const [item] = of(/^event:member_joined_channel/);
    const ours = comparable(last(slack, 'member_joined_channel'));
    expect(ours.sort()).toEqual(comparable(item?.payload).sort());
  });

  test('sends opening the agent’s app and looking elsewhere', async () => {
    const slack = await slackFor({ agent: true });
    await slack.control.openHome({ user: 'U01ALICE', tab: 'messages' });
    await slack.control.contextChanged({ user: 'U01ALICE', channel: 'C01GEN' });
    for (const type of ['app_home_opened', 'app_context_changed']) {
      const [item] = of(new RegExp(`^event:${type}$`));
      expect(comparable(last(slack, type))).toEqual(expect.arrayContaining(comparable(item?.payload)));
    }
  });

  test.each(of(/^slash_command$/).map((item) => [item.origin, item] as const))(
    'sends a command: %s',
    async (_name, item) => {
      const slack = await slackFor({ ackTimeoutMs: 20 });
      const text = String(item.payload.text);
      await slack.control.command({ channel: 'C01GEN', user: 'U01ALICE', command: '/agent', text });
      expect(comparable(payloads(slack).at(-1)).sort()).toEqual(comparable(item.payload).sort());
    },
  );
});

describe('a message of the app in the shape of real Slack', () => {
  async function thread(slack: SmallSlack): Promise<string> {
    return (await slack.control.message({ channel: 'C02ENG', user: 'U01ALICE', text: 'root' })).ts;
  }

  test.each(of(/^event:message:bot/).map((item) => [item.origin, item] as const))(
    'comes back as post: %s',
    async (_name, item) => {
      const slack = await slackFor();
      const event = item.payload.event as Json;
      const given = (event.blocks as Json[]).some((block) => block.type === 'rich_text')
        ? {}
        : { blocks: event.blocks };
      const text = String(event.text).replaceAll('\\n', '\n');
      await call(slack, 'chat.postMessage', { channel: 'C02ENG', thread_ts: await thread(slack), text, ...given });
      const ours = comparable(last(slack, 'message'));
      expect(ours).toEqual(expect.arrayContaining(comparable(item.payload)));
      const recordedLines = [...comparable(item.payload), ...ours.filter((line) => line.includes('bot_profile'))];
      expect(recordedLines).toEqual(expect.arrayContaining(ours));
    },
  );

  test.each(of(/message_changed/).map((item) => [item.origin, item] as const))(
    'comes back as edit: %s',
    async (_name, item) => {
      const slack = await slackFor();
      const event = item.payload.event as { message: Json; previous_message: Json };
      const post = await call(slack, 'chat.postMessage', {
        channel: 'C02ENG',
        thread_ts: await thread(slack),
        text: event.previous_message.text,
      });
      const { ts } = post.body;
      if (event.previous_message.edited) await call(slack, 'chat.update', { channel: 'C02ENG', ts, text: 'Once' });
      await call(slack, 'chat.update', { channel: 'C02ENG', ts, text: event.message.text });
      expect(comparable(last(slack, 'message')).sort()).toEqual(comparable(item.payload).sort());
    },
  );
});

describe('an interaction in the shape of real Slack', () => {
  function withoutIds(blocks: unknown): Json[] {
    return (blocks as Json[]).map(({ block_id: _id, ...block }) => block);
  }

  test.each(of(/^block_actions$/).map((item) => [item.origin, item] as const))(
    'sends a click: %s',
    async (_name, item) => {
      const slack = await slackFor({ ackTimeoutMs: 20 });
      const { container, actions, message } = item.payload as {
        container: { is_ephemeral: boolean };
        actions: [Json];
        message?: { blocks?: Json[]; text?: string };
      };
      const { block_id: _id, action_ts: _ts, selected_option: option, ...element } = actions[0];
      if (option) element.options = [option];
      const blocks = message?.blocks ? withoutIds(message.blocks) : [{ type: 'actions', elements: [element] }];
      const root = await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'root' });
      const args = { channel: 'C01GEN', thread_ts: root.ts, blocks, text: message?.text ?? 'card' };
      const post = container.is_ephemeral
        ? await call(slack, 'chat.postEphemeral', { ...args, user: 'U01ALICE' })
        : await call(slack, 'chat.postMessage', args);
      await slack.control.interact({
        channel: 'C01GEN',
        messageTs: String(post.body.ts ?? post.body.message_ts),
        user: 'U01ALICE',
        action: String(element.action_id),
        option: option ? String((option as Json).value) : undefined,
      });
      const ours = comparable(payloads(slack).at(-1));
      expect(ours).toEqual(expect.arrayContaining(comparable(item.payload)));
      if (message?.blocks) expect(comparable(item.payload).sort()).toEqual(ours.sort());
    },
  );

  test.each(of(/^view_submission$/).map((item) => [item.origin, item] as const))(
    'sends a form: %s',
    async (_name, item) => {
      const slack = await slackFor({ ackTimeoutMs: 20 });
      const view = item.payload.view as Json & { state: { values: Record<string, Record<string, Json>> } };
      await slack.control.command({ channel: 'C01GEN', user: 'U01ALICE', command: '/agent' });
      const opened = await call(slack, 'views.open', {
        trigger_id: payloads(slack).at(-1)?.trigger_id,
        view: {
          type: 'modal',
          title: view.title,
          submit: view.submit,
          close: view.close,
          callback_id: view.callback_id,
          private_metadata: view.private_metadata,
          notify_on_close: view.notify_on_close,
          blocks: view.blocks,
        },
      });
      expect(opened.body.ok).toBe(true);
      const values: Record<string, string> = {};
      for (const [blockId, inputs] of Object.entries(view.state.values)) {
        for (const { value, selected_option: option } of Object.values(inputs)) {
          values[blockId] = String(value ?? (option as Json).value);
        }
      }
      await slack.control.viewSubmit({ user: 'U01ALICE', values });
      const ours = payloads(slack).at(-1);
      expect(ours?.type).toBe('view_submission');
      expect(comparable(ours).sort()).toEqual(comparable(item.payload).sort());
    },
  );
});

describe('a mention in the small Slack', () => {
  test('sends two events with the same message and different event ids', async () => {
    const slack = await slackFor();
    const { ts } = await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent hello' });
    const twins = payloads(slack);
    expect(events(slack).map((event) => event.ts)).toEqual([ts, ts]);
    expect(
      events(slack)
        .map((event) => event.type)
        .sort(),
    ).toEqual(['app_mention', 'message']);
    expect(new Set(twins.map((payload) => payload.event_id)).size).toBe(2);
  });
});
