import { describe, expect, it } from 'vitest';
import { Door } from '../../../src/bridge/access/door.ts';
import { closedPolicy, type Policy } from '../../../src/bridge/access/policy.ts';
import { makeMessageKey, makeThreadKey } from '../../../src/bridge/ids.ts';
import type { ChannelKind, InboundMessage } from '../../../src/bridge/inbound.ts';
import type { PersonKind } from '../../../src/bridge/person.ts';
import { SHARED, TEAM } from '../../support/middle.ts';

/** Everybody who may turn up. Of the bots Slack tells by the message what they are. */
const PEOPLE = {
  member: { id: 'U01ALICE', kind: 'member' },
  'named member': { id: 'U02NAMED', kind: 'member' },
  'group member': { id: 'U03GROUP', kind: 'member' },
  admin: { id: 'U04ADMIN', kind: 'member' },
  guest: { id: 'U05GUEST', kind: 'guest' },
  'guest in the group': { id: 'U06GUEST', kind: 'guest' },
  'named guest': { id: 'U07GUEST', kind: 'guest' },
  external: { id: 'U08EXT', kind: 'external' },
  'named external': { id: 'U09EXT', kind: 'external' },
  'member by the directory, external by the event': { id: 'U10FOREIGN', kind: 'member', team: 'T99' },
  deactivated: { id: 'U11GONE', kind: 'deactivated' },
  'named, but deactivated': { id: 'U12GONE', kind: 'deactivated' },
  bot: { id: 'B13', kind: 'bot', user: 'U13BOT' },
  'bot named by its user': { id: 'B14', kind: 'bot', user: 'U14BOT' },
  'named bot': { id: 'B17', kind: 'bot', user: 'U17BOT' },
  workflow: { id: 'B15', kind: 'bot', user: null },
  'named workflow': { id: 'B16', kind: 'bot', user: null },
} as const satisfies Record<string, { id: string; kind: PersonKind; team?: string; user?: string | null }>;
type Who = keyof typeof PEOPLE;
const EVERYBODY = Object.keys(PEOPLE) as Who[];

const PLACES = {
  'a served channel': { channel: 'C01GEN', channelKind: 'channel' },
  'a private channel that is served': { channel: 'G02ENG', channelKind: 'group' },
  'a channel that is not served': { channel: 'C03OUT', channelKind: 'channel' },
  'a shared channel that is served': { channel: 'C04PARTNER', channelKind: 'channel', external: true },
  'a shared channel that is not named': { channel: SHARED, channelKind: 'channel', external: true },
  'a direct message': { channel: 'D01', channelKind: 'im' },
  'a group direct message': { channel: 'C05MPIM', channelKind: 'mpim' },
  'a shared group direct message': { channel: 'C06MPIM', channelKind: 'mpim', external: true },
} as const satisfies Record<string, { channel: string; channelKind: ChannelKind; external?: boolean }>;
type Where = keyof typeof PLACES;
const EVERYWHERE = Object.keys(PLACES) as Where[];

const named: Policy = {
  ...closedPolicy,
  users: { everyone: false, members: false, ids: ['U02NAMED', 'U07GUEST', 'U09EXT', 'U12GONE'], groups: ['S01'] },
  admins: { ids: ['U04ADMIN'], groups: [] },
  channels: { everywhere: false, directMessages: true, ids: ['C01GEN', 'G02ENG', 'C04PARTNER'] },
  bots: { ids: ['U14BOT', 'B16', 'B17'], inARow: 3, rate: { turns: 30, perMs: 3_600_000 } },
};
const members: Policy = { ...named, users: { ...named.users, members: true } };
const everywhere: Policy = { ...members, channels: { everywhere: true, directMessages: false, ids: ['C04PARTNER'] } };

const GROUP = new Set(['U03GROUP', 'U06GUEST']);

function doorWith(policy: Policy): Door {
  const byId = new Map<string, PersonKind>(Object.values(PEOPLE).map(({ id, kind }) => [id, kind]));
  return new Door({
    policies: { current: () => policy },
    groups: { listMembers: async (group) => (group === 'S01' ? GROUP : new Set()) },
    people: {
      // Slack's directory knows no bot ids.
      getPerson: async (id, team) => ({
        id,
        team,
        kind: id.startsWith('B') ? 'external' : (byId.get(id) ?? 'external'),
        name: id,
      }),
      isShared: async (channel) =>
        Object.values(PLACES).some((place) => place.channel === channel && 'external' in place),
      isGroupDm: async (channel) =>
        Object.values(PLACES).some((place) => place.channel === channel && place.channelKind === 'mpim'),
    },
  });
}

function messageOf(who: Who, where: Where): InboundMessage {
  const person: { id: string; kind: PersonKind; team?: string; user?: string | null } = PEOPLE[who];
  const place: { channel: string; channelKind: ChannelKind; external?: boolean } = PLACES[where];
  return {
    key: makeMessageKey({ team: TEAM, channel: place.channel, ts: '1.1' }),
    team: TEAM,
    channel: place.channel,
    channelKind: place.channelKind,
    ts: '1.1',
    threadTs: null,
    user: person.id,
    ...(person.user !== undefined && { bot: { user: person.user, name: null } }),
    userTeam: person.team ?? TEAM,
    external: place.external ?? false,
    spans: [{ kind: 'text', text: 'hi' }],
    files: [],
    mentionsBot: true,
  };
}

async function allowed(
  policy: Policy,
  ask: (door: Door, who: Who, where: Where) => Promise<{ verdict: { allowed: boolean } }>,
) {
  const door = doorWith(policy);
  const found: [Where, Who[]][] = [];
  for (const where of EVERYWHERE) {
    const who: Who[] = [];
    for (const each of EVERYBODY) if ((await ask(door, each, where)).verdict.allowed) who.push(each);
    found.push([where, who]);
  }
  return Object.fromEntries(found);
}

const NAMED: Who[] = [
  'named member',
  'group member',
  'admin',
  'named guest',
  'named external',
  'bot named by its user',
  'named bot',
  'named workflow',
];
const MEMBERS: Who[] = ['member', ...NAMED];
const inOrder = (who: Who[]) => EVERYBODY.filter((each) => who.includes(each));
const noBots = (who: Who[]) => inOrder(who.filter((each) => PEOPLE[each].kind !== 'bot'));

describe('the door for messages', () => {
  const speak = (door: Door, who: Who, where: Where) => door.judgeMessage(messageOf(who, where));

  it('named people and places: lets in only these people, only there', async () => {
    const here = inOrder(NAMED);
    expect(await allowed(named, speak)).toEqual({
      'a served channel': here,
      'a private channel that is served': here,
      'a channel that is not served': [],
      'a shared channel that is served': here,
      'a shared channel that is not named': [],
      'a direct message': here,
      'a group direct message': here,
      'a shared group direct message': [],
    });
  });

  it('members: lets in guests, outsiders, bots and workflows only when named', async () => {
    const here = inOrder(MEMBERS);
    expect(await allowed(members, speak)).toMatchObject({ 'a served channel': here, 'a direct message': here });
  });

  it('everywhere: means all channels except shared ones not named', async () => {
    const here = inOrder(MEMBERS);
    expect(await allowed(everywhere, speak)).toEqual({
      'a served channel': here,
      'a private channel that is served': here,
      'a channel that is not served': here,
      'a shared channel that is served': here,
      'a shared channel that is not named': [],
      'a direct message': here,
      'a group direct message': here,
      'a shared group direct message': [],
    });
  });

  it('empty policy: lets no person in', async () => {
    const nobody = Object.fromEntries(EVERYWHERE.map((where) => [where, []]));
    expect(await allowed(closedPolicy, speak)).toEqual(nobody);
  });

  it('refused: each verdict has a reason and a notice', async () => {
    for (const policy of [closedPolicy, named, members, everywhere]) {
      for (const who of EVERYBODY) {
        for (const where of EVERYWHERE) {
          const { verdict } = await doorWith(policy).judgeMessage(messageOf(who, where));
          if (verdict.allowed) continue;
          expect(verdict.reason).toMatch(/^[a-z_]+$/);
          expect(verdict.notice).toMatch(/^[A-Z][^\n]{10,300}\.$/);
        }
      }
    }
  });
});

describe('the door for clicks and commands', () => {
  const click = (door: Door, who: Who, where: Where) =>
    door.judgeClick(makeThreadKey({ team: TEAM, channel: PLACES[where].channel, root: '1.1' }), PEOPLE[who].id, {
      do: 'look',
    });
  const command = (door: Door, who: Who, where: Where) => {
    const { channel, channelKind } = PLACES[where];
    return door.judgeCommand({
      text: '',
      actor: { user: PEOPLE[who].id, team: TEAM },
      team: TEAM,
      channel,
      channelKind,
    });
  };
  // Nothing but a message's event tells that somebody whom the directory has as a member writes from outside.
  const directory: Who = 'member by the directory, external by the event';

  it('lets in the same people as for messages, but no bots', async () => {
    const here = noBots([...MEMBERS, directory]);
    const found = {
      'a served channel': here,
      'a channel that is not served': here,
      'a shared channel that is served': here,
      'a shared channel that is not named': [],
      'a direct message': here,
    };
    expect(await allowed(everywhere, click)).toMatchObject(found);
    expect(await allowed(everywhere, command)).toMatchObject({
      ...found,
      'a shared channel that is not named': ['admin'],
    });
  });

  it('approver who may not speak: may click where they approve', async () => {
    const approvers = { requester: true, ids: ['U05GUEST'], groups: [] };
    const policy: Policy = { ...named, places: new Map([['C01GEN', { approvers }]]) };
    const found = await allowed(policy, click);
    expect(found['a served channel']).toContain('guest');
    expect(found['a private channel that is served']).not.toContain('guest');
    expect((await allowed(policy, command))['a served channel']).not.toContain('guest');
  });
});

describe('the door’s questions to Slack', () => {
  it('asks about sharing only for channels that are not named', async () => {
    const asked: string[] = [];
    const parts = {
      people: {
        getPerson: async (id: string, team: string) => ({ id, team, kind: 'member' as const, name: id }),
        isShared: async (channel: string) => asked.push(channel) > 0,
        isGroupDm: async () => false,
      },
      groups: { listMembers: async (group: string) => new Set([asked.push(group) > 0 ? group : '']) },
    };
    const at = (policy: Policy, channel: string) =>
      new Door({ ...parts, policies: { current: () => policy } }).judgeClick(
        makeThreadKey({ team: TEAM, channel, root: '1.1' }),
        'U1',
        { do: 'look' },
      );
    const plain: Policy = { ...members, users: { ...members.users, groups: [] } };
    await at(plain, 'C01GEN');
    await at(plain, 'C03OUT');
    await at(plain, 'D01');
    expect(asked).toEqual([]);
    await at({ ...plain, channels: everywhere.channels }, 'C03OUT');
    expect(asked).toEqual(['C03OUT']);
  });
});
