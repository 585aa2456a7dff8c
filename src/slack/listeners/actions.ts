import type { App } from '@slack/bolt';
import type { InboundClick, ModalRequest } from '../../bridge/inbound.ts';
import { asBridgeError } from '../../errors.ts';
import { readHomeAction } from '../inbound/home-actions.ts';
import { isLinkClick, readAction } from '../inbound/interactions.ts';
import { readModels } from '../inbound/models.ts';
import { modalView } from '../modals/modals.ts';
import { notOpenedText } from '../words/dialogs.ts';
import { countIgnored, type ListenerContext, whisper } from './context.ts';
import { showDetails } from './details.ts';
import { handleHomeAction } from './home.ts';
import { showModels } from './models.ts';

/**
 * Handles every button, ours or not. Bolt runs all listeners that match (docs/slack.md, Hazards: Order of listeners),
 * so a second listener for foreign buttons would acknowledge our clicks before they are decided.
 */
export function listenToActions(app: App, context: ListenerContext): void {
  const { intake, identity } = context;
  app.action({}, async ({ ack, body }) => {
    if (isLinkClick(body)) return ack();
    const models = readModels(body, identity().teamId);
    if (models) return showModels(context, models, ack);
    const home = readHomeAction(body, identity().teamId);
    if (home) return handleHomeAction(context, home, ack);
    const read = readAction(body, identity().teamId);
    if (!read) {
      countIgnored(context, { kind: 'click', reason: 'not_ours' });
      await ack();
      return;
    }
    const { action, triggerId } = read;
    if (action.name === 'details' || read.view) return showDetails(context, read, ack);
    const outcome = await intake.handleAction(action);
    // The decision is stored, so the click is acknowledged now: what fails below must not make Slack deliver it again.
    await ack();
    if (outcome.result === 'modal') await openModal(context, action, triggerId, outcome.modal);
    if (outcome.result === 'refused') await whisper(context, { ...placeOf(action), text: outcome.notice });
  });
}

function placeOf(action: InboundClick) {
  return { channel: action.channel, user: action.actor.user, threadTs: action.threadTs };
}

/**
 * A trigger expires after 3 s and works once (docs/slack.md, Interactivity), so there is no retry: the person must
 * click again.
 */
async function openModal(context: ListenerContext, action: InboundClick, triggerId: string, modal: ModalRequest) {
  const { api, log } = context;
  try {
    await api.call('views.open', { trigger_id: triggerId, view: modalView(modal) }, { client: 'live' });
  } catch (error) {
    log.warn({ error: asBridgeError(error).message, modal: modal.kind }, 'could not open a modal');
    const text = notOpenedText('click');
    await whisper(context, { ...placeOf(action), text });
  }
}
