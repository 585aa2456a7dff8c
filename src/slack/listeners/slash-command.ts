import type { App } from '@slack/bolt';
import { asBridgeError } from '../../errors.ts';
import { readCommand } from '../inbound/interactions.ts';
import { ownMrkdwn } from '../render/own-mrkdwn.ts';
import { countIgnored, type ListenerContext, whisper } from './context.ts';

/** Slack waits 3 s (docs/slack.md, Interactivity), so a later answer is sent as a private message. */
const ANSWER_MS = 2_300;

/** Handles the app's slash command, whatever name the manifest gives it. */
export function listenToCommands(app: App, context: ListenerContext): void {
  const { intake, identity, clock, log } = context;
  app.command(/.*/, async ({ ack, body }) => {
    const command = readCommand(body, identity().teamId);
    if (!command) {
      countIgnored(context, { kind: 'command', reason: 'malformed' });
      await ack();
      return;
    }
    const answer = intake.handleCommand(command).catch((error) => {
      const { message, notice } = asBridgeError(error);
      log.error({ error: message }, 'a slash command failed');
      return notice;
    });
    let isLate = false;
    const timer = clock.after(ANSWER_MS, () => {
      isLate = true;
      void ack();
    });
    const text = await answer;
    timer.cancel();
    if (text === '') {
      if (!isLate) await ack();
    } else if (isLate)
      await whisper(context, { channel: command.channel, user: command.actor.user, threadTs: null, text });
    else await ack({ response_type: 'ephemeral', text: ownMrkdwn(text) });
  });
}
