import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizeEvent } from '../../../src/slack/inbound/normalize.ts';

interface Recorded {
  kind: string;
  origin: string;
  payload: Record<string, unknown> & { team_id?: string; event?: Record<string, unknown> };
}

const recorded = readFileSync(new URL('../../fixtures/slack/payloads.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded);

function identityOf({ payload }: Recorded) {
  const [first] = (payload.authorizations ?? []) as { user_id?: string }[];
  return { teamId: String(payload.team_id), botUserId: first?.user_id ?? 'U00FAKEBOT01', botId: 'B00FAKEBOT01' };
}

const us = { teamId: 'T1', botUserId: 'U0BOT', botId: 'B0BOT' };

function event(fields: Record<string, unknown>, envelope: Record<string, unknown> = {}) {
  const said = { type: 'message', channel: 'C1', channel_type: 'channel', user: 'U1', text: 'hi', ts: '1.000001' };
  return { type: 'event_callback', team_id: 'T1', api_app_id: 'A1', ...envelope, event: { ...said, ...fields } };
}

function message(payload: unknown) {
  const result = normalizeEvent(payload, us);
  if (result.kind !== 'message') throw new Error(`ignored: ${result.reason}`);
  return result.message;
}

function reason(payload: unknown) {
  const result = normalizeEvent(payload, us);
  return result.kind === 'ignored' ? result.reason : 'message';
}

describe('a recorded payload normalised', () => {
  test.each(recorded.map((line) => [line.kind, line.origin, line] as const))(
    'is read as a message, or ignored with its reason: %s of %s',
    (kind, _origin, line) => {
      const result = normalizeEvent(line.payload, identityOf(line));
      const said = line.payload.event;
      if (!kind.startsWith('event:')) expect(result).toMatchObject({ kind: 'ignored', reason: 'malformed' });
      else if (!/^event:(message|app_mention)/.test(kind)) {
        expect(result).toMatchObject({ kind: 'ignored', reason: 'not_a_message', detail: said?.type });
      } else if (kind.includes(':bot:') || kind.includes('message_changed')) {
        expect(result).toMatchObject({ kind: 'ignored', reason: 'own_message' });
      } else if (said?.user === 'USLACK') expect(result).toMatchObject({ kind: 'ignored', reason: 'slack_itself' });
      else {
        const text = String(said?.text);
        expect(result).toMatchObject({
          kind: 'message',
          message: {
            key: `${line.payload.team_id}:${said?.channel}:${said?.ts}`,
            user: said?.user,
            threadTs: said?.thread_ts ?? null,
            userTeam: said?.team ?? null,
            mentionsBot: text.includes(`<@${identityOf(line).botUserId}>`),
            files: ((said?.files ?? []) as { id: string }[]).map(({ id }) => ({ id })),
          },
        });
      }
    },
  );

  test('is the same from an app_mention, except the channel’s kind', () => {
    const said = recorded.filter(({ payload }) => payload.event?.ts === '1766458026.240809');
    const twins = said.filter(({ kind }) => /^event:(app_mention|message:channel)$/.test(kind));
    const [first, second] = twins.map((twin) => normalizeEvent(twin.payload, identityOf(twin)));
    expect(twins).toHaveLength(2);
    const known = (twin: typeof first) =>
      twin?.kind === 'message' ? { ...twin.message, isKindGuessed: undefined } : twin;
    expect(known(first)).toEqual(known(second));
    expect([first, second]).toContainEqual({
      kind: 'message',
      message: expect.objectContaining({ channelKind: 'channel', isKindGuessed: true }),
    });
  });

  test('hands on a pasted table as a Markdown table', () => {
    const line = recorded.find(({ payload }) => payload.event_id === 'Ev0ATABLE001');
    const result = line && normalizeEvent(line.payload, identityOf(line));
    expect(result).toMatchObject({ kind: 'message' });
    expect(JSON.stringify(result)).toContain('| Samsung | QB55C | 3 |');
  });
});

describe('a normalised message', () => {
  test('is made from file_share, thread_broadcast and me_message', () => {
    const file = { id: 'F1', name: 'a.png', mimetype: 'image/png', size: 12, url_private: 'https://secret' };
    expect(message(event({ subtype: 'file_share', text: '', files: [file] })).files).toEqual([
      { id: 'F1', name: 'a.png', mimetype: 'image/png', size: 12 },
    ]);
    expect(message(event({ subtype: 'thread_broadcast', thread_ts: '0.000009' })).threadTs).toBe('0.000009');
    expect(message(event({ subtype: 'me_message', text: 'waves' })).spans).toEqual([{ kind: 'text', text: 'waves' }]);
  });

  test('names files by their id when Slack does not describe them', () => {
    const files = [{ id: 'F1', file_access: 'check_file_info' }, { nothing: true }, null];
    expect(message(event({ files })).files).toEqual([{ id: 'F1', name: 'F1', mimetype: null, size: null }]);
  });

  test('has no thread when its thread_ts is its own ts', () => {
    expect(message(event({ thread_ts: '1.000001' })).threadTs).toBeNull();
  });

  test('mentions the bot when its text does, whatever the event type', () => {
    expect(message(event({ type: 'app_mention', text: 'hi' })).mentionsBot).toBe(false);
    expect(message(event({ text: 'hey <@U0BOT|bot>' })).mentionsBot).toBe(true);
    expect(message(event({ text: '&lt;@U0BOT&gt; <@U0BOTTLE>' })).mentionsBot).toBe(false);
  });

  test('marks people of other organisations and shared channels', () => {
    const said = message(event({ user_team: 'T2', team: 'T1' }, { is_ext_shared_channel: true }));
    expect(said).toMatchObject({ userTeam: 'T2', external: true, team: 'T1' });
  });

  test('takes its kind of channel from the id where events lack it', () => {
    const kind = (channel: string) => message(event({ channel, channel_type: undefined })).channelKind;
    expect([kind('D1'), kind('G1'), kind('C1')]).toEqual(['im', 'group', 'channel']);
    expect(message(event({ channel: 'C1', channel_type: 'mpim' })).channelKind).toBe('mpim');
  });

  test('includes a forwarded message as a quote', () => {
    const preview = { from_url: 'https://x.example', text: 'preview' };
    const attachments = [{ is_share: true, author_name: 'Bo', text: 'see &lt;this&gt;\nplease' }, preview];
    expect(message(event({ text: '', attachments })).spans).toEqual([
      { kind: 'text', text: '\n[forwarded message of Bo]\n> see <this>\n> please\n' },
    ]);
  });
});

describe('messages of bots and workflows', () => {
  test('are marked with the bot, so that access can be checked', () => {
    const app = message(event({ user: 'U7', bot_id: 'B7', app_id: 'A7', bot_profile: { name: 'Alerts\n' } }));
    expect(app).toMatchObject({ user: 'B7', bot: { user: 'U7', name: 'Alerts' } });
    const workflow = message(event({ subtype: 'bot_message', user: undefined, bot_id: 'B8', username: 'Standup' }));
    expect(workflow).toMatchObject({ user: 'B8', bot: { user: null, name: 'Standup' } });
    expect(message(event({})).bot).toBeUndefined();
  });

  test.each([
    ['without a bot id', {}, 'USLACKBOT'],
    ['with one', { bot_id: 'B01', subtype: 'bot_message' }, 'B01'],
  ] as const)('of Slackbot are marked, too: %s', (_, more, user) => {
    const reminder = message(event({ user: 'USLACKBOT', text: 'Reminder: <@U0BOT> post it.', ...more }));
    expect(reminder).toMatchObject({ user, bot: { user: 'USLACKBOT', name: 'Slackbot' }, mentionsBot: true });
  });
});

describe('a message with words outside its text', () => {
  test.each([
    ['a placeholder alone', { text: 'This content can’t be displayed.' }],
    ['a placeholder behind a mention', { text: '<@U0BOT> This content can&#39;t be displayed.' }],
    ['a picture without words', { text: '', attachments: [{ id: 1, thumb_url: 'https://x.example' }] }],
    ['unknown blocks', { text: '', blocks: [{ type: 'invented_in_2031' }] }],
  ])('with no readable words, %s: marked as unread', (_what, fields) => {
    const said = message(event({ user: undefined, bot_id: 'B7', subtype: 'bot_message', ...fields }));
    expect(said.unread).toBe(true);
    expect(said.spans.filter(({ kind }) => kind === 'text')).toEqual([]);
  });

  test('keeps its text, even when that quotes a placeholder', () => {
    expect(message(event({ text: 'why "This content can\'t be displayed"?' })).unread).toBeUndefined();
    const said = message(event({ text: 'disk full', attachments: [{ text: '98 %' }] }));
    expect(said.spans).toEqual([{ kind: 'text', text: 'disk full\n98 %' }]);
    expect(said.unread).toBeUndefined();
  });

  test('mentions the bot when only its blocks do', () => {
    const elements = [{ type: 'rich_text_section', elements: [{ type: 'user', user_id: 'U0BOT' }] }];
    expect(message(event({ text: 'alert', blocks: [{ type: 'rich_text', elements }] })).mentionsBot).toBe(true);
  });
});

describe('an app that posts with a person’s token', () => {
  const posted = { user: 'U1', app_id: 'A7', client_msg_id: undefined };
  test.each([
    ['with a bot id', { ...posted, bot_id: 'B7' }, 'B7'],
    ['with a profile alone', { ...posted, bot_profile: { id: 'B7', name: 'Poster' } }, 'B7'],
    ['with its app id alone', posted, 'A7'],
  ])('is taken for the app, not the person, when recognised %s', (_what, fields, id) => {
    expect(message(event(fields))).toMatchObject({ user: id, bot: { user: 'U1' } });
  });

  test('is ignored as our own when it has our app id', () => {
    expect(reason(event({ ...posted, app_id: 'A1', bot_id: 'B7' }))).toBe('own_message');
    expect(reason(event({ ...posted, app_id: 'A1' }))).toBe('own_message');
  });

  test('is ignored as malformed when the app’s id cannot be read', () => {
    expect(reason(event({ ...posted, app_id: undefined, bot_id: 'b 7' }))).toBe('malformed');
    expect(reason(event({ subtype: 'bot_message', app_id: undefined }))).toBe('malformed');
  });
});

describe('an organisation with several workspaces', () => {
  const grid = { authorizations: [{ team_id: 'T1', enterprise_id: 'E1' }] };
  test('counts as the same team when an event names the organisation', () => {
    const mention = { type: 'app_mention', user_team: 'E1', source_team: 'E1', team: undefined };
    expect(message(event(mention, grid)).userTeam).toBeNull();
    expect(message(event(mention)).userTeam).toBeNull();
    const known = normalizeEvent(event(mention), { ...us, enterpriseId: 'E1' });
    expect(known).toMatchObject({ message: { userTeam: null } });
  });

  test('counts any other organisation as another team', () => {
    expect(message(event({ user_team: 'E9' }, grid)).userTeam).toBe('E9');
    expect(message(event({ user_team: 'T9' }, grid)).userTeam).toBe('T9');
  });
});

describe('an event that is no message', () => {
  test.each([
    ['own_message', event({ user: 'U0BOT' })],
    ['own_message', event({ user: 'U7', bot_id: 'B0BOT' })],
    ['own_message', event({ user: 'U7', bot_id: 'B7', app_id: 'A1' })],
    ['own_message', event({ subtype: 'message_changed', message: { user: 'U0BOT', edited: {} } })],
    ['malformed', event({ subtype: 'bot_message', user: undefined })],
    ['malformed', event({ user: undefined })],
    ['edited', event({ subtype: 'message_changed', message: { user: 'U1', text: 'new' } })],
    ['deleted', event({ subtype: 'message_deleted', hidden: true })],
    ['hidden', event({ hidden: true })],
    ['not_speech', event({ subtype: 'channel_join' })],
    ['not_speech', event({ subtype: 'invented_next_year' })],
    ['mention_twin_in_dm', event({ type: 'app_mention', channel: 'D1', channel_type: undefined })],
    ['empty', event({ text: ' \n', blocks: [] })],
    ['slack_itself', event({ user: 'USLACK' })],
    ['other_workspace', event({}, { team_id: 'T2', authorizations: [{ team_id: 'T3' }] })],
    ['malformed', event({ ts: 17 })],
    ['malformed', event({ channel: 'C:1' })],
    ['malformed', { event: 'no' }],
    ['malformed', null],
  ])('is ignored as %s', (expected, payload) => {
    expect(reason(payload)).toBe(expected);
  });

  test('never throws, whatever its shape', () => {
    const anything = fc.record({
      type: fc.constantFrom('message', 'app_mention'),
      channel: fc.oneof(fc.constant('C1'), fc.anything()),
      ts: fc.oneof(fc.constant('1.000001'), fc.anything()),
      user: fc.oneof(fc.constant('U1'), fc.anything()),
      text: fc.anything(),
      blocks: fc.anything(),
      files: fc.anything(),
      attachments: fc.anything(),
      message: fc.anything(),
      subtype: fc.oneof(fc.constant(undefined), fc.anything()),
    });
    fc.assert(fc.property(fc.oneof(anything, fc.anything()), (said) => void normalizeEvent({ event: said }, us)));
  });
});
