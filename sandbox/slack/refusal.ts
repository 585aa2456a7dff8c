import type { JsonObject } from './model.ts';

/** Slack's refusal: HTTP 200 with `ok: false` and this error. */
export class Refusal extends Error {
  readonly error: string;
  readonly body: JsonObject;

  constructor(error: string, options: { messages?: string[]; extra?: JsonObject } = {}) {
    super(error);
    this.name = 'Refusal';
    this.error = error;
    this.body = {
      ok: false,
      error,
      ...options.extra,
      ...(options.messages && { response_metadata: { messages: options.messages } }),
    };
  }
}

export function invalidBlocks(problems: string[]): Refusal {
  return new Refusal('invalid_blocks', {
    messages: problems.map((problem) => `[ERROR] ${problem}`),
    extra: { errors: problems },
  });
}

export function invalidArguments(...problems: string[]): Refusal {
  return new Refusal('invalid_arguments', { messages: problems.map((problem) => `[ERROR] ${problem}`) });
}
