import type { Clock, Log, Metrics, Random } from '../bridge/ports.ts';
import type { BridgeError } from '../errors.ts';
import { watchScopes } from '../slack/api/scope-watch.ts';
import type { SlackApi } from '../slack/api/slack-api.ts';
import type { TokenSource } from '../slack/api/token-source.ts';
import { watchToken } from '../slack/api/token-watch.ts';
import { createSlackApi } from '../slack/api/web-api.ts';

/** The Web API as one installation of the app may use it. */
export interface Account {
  api: SlackApi;
  token: TokenSource;
  /** The bot token's scopes as Slack last listed them; `null`: it never did. */
  scopes(): readonly string[] | null;
  /** From now on asks Slack every minute whether it accepts the token. @param onAccepted it does again, after it did not */
  watch(onAccepted: () => void): void;
  /** Gives up the calls that run; none begins any more. Closing twice is fine. */
  close(): void;
}

export interface AccountParts {
  token: TokenSource;
  slackApiUrl: string;
  /** Makes the requests; left out: the global one. */
  fetch?: typeof globalThis.fetch;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Called with Slack's time (ms since 1970) for each answer that tells it. */
  onTime(at: number): void;
  /** As in {@link watchToken}. */
  onRefused?: ((error: BridgeError) => void) | undefined;
  /** The scopes that Slack has listed for the token before; left out: it never did. */
  scopes?: readonly string[] | null;
}

export function createAccount({ token, onRefused, scopes = null, ...parts }: AccountParts): Account {
  const { clock, log } = parts;
  const calling = new AbortController();
  const scopeWatch = watchScopes(createSlackApi({ token, ...parts, signal: calling.signal }), scopes);
  let noteAccepted = () => {};
  const tokenWatch = watchToken({
    api: scopeWatch.api,
    clock,
    log,
    onRefused,
    onAccepted: () => noteAccepted(),
  });
  return {
    api: tokenWatch.api,
    token,
    scopes: scopeWatch.scopes,
    watch(onAccepted) {
      noteAccepted = onAccepted;
      tokenWatch.start();
    },
    close() {
      tokenWatch.stop();
      calling.abort();
    },
  };
}
