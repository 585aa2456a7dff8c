import type { App } from '@slack/bolt';
import { readSubmission } from '../interactions.ts';
import { submissionAck } from '../modals.ts';
import type { ListenerContext } from './context.ts';

/** Submitted and closed modals. A submission is acknowledged with what became of it: the modal closes or says why not. */
export function listenToViews(app: App, { intake, identity, log }: ListenerContext): void {
  app.view({ type: 'view_submission' }, async ({ ack, body }) => {
    const submission = readSubmission(body, identity().teamId);
    if (!submission) {
      log.info({ type: body.type }, 'slack modal that is not ours');
      await ack();
      return;
    }
    const outcome = await intake.submission(submission);
    log.info({ modal: submission.name, result: outcome.result }, 'slack modal submitted');
    await ack(submissionAck(outcome));
  });
  app.view({ type: 'view_closed' }, async ({ ack }) => ack());
}

/** Shortcuts and option lists that are not ours are acknowledged, so that nobody sees a warning (PLATFORM.md 10.2 n). */
export function listenToTheRest(app: App): void {
  app.shortcut({}, async ({ ack }) => ack());
  app.options({}, async ({ ack }) => ack({ options: [] }));
}
