import type { App } from '@slack/bolt';
import type { HomeView, SectionBlock } from '@slack/types';
import { asBridgeError } from '../../errors.ts';
import { ownMrkdwn } from '../own-mrkdwn.ts';
import { ignore, type ListenerContext } from './context.ts';

const SECTION = 3000;
const SECTIONS = 100;

/** The Home tab that says `text`, one section a paragraph. */
function homeView(text: string): HomeView {
  const paragraphs = ownMrkdwn(text)
    .split(/\n{2,}/)
    .filter((paragraph) => paragraph.trim() !== '');
  const blocks = paragraphs.slice(0, SECTIONS).map(
    (paragraph): SectionBlock => ({
      type: 'section',
      text: { type: 'mrkdwn', text: paragraph.slice(0, SECTION), verbatim: true },
    }),
  );
  return { type: 'home', blocks };
}

/** The Home tab is drawn when somebody opens it; the messages tab of agent apps sends the same event. */
export function listenToHome(app: App, context: ListenerContext): void {
  const { intake, api, identity, log } = context;
  app.event('app_home_opened', async ({ event }) => {
    if (event.tab !== 'home') return ignore(context, { kind: 'home', reason: 'messages_tab' }, 'debug');
    try {
      const text = await intake.home(event.user, identity().teamId);
      await api.call('views.publish', { user_id: event.user, view: homeView(text) }, { client: 'control' });
    } catch (error) {
      log.warn({ error: asBridgeError(error).message }, 'home tab not drawn');
    }
  });
}
