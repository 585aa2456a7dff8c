import { describe, expect, it } from 'vitest';
import type { Span } from '../../../src/bridge/inbound.ts';
import { titleOf } from '../../../src/bridge/turn/title.ts';

const bot = 'UBOT';
const says = (...texts: string[]) => texts.map((text) => ({ spans: [{ kind: 'text', text }] satisfies Span[] }));

describe('the title of a conversation', () => {
  it('is how the first message begins, in one line, without the mention', () => {
    const spans: Span[] = [
      { kind: 'user', id: bot },
      { kind: 'text', text: ' Deploy  the shop\nand tell us' },
    ];
    expect(titleOf([{ spans }, ...says('later')], bot)).toBe('Deploy the shop and tell us');
  });

  it('of a long message: has at most 80 characters', () => {
    const title = titleOf(says('word '.repeat(5_000)), bot) ?? '';
    expect(title.length).toBeLessThanOrEqual(80);
    expect(title).toMatch(/^word word .*…$/);
  });

  it('hides secrets, also those cut by the end', () => {
    const key = `xoxb-${'1'.repeat(12)}-${'a'.repeat(24)}`;
    expect(titleOf(says(`use ${key} for it`), bot)).toBe('use «redacted» for it');
    expect(titleOf(says(`${'a'.repeat(70)} ${key}`), bot)).not.toContain('xoxb');
  });

  it('has no characters that hide or reorder text', () => {
    expect(titleOf(says('pay\u202eyap\u200b now'), bot)).toBe('pay yap now');
  });

  it('of nothing but files: takes the next message, or there is none', () => {
    expect(titleOf(says('', 'look at this'), bot)).toBe('look at this');
    expect(titleOf([...says(' '), ...says()], bot)).toBeNull();
  });
});
