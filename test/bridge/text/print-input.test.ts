import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printFields } from '../../../src/bridge/text/print-input.ts';

const print = (input: Record<string, unknown>) => printFields(Object.entries(input), (text) => text);

describe('a printed input', () => {
  it('prints other values than texts as JSON, indented by two', () => {
    const values = fc.jsonValue({ maxDepth: 6 }).filter((value) => typeof value !== 'string');
    fc.assert(
      fc.property(values, (value) => {
        expect(print({ a: value })).toBe(`a: ${JSON.stringify(value, null, 2)}`);
      }),
    );
  });

  it('prints the whole value at any depth', () => {
    for (const depth of [3_300, 20_000]) {
      const deep: unknown = JSON.parse(`${'{"a":['.repeat(depth)}"bottom"${']}'.repeat(depth)}`);
      const text = print({ deep });
      expect(text).toContain('"bottom"');
      expect(text.replace(/\s/g, '').length).toBe('deep:'.length + depth * 8 + '"bottom"'.length);
      expect(text.length).toBeLessThan(10 * depth + 10_000);
    }
  });

  it('prints each field, also those with similar names', () => {
    const input = JSON.parse('{"__proto__":{"rm":1},"a":1,"A":2,"a\\u200b":3,"":4}') as Record<string, unknown>;
    expect(print(input)).toBe('__proto__: {\n  "rm": 1\n}\na: 1\nA: 2\n"a\u200b": 3\n"": 4');
  });
});
