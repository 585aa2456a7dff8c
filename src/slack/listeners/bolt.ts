import { App, type Receiver } from '@slack/bolt';
import type { Log } from '../../bridge/ports.ts';
import type { Identity } from '../api/identity.ts';
import { listenToActions } from './actions.ts';
import { boltLogger } from './bolt-logger.ts';
import type { ListenerContext } from './context.ts';
import { listenToHome } from './home.ts';
import { listenToCommands } from './slash-command.ts';
import { listenToTheRest, listenToViews } from './views.ts';

const TIMEOUT_MS = 10_000;

export interface BoltOptions {
  botToken: string;
  slackApiUrl?: string | undefined;
  receiver: Receiver;
  listeners: ListenerContext;
  log: Log;
}

/** The Bolt app: it routes everything that is not a message. The letters are those of docs/slack.md, Hazards. */
export async function createBoltApp({ botToken, slackApiUrl, receiver, listeners, log }: BoltOptions): Promise<App> {
  const app = new App({
    // e: with `socketMode` Bolt would use its own receiver, which acknowledges before anything is stored.
    receiver,
    // c: with a `token` the constructor would call auth.test, and nobody could catch its failure.
    deferInitialization: true,
    // d: both ids are known, so Bolt does not ask Slack for them. r: it cannot fail. h: one team, so one pooled client.
    authorize: async () => authorization(botToken, listeners.identity()),
    convoStore: false,
    ignoreSelf: true,
    logger: boltLogger(log),
    extendedErrorHandler: true,
    // a, b: a separate object, without `headers`, with its own retry settings.
    clientOptions: {
      retryConfig: { retries: 2 },
      timeout: TIMEOUT_MS,
      ...(slackApiUrl === undefined ? {} : { slackApiUrl }),
    },
  });
  // l: rethrown, so that the receiver does not acknowledge what a listener failed to handle.
  app.error(async ({ error }: { error: Error }) => {
    throw 'original' in error && error.original instanceof Error ? error.original : error;
  });
  listenToActions(app, listeners);
  listenToViews(app, listeners);
  listenToCommands(app, listeners);
  listenToHome(app, listeners);
  listenToTheRest(app, listeners);
  await app.init();
  return app;
}

function authorization(botToken: string, { teamId, botId, botUserId }: Identity) {
  return { botToken, teamId, botId, botUserId };
}
