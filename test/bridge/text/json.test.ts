import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, jsonText, sizeOf } from '../../../src/bridge/text/json.ts';

const deep = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

describe('JSON without recursion', () => {
  it('writes the same as JSON.stringify', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(jsonText(value)).toBe(JSON.stringify(value));
      }),
    );
  });

  it('writes equal values equally, in any order of keys', () => {
    expect(canonicalJson({ b: [1, { d: null, c: 'x' }], a: '"' })).toBe('{"a":"\\"","b":[1,{"c":"x","d":null}]}');
    expect(canonicalJson(JSON.parse('{"__proto__":1,"a":2}'))).toBe('{"__proto__":1,"a":2}');
  });

  it('writes values of any depth', () => {
    expect(jsonText(deep(100_000))).toBe('['.repeat(100_000) + ']'.repeat(100_000));
  });

  it('measures a value only up to the given bounds', () => {
    const bounds = { depth: 50, letters: 1_000 };
    expect(sizeOf({ a: ['bc', 1] }, bounds)).toEqual({ depth: 2, letters: 9 });
    expect(sizeOf(deep(100_000), bounds).depth).toBe(51);
    expect(sizeOf(new Array(100_000).fill('x'.repeat(100)), bounds).letters).toBeLessThan(1_200);
  });
});
