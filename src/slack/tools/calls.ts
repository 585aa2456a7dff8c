import type { Clock } from '../../bridge/ports.ts';
import { fails, type ToolResult } from '../../bridge/tools/result.ts';
import type { ToolPlan } from '../../bridge/tools/tool.ts';
import { pause } from '../api/pause.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../api/slack-api.ts';
import { FAILURE_WORDS, REFUSAL_WORDS } from '../words/tools.ts';

/** One call for a tool. Waits for Slack's `Retry-After`, a few times. Rejects with a SlackError, or the signal's reason. */
export type ToolApi = (method: string, args: Record<string, unknown>, signal: AbortSignal) => Promise<SlackAnswer>;

/** A tool waits no longer than this for Slack's limits: the model waits for the tool. */
const WAITS_MS = 60_000;
const TRIES = 3;
/** For a 429 that does not say how long. */
const RETRY_AFTER_MS = 5_000;

export function createToolApi(api: SlackApi, clock: Clock): ToolApi {
  return async (method, args, signal) => {
    const giveUpAt = clock.monotonic() + WAITS_MS;
    for (let tries = 1; ; tries += 1) {
      signal.throwIfAborted();
      try {
        return await api.call(method, args, { client: 'control' });
      } catch (error) {
        if (!(error instanceof SlackError) || error.failure !== 'limited' || tries >= TRIES) throw error;
        const ms = error.retryAfterMs ?? RETRY_AFTER_MS;
        if (clock.monotonic() + ms > giveUpAt) throw error;
        await pause(clock, ms, signal);
      }
    }
  };
}

/** A call cannot be done, for a reason that the model is told. */
export class ToolRefused extends Error {
  readonly words: string;

  constructor(words: string) {
    super('a tool cannot do what it was called for');
    this.name = 'ToolRefused';
    this.words = words;
  }
}

/** The scopes that a tool's methods need, for those that Slack refuses with `missing_scope`. */
const SCOPES: Readonly<Record<string, string>> = {
  'reactions.add': 'reactions:write',
  'files.getUploadURLExternal': 'files:write',
  'files.completeUploadExternal': 'files:write',
  'files.info': 'files:read',
  'users.list': 'users:read',
  'usergroups.list': 'usergroups:read',
  'chat.postMessage': 'chat:write',
  'conversations.history': 'channels:history (groups:history in private channels, im:history in direct messages)',
  'conversations.replies': 'channels:history (groups:history in private channels, im:history in direct messages)',
  'conversations.info': 'channels:read (groups:read for private channels)',
  'conversations.members': 'channels:read (groups:read for private channels)',
  'conversations.list': 'channels:read and groups:read',
};

/** What the model is told of a failure of Slack's. */
function slackWords({ method, failure, error, retryAfterMs }: SlackError): string {
  if (failure === 'limited') return FAILURE_WORDS.limited(Math.ceil((retryAfterMs ?? RETRY_AFTER_MS) / 1000));
  if (failure === 'unknown') return FAILURE_WORDS.unknown;
  if (error === 'missing_scope') return FAILURE_WORDS.noScope(SCOPES[method] ?? 'that it needs');
  return REFUSAL_WORDS[error] ?? FAILURE_WORDS.refused(error);
}

/** The words of an error for the model; other errors are thrown again. */
function wordsOf(error: unknown): string {
  if (error instanceof ToolRefused) return error.words;
  if (error instanceof SlackError) return slackWords(error);
  throw error;
}

/** A plan; what cannot be done becomes a `no`. */
export async function planning(make: () => Promise<ToolPlan>): Promise<ToolPlan> {
  try {
    return await make();
  } catch (error) {
    return { may: 'no', why: wordsOf(error) };
  }
}

/**
 * What became of a call that another process began; `null`: that cannot be told, because Slack or the machine does not show
 * it now. Words that say what cannot be done would say that nothing was.
 */
export async function recalling(make: () => Promise<ToolResult>): Promise<ToolResult | null> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof ToolRefused || error instanceof SlackError) return null;
    throw error;
  }
}

/** A result; what cannot be done becomes an error that the model reads. */
export async function resulting(make: () => Promise<ToolResult>): Promise<ToolResult> {
  try {
    return await make();
  } catch (error) {
    return fails(wordsOf(error));
  }
}
