import type { ViewResponseAction } from '@slack/bolt';
import type { ModalView } from '@slack/types';
import type { InboundModelForm, ModelOutcome } from '../../bridge/inbound.ts';
import { asBridgeError } from '../../errors.ts';
import type { ReadModels } from '../inbound/models.ts';
import { modalText } from '../modals/modal-text.ts';
import { modalView, noticeView } from '../modals/modals.ts';
import { modelErrorBlock, modelsWaitingView } from '../modals/models-view.ts';
import { NO_DETAILS } from '../words/dialogs.ts';
import type { ListenerContext } from './context.ts';
import { callViews, openLateView } from './late-view.ts';

/** Opens the dialog of models, or shows the efforts of the model that was chosen in it. It decides nothing. */
export async function showModels(context: ListenerContext, read: ReadModels, ack: () => Promise<void>): Promise<void> {
  const { intake, log } = context;
  const answer = intake.handleModels(read.asked).catch((error: unknown): ModelOutcome => {
    const { message, notice } = asBridgeError(error);
    log.warn({ error: message }, 'could not look up models');
    return { result: 'refused', why: 'unreachable', notice };
  });
  await ack();
  if (read.kind === 'pick') {
    const { id, hash } = read.view;
    // With the hash Slack refuses the update if another choice has changed the view since.
    await callViews(context, 'views.update', { view_id: id, hash, view: contentOf(await answer) });
    return;
  }
  const { triggerId, channel, threadTs, asked } = read;
  const at = channel === null ? null : { channel, user: asked.actor.user, threadTs };
  await openLateView(context, { triggerId, answer, waiting: modelsWaitingView, contentOf, at });
}

function contentOf(outcome: ModelOutcome): ModalView {
  if (outcome.result === 'modal') return modalView(outcome.modal);
  return noticeView(outcome.result === 'refused' ? outcome.notice : NO_DETAILS);
}

/** The answer to the submitted dialog (docs/slack.md, Interactivity); `undefined` closes it. */
export function modelFormAck(outcome: ModelOutcome, { choice }: InboundModelForm): ViewResponseAction | undefined {
  if (outcome.result === 'refused') return { response_action: 'update', view: noticeView(outcome.notice) };
  if (outcome.result !== 'invalid') return undefined;
  const block = modelErrorBlock(outcome.field, choice.model);
  return { response_action: 'errors', errors: { [block]: modalText(outcome.text, 300).text } };
}
