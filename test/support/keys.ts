import fc from 'fast-check';
import type { KeyFamily } from '../../src/bridge/text/secrets/families.ts';

/** Keys of a family, made from its own pattern, so that no scanner takes a test for a leak. */
export function keysOf({ pattern }: KeyFamily): fc.Arbitrary<string> {
  const flags = pattern.flags.replace('y', '');
  const whole = new RegExp(`^(?:${pattern.source})$`, flags);
  // fast-check does not support look-around, so generated keys are checked against the whole pattern.
  const plain = pattern.source.replace(/\(\?<?[=!][^)]*\)/g, '');
  return fc.stringMatching(new RegExp(`^(?:${plain})$`)).filter((key) => whole.test(key));
}
