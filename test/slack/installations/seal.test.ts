import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSealer, KEY_BYTES } from '../../../src/slack/installations/seal.ts';

const keyBytes = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES });
const text = fc.string({ unit: 'binary', maxLength: 300 });
const owner = fc.stringMatching(/^[TE][A-Z0-9]{0,12}$/);
const purpose = 'test';
const sealerOf = (key: Uint8Array, oldKey: Uint8Array | null = null) => createSealer({ key, oldKey, purpose });
const isBroken = (run: () => unknown) => {
  expect(run).toThrow(expect.objectContaining({ code: 'seal_broken' }));
};

describe('a sealed text', () => {
  it('opens with its key for its owner', () => {
    fc.assert(
      fc.property(keyBytes, text, owner, (key, plain, whose) => {
        const sealer = sealerOf(key);
        expect(sealer.open(sealer.seal(plain, whose), whose)).toEqual({ text: plain, isOld: false });
      }),
    );
  });

  it('opens for no other owner, purpose or key', () => {
    fc.assert(
      fc.property(keyBytes, keyBytes, text, owner, owner, (key, other, plain, whose, another) => {
        fc.pre(whose !== another && !Buffer.from(key).equals(Buffer.from(other)));
        const sealed = sealerOf(key).seal(plain, whose);
        isBroken(() => sealerOf(key).open(sealed, another));
        isBroken(() => sealerOf(other).open(sealed, whose));
        isBroken(() => createSealer({ key, purpose: 'another' }).open(sealed, whose));
      }),
    );
  });

  it('changed in any letter, cut or longer: does not open', () => {
    fc.assert(
      fc.property(
        keyBytes,
        text,
        owner,
        fc.nat(),
        fc.constantFrom('A', 'b', '-', '.', ''),
        (key, plain, whose, at, by) => {
          const sealer = sealerOf(key);
          const sealed = sealer.seal(plain, whose);
          const place = at % sealed.length;
          const changed = sealed.slice(0, place) + by + sealed.slice(place + 1);
          // The last letter of base64 can hold bits that mean nothing; a change of these alone is no change.
          fc.pre(canonical(changed) !== canonical(sealed));
          isBroken(() => sealer.open(changed, whose));
          isBroken(() => sealer.open(`${sealed}AAAA`, whose));
        },
      ),
    );
  });

  it('never looks the same twice, and shows nothing of the text', () => {
    fc.assert(
      fc.property(keyBytes, fc.string({ minLength: 6 }), owner, (key, plain, whose) => {
        const sealer = sealerOf(key);
        const [first, second] = [sealer.seal(plain, whose), sealer.seal(plain, whose)];
        expect(first).not.toBe(second);
        expect(first).not.toContain(plain);
        expect(Buffer.from(first.split('.')[2] ?? '', 'base64url').includes(plain)).toBe(false);
      }),
    );
  });

  it('garbage instead of it: refused, whatever it is', () => {
    fc.assert(
      fc.property(keyBytes, fc.string(), owner, (key, garbage, whose) =>
        isBroken(() => sealerOf(key).open(garbage, whose)),
      ),
    );
    fc.assert(
      fc.property(keyBytes, fc.base64String({ maxLength: 80 }), (key, garbage) => {
        const id = sealerOf(key).seal('', 'T1').split('.')[1];
        isBroken(() => sealerOf(key).open(`s1.${id}.${garbage}`, 'T1'));
      }),
    );
  });
});

describe('the key replaced', () => {
  it('earlier key: still opens; sealed again: needs the new one', () => {
    fc.assert(
      fc.property(keyBytes, keyBytes, text, owner, (before, after, plain, whose) => {
        fc.pre(!Buffer.from(before).equals(Buffer.from(after)));
        const sealed = sealerOf(before).seal(plain, whose);
        const both = sealerOf(after, before);
        expect(both.open(sealed, whose)).toEqual({ text: plain, isOld: true });
        const again = both.seal(plain, whose);
        expect(sealerOf(after).open(again, whose)).toEqual({ text: plain, isOld: false });
        isBroken(() => sealerOf(before).open(again, whose));
      }),
    );
  });

  it('says which setting is missing when neither key fits', () => {
    const sealed = sealerOf(new Uint8Array(32).fill(1)).seal('xoxb-1', 'T1');
    const sealer = sealerOf(new Uint8Array(32).fill(2), new Uint8Array(32).fill(3));
    expect(() => sealer.open(sealed, 'T1')).toThrow(/ENCRYPTION_KEY_OLD/);
  });
});

function canonical(sealed: string): string {
  const [version, id, data = '', ...more] = sealed.split('.');
  return [version, id, Buffer.from(data, 'base64url').toString('base64url'), ...more].join('.');
}
