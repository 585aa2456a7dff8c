import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CAUSES,
  type CauseName,
  causeOfCode,
  causeOfFailure,
  causesTable,
  sayCause,
  sayError,
  shortCause,
} from '../../../src/bridge/words/causes.ts';

const of = (error: string | null, stopReason = 'error') => causeOfFailure(stopReason, error);

describe('the cause of a failed turn', () => {
  it.each<[string, string | null, CauseName, string]>([
    // As recorded (docs/letta-protocol.md, Errors).
    [
      'error',
      '500: {"message":"scripted error 500","type":"scripted_error","code":"500"}',
      'provider_error',
      'The model’s provider returned an error (500).',
    ],
    [
      'error',
      '429: {"message":"scripted error 429","type":"scripted_error","code":"429"}',
      'rate_limit',
      'The model’s provider accepts no more requests right now (429). Wait a moment.',
    ],
    [
      'error',
      '401: {"message":"scripted error 401"}',
      'provider_key',
      'The model’s provider refuses the key of this agent (401). Ask who runs me to renew it.',
    ],
    [
      'error',
      '400: {"message":"scripted error 400"}',
      'provider_error',
      'The model’s provider returned an error (400).',
    ],
    ['llm_api_error', null, 'provider_error', 'The model’s provider returned an error.'],
    ['llm_api_error', 'terminated', 'provider_error', 'The model’s provider returned an error.'],
    [
      'error',
      'Failed to prepare image for model: Input buffer contains unsupported image format',
      'agent_error',
      'The agent stopped with an error: Failed to prepare image for model: Input buffer contains unsupported image format.',
    ],
    ['context_window_overflow_in_system_prompt', null, 'context_full', CAUSES.context_full.says],
    [
      'insufficient_credits',
      null,
      'no_credits',
      'The account that pays for the model has no credits left. Ask who runs me to add some.',
    ],
    ['max_tokens_exceeded', null, 'answer_too_long', CAUSES.answer_too_long.says],
    // The words of providers.
    [
      'error',
      '400: {"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}',
      'context_full',
      CAUSES.context_full.says,
    ],
    [
      'error',
      "Error code: 400 - This model's maximum context length is 128000 tokens",
      'context_full',
      CAUSES.context_full.says,
    ],
    [
      'error',
      '429: {"error":{"code":"insufficient_quota"}}',
      'no_credits',
      'The account that pays for the model has no credits left (429). Ask who runs me to add some.',
    ],
    ['error', 'HTTP 529: overloaded', 'provider_error', 'The model’s provider returned an error (529).'],
    ['error', null, 'agent_error', 'The agent stopped with an error.'],
    ['no_tool_call', null, 'agent_error', 'The agent stopped with an error.'],
    ['error', 'stopped after 500 steps', 'agent_error', 'The agent stopped with an error: stopped after 500 steps.'],
  ])('%s, %j: %s', (stopReason, error, name, sentence) => {
    const cause = of(error, stopReason);
    expect(cause.name).toBe(name);
    expect(sayCause(cause)).toBe(sentence);
  });

  it('JSON, ids, addresses and several lines: stay out of the sentence', () => {
    for (const error of [
      '{"error":{"type":"x"}}',
      'run local-run-0b3854c6-16d8-4f88 failed',
      'see https://example.com/status',
      'Agent agent-local-b260f74e-3a07-4839-8e19-30dd923300dc not found',
      'first\nsecond',
      'x'.repeat(200),
    ])
      expect(sayCause(of(error))).toBe('The agent stopped with an error.');
  });

  it('property: any text gives one short line without JSON', () => {
    const words = fc.constantFrom(
      '429',
      '500',
      '{',
      '}',
      '"',
      'context length',
      'billing',
      '\n',
      'error code: ',
      '<!here>',
    );
    const text = fc.oneof(
      fc.string({ maxLength: 4_000 }),
      fc.array(words).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(text, fc.string(), (error, stopReason) => {
        const said = sayCause(of(error, stopReason));
        expect(said).not.toMatch(/[{}[\]\n<>]/);
        expect(said.length).toBeLessThan(250);
        expect(said).toMatch(/\.$/);
      }),
    );
  });
});

describe('the cause behind an error’s code', () => {
  it('names Letta’s state in a few words', () => {
    expect(shortCause('environment_offline')).toBe('the device is offline');
    expect(shortCause('mode_not_confirmed')).toBe('mode not confirmed');
    expect(causeOfCode('toString')).toBeNull();
  });

  it('without words of its own: leaves the notice', () => {
    expect(sayError('environment_offline', 'Letta device studio is offline.')).toBe('Letta device studio is offline.');
    expect(sayError('mode_not_confirmed', 'It did not.')).toBe('It did not.');
    expect(sayError('agent_not_found', 'Letta does not know agent-1.')).toBe(CAUSES.agent_gone.says);
  });
});

describe('the table of causes', () => {
  it('has a line for each, without placeholders', () => {
    const table = causesTable();
    expect(table.split('\n')).toHaveLength(Object.keys(CAUSES).length + 2);
    expect(table).not.toMatch(/[{}]/);
  });
});
