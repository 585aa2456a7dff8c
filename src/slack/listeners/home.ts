import type { App } from '@slack/bolt';
import type { InboundAction } from '../../bridge/inbound.ts';
import { asBridgeError } from '../../errors.ts';
import type { HomeAction } from '../inbound/home-actions.ts';
import { noticeView } from '../modals/modals.ts';
import { countIgnored, type ListenerContext } from './context.ts';
import { createPromptSuggester } from './prompts.ts';

/** Publishes the Home tab when somebody opens it; in the messages tab of agent apps, suggests what to ask. */
export function listenToHome(app: App, context: ListenerContext): void {
  const suggestPrompts = createPromptSuggester(context);
  app.event('app_home_opened', async ({ event }) => {
    if (event.tab !== 'home') {
      countIgnored(context, { kind: 'home', reason: 'messages_tab' }, 'debug');
      return suggestPrompts(event.user, event.channel);
    }
    await context.homes.open(event.user);
  });
}

/** Handles a click on the Home tab. A refusal opens a window, because the tab itself takes no private message. */
export async function handleHomeAction(
  context: ListenerContext,
  { what, triggerId }: HomeAction,
  ack: () => Promise<void>,
): Promise<void> {
  const { intake, homes, identity } = context;
  switch (what.kind) {
    case 'stop': {
      const outcome = await intake.handleAction(what.action);
      await ack();
      if (outcome.result === 'refused') await showNotice(context, what.action, triggerId, outcome.notice);
      return homes.noteChange([what.action.actor.user]);
    }
    case 'notify_after':
      await intake.chooseNotifyTime(what.user, identity().teamId, what.ms);
      await ack();
      return homes.noteChange([what.user]);
    default:
      return what satisfies never;
  }
}

async function showNotice(context: ListenerContext, { name }: InboundAction, triggerId: string, notice: string) {
  const { api, log } = context;
  try {
    await api.call('views.open', { trigger_id: triggerId, view: noticeView(notice) }, { client: 'live' });
  } catch (error) {
    log.warn({ error: asBridgeError(error).message, action: name }, 'could not show a notice');
  }
}
