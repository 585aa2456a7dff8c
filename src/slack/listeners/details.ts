import type { ModalView } from '@slack/types';
import type { ActionOutcome } from '../../bridge/inbound.ts';
import { asBridgeError } from '../../errors.ts';
import type { ReadAction } from '../inbound/interactions.ts';
import { noDetailsView, waitingView } from '../modals/details-view.ts';
import { modalView } from '../modals/modals.ts';
import { NO_DETAILS, notOpenedText } from '../words/dialogs.ts';
import { type ListenerContext, whisper } from './context.ts';

/**
 * A trigger expires after 3 s (docs/slack.md, Interactivity): if loading the details takes longer than this, the window
 * opens without them.
 */
const OPEN_WITHIN_MS = 1_000;

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
  const call = async (method: string, args: Record<string, unknown>) => {
    try {
      return await context.api.call(method, args, { client: 'live' });
    } catch (error) {
      log.warn({ error: asBridgeError(error).message, method }, 'could not show details');
      return null;
    }
  };
  if (view) {
    // With the hash Slack refuses the update if another click has changed the view since.
    await call('views.update', { view_id: view.id, hash: view.hash, view: detailsContent(await answer) });
    return;
  }
  const quickOutcome = await answerWithin(context, answer);
  if (quickOutcome?.result === 'refused') return whisper(context, { ...placeOf(read), text: quickOutcome.notice });
  const opened = await call('views.open', {
    trigger_id: triggerId,
    view: quickOutcome ? detailsContent(quickOutcome) : waitingView(),
  });
  if (!opened) {
    const text = notOpenedText('click');
    return whisper(context, { ...placeOf(read), text });
  }
  if (quickOutcome) return;
  const { id } = (opened.view ?? {}) as { id?: unknown };
  await call('views.update', { view_id: id, view: detailsContent(await answer) });
}

function detailsContent(outcome: ActionOutcome): ModalView {
  if (outcome.result === 'modal') return modalView(outcome.modal);
  return noDetailsView(outcome.result === 'refused' ? outcome.notice : NO_DETAILS);
}

function placeOf({ action }: ReadAction) {
  return { channel: action.channel, user: action.actor.user, threadTs: action.threadTs };
}

function answerWithin({ clock }: ListenerContext, answer: Promise<ActionOutcome>): Promise<ActionOutcome | null> {
  return new Promise((resolve) => {
    const timer = clock.after(OPEN_WITHIN_MS, () => resolve(null));
    void answer.then((outcome) => {
      timer.cancel();
      resolve(outcome);
    });
  });
}
