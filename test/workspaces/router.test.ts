import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type OurIds, whyForeign } from '../../src/slack/inbound/ours.ts';
import type { Installation, InstallationQuery } from '../../src/slack/installations/installations.ts';
import { createRouter } from '../../src/workspaces/router.ts';
import { createFakeClock } from '../support/clock.ts';

const APP = 'A01APP';
const TEAMS = ['T01', 'T02', 'T03', 'T04'] as const;
const ORGANISATIONS = ['E01', 'E02'] as const;

function installed(workspace: string): Installation {
  const isEnterpriseInstall = workspace.startsWith('E');
  return {
    workspace,
    source: 'oauth',
    teamId: isEnterpriseInstall ? null : workspace,
    enterpriseId: isEnterpriseInstall ? workspace : null,
    isEnterpriseInstall,
    openToken: () => ({ get: async () => 'xoxb' }),
  };
}

const idsOf = ({ teamId, enterpriseId, isEnterpriseInstall, workspace }: Installation): OurIds => ({
  ...{ teamId: teamId ?? workspace, enterpriseId, isEnterpriseInstall, appId: APP },
});

function start(workspaces: readonly string[]) {
  const clock = createFakeClock();
  const asked: InstallationQuery[] = [];
  const listeners = new Set<() => void>();
  const all = new Map(workspaces.map((each) => [each, installed(each)]));
  const router = createRouter({
    appId: APP,
    clock,
    installations: {
      find: async (query) => {
        asked.push(query);
        return all.get((query.isEnterpriseInstall ? query.enterpriseId : query.teamId) ?? '') ?? null;
      },
      onChanged(listener) {
        const own = () => listener({ kind: 'installed', workspace: 'T01' });
        listeners.add(own);
        return () => listeners.delete(own);
      },
    },
  });
  const change = () => {
    for (const each of listeners) each();
  };
  return { router, asked, clock, all, change };
}

const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const team = fc.constantFrom(...TEAMS, 'T99');
const organisation = fc.constantFrom(...ORGANISATIONS, 'E99');
const app = maybe(fc.constantFrom(APP, 'A99'));
const flag = maybe(fc.constantFrom(true, false));
const person = fc.record({ id: fc.constant('U01'), team_id: maybe(team) });

const event = fc.record({
  ...{ type: fc.constant('event_callback'), api_app_id: app, team_id: maybe(team), context_team_id: maybe(team) },
  ...{ enterprise_id: maybe(organisation), context_enterprise_id: maybe(organisation) },
  authorizations: maybe(
    fc.array(fc.record({ team_id: maybe(team), enterprise_id: maybe(organisation), is_enterprise_install: flag }), {
      maxLength: 2,
    }),
  ),
  event: fc.record({
    type: fc.constantFrom('message', 'app_mention', 'app_home_opened', 'reaction_added', 'member_joined_channel'),
    user: fc.constant('U01'),
  }),
});
const interaction = fc.record({
  type: fc.constantFrom('block_actions', 'view_submission', 'view_closed', 'message_action', 'block_suggestion'),
  ...{ api_app_id: app, user: person, is_enterprise_install: flag },
  team: maybe(fc.option(fc.record({ id: team }), { nil: null })),
  enterprise: maybe(fc.option(fc.record({ id: organisation }), { nil: null })),
  view: maybe(fc.record({ app_installed_team_id: maybe(team), app_id: app })),
});
const command = fc.record({
  ...{ command: fc.constant('/agent'), api_app_id: app, team_id: maybe(team), user_id: fc.constant('U01') },
  enterprise_id: maybe(organisation),
  is_enterprise_install: maybe(fc.constantFrom('true', 'false')),
});
const anyDelivery = fc.oneof(event, interaction, command, fc.object());

describe('the workspace of a delivery', () => {
  it('is one that it names, whatever its kind; found where one is', async () => {
    await fc.assert(
      fc.asyncProperty(anyDelivery, fc.subarray([...TEAMS, ...ORGANISATIONS]), async (body, workspaces) => {
        const { router, all } = start(workspaces);
        const route = await router.find({ body });
        const fits = [...all.values()].filter((each) => whyForeign(body, idsOf(each)) === null);
        if ('installation' in route) expect(fits).toContain(route.installation);
        else expect(fits).toEqual([]);
      }),
    );
  });

  it('another app is named: none, also of a workspace of ours', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(event, interaction, command), async (body) => {
        const { router } = start([...TEAMS, ...ORGANISATIONS]);
        const route = await router.find({ body: { ...body, api_app_id: 'A99' } });
        expect(route).toEqual({ foreign: 'other_app' });
      }),
    );
  });

  it('is the organisation where the app is installed for all of it', async () => {
    const { router } = start(['T01', 'E01']);
    const command = { team_id: 'T01', enterprise_id: 'E01', is_enterprise_install: 'true', command: '/agent' };
    expect(await router.find({ body: command })).toMatchObject({ installation: { workspace: 'E01' } });
    expect(await router.find({ body: { ...command, is_enterprise_install: 'false' } })).toMatchObject({
      installation: { workspace: 'T01' },
    });
  });

  it('is looked up once in a while, and anew when installations change', async () => {
    const { router, asked, clock, all, change } = start([]);
    const find = async () => router.find({ body: { team_id: 'T01', command: '/agent' } });
    await find();
    await find();
    expect(asked).toHaveLength(1);
    all.set('T01', installed('T01'));
    change();
    expect(await find()).toHaveProperty('installation');
    await clock.advance(60_000);
    await find();
    expect(asked).toHaveLength(3);
  });
});
