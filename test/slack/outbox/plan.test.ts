import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PostRecord } from '../../../src/bridge/thread-record.ts';
import { confirmed, contentHash, doubtful, plan } from '../../../src/slack/outbox/plan.ts';
import type { SlackPost } from '../../../src/slack/post.ts';

const post = (part: string, text: string, kind: SlackPost['kind'] = 'text', live = false): SlackPost => ({
  part,
  kind,
  blocks: [{ type: 'markdown', text }],
  text: 'Answer',
  live,
});
const record = (ts: number, shown: SlackPost): PostRecord => ({
  part: shown.part,
  ts: `${ts}.000000`,
  hash: contentHash(shown),
});

describe('the plan', () => {
  test('has nothing to do when all is as wanted, live or not', () => {
    const shown = post('0.0', 'a', 'text', true);
    expect(plan([record(1, shown)], [{ ...shown, live: false }])).toEqual([]);
    expect(plan([], [])).toEqual([]);
  });

  test('posts one at a time, from the top', () => {
    const [a, b] = [post('0.0', 'a'), post('0.1', 'b')];
    expect(plan([], [a, b])).toEqual([{ kind: 'post', post: a }]);
    expect(plan([record(1, a)], [a, b])).toEqual([{ kind: 'post', post: b }]);
  });

  test('finishes the text above before it posts more text, but never lets a card wait for that', () => {
    const a = record(1, post('0.0', 'a'));
    const more = post('0.0', 'a and more');
    expect(plan([a], [more, post('0.1', 'b')]).map(({ kind }) => kind)).toEqual(['update']);
    expect(plan([a], [more, post('1.0', 'card', 'card')]).map(({ kind }) => kind)).toEqual(['update', 'post']);
  });

  test('deletes what nothing wants any more', () => {
    const [a, b] = [post('0.0', 'a'), post('0.1', 'b')];
    expect(plan([record(1, a), record(2, b)], [a])).toEqual([{ kind: 'delete', record: record(2, b) }]);
  });

  test('never turns text into a card: people would not be notified', () => {
    const sign = record(1, post('0.0', 'thinking'));
    const card = post('0.0', 'may I?', 'card');
    expect(plan([sign], [card])).toEqual([{ kind: 'post', post: card }]);
    expect(plan([sign, record(2, card)], [card])).toEqual([{ kind: 'delete', record: sign }]);
  });

  test('keeps a card in its message when the parts before it vanish', () => {
    const text = record(1, post('0.0', 'thrown away'));
    const card = record(2, post('1.0', 'may I?', 'card'));
    const calls = plan([text, card], [post('0.0', 'may I?', 'card')]);
    expect(calls).toEqual([{ kind: 'delete', record: text }]);
  });

  test('edits a message again when nobody knows what it shows', () => {
    const a = post('0.0', 'a');
    const [call] = plan([doubtful(record(1, a))], [a]);
    expect(call).toMatchObject({ kind: 'update', post: a });
  });

  test('ends, from any ledger, with exactly the wanted posts in order and without a duplicate', () => {
    const some = fc.record({
      part: fc.constantFrom('0.0', '0.1', '1.0', '2.0'),
      text: fc.constantFrom('a', 'b', 'c'),
      kind: fc.constantFrom<SlackPost['kind']>('text', 'card'),
    });
    const wantedPosts = fc.uniqueArray(some, { selector: ({ part }) => part, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 5 }), wantedPosts, fc.nat(), (before, after, pick) => {
        let ledger = before.map(({ part, text, kind }, n) => record(n + 1, post(part, text, kind)));
        const wanted = after
          .sort((a, b) => (a.part < b.part ? -1 : 1))
          .map(({ part, text, kind }) => post(part, text, kind));
        let serial = 100;
        let rounds = 0;
        for (let calls = plan(ledger, wanted); calls.length > 0; calls = plan(ledger, wanted)) {
          const call = calls[pick % calls.length];
          if (!call) break;
          serial += 1;
          ledger = confirmed(ledger, call, call.kind === 'post' ? `${serial}.000000` : call.record.ts);
          rounds += 1;
          expect(rounds).toBeLessThan(30);
        }
        expect(ledger.map(({ hash }) => hash)).toEqual(wanted.map((one) => contentHash(one)));
      }),
      { seed: 20_261_122, numRuns: 500 },
    );
  });
});
