import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkInput, jsonSchemaOf, optional, text, whole } from '../../../src/bridge/tools/params.ts';

const params = { path: text('Where.', 10), title: optional(text('Name.', 5)), limit: optional(whole('Most.', 1, 9)) };

describe('the parameters of a tool', () => {
  it('are told to the model as a JSON schema', () => {
    expect(jsonSchemaOf(params)).toEqual({
      type: 'object',
      properties: {
        path: { type: 'string', description: 'Where.', maxLength: 10 },
        title: { type: 'string', description: 'Name.', maxLength: 5 },
        limit: { type: 'integer', description: 'Most.', minimum: 1, maximum: 9 },
      },
      required: ['path'],
      additionalProperties: false,
    });
  });

  it('may be left out, null or empty where they are optional', () => {
    expect(checkInput(params, { path: 'a', title: null, limit: 3 })).toEqual({ input: { path: 'a', limit: 3 } });
    expect(checkInput(params, { path: 'a', title: '' })).toEqual({ input: { path: 'a' } });
  });

  it.each([
    [{}, 'path is missing.'],
    [{ path: ' ' }, 'path must not be empty.'],
    [{ path: 7 }, 'path must be a text.'],
    [{ path: 'x'.repeat(11) }, 'path must have at most 10 characters.'],
    [{ path: 'a', limit: 10 }, 'limit must be a whole number from 1 to 9.'],
    [{ path: 'a', limit: '3' }, 'limit must be a whole number from 1 to 9.'],
    [{ path: 'a', colour: 'red' }, 'There is no parameter "colour".'],
    [{ path: 'a', constructor: 'red' }, 'There is no parameter "constructor".'],
  ])('are refused with a reason: %j', (input, wrong) => {
    expect(checkInput(params, input as Record<string, unknown>)).toEqual({ wrong });
  });

  it('let nothing through that the schema forbids', () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.string()), fc.boolean());
    const input = fc.dictionary(fc.constantFrom('path', 'title', 'limit', 'other', '__proto__'), value);
    fc.assert(
      fc.property(input, (sent) => {
        const checked = checkInput(params, sent);
        if ('wrong' in checked) return;
        const { path, title, limit, ...others } = checked.input;
        expect(others).toEqual({});
        expect(typeof path === 'string' && path.trim() !== '' && path.length <= 10).toBe(true);
        expect(title === undefined || (typeof title === 'string' && title.length <= 5)).toBe(true);
        expect(limit === undefined || (Number.isInteger(limit) && limit >= 1 && limit <= 9)).toBe(true);
      }),
    );
  });
});
