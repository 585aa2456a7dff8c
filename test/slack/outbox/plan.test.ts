import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PostRecord } from '../../../src/bridge/record/thread-record.ts';
import { applyCall, contentHash, planCalls, UNKNOWN, withUnknownContent } from '../../../src/slack/outbox/plan.ts';
import type { SlackPost } from '../../../src/slack/render/post.ts';

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
  ...(shown.live && { live: true }),
});

describe('the outbox plan', () => {
  test('is empty when Slack shows what is wanted', () => {
    const shown = post('0.0', 'a', 'text', true);
    expect(planCalls([record(1, shown)], [{ ...shown, live: false }])).toEqual([]);
    expect(planCalls([], [])).toEqual([]);
  });

  test('posts one message at a time, from the top', () => {
    const [a, b] = [post('0.0', 'a'), post('0.1', 'b')];
    expect(planCalls([], [a, b])).toEqual([{ kind: 'post', post: a }]);
    expect(planCalls([record(1, a)], [a, b])).toEqual([{ kind: 'post', post: b }]);
  });

  test('finishes text above before posting more text, but posts cards at once', () => {
    const a = record(1, post('0.0', 'a'));
    const more = post('0.0', 'a and more');
    expect(planCalls([a], [more, post('0.1', 'b')]).map(({ kind }) => kind)).toEqual(['update']);
    expect(planCalls([a], [more, post('1.0', 'card', 'card')]).map(({ kind }) => kind)).toEqual(['post', 'update']);
  });

  test('deletes messages that are not wanted any more', () => {
    const [a, b] = [post('0.0', 'a'), post('0.1', 'b')];
    expect(planCalls([record(1, a), record(2, b)], [a])).toEqual([{ kind: 'delete', record: record(2, b) }]);
  });

  test('posts a card as a new message, never by editing text', () => {
    const sign = record(1, post('0.0', 'thinking'));
    const card = post('0.0', 'may I?', 'card');
    expect(planCalls([sign], [card])).toEqual([{ kind: 'post', post: card }]);
    expect(planCalls([sign, record(2, card)], [card])).toEqual([{ kind: 'delete', record: sign }]);
  });

  test('keeps a card in its message when text above it disappears', () => {
    const text = record(1, post('0.0', 'thrown away'));
    const card = record(2, post('1.0', 'may I?', 'card'));
    const calls = planCalls([text, card], [post('0.0', 'may I?', 'card')]);
    expect(calls).toEqual([{ kind: 'delete', record: text }]);
  });

  test('posts a card below one that is there, though it belongs above', () => {
    const [above, between] = [post('0.0', 'let me see'), post('2.0', 'and now')];
    const [missed, there] = [post('card-a', 'lost', 'card'), post('card-b', 'may I?', 'card')];
    const status = { ...post('1.0', 'it worked'), isEditOnly: true as const };
    const ledger = [record(1, above), record(2, between), record(3, there)];
    const wanted = [above, status, missed, between, there];
    expect(planCalls(ledger, wanted)).toEqual([{ kind: 'post', post: missed }]);
    expect(planCalls([...ledger, record(4, missed)], wanted)).toEqual([]);
  });

  test('edits a message whose content is in doubt', () => {
    const a = post('0.0', 'a');
    const [call] = planCalls([withUnknownContent(record(1, a))], [a]);
    expect(call).toMatchObject({ kind: 'update', post: a });
  });

  test('keeps a card in its message when text above it returns', () => {
    const [text, card, tail] = [post('0.0', 'before'), post('card-A', 'may I?', 'card'), post('2.0', 'waits')];
    const ledger = [record(1, post('1.9', 'something else')), record(2, card), record(3, tail)];
    expect(planCalls(ledger, [text, card, tail])).toEqual([{ kind: 'update', record: ledger[0], post: text }]);
  });

  test('posts text below a card when no message above it is free', () => {
    const [a, b, card] = [post('0.0', 'a'), post('0.1', 'b'), post('card-A', 'may I?', 'card')];
    const tail = post('2.0', 'waits');
    const ledger = [record(1, a), record(2, card)];
    expect(planCalls(ledger, [a, b, card, tail])).toEqual([{ kind: 'post', post: b }]);
    expect(planCalls([...ledger, record(3, b)], [a, b, card, tail])).toEqual([{ kind: 'post', post: tail }]);
    expect(planCalls([record(2, card)], [a, card])).toEqual([{ kind: 'post', post: a }]);
  });

  test('edits a status above a card, never posts one there', () => {
    const still = { ...post('0.0', 'worked, then asked'), isEditOnly: true as const };
    const [card, text] = [post('card-A', 'may I?', 'card'), post('1.0', 'below')];
    expect(planCalls([], [still, card])).toEqual([{ kind: 'post', post: card }]);
    expect(planCalls([record(1, card)], [still, card, text])).toEqual([{ kind: 'post', post: text }]);
    const working = record(1, post('0.0', 'at work'));
    const calls = planCalls([working], [still, card]);
    expect(calls).toEqual([
      { kind: 'post', post: card },
      { kind: 'update', record: working, post: still },
    ]);
    // Below the card it would be wrong.
    const below = record(2, post('1.0', 'at work'));
    expect(planCalls([record(1, card), below], [still, card])).toEqual([{ kind: 'delete', record: below }]);
  });

  test('never turns a text message found in Slack into a card', () => {
    const card = post('card-A', 'may I?', 'card');
    const found: PostRecord = { part: '0.0', ts: '1.000000', hash: UNKNOWN };
    expect(planCalls([found], [card])).toEqual([{ kind: 'post', post: card }]);
  });

  test('leaves a frozen card untouched, and posts no missing one', () => {
    const card = post('card-A', 'may I?', 'card');
    const frozen = { ...post('card-A', '', 'card'), isFrozen: true as const };
    expect(planCalls([record(1, card)], [frozen])).toEqual([]);
    const tail = post('1.0', 'started anew');
    expect(planCalls([], [frozen, tail])).toEqual([{ kind: 'post', post: tail }]);
  });

  describe('while the text from before a restart is unknown', () => {
    const card = { ...post('card-A', '', 'card'), isFrozen: true as const };
    const tail = post('+1.0', 'started anew', 'text', true);

    test('keeps text above a card, and edits only the newest message below', () => {
      const above = record(1, post('0.0', 'before'));
      const asked = record(2, post('card-A', 'may I?', 'card'));
      const below = [record(3, post('2.0', 'after')), record(4, post('2.1', 'and on', 'text', true))];
      expect(planCalls([above, asked, ...below], [card, tail], true)).toEqual([
        { kind: 'update', record: below[1], post: tail },
      ]);
    });

    test('overwrites no earlier text, and posts the turn’s end once', () => {
      const [first, second] = [record(1, post('0.0', 'before')), record(2, post('0.1', 'and on'))];
      const end = { ...post('+0.0', 'failed'), ends: true as const };
      expect(planCalls([first, second], [{ ...tail, waitsForTextAbove: true }], true)).toEqual([]);
      expect(planCalls([first, second], [end], true)).toEqual([{ kind: 'post', post: end }]);
      const told = { ...record(3, post('0.2', 'to the end, failed')), ends: true as const };
      expect(planCalls([first, second, told], [end], true)).toEqual([]);
      const found: PostRecord = { part: '0.2', ts: '3.000000', hash: UNKNOWN };
      expect(planCalls([first, found], [end], true)).toEqual([{ kind: 'post', post: end }]);
      expect(planCalls([first, { ...found, live: true }], [end], true)).toMatchObject([{ kind: 'update', post: end }]);
      expect(planCalls([first, { ...found, ends: true }], [end], true)).toEqual([]);
    });

    test('deletes unwanted messages posted since the restart', () => {
      const since = [record(3, post('+1.0', 'since')), record(4, post('+1.1', 'taken back'))];
      const wanted = post('+1.0', 'since');
      expect(planCalls([record(1, post('0.0', 'before')), ...since], [wanted], true)).toEqual([
        { kind: 'delete', record: since[1] },
      ]);
    });

    test('edits a closed card that has a message, and posts none otherwise', () => {
      const closed = { ...post('card-A', 'closed', 'card'), waitsForTextAbove: true as const };
      const calls = planCalls([record(1, post('0.0', 'before'))], [closed, tail], true);
      expect(calls).not.toContainEqual(expect.objectContaining({ post: closed }));
      const asked = record(2, post('card-A', 'may I?', 'card'));
      expect(planCalls([asked], [closed, tail], true)[0]).toEqual({ kind: 'update', record: asked, post: closed });
    });

    test('marks every earlier message as no longer live', () => {
      const asked = record(2, post('card-A', 'may I?', 'card'));
      const live = record(1, post('0.0', 'before, and at work', 'text', true));
      const unsure = withUnknownContent(record(1, post('0.0', 'before')));
      for (const above of [live, unsure]) {
        let ledger = [above, asked];
        for (let serial = 10; ; serial += 1) {
          const [call] = planCalls(ledger, [card, tail], true);
          if (!call) break;
          expect(call.kind).not.toBe('delete');
          ledger = applyCall(ledger, call, call.kind === 'post' ? `${serial}.000000` : call.record.ts);
        }
        expect(ledger.map(({ ts }) => ts)).toEqual(['1.000000', '2.000000', '10.000000']);
        expect(ledger.map(({ live: goesOn }) => goesOn ?? false)).toEqual([false, false, true]);
        expect(ledger[0]?.hash).not.toBe(above.hash);
      }
    });

    test('loses no message, and moves none once the text is known', () => {
      const item = fc.oneof(
        fc.record({ kind: fc.constant('text' as const), parts: fc.integer({ min: 1, max: 3 }) }),
        fc.constant({ kind: 'card' as const, parts: 1 }),
      );
      const calls = (ledger: PostRecord[], wanted: SlackPost[], textUnknown: boolean, pick: number) => {
        let now = ledger;
        for (let serial = 100 + ledger.length; ; serial += 1) {
          const planned = planCalls(now, wanted, textUnknown);
          const call = planned[pick % Math.max(1, planned.length)];
          if (!call) return now;
          expect(call.kind === 'delete' ? call.record.part : '+').toMatch(/^\+/);
          now = applyCall(now, call, call.kind === 'post' ? `${serial}.000000` : call.record.ts);
          expect(serial).toBeLessThan(200);
        }
      };
      fc.assert(
        fc.property(fc.array(item, { maxLength: 6 }), fc.nat({ max: 8 }), fc.nat(), (items, lost, pick) => {
          const whole = items.flatMap(({ kind, parts }, index) =>
            kind === 'card'
              ? [post(`card-${index}`, `card ${index}`, 'card')]
              : Array.from({ length: parts }, (_, n) => post(`${index}.${n}`, `text ${index}.${n}`)),
          );
          const last = whole.at(-1);
          if (last?.kind === 'text') whole[whole.length - 1] = { ...last, live: true };
          else whole.push(post(`${items.length}.0`, 'waits', 'text', true));
          // What the process had not posted yet when it died.
          const ledger = whole.slice(0, Math.max(0, whole.length - lost)).map((one, n) => record(n + 1, one));
          const cards = whole.filter(({ kind }) => kind === 'card').map((one) => ({ ...one, isFrozen: true as const }));
          const started = calls(ledger, [...cards, tail], true, pick);
          const known = started.map(({ ts }) => ts);
          expect(known.slice(0, ledger.length)).toEqual(ledger.map(({ ts }) => ts));
          expect(started.filter(({ live }) => live)).toHaveLength(1);
          const again = calls(started, whole, false, pick);
          expect(again.map(({ hash }) => hash)).toEqual(whole.map((one) => contentHash(one)));
          for (const { ts, hash } of ledger)
            if (hash.startsWith('card-')) expect(again.find((one) => one.ts === ts)?.hash).toBe(hash);
        }),
        { seed: 20_261_125, numRuns: 500 },
      );
    });
  });

  test('ends with exactly the wanted texts and cards, from any ledger', () => {
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
        for (let calls = planCalls(ledger, wanted); calls.length > 0; calls = planCalls(ledger, wanted)) {
          const call = calls[pick % calls.length];
          if (!call) break;
          serial += 1;
          ledger = applyCall(ledger, call, call.kind === 'post' ? `${serial}.000000` : call.record.ts);
          rounds += 1;
          expect(rounds).toBeLessThan(30);
        }
        const shown = (kind: string) => ledger.map(({ hash }) => hash).filter((hash) => hash.startsWith(kind));
        const asked = (kind: string) => wanted.map((one) => contentHash(one)).filter((hash) => hash.startsWith(kind));
        expect(shown('text-')).toEqual(asked('text-'));
        // A card that is there keeps its message, though one that belongs above it is posted only now.
        if (before.every(({ kind }) => kind === 'text')) expect(shown('card-')).toEqual(asked('card-'));
        expect(shown('card-').sort()).toEqual(asked('card-').sort());
        // Only for a card that is there already text may stand lower than it was said.
        if (before.every(({ kind }) => kind === 'text')) {
          expect(ledger.map(({ hash }) => hash)).toEqual(wanted.map((one) => contentHash(one)));
        }
      }),
      { seed: 20_261_122, numRuns: 500 },
    );
  });

  test('moves no card, in whatever order some were posted', () => {
    const cards = [0, 1, 2, 3].map((n) => post(`card-${n}`, `card ${n}`, 'card'));
    const wanted = cards.flatMap((card, n) => [post(`${n}.0`, `text ${n}`), card]);
    fc.assert(
      fc.property(fc.shuffledSubarray(cards), fc.nat(), (posted, pick) => {
        const before = posted.map((card, n) => record(n + 1, card));
        let ledger: PostRecord[] = before;
        for (let serial = 100; ; serial += 1) {
          const calls = planCalls(ledger, wanted);
          const call = calls[pick % Math.max(1, calls.length)];
          if (!call) break;
          ledger = applyCall(ledger, call, call.kind === 'post' ? `${serial}.000000` : call.record.ts);
          expect(serial).toBeLessThan(130);
        }
        expect(ledger.map(({ hash }) => hash).sort()).toEqual(wanted.map(contentHash).sort());
        for (const { part, ts } of before) expect(ledger.find((one) => one.part === part)?.ts).toBe(ts);
      }),
      { seed: 20_261_201, numRuns: 300 },
    );
  });

  test('moves no card, and puts no later text above one', () => {
    const texts = (cards: number) =>
      fc.array(fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }), {
        minLength: cards + 1,
        maxLength: cards + 1,
      });
    const both = fc.nat({ max: 3 }).chain((cards) => fc.tuple(texts(cards), texts(cards)));
    const posts = (around: string[][]) =>
      around.flatMap((some, place) => [
        ...some.map((text, n) => post(`${place * 2}.${n}`, `${place}${text}`)),
        ...(place < around.length - 1 ? [post(`card-${place}`, 'may I?', 'card')] : []),
      ]);
    fc.assert(
      fc.property(both, fc.nat(), ([before, after], pick) => {
        const wanted = posts(after);
        let ledger = posts(before).map((one, n) => record(n + 1, one));
        const cards = (of: PostRecord[]) => of.filter(({ part }) => part.startsWith('card-'));
        const asked = cards(ledger);
        for (let serial = 100; ; serial += 1) {
          const planned = planCalls(ledger, wanted);
          const call = planned[pick % Math.max(1, planned.length)];
          if (!call) break;
          ledger = applyCall(ledger, call, call.kind === 'post' ? `${serial}.000000` : call.record.ts);
          expect(serial).toBeLessThan(130);
        }
        expect(cards(ledger)).toEqual(asked);
        const behind = new Map(
          after.flatMap((some, place) =>
            some.map((text) => [contentHash(post('', `${place}${text}`)), place] as const),
          ),
        );
        let above = 0;
        for (const { part, hash } of ledger) {
          if (part.startsWith('card-')) above += 1;
          else expect(above).toBeGreaterThanOrEqual(behind.get(hash) ?? Number.NaN);
        }
      }),
      { seed: 20_261_125, numRuns: 500 },
    );
  });
});
