import { describe, expect, test } from 'vitest';
import { closedPolicy, type Policy } from '../../src/bridge/access/policy.ts';
import { makeMessageKey } from '../../src/bridge/ids.ts';
import type { FoundMessage, MessageReader } from '../../src/bridge/ports.ts';
import type { SlackAnswer, SlackApi } from '../../src/slack/api/slack-api.ts';
import { createSlackInbound } from '../../src/slack/inbound/inbound.ts';
import { createPeople } from '../../src/slack/people/people.ts';
import type { HttpTransport } from '../../src/slack/receiver/http.ts';
import type { Accept, Envelope } from '../../src/slack/receiver/transport.ts';
import { ask, bash } from '../bridge/thread/approvals/asking-people.ts';
import { BOT, createMiddle, type Middle, ROOT, silentLog, TEAM } from '../support/middle.ts';

/**
 * Every kind of delivery, of every kind of person, for every kind of workspace, through the receiver, Bolt, the listeners
 * and the intake. `U01ALICE` has a turn that runs and asks; she is the only admin.
 */
const APP = 'A0SANDBOX';
const OUR_ORGANISATION = 'E1';
const CHANNEL = 'C01GEN';
/** A card of the thread, and a message of Bob's outside of it. */
const CARD = '1000.000900';
const ABOUT = '900.000001';

interface Who {
  id: string;
  /** What the directory says; `null`: nobody of that id. */
  user: Record<string, unknown> | null;
  /** What stands in messages beside `user`. */
  app?: Record<string, unknown>;
}

const ours = { team_id: TEAM };
const PEOPLE = {
  'the requester, an admin': { id: 'U01ALICE', user: ours },
  'a member': { id: 'U02BOB', user: ours },
  'a colleague of another workspace': {
    id: 'U07GRID',
    user: {
      team_id: 'T02OTHER',
      is_stranger: true,
      enterprise_user: { enterprise_id: OUR_ORGANISATION, teams: ['T02OTHER'] },
    },
  },
  'a guest': { id: 'U04GUEST', user: { ...ours, is_restricted: true } },
  'a guest of one channel': { id: 'U08GUEST', user: { ...ours, is_restricted: true, is_ultra_restricted: true } },
  'a stranger of a shared channel': { id: 'U05EXT', user: { team_id: 'T05EXT', is_stranger: true } },
  'a stranger of another organisation': {
    id: 'U09EXT',
    user: { team_id: 'T05EXT', enterprise_user: { enterprise_id: 'E9', teams: ['T05EXT'] } },
  },
  'somebody unknown': { id: 'U99NONE', user: null },
  'a deactivated member': { id: 'U10GONE', user: { ...ours, deleted: true } },
  'a named bot': { id: 'U11BOT', user: { ...ours, is_bot: true }, app: { bot_id: 'B11', app_id: 'A11' } },
  'a bot that is not named': { id: 'U12BOT', user: { ...ours, is_bot: true }, app: { bot_id: 'B12', app_id: 'A12' } },
  'an app with the token of a member': { id: 'U02BOB', user: ours, app: { bot_id: 'B13', app_id: 'A13' } },
  'an app with the token of the admin': { id: 'U01ALICE', user: ours, app: { app_id: 'A13' } },
  'our own bot': { id: BOT, user: { ...ours, is_bot: true }, app: { bot_id: 'B0BOT', app_id: APP } },
  'our own app with the token of a member': { id: 'U02BOB', user: ours, app: { bot_id: 'B14', app_id: APP } },
} as const satisfies Record<string, Who>;
type Name = keyof typeof PEOPLE;
const EVERYBODY = Object.keys(PEOPLE) as Name[];

const MAY: readonly Name[] = ['the requester, an admin', 'a member', 'a colleague of another workspace'];
const SPEAK: readonly Name[] = [...MAY, 'a named bot'];
const MACHINES = EVERYBODY.filter((name) => 'app' in PEOPLE[name]);

/** What a delivery says of whose it is. */
const TEAMS = {
  ours: TEAM,
  'another workspace': 'T02OTHER',
  'another organisation': 'E9',
  none: null,
} as const;

type Effect = 'acts' | 'refused' | 'nothing';
type Envelopes = (who: Who, team: string | null, token: string) => Omit<Envelope, 'retryNum' | 'retryReason'>;

interface Row {
  make: Envelopes;
  /** Who has it done; everybody else is `otherwise`. */
  acts: readonly Name[];
  otherwise: Effect;
  /** Exceptions: Slack never sends such a thing for an app, or tells nobody. */
  nothing?: readonly Name[];
}

function eventOf(event: Record<string, unknown>, team: string | null): ReturnType<Envelopes> {
  const installed =
    team === null
      ? {}
      : team.startsWith('E')
        ? { enterprise_id: team, is_enterprise_install: true }
        : { team_id: team };
  const named = team === null ? {} : { team_id: team, authorizations: [{ user_id: BOT, is_bot: true, ...installed }] };
  const body = {
    type: 'event_callback',
    event_id: `Ev${Math.random()}`,
    api_app_id: APP,
    is_ext_shared_channel: false,
  };
  return { kind: 'events_api', body: { ...body, ...named, event } };
}

function interactive(payload: Record<string, unknown>, who: Who, team: string | null): ReturnType<Envelopes> {
  const placed =
    team === null
      ? { team: null, user: { id: who.id } }
      : team.startsWith('E')
        ? { team: null, enterprise: { id: team }, is_enterprise_install: true, user: { id: who.id, team_id: team } }
        : { team: { id: team, domain: 'x' }, user: { id: who.id, team_id: String(who.user?.team_id ?? team) } };
  return { kind: 'interactive', body: { api_app_id: APP, trigger_id: '1.2', ...payload, ...placed } };
}

let ts = 0;
function said(who: Who, type: 'message' | 'app_mention'): Record<string, unknown> {
  ts += 1;
  const at = `${2_000_000_000 + ts}.000001`;
  const author = { user: who.id, ...('app' in who ? who.app : { client_msg_id: 'c' }) };
  return {
    type,
    ...author,
    text: `<@${BOT}> list the files`,
    channel: CHANNEL,
    channel_type: 'channel',
    ts: at,
    event_ts: at,
  };
}

function reacted(who: Who, team: string | null, how: Record<string, unknown>): ReturnType<Envelopes> {
  ts += 1;
  const item = { type: 'message', channel: CHANNEL, ts: how.item_user === BOT ? CARD : ABOUT };
  return eventOf(
    { type: 'reaction_added', user: who.id, item, event_ts: `${2_000_000_000 + ts}.000002`, ...how },
    team,
  );
}

const container = { type: 'message', message_ts: '1000.000900', channel_id: CHANNEL, thread_ts: ROOT };

const ROWS: Record<string, Row> = {
  message: {
    make: (who, team) => eventOf(said(who, 'message'), team),
    acts: SPEAK,
    otherwise: 'refused',
    nothing: MACHINES,
  },
  app_mention: {
    make(who, team) {
      const { channel_type: _, ...mention } = said(who, 'app_mention');
      return eventOf({ ...mention, ...(who.id === 'U07GRID' && { user_team: OUR_ORGANISATION }) }, team);
    },
    acts: SPEAK,
    otherwise: 'refused',
    nothing: MACHINES,
  },
  'message_changed that adds a mention': {
    make(who, team) {
      const message = said(who, 'message');
      const edited = { user: who.id, ts: '9.1' };
      const now = { ...message, edited };
      const event = {
        type: 'message',
        subtype: 'message_changed',
        hidden: true,
        channel: CHANNEL,
        channel_type: 'channel',
      };
      const previous_message = { ...message, text: 'list the files' };
      return eventOf({ ...event, ts: '2000000000.9', message: now, previous_message }, team);
    },
    acts: MAY,
    otherwise: 'refused',
    nothing: MACHINES,
  },
  message_deleted: {
    make(who, team) {
      const event = {
        type: 'message',
        subtype: 'message_deleted',
        hidden: true,
        channel: CHANNEL,
        channel_type: 'channel',
      };
      return eventOf({ ...event, ts: '2000000000.9', deleted_ts: '1.1', previous_message: said(who, 'message') }, team);
    },
    acts: [],
    otherwise: 'nothing',
  },
  'a click on Stop': {
    make: (who, team, token) =>
      interactive(
        { type: 'block_actions', container, actions: [{ action_id: 'bridge_stop', value: token }] },
        who,
        team,
      ),
    acts: MAY,
    otherwise: 'refused',
  },
  'a submitted dialog that denies': {
    make: (who, team, token) =>
      interactive(
        {
          type: 'view_submission',
          view: {
            callback_id: 'bridge_deny_with_reason',
            private_metadata: token,
            state: { values: { bridge_input_0: { bridge_text: { value: 'no' } } } },
          },
        },
        who,
        team,
      ),
    acts: ['the requester, an admin'],
    otherwise: 'refused',
  },
  view_closed: {
    make: (who, team) =>
      interactive(
        { type: 'view_closed', view: { callback_id: 'bridge_deny_with_reason' }, is_cleared: false },
        who,
        team,
      ),
    acts: [],
    otherwise: 'nothing',
  },
  block_suggestion: {
    make: (who, team) =>
      interactive({ type: 'block_suggestion', action_id: 'x', block_id: 'y', value: 'z' }, who, team),
    acts: [],
    otherwise: 'nothing',
  },
  'a slash command that pauses all': {
    make: (who, team) => ({
      kind: 'slash_commands',
      body: {
        api_app_id: APP,
        command: '/agent',
        text: 'pause',
        user_id: who.id,
        channel_id: CHANNEL,
        channel_name: 'directmessage',
        trigger_id: '1.2',
        ...(team !== null &&
          (team.startsWith('E') ? { enterprise_id: team, is_enterprise_install: 'true' } : { team_id: team })),
      },
    }),
    acts: ['the requester, an admin'],
    otherwise: 'refused',
  },
  app_home_opened: {
    make: (who, team) =>
      eventOf({ type: 'app_home_opened', user: who.id, channel: 'D1', tab: 'home', event_ts: '1.1' }, team),
    acts: MAY,
    otherwise: 'refused',
    nothing: ['our own bot'],
  },
  agent_session_stopped: {
    make: (who, team) =>
      eventOf(
        { type: 'agent_session_stopped', user: who.id, channel: CHANNEL, thread_ts: ROOT, event_ts: '1.1' },
        team,
      ),
    acts: MAY,
    otherwise: 'refused',
  },
  channel_id_changed: {
    make: (_who, team) =>
      eventOf({ type: 'channel_id_changed', old_channel_id: CHANNEL, new_channel_id: 'C0NEW', event_ts: '1.1' }, team),
    acts: EVERYBODY,
    otherwise: 'nothing',
  },
  reaction_added: {
    make: (who, team) =>
      eventOf({ type: 'reaction_added', user: who.id, reaction: '+1', item: {}, event_ts: '1.1' }, team),
    acts: [],
    otherwise: 'nothing',
  },
  'reaction_added that the policy names': {
    make: (who, team) => reacted(who, team, { reaction: 'eyes', item_user: 'U02BOB' }),
    acts: MAY,
    otherwise: 'nothing',
  },
  'reaction_added to a card': {
    make: (who, team) => reacted(who, team, { reaction: '+1', item_user: BOT }),
    acts: [],
    // Told to use the buttons.
    otherwise: 'refused',
    nothing: EVERYBODY.filter((name) => !MAY.includes(name)),
  },
  'reaction_added that the policy names, to a card': {
    make: (who, team) => reacted(who, team, { reaction: 'eyes', item_user: BOT }),
    acts: [],
    otherwise: 'nothing',
  },
  'a question in the dialog of the shortcut': {
    make: (who, team) =>
      interactive(
        {
          type: 'view_submission',
          view: {
            callback_id: 'bridge_ask',
            private_metadata: `${CHANNEL} ${ABOUT} - 2000000000.000001`,
            state: { values: { bridge_input_0: { bridge_text: { value: 'why?' } } } },
          },
        },
        who,
        team,
      ),
    acts: MAY,
    otherwise: 'refused',
  },
};

const policy: Partial<Policy> = {
  users: { ...closedPolicy.users, members: true },
  admins: { ids: ['U01ALICE'], groups: [] },
  bots: { ids: ['B11'], inARow: 5, rate: { turns: 30, perMs: 3_600_000 } },
  channels: { everywhere: true, directMessages: false, ids: [CHANNEL] },
  defaults: { ...closedPolicy.defaults, reactions: { eyes: 'Look at this.' } },
};

/** What Slack has of the two messages that people react to. */
const FOUND: Record<string, Pick<FoundMessage, 'threadTs' | 'message' | 'own'>> = {
  [CARD]: { threadTs: ROOT, message: null, own: { kind: 'card', turn: 'turn-1' } },
  [ABOUT]: {
    threadTs: null,
    own: null,
    message: {
      ...{ key: makeMessageKey({ team: TEAM, channel: CHANNEL, ts: ABOUT }), team: TEAM, channel: CHANNEL },
      ...{ channelKind: 'channel', ts: ABOUT, threadTs: null, user: 'U02BOB', userTeam: TEAM, external: null },
      ...{ spans: [{ kind: 'text', text: 'deploy failed' }], files: [], mentionsBot: false },
    },
  },
};
const UNTOLD = ['eyes', '+1'].map((emoji) => ({ emoji, users: [], isComplete: false }));
const NOTHING = { threadTs: null, message: null, own: null };
/** Slack names none of those who reacted, so that the event counts. */
const reader: MessageReader = {
  readMessage: async (_, at) => ({ channelKind: 'channel', reactions: UNTOLD, ...(FOUND[at] ?? NOTHING) }),
};

interface Stage {
  middle: Middle;
  deliver(envelope: ReturnType<Envelopes>): Promise<Effect>;
  stop: string;
  card: string;
}

async function stage(): Promise<Stage> {
  const users = new Map<string, Who['user']>(Object.values(PEOPLE).map(({ id, user }) => [id, user]));
  const shown: string[] = [];
  const api: SlackApi = {
    async call(method, args) {
      if (method === 'views.publish') shown.push(JSON.stringify(args.view));
      if (method === 'chat.postEphemeral') shown.push(String(args.text));
      const user = users.get(String(args.user));
      return { ok: true, ...(user && { user: { id: args.user, name: 'x', ...user } }) } as SlackAnswer;
    },
  };
  const middle = createMiddle({
    policy,
    reader,
    hasFeedback: true,
    people: (clock) => createPeople({ api, clock, enterpriseId: OUR_ORGANISATION }),
  });
  await middle.write('start');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  await ask(middle, bash('npm publish'));
  let accept: Accept = () => Promise.reject(new Error('not started'));
  const transport: HttpTransport = {
    async start(take) {
      accept = take;
    },
    pause: () => undefined,
    stop: async () => undefined,
    state: () => ({ isConnected: true, since: 0 }),
    port: () => 0,
  } as HttpTransport;
  const identity = {
    teamId: TEAM,
    botUserId: BOT,
    botId: 'B0BOT',
    appId: APP,
    enterpriseId: OUR_ORGANISATION,
    url: null,
  };
  const inbound = createSlackInbound({
    ...{ mode: { transport }, intake: middle.intake, api, clock: middle.clock, identity },
    ...{ random: { next: () => 0.5, id: () => 'r' }, log: silentLog },
    metrics: { count: () => undefined, gauge: () => undefined, observe: () => undefined },
    whispers: middle.surface,
  });
  await inbound.start();
  const done = () =>
    JSON.stringify([
      [...middle.threads.records.values()].map(({ key, inbox, turn }) => [
        key,
        inbox.length,
        turn?.id,
        turn?.stoppedBy,
      ]),
      middle.connections.map(({ aborts, answers, submitted }) => [aborts, answers.length, submitted.length]),
    ]);
  return {
    middle,
    stop: middle.record().turn?.stopToken ?? '',
    card: middle.record().approvals[0]?.token ?? '',
    async deliver(envelope) {
      const before = { done: done(), heard: middle.surface.whispered.length, shown: shown.length };
      const answer = await accept({ ...envelope, retryNum: 0, retryReason: null });
      await middle.clock.advance(100);
      if (done() !== before.done) return 'acts';
      const home = shown.slice(before.shown).join();
      if (home.includes('Your threads') || home.includes('Nothing is running for you')) return 'acts';
      const words = [
        ...middle.surface.whispered.slice(before.heard).map(({ text }) => text),
        home,
        JSON.stringify(answer ?? ''),
      ];
      return words.join('').replace(/["{}[\]:,]|options/g, '') === '' ? 'nothing' : 'refused';
    },
  };
}

function expected({ acts, otherwise, nothing = [] }: Row, name: Name): Effect {
  if (acts.includes(name)) return 'acts';
  return nothing.includes(name) ? 'nothing' : otherwise;
}

describe.each(Object.entries(ROWS))('%s', (what, row) => {
  test('acts only for people who may, and never for other workspaces', async () => {
    const found: Record<string, string> = {};
    const wanted: Record<string, string> = {};
    for (const name of EVERYBODY) {
      // Only what an app posts can be told from what the person does whose token it has.
      if (!/message|mention/.test(what) && name.includes('with the token')) continue;
      const { deliver, stop, card } = await stage();
      const token = what.includes('dialog') ? card : stop;
      const foreign: Effect[] = [];
      for (const team of [TEAMS['another workspace'], TEAMS['another organisation'], TEAMS.none]) {
        foreign.push(await deliver(row.make(PEOPLE[name], team, token)));
      }
      const { kind, body } = row.make(PEOPLE[name], TEAM, token);
      const otherApp = await deliver({ kind, body: { ...body, api_app_id: 'A0OTHER' } });
      const own = await deliver(row.make(PEOPLE[name], TEAM, token));
      found[name] = [...foreign, otherApp, own].join(' ');
      wanted[name] = `nothing nothing nothing nothing ${expected(row, name)}`;
    }
    expect(found).toEqual(wanted);
  });
});
