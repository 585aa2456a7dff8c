import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareTs, makeMessageKey, makeThreadKey, makeToken, makeTurnId } from '../../../src/bridge/ids.ts';
import { acceptMessage, beginTurn, changeTurn, endTurn, newRecord } from '../../../src/bridge/record/inbox.ts';
import { clientMessageIdOf } from '../../../src/bridge/record/offers.ts';
import type { InboxItem, ThreadRecord } from '../../../src/bridge/record/thread-record.ts';
import {
  type ChosenPast,
  choosePast,
  deliveredPast,
  mayHavePast,
  PAST_CHARACTERS,
  type PastMessages,
} from '../../../src/bridge/turn/past.ts';

const ROOT = '1000.000001';
const KEY = makeThreadKey({ team: 'T1', channel: 'C1', root: ROOT });
const ts = (n: number) => `1000.${String(n).padStart(6, '0')}`;

function item(n: number, text = `message ${n}`, more: Partial<InboxItem> = {}): InboxItem {
  const key = makeMessageKey({ team: 'T1', channel: 'C1', ts: ts(n) });
  return { key, ts: ts(n), user: 'U1', spans: [{ kind: 'text', text }], files: [], receivedAt: 0, ...more };
}

function thread(): ThreadRecord {
  const address = { team: 'T1', channel: 'C1', threadTs: ROOT };
  return {
    ...newRecord(KEY, address, 'U1', 0),
    runtime: { agentId: 'agent-1', conversationId: 'conv-1', deviceId: null },
  };
}

/** What Slack gives of a thread that holds these messages. */
function readOf(messages: readonly InboxItem[], more: Partial<PastMessages> = {}): PastMessages {
  const root = messages.find((each) => each.ts === ROOT) ?? null;
  return { root, messages: messages.filter((each) => each !== root), unread: 0, isComplete: true, ...more };
}

const numbers = (items: readonly InboxItem[]) => items.map((each) => Number(each.ts.split('.')[1]));
const lengthOf = (items: readonly InboxItem[]) =>
  items.reduce(
    (sum, { spans }) => sum + spans.reduce((all, span) => all + ('text' in span ? span.text.length : 0), 0),
    0,
  );

describe('the context of a first turn', () => {
  it('holds within its limits, the first message always there', () => {
    const texts = fc.array(fc.integer({ min: 0, max: 9_000 }), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 0, max: 60 }), (sizes, most) => {
        const messages = sizes.map((size, n) => item(n + 1, 'x'.repeat(size)));
        const turn = { items: [item(900)], context: [] };
        const { context, omitted } = choosePast(thread(), turn, readOf(messages), most);
        expect(context[0]?.ts).toBe(ROOT);
        expect(context.length).toBeLessThanOrEqual(most + 1);
        expect(lengthOf(context)).toBeLessThanOrEqual(PAST_CHARACTERS + 100);
        expect(context.length + omitted).toBe(messages.length);
        // Nothing in the middle is missing: the newest follow the first one.
        expect(numbers(context.slice(1))).toEqual(numbers(messages.slice(messages.length - context.length + 1)));
      }),
    );
  });

  it('too long a message: cut with a mark, not left out', () => {
    const messages = [item(1, 'a'.repeat(30_000)), item(2, 'b'.repeat(30_000))];
    const { context } = choosePast(thread(), { items: [item(9)], context: [] }, readOf(messages), 50);
    expect(context.map(({ spans }) => spans.at(-1))).toEqual([
      { kind: 'text', text: '\n[cut here: 22000 more characters]' },
      { kind: 'text', text: '\n[cut here: 24000 more characters]' },
    ]);
  });

  it('newest missing in Slack’s answer: filled from what was delivered', () => {
    const turn = { items: [item(9)], context: [item(3), item(7)] };
    const read = readOf([item(1), item(2), item(3, 'edited')], { isComplete: false });
    const { context } = choosePast(thread(), turn, read, 50);
    expect(numbers(context)).toEqual([1, 2, 3, 7]);
    expect(context[2]?.spans).toEqual([{ kind: 'text', text: 'edited' }]);
  });
});

describe('a message run late', () => {
  it('comes with what was written until somebody asked for it', () => {
    const late = item(5, 'deploy', { askedAt: 1_000_000 + 50 });
    const { context, known } = choosePast(
      thread(),
      { items: [late], context: [] },
      readOf([item(1), item(5), item(20)]),
      50,
    );
    expect(numbers(context)).toEqual([1, 20]);
    expect(known.upTo).toBe('1000.050000');
  });
});

describe('any course of a thread', () => {
  type Deed = { do: 'say' } | { do: 'ask'; is: 'read' | 'failed' | 'lost' };
  const deed: fc.Arbitrary<Deed> = fc.oneof(
    fc.constant({ do: 'say' as const }),
    fc.record({ do: fc.constant('ask' as const), is: fc.constantFrom('read', 'read', 'failed', 'lost') }),
  );

  it('tells the conversation each message at most once, and loses none', () => {
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 40 }), fc.integer({ min: 1, max: 6 }), (deeds, most) => {
        const slack: InboxItem[] = [item(1)];
        const told: string[] = [];
        let record = thread();
        let omitted = 0;
        for (const [n, act] of deeds.entries()) {
          const next = item(10 + n, 'x', act.do === 'ask' ? { user: 'U2' } : {});
          slack.push(next);
          if (act.do === 'say') continue;
          record = acceptMessage(record, next, true);
          record = beginTurn(
            record,
            { id: makeTurnId(`t${n}`), stopToken: makeToken(`s${n}`), now: 0 },
            clientMessageIdOf,
          );
          const { turn } = record;
          if (!turn) throw new Error('no turn began');
          const chosen: ChosenPast =
            act.is === 'failed'
              ? deliveredPast(record, turn)
              : choosePast(record, turn, mayHavePast(record, turn) ? sinceKnown(record, slack) : readOf([]), most);
          const { context, known, isFirst } = chosen;
          const past = { known, isFirst, omitted: chosen.omitted, seal: 'x' };
          record = endTurn(changeTurn(record, { state: 'submitted', context, past }), 0, act.is !== 'lost');
          if (act.is === 'lost') continue;
          told.push(...context.map((each) => each.ts), next.ts);
          omitted += chosen.omitted;
          expect(context.every((each) => compareTs(each.ts, next.ts) < 0)).toBe(true);
          if (act.is === 'read')
            expect(told.length + omitted).toBeGreaterThanOrEqual(countUpTo(slack, next) - lost(deeds, n));
        }
        expect(new Set(told).size).toBe(told.length);
      }),
    );
  });

  const sinceKnown = (record: ThreadRecord, slack: readonly InboxItem[]) => {
    const upTo = record.known?.upTo ?? null;
    return readOf(slack.filter((each) => each.ts === ROOT || upTo === null || compareTs(each.ts, upTo) > 0));
  };
  const countUpTo = (slack: readonly InboxItem[], last: InboxItem) =>
    slack.filter((each) => compareTs(each.ts, last.ts) <= 0).length;
  /** Turns whose input was lost: their own messages were handled, and come again only when somebody asks for it. */
  const lost = (deeds: readonly Deed[], upTo: number) =>
    deeds.slice(0, upTo).filter((each) => each.do === 'ask' && each.is === 'lost').length;
});

describe('a message that somebody asks about', () => {
  const asks = (of: number, n: number) => item(n, 'look at this', { about: { ts: ts(of), emoji: 'eyes' } });
  const asked = (record: ThreadRecord, of: number, n: number) =>
    beginTurn(
      acceptMessage(record, asks(of, n), true),
      { id: makeTurnId('1'), stopToken: makeToken('s'), now: 0 },
      clientMessageIdOf,
    );

  it('goes along from the middle of a long thread', () => {
    const all = Array.from({ length: 90 }, (_, index) => item(index + 1));
    const record = asked(thread(), 5, 200);
    const { turn } = record;
    if (!turn) throw new Error('no turn');
    const chosen = choosePast(record, turn, readOf(all), 3);
    expect(numbers(chosen.context)).toEqual([1, 5, 88, 89, 90]);
  });

  it('goes along again in a conversation that knows the thread', () => {
    const known = { ...thread(), known: { upTo: ts(90), also: [] }, context: [item(5)] };
    const { turn, ...record } = asked(known, 5, 200);
    if (!turn) throw new Error('no turn');
    expect(numbers(choosePast({ ...record, turn }, turn, readOf([]), 3).context)).toEqual([5]);
    expect(numbers(deliveredPast({ ...record, turn }, turn).context)).toEqual([5]);
  });

  it('is told once when it is of the same turn', () => {
    const record = asked({ ...thread(), inbox: [item(5)] }, 5, 200);
    const { turn } = record;
    if (!turn) throw new Error('no turn');
    expect(numbers(turn.items)).toEqual([5, 200]);
    expect(numbers(choosePast(record, turn, readOf([item(1), item(5)]), 3).context)).toEqual([1]);
  });
});
