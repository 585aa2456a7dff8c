/** What went wrong, as a code to branch on. Message texts are for people; never compare them. */
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
  | 'agent_elsewhere'
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
  | 'lease_lost'
  | 'no_owner'
  | 'seal_broken'
  // Slack
  | 'slack_failed'
  | 'internal';

export interface BridgeErrorOptions {
  /** One short line that people in Slack may see: no secrets, no addresses, no stack. */
  notice?: string;
  /** False when it may have happened in spite of the error (a request whose answer was lost). Default true. */
  certain?: boolean;
  /** Whether the same call can succeed later without anybody changing anything. Default false. */
  retry?: boolean;
  /** The name of the device that must come back first, as one short line. */
  device?: string;
  /** The id of the agent that does not exist. */
  agent?: string;
  cause?: unknown;
}

/** An error with a line for people and with how certain it is. The only kind thrown across the bridge's boundaries. */
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
    // The notice may contain names of agents and devices, which must not mention people in Slack.
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
