import { describe, expect, it } from 'vitest';
import { redact } from '../../src/bridge/text/redact.ts';
import { FAMILIES } from '../../src/bridge/text/secrets/families.ts';
import { hideSecrets } from '../../src/bridge/text/secrets/hide.ts';

/**
 * No text may cost more than in proportion to its length. Every beginning that redaction knows is repeated, alone and
 * mixed with others: read again from each beginning, or to each end, these would take minutes.
 */

const BEGINNINGS = [...new Set(FAMILIES.flatMap(({ begins }) => begins))];
const LEADS = [
  ...[
    'password=',
    'password="',
    "token='",
    'token=/a',
    'token=a..',
    'api_key: ',
    '--a-token ',
    ' -u a:',
    'key=',
    'sonar.',
  ],
  ...['authorization: ', 'bearer ', 'cookie: a=', '://a:', '://a:b@', '?sig=', 'hooks.slack.com/services/T/B/', 'aaaa'],
  ...[
    '-----BEGIN PRIVATE KEY-----\n',
    '-----END PRIVATE KEY-----\n',
    'QUJDREVGR0hJ0c',
    '\\n',
    '\u001b[0m',
    '%20',
    '"',
    "'",
  ],
  ...[
    'abc8Q~',
    '12345678:AA',
    '.atlasv1.',
    '_mmk',
    '$TOKEN',
    'a.',
    '/',
    '=',
    '{',
    '«redacted»',
    'eyJaaaaaaaa.',
    '_',
    '-',
  ],
];
const REPEATED = [
  ...BEGINNINGS,
  ...LEADS,
  ...LEADS.map((lead, at) => lead + (LEADS[(at * 7 + 3) % LEADS.length] ?? '')),
  ...BEGINNINGS.map((begin) => `${begin}eyJ_`),
];

/**
 * Letters of the shorter text, how many times longer the other is, and how often it is measured at most. What seems to
 * grow too fast is measured again with longer texts, where a compiler at work no longer counts, and the square does.
 */
const MEASURES = [
  { short: 10_000, rounds: 20 },
  { short: 80_000, rounds: 10 },
];
const TIMES = 8;

describe.each([
  { what: 'commands', clean: hideSecrets },
  { what: 'other text', clean: redact },
])('redaction of $what', ({ clean }) => {
  it('grows no faster than the text', () => {
    const slow = REPEATED.flatMap((piece) => {
      let exponent = 1;
      for (const measure of MEASURES) {
        exponent = growth(piece, measure);
        if (exponent <= 1.2) break;
      }
      return exponent > 1.2 ? [`${JSON.stringify(piece)} grows with ${exponent.toFixed(2)}`] : [];
    });
    expect(slow).toEqual([]);
  });

  /**
   * 1 is in proportion to the length, 2 its square. The least work for each length counts: what the garbage collector or
   * another process adds in one round is not there in all of them, and the square of the length is.
   */
  function growth(piece: string, { short: letters, rounds }: (typeof MEASURES)[number]): number {
    let [short, long] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    let exponent = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds && exponent > 1.2; round += 1) {
      short = Math.min(short, workOf(piece, letters));
      long = Math.min(long, workOf(piece, letters * TIMES));
      // What is done at once has no growth that could be measured.
      if (long < 5_000) return 1;
      exponent = Math.log(long / Math.max(short, 500)) / Math.log(TIMES);
    }
    return exponent;
  }

  /** µs of this process's own work, whatever else the machine does. */
  function workOf(piece: string, length: number): number {
    const text = piece.repeat(Math.ceil(length / piece.length));
    const before = process.cpuUsage();
    clean(text);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  }
});
