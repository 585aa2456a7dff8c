import type { App } from '@slack/bolt';
import { readAsk, readQuestion } from '../inbound/asks.ts';
import { readSubmission } from '../inbound/interactions.ts';
import { readModelForm } from '../inbound/models.ts';
import { submissionAck } from '../modals/modals.ts';
import { FORK_SHORTCUT } from '../render/action-ids.ts';
import { beginFork, openAskDialog } from './asks.ts';
import { countIgnored, type ListenerContext } from './context.ts';
import { modelFormAck } from './models.ts';

/**
 * Handles submitted and closed modals. The acknowledgement of a submission holds the outcome: the modal closes, or
 * shows what is wrong.
 */
export function listenToViews(app: App, context: ListenerContext): void {
  const { intake, identity } = context;
  app.view({ type: 'view_submission' }, async ({ ack, body }) => {
    const question = readQuestion(body, identity().teamId);
    if (question) return ack(submissionAck(await intake.handleQuestion(question)));
    const models = readModelForm(body, identity().teamId);
    if (models) return ack(modelFormAck(await intake.handleModelForm(models), models));
    const submission = readSubmission(body, identity().teamId);
    if (!submission) {
      countIgnored(context, { kind: 'modal', reason: 'not_ours' });
      await ack();
      return;
    }
    const outcome = await intake.handleSubmission(submission);
    await ack(submissionAck(outcome));
  });
  app.view({ type: 'view_closed' }, async ({ ack }) => {
    countIgnored(context, { kind: 'modal', reason: 'closed' });
    await ack();
  });
}

/**
 * Handles our message shortcuts. Acknowledges other shortcuts and option lists, which are never ours: without an answer Slack would show the person a
 * warning (docs/slack.md, Hazards: Unhandled actions).
 */
export function listenToTheRest(app: App, context: ListenerContext): void {
  app.shortcut({}, async ({ ack, body }) => {
    const read = readAsk(body, context.identity());
    if (read?.shortcut === FORK_SHORTCUT) return beginFork(context, read, ack);
    if (read) return openAskDialog(context, read, ack);
    countIgnored(context, { kind: 'event', reason: 'shortcut' });
    await ack();
  });
  app.options({}, async ({ ack }) => {
    countIgnored(context, { kind: 'event', reason: 'options' });
    await ack({ options: [] });
  });
}
