import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isStopWord, STOP_WORDS, saysStop } from '../../../src/bridge/commands/stop-words.ts';
import { parseBang, parseSlash } from '../../../src/bridge/commands/table.ts';
import { BOT } from '../../support/middle.ts';

const text = (words: string) => ({ kind: 'text', text: words }) as const;
const user = (id: string) => ({ kind: 'user', id }) as const;

describe('a stop word', () => {
  it.each([
    ...['stop', 'Stop', 'STOP!!!', 'stop.', 'stop…', 'stop,', ' stop ', '!stop', '!STOP!', '!stop please', 'stop?!'],
    ...['*stop*', '_stop_', '~stop~', '`stop`', '***Stop!***', '“stop”', "'stop'", '> stop', '(stop)', '- stop'],
    ...['stop please', 'stop, please!', 'Please stop.', 'pls stop', 'stop pls', 'stop, thanks', 'stop. Thank you!'],
    ...['cancel', 'Cancel.', 'abort', 'ABORT!!', 'halt', '*halt*', 'please cancel', 'abort please', '!abort.', '!halt'],
    ...[
      'stop stop stop',
      'STOP! STOP!',
      'stop 🛑',
      '🛑 stop',
      'stop :pray:',
      'ＳＴＯＰ',
      's\u200btop',
      '\u2066stop\u2069',
      'stop\n',
    ],
  ])('stops: %j', (words) => {
    expect(isStopWord(words)).toBe(true);
    expect(parseBang(words)).toEqual({ kind: 'command', name: 'stop', args: '' });
    expect(parseSlash(words)).toEqual({ kind: 'command', name: 'stop', args: '' });
    expect(saysStop([user(BOT), text(` ${words}`)], BOT)).toBe(true);
    expect(saysStop([text(`${words} `), user(BOT), text('!')], BOT)).toBe(true);
    expect(saysStop([user('U02BOB'), text(` ${words}`)], BOT)).toBe(false);
  });

  it.each([
    ...[
      'stop the deploy',
      'cancel the meeting',
      'abort the merge, please',
      'please stop the server',
      '!stop the deploy',
    ],
    ...[
      'stopped',
      'nonstop',
      'stop-loss',
      'stop/cancel',
      's t o p',
      'stop cancel',
      'do not stop',
      'don’t stop',
      "don't stop",
    ],
    ...[
      'stop 3',
      'stop 2 containers',
      '1. stop',
      'when will it stop?',
      'please',
      'thanks',
      '',
      '!',
      '…',
      '🛑',
      'stop it from crashing',
    ],
    ...['stop stop stop stop stop stop stop', `stop ${' '.repeat(300)}`, 'halte', 'canceled'],
  ])('does not stop: %j', (words) => {
    expect(isStopWord(words)).toBe(false);
    expect(saysStop([text(words)], BOT)).toBe(false);
  });
});

describe('a sentence with a stop word', () => {
  const said = new Set([...STOP_WORDS, 'please', 'pls', 'plz', 'thanks', 'thank', 'you']);
  const word = fc
    .stringMatching(/^[a-zäöüéñ0-9][a-zäöüéñ0-9'-]{0,11}$/)
    .filter((some) => !said.has(some) && !said.has(some.replace(/^['-]+|['-]+$/g, '')));
  const mark = fc.constantFrom('', '!', '.', '…', '*', '_', '"', ' :tada:', '\u200b');

  it('is a prompt, with any words and marks around it', () => {
    const sentence = fc
      .tuple(fc.constantFrom(...STOP_WORDS), fc.array(word, { minLength: 1, maxLength: 6 }), fc.nat(6), mark, mark)
      .map(([stop, others, at, before, behind]) => `${before}${others.toSpliced(at, 0, stop).join(' ')}${behind}`);
    fc.assert(
      fc.property(sentence, (words) => {
        expect(isStopWord(words)).toBe(false);
        expect(parseBang(words)).toBeNull();
      }),
      { numRuns: 3_000 },
    );
  });

  it('is judged fast at any length', () => {
    for (const words of ['stop '.repeat(100_000), '*'.repeat(1_000_000), `please ${'stop '.repeat(39)}`]) {
      expect(isStopWord(words)).toBe(false);
    }
  });
});
