import { describe, expect, it } from 'vitest';
import { asMessageForNow } from '../../../src/bridge/commands/now.ts';
import type { InboundMessage, Span } from '../../../src/bridge/inbound.ts';

const BOT = 'U0BOT';
const text = (words: string): Span => ({ kind: 'text', text: words });
const bot: Span = { kind: 'user', id: BOT };

function read(...spans: Span[]): { words: string; isNow: boolean } {
  const { now, spans: left } = asMessageForNow({ spans } as InboundMessage, BOT);
  return { words: left.map((span) => (span.kind === 'text' ? span.text : '@')).join(''), isNow: now === true };
}

describe('a message for the running turn', () => {
  it.each([
    [[text('!now and the tests')], 'and the tests'],
    [[text('  !NOW\nand the tests')], 'and the tests'],
    [[bot, text(' !now and the tests')], '@ and the tests'],
    [[bot, text(': !now ask '), { kind: 'user', id: 'U02BOB' } as const], '@ ask @'],
    [[text('!now '), { kind: 'user', id: 'U02BOB' } as const], '@'],
  ])('begins with !now, which is left out (%#)', (spans: Span[], words: string) => {
    const found = read(...spans);
    expect({ ...found, words: found.words.trimStart() }).toEqual({ words, isNow: true });
  });

  it.each([
    [[text('!now')]],
    [[bot, text(' !now ')]],
    [[text('!nowhere to go')]],
    [[text('!now-ish')]],
    [[text('do it !now please')]],
  ])('others stay as they are (%#)', (spans: Span[]) => {
    expect(read(...spans)).toEqual({
      words: spans.map((s) => (s.kind === 'text' ? s.text : '@')).join(''),
      isNow: false,
    });
  });

  it('another bot has no running turn to hand it to', () => {
    const message = { spans: [text('!now x')], bot: { id: 'B1' } } as unknown as InboundMessage;
    expect(asMessageForNow(message, BOT)).toBe(message);
  });
});
