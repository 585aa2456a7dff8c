import { worldsOf } from '../app.ts';
import { Refusal } from '../refusal.ts';
import { APP_ID } from '../state.ts';
import { botProfile } from '../wire.ts';
import { type Methods, pageOf } from './method.ts';

/** Who and where we are: `auth.*`, `apps.*`, `team.*`, `bots.*`. */
export const auth: Methods = {
  'auth.test': {
    scopes: [],
    tier: 'hundreds',
    run({ world: { workspace, installedAs } }) {
      const { team, bot } = workspace;
      const { enterprise } = team;
      const isForAll = installedAs?.startsWith('E') ?? false;
      // Of an org-wide installation it names the organisation (docs/slack.md, Learned since).
      const of = isForAll && enterprise ? { ...team, ...enterprise } : team;
      return {
        url: `https://${team.domain}${isForAll ? '.enterprise' : ''}.slack.com/`,
        team: of.name,
        user: bot.name,
        team_id: of.id,
        user_id: bot.userId,
        bot_id: bot.botId,
        ...(enterprise && { enterprise_id: enterprise.id }),
        is_enterprise_install: isForAll,
      };
    },
  },
  'auth.teams.list': {
    scopes: [],
    tier: 'T2',
    run(call) {
      const { world, args, token } = call;
      const { grant } = world.app.tokens.find(token) ?? {};
      const teams = worldsOf(world.app, grant?.id ?? '').map(({ workspace: { team } }) => team);
      const { items, cursor } = pageOf(teams, call, args.int('limit', { default: 100, max: 1000 }));
      return {
        teams: items.map(({ id, name }) => ({ id, name })),
        response_metadata: { next_cursor: cursor },
      };
    },
  },
  'apps.connections.open': {
    scopes: [],
    tier: 'T3',
    token: 'app',
    run: ({ world }) => ({ url: `${world.origin.replace('http:', 'ws:')}${world.socketMode.makeTicket()}` }),
  },
  'team.info': {
    scopes: ['team:read'],
    tier: 'T3',
    run({ world }) {
      const { id, name, domain } = world.workspace.team;
      return { team: { id, name, domain, email_domain: '', icon: { image_default: true } } };
    },
  },
  'bots.info': {
    scopes: ['users:read'],
    tier: 'T3',
    run({ world, args }) {
      const id = args.string('bot');
      if (id !== undefined && id !== world.workspace.bot.botId) throw new Refusal('bot_not_found');
      const { id: botId, deleted, name, updated, user_id, icons } = botProfile(world);
      return { bot: { id: botId, deleted, name, updated, app_id: APP_ID, user_id, icons } };
    },
  },
};
