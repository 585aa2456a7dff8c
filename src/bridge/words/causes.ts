import { redact } from '../text/redact.ts';

/** Why a turn ended badly, or why the bridge cannot work at Letta. */
export type CauseName = keyof typeof CAUSES;

export interface Cause {
  name: CauseName;
  /** The HTTP status that the model's provider answered, where it is known. */
  code?: string | undefined;
  /** One line of foreign text, where it says more than the cause. */
  detail?: string | undefined;
}

interface CauseRow {
  /** A sentence for the thread; `null`: the error's own notice says it best. */
  says: string | null;
  /** A few words for Home, `/readyz` and the status of a thread. */
  short: string;
  /** For who runs the bridge: what doctor says, with `{name}` for what it found, and what to do. */
  operator: { says: string; fix: string };
  /**
   * What a person can do in the thread about a turn that failed for it. `again`: the same message, if nothing was
   * changed; else the agent goes on. `new`: the message in a new conversation. `continue`: the agent goes on.
   */
  wayOn: 'again' | 'new' | 'continue' | 'none';
}

/** The one table of causes: threads, Home, `status` and doctor all take their words from it. */
export const CAUSES = {
  provider_error: {
    says: 'The model’s provider returned an error{code}.',
    short: 'the model’s provider fails',
    operator: {
      says: 'The model’s provider returns errors',
      fix: 'Look at the status page of the provider; the Details of the turn have its own words.',
    },
    wayOn: 'again',
  },
  rate_limit: {
    says: 'The model’s provider accepts no more requests right now{code}. Wait a moment.',
    short: 'too many requests to the model',
    operator: {
      says: 'The model’s provider refuses requests because there are too many',
      fix: 'Wait, raise the limit of the account at the provider, or use another model.',
    },
    wayOn: 'again',
  },
  no_credits: {
    says: 'The account that pays for the model has no credits left{code}. Ask who runs me to add some.',
    short: 'no credits left for the model',
    operator: {
      says: 'The account that pays for the model has no credits left',
      fix: 'Add credits at Letta or at the model’s provider.',
    },
    wayOn: 'again',
  },
  provider_key: {
    says: 'The model’s provider refuses the key of this agent{code}. Ask who runs me to renew it.',
    short: 'the model’s provider refuses the key',
    operator: {
      says: 'The model’s provider refuses the key of the agent',
      fix: 'Put a valid key of the provider into Letta (letta connect, or the provider’s setting of the server).',
    },
    wayOn: 'again',
  },
  context_full: {
    says: 'This conversation no longer fits into the model’s memory. A new one won’t know what was said here before.',
    short: 'the conversation is too long for the model',
    operator: {
      says: 'A conversation no longer fits into the model’s context',
      fix: 'Write !new in the thread, or give the agent a model with a larger context.',
    },
    wayOn: 'new',
  },
  answer_too_long: {
    says: 'The answer reached the greatest length that the model allows.',
    short: 'the answer was too long for the model',
    operator: {
      says: 'An answer reached the greatest length that the model allows',
      fix: 'Click Continue in the thread, or raise the model’s limit of output.',
    },
    wayOn: 'continue',
  },
  agent_error: {
    says: 'The agent stopped with an error{detail}.',
    short: 'the agent stopped with an error',
    operator: {
      says: 'The agent stops with errors',
      fix: 'The Details of the turn have Letta’s own words; look at the log of the Letta server.',
    },
    wayOn: 'again',
  },
  silent: {
    says: 'I stopped the agent, because it had been silent for {detail}.',
    short: 'the agent was silent',
    operator: {
      says: 'The agent was silent for too long',
      fix: 'Look whether the model or a tool of the agent hangs; TURN_SILENCE sets how long it may be silent.',
    },
    wayOn: 'again',
  },
  letta_away: {
    says: 'I can’t reach Letta right now.',
    short: 'Letta is away',
    operator: {
      says: 'This machine cannot reach Letta at {host} ({error})',
      fix: 'Check this machine’s network and proxy, and {setting}. If it is your own server, start it: letta server --backend local --listen ws://127.0.0.1:4500',
    },
    wayOn: 'again',
  },
  letta_key: {
    says: 'Letta refuses the key of this bridge. Ask who runs me to renew it.',
    short: 'Letta refuses the key',
    operator: {
      says: 'Letta refuses {setting}',
      fix: 'For the cloud, create a new key (app.letta.com, API keys) and set it; for an App Server, use the token from its --ws-token-file.',
    },
    wayOn: 'again',
  },
  no_device: {
    says: null,
    short: 'no device is online',
    operator: {
      says: 'No Letta device is online ({known})',
      fix: 'Run letta server on the machine where the agent should work.',
    },
    wayOn: 'again',
  },
  device_offline: {
    says: null,
    short: 'the device is offline',
    operator: {
      says: 'Letta device {device} is offline',
      fix: 'Run letta server on it, or set LETTA_ENVIRONMENT to another device: {online}.',
    },
    wayOn: 'again',
  },
  agent_gone: {
    says: 'The agent of this thread no longer exists at Letta.',
    short: 'the agent no longer exists',
    operator: {
      says: 'The agent that the bridge had chosen ({agent}) no longer exists',
      fix: 'Do nothing if you deleted it on purpose: the next new thread gets another agent, and old threads offer a new conversation. Else set LETTA_AGENT_ID.',
    },
    wayOn: 'new',
  },
  conversation_gone: {
    says: 'This thread’s conversation no longer exists at Letta. A new one won’t know what was said here before.',
    short: 'the conversation no longer exists',
    operator: {
      says: 'A thread’s conversation no longer exists at Letta',
      fix: 'Write !new in the thread, or click Start a new conversation.',
    },
    wayOn: 'new',
  },
  link_lost: {
    says: 'I lost the connection to Letta while the agent worked, so this answer may be incomplete.',
    short: 'the connection to Letta was lost',
    operator: {
      says: 'The connection to Letta was lost while the agent worked',
      fix: 'Check the network between the bridge and Letta if it repeats.',
    },
    wayOn: 'continue',
  },
  stopped: {
    says: 'Stopped by {detail}.',
    short: 'stopped',
    operator: { says: 'A person stopped the turn', fix: 'Do nothing.' },
    wayOn: 'none',
  },
} as const satisfies Record<string, CauseRow>;

/** Codes of `BridgeError` (src/errors.ts) that are causes. */
const OF_CODE: Readonly<Record<string, CauseName>> = {
  letta_unreachable: 'letta_away',
  letta_unauthorized: 'letta_key',
  no_environment: 'no_device',
  environment_offline: 'device_offline',
  agent_not_found: 'agent_gone',
  conversation_not_found: 'conversation_gone',
  link_lost: 'link_lost',
};

/** The cause that a `BridgeError`'s code names; `null`: none of the table. */
export function causeOfCode(code: string): CauseName | null {
  return Object.hasOwn(OF_CODE, code) ? (OF_CODE[code] ?? null) : null;
}

/** The state of Letta in a few words. @param code of a `BridgeError` */
export function shortCause(code: string): string {
  const cause = causeOfCode(code);
  return cause === null ? code.replaceAll('_', ' ') : CAUSES[cause].short;
}

/** An error in words for the thread. @param notice of the error, for errors that the table does not have */
export function sayError(code: string, notice: string): string {
  const cause = causeOfCode(code);
  return (cause === null ? null : CAUSES[cause].says) ?? notice;
}

/** How much of an error is read. */
const READ = 2_000;
/** Letta sends no code for a full context, and each provider has its own words for it. */
const CONTEXT_FULL =
  /context[ _-]?(?:length|window|size|limit)|maximum context|context_length_exceeded|prompt is too long|input is too long|too many (?:input )?tokens/i;
const NO_CREDITS = /insufficient[ _](?:credits|funds|quota|balance)|credit balance|billing/i;
const RATE_LIMIT = /rate[ _-]?limit|too many requests/i;
/** How the texts of providers begin: `500: {…}`, `HTTP 500`, `Error code: 500`. */
const CODE = /^(?:[a-z ]{0,20}(?:error|http|status|code)[a-z ]{0,12}:? ?)?\(?([45]\d\d)\b/i;

/**
 * Why a turn failed.
 * @param stopReason of Letta
 * @param error the error's text; `null`: there was none
 */
export function causeOfFailure(stopReason: string, error: string | null): Cause {
  const text = (error ?? '').slice(0, READ);
  const code = CODE.exec(text)?.[1];
  const named = (name: CauseName): Cause => ({ name, code });
  if (stopReason.startsWith('context_window_overflow') || CONTEXT_FULL.test(text)) return named('context_full');
  if (stopReason === 'max_tokens_exceeded') return named('answer_too_long');
  if (stopReason === 'insufficient_credits' || code === '402' || NO_CREDITS.test(text)) return named('no_credits');
  if (code === '429' || RATE_LIMIT.test(text)) return named('rate_limit');
  if (code === '401' || code === '403') return named('provider_key');
  if (code !== undefined || stopReason === 'llm_api_error') return named('provider_error');
  return { name: 'agent_error', detail: prose(text) };
}

/** The text if people can read it: one short line without JSON, ids or addresses. */
function prose(text: string): string | undefined {
  const line = redact(text).text.trim().replace(/\.$/, '');
  const isReadable =
    line !== '' && line.length <= 120 && !/[{}[\]<>`\n]|:\/\/|[\w-]*\d[\w-]{15,}|[0-9a-f]{8}-/i.test(line);
  return isReadable ? line : undefined;
}

/** A cause as a sentence for the thread. Foreign text in it is not neutralised. */
export function sayCause({ name, code, detail }: Cause): string {
  const says: string = CAUSES[name].says ?? '';
  const inserted = name === 'agent_error' ? (detail === undefined ? '' : `: ${detail}`) : (detail ?? '');
  return says.replace('{code}', code === undefined ? '' : ` (${code})`).replace('{detail}', () => inserted);
}

/** The table of causes for docs/errors.md, in Markdown. */
export function causesTable(): string {
  const cell = (text: string) =>
    text
      .replaceAll(/ ?\{code\}/g, ' (…)')
      .replaceAll(/\{\w+\}/g, '…')
      .replaceAll('|', '\\|');
  const ways = {
    again: '*Try again*, or *Continue* where something was changed',
    new: '*Start a new conversation*',
    continue: '*Continue*',
    none: 'write again',
  };
  const rows = Object.values(CAUSES).map(({ says, short, operator, wayOn }: CauseRow) => {
    return `| ${cell(says ?? operator.says)} | ${short} | ${cell(operator.fix)} | ${ways[wayOn]} |`;
  });
  const head = '| the thread says | Home and `status` say | whoever runs the bridge can | the person can |';
  return [head, '| --- | --- | --- | --- |', ...rows].join('\n');
}
