import { Refusal } from '../refusal.ts';
import { APP_ID, BOT, TEAM } from '../state.ts';
import { botProfile } from '../wire.ts';
import type { Methods } from './method.ts';

/** Who and where we are: `auth.*`, `apps.*`, `team.*`, `bots.*`. */
export const auth: Methods = {
  'auth.test': {
    scopes: [],
    tier: 'hundreds',
    run: () => ({
      url: `https://${TEAM.domain}.slack.com/`,
      team: TEAM.name,
      user: BOT.name,
      team_id: TEAM.id,
      user_id: BOT.userId,
      bot_id: BOT.botId,
      is_enterprise_install: false,
    }),
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
    run: () => ({
      team: { id: TEAM.id, name: TEAM.name, domain: TEAM.domain, email_domain: '', icon: { image_default: true } },
    }),
  },
  'bots.info': {
    scopes: ['users:read'],
    tier: 'T3',
    run({ world, args }) {
      const id = args.string('bot');
      if (id !== undefined && id !== BOT.botId) throw new Refusal('bot_not_found');
      const { id: botId, deleted, name, updated, user_id, icons } = botProfile(world);
      return { bot: { id: botId, deleted, name, updated, app_id: APP_ID, user_id, icons } };
    },
  },
};
