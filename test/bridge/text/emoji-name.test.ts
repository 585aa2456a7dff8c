import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emojiName } from '../../../src/bridge/text/emoji-name.ts';

describe('the name of an emoji', () => {
  it.for([
    ['eyes', 'eyes'],
    [':eyes:', 'eyes'],
    ['+1', '+1'],
    [':thumbsup:', '+1'],
    ['thumbsdown::skin-tone-6', '-1'],
    [':+1::skin-tone-2:', '+1'],
    ['pencil', 'memo'],
    ['Our-Logo', 'our-logo'],
    ['やった', 'やった'],
  ] as const)('%s is %s', ([given, name]) => {
    expect(emojiName(given)).toBe(name);
  });

  it.for(['', ':', 'two words', '<!here>', 'a`b', 'x'.repeat(101)])('is not %j', (given) => {
    expect(emojiName(given)).toBe(null);
  });

  it('names itself, and holds nothing that Slack would read as a reference', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (given) => {
        const name = emojiName(given);
        if (name === null) return;
        expect(emojiName(name)).toBe(name);
        expect(name).not.toMatch(/[<>&@!|`*:\s]/);
      }),
    );
  });
});
