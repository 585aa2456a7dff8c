import type { ModalView } from '@slack/types';
import type { ActionOutcome } from '../../bridge/inbound.ts';
import { asBridgeError } from '../../errors.ts';
import type { ReadAction } from '../inbound/interactions.ts';
import { noDetailsView, waitingView } from '../modals/details-view.ts';
import { modalView } from '../modals/modals.ts';
import { NO_DETAILS } from '../words/dialogs.ts';
import { type ListenerContext, whisper } from './context.ts';
import { callViews, openLateView, within } from './late-view.ts';

/**
 * Handles a click on Details, or on one of its pages. It decides nothing, so it is acknowledged at once. Access is
 * checked at each click, before anything is shown.
 */
export async function showDetails(context: ListenerContext, read: ReadAction, ack: () => Promise<void>): Promise<void> {
  const { intake, log } = context;
  const { action, triggerId, view } = read;
  const answer = intake.handleAction(action).catch((error: unknown): ActionOutcome => {
    const { message, notice } = asBridgeError(error);
    log.warn({ error: message }, 'could not look up details');
    return { result: 'refused', why: 'unreachable', notice };
  });
  await ack();
  if (view) {
    // With the hash Slack refuses the update if another click has changed the view since.
    await callViews(context, 'views.update', { view_id: view.id, hash: view.hash, view: detailsContent(await answer) });
    return;
  }
  const quick = await within(context, answer);
  if (quick?.outcome.result === 'refused') return whisper(context, { ...placeOf(read), text: quick.outcome.notice });
  const at = placeOf(read);
  await openLateView(context, { triggerId, answer, quick, waiting: waitingView, contentOf: detailsContent, at });
}

function detailsContent(outcome: ActionOutcome): ModalView {
  if (outcome.result === 'modal') return modalView(outcome.modal);
  return noDetailsView(outcome.result === 'refused' ? outcome.notice : NO_DETAILS);
}

function placeOf({ action }: ReadAction) {
  return { channel: action.channel, user: action.actor.user, threadTs: action.threadTs };
}
