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
  slackApiUrl?: string | undefined;
  receiver: Receiver;
  listeners: ListenerContext;
  log: Log;
}

/** The Bolt app: it routes everything that is not a message. Its options avoid what docs/slack.md, Hazards lists. */
export async function createBoltApp({ slackApiUrl, receiver, listeners, log }: BoltOptions): Promise<App> {
  const app = new App({
    // With `socketMode` Bolt would use its own receiver, which acknowledges before anything is stored.
    receiver,
    // With a `token` the constructor would call auth.test, and nobody could catch its failure.
    deferInitialization: true,
    // Both ids are known, so Bolt does not ask Slack for them at each event, and this cannot fail. It gets no token: the
    // listeners use the bridge's own clients, which know when a token was rotated.
    authorize: async () => authorization(listeners.identity()),
    convoStore: false,
    ignoreSelf: true,
    logger: boltLogger(log),
    extendedErrorHandler: true,
    // A separate object, without `headers` and with its own retry settings, because Slack's libraries write into it.
    clientOptions: {
      retryConfig: { retries: 2 },
      timeout: TIMEOUT_MS,
      ...(slackApiUrl === undefined ? {} : { slackApiUrl }),
    },
  });
  // Rethrown, so that the receiver does not acknowledge what a listener failed to handle.
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

function authorization({ teamId, botId, botUserId }: Identity) {
  return { teamId, botId, botUserId };
}
