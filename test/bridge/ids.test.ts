import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clientMessageId,
  compareTs,
  isDirect,
  makeMessageKey,
  makeThreadKey,
  parseMessageKey,
  parseThreadKey,
  ROLLING,
} from '../../src/bridge/ids.ts';

const id = (first: string) => fc.stringMatching(/^[A-Z0-9]{1,12}$/).map((rest) => first + rest);
const ts = fc
  .tuple(fc.nat({ max: 2_000_000_000 }), fc.nat({ max: 999_999 }))
  .map(([seconds, rest]) => `${seconds}.${String(rest).padStart(6, '0')}`);

describe('ids', () => {
  it('a key gives back the parts it was made of', () => {
    fc.assert(
      fc.property(id('T'), id('C'), fc.oneof(ts, fc.constant(ROLLING)), ts, (team, channel, root, at) => {
        expect(parseThreadKey(makeThreadKey({ team, channel, root }))).toEqual({ team, channel, root });
        expect(parseMessageKey(makeMessageKey({ team, channel, ts: at }))).toEqual({ team, channel, ts: at });
      }),
    );
  });

  it('a key refuses parts that are no Slack ids', () => {
    for (const channel of ['', 'C1:dm', 'c1', 'C 1', 'C1\n']) {
      expect(() => makeThreadKey({ team: 'T1', channel, root: '1.000001' })).toThrow(TypeError);
    }
    expect(() => makeThreadKey({ team: 'T1', channel: 'C1', root: 'now' })).toThrow(TypeError);
  });

  it('timestamps compare as numbers, without losing digits', () => {
    fc.assert(
      fc.property(ts, ts, (a, b) => {
        const [x, y] = [a, b].map((text) => BigInt(text.replace('.', '')));
        expect(Math.sign(compareTs(a, b))).toBe(x === y ? 0 : (x ?? 0n) < (y ?? 0n) ? -1 : 1);
      }),
    );
    expect(compareTs('999999999.000001', '1000000000.000000')).toBeLessThan(0);
  });

  it('a message has one id at Letta until a person resends it', () => {
    const key = makeMessageKey({ team: 'T1', channel: 'C1', ts: '1.000001' });
    expect(clientMessageId(key)).toBe('slack-T1-C1-1.000001');
    expect(clientMessageId(key, 1)).not.toBe(clientMessageId(key));
  });

  it("a direct message's channel begins with D", () => {
    expect(['D1', 'C1', 'G1', ROLLING].map(isDirect)).toEqual([true, false, false, false]);
  });
});
