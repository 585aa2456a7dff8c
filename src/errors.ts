/** What went wrong, in one word that code may branch on. Message texts are for people and never compared. */
export type ErrorCode =
  | 'config_invalid'
  // Letta
  | 'letta_unreachable'
  | 'letta_unauthorized'
  | 'letta_refused'
  | 'no_environment'
  | 'several_environments'
  | 'environment_offline'
  | 'no_agent'
  | 'several_agents'
  | 'agent_not_found'
  | 'conversation_not_found'
  | 'mode_not_confirmed'
  | 'directory_not_confirmed'
  | 'link_lost'
  | 'input_refused'
  // Storage
  | 'store_failed'
  | 'store_gone'
  | 'store_locked'
  | 'record_newer'
  | 'record_conflict'
  | 'record_too_large'
  // Slack
  | 'slack_failed'
  | 'internal';

export interface BridgeErrorOptions {
  /** One short line that may be shown to a person in Slack: no secrets, no addresses, no stack. */
  notice?: string;
  /** False when it is unknown whether the thing happened after all (a request whose answer was lost). Default true. */
  certain?: boolean;
  /** Whether trying the same thing again later can succeed without anybody changing anything. Default false. */
  retry?: boolean;
  /** The name of the device that must come back first: data, one short line. */
  device?: string;
  /** The id of the agent that is not there. */
  agent?: string;
  cause?: unknown;
}

/** An error that knows what to tell a person and how sure it is. Thrown across every boundary of the bridge. */
export class BridgeError extends Error {
  readonly code: ErrorCode;
  readonly notice: string;
  readonly certain: boolean;
  readonly retry: boolean;
  readonly device: string | null;
  readonly agent: string | null;

  constructor(code: ErrorCode, message: string, options: BridgeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BridgeError';
    this.code = code;
    // Names of agents and devices stand in it: none of them may mention anybody.
    this.notice = (options.notice ?? 'Something went wrong in the bridge.').replaceAll('<', '‹').replaceAll('>', '›');
    this.certain = options.certain ?? true;
    this.retry = options.retry ?? false;
    this.device = options.device ?? null;
    this.agent = options.agent ?? null;
  }
}

/** Any thrown value as a BridgeError; foreign errors become `internal` and keep their cause. */
export function asBridgeError(error: unknown): BridgeError {
  if (error instanceof BridgeError) return error;
  return new BridgeError('internal', error instanceof Error ? error.message : String(error), { cause: error });
}
