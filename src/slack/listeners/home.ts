import type { App } from '@slack/bolt';
import { asBridgeError } from '../../errors.ts';
import { homeView } from '../render/home.ts';
import { countIgnored, type ListenerContext } from './context.ts';

/**
 * Publishes the Home tab when somebody opens it. The messages tab of agent apps sends the same event: it is ignored.
 */
export function listenToHome(app: App, context: ListenerContext): void {
  const { intake, api, identity, log } = context;
  app.event('app_home_opened', async ({ event }) => {
    if (event.tab !== 'home') return countIgnored(context, { kind: 'home', reason: 'messages_tab' }, 'debug');
    try {
      const { teamId, url } = identity();
      const view = homeView(await intake.viewHome(event.user, teamId), url);
      await api.call('views.publish', { user_id: event.user, view }, { client: 'control' });
    } catch (error) {
      log.warn({ error: asBridgeError(error).message }, 'could not draw the Home tab');
    }
  });
}
