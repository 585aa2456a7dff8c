import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { makeThreadKey, makeToken, makeTurnId, type ThreadKey } from '../../src/bridge/ids.ts';
import { isActive, type ThreadRecord } from '../../src/bridge/record/thread-record.ts';
import { WAITING_KEPT } from '../../src/bridge/record/waiting.ts';
import { BridgeError } from '../../src/errors.ts';
import type { Revs, StorageAdapter } from '../../src/storage/adapter.ts';
import { assembleStore } from '../../src/storage/open.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { approvalRecord, inboxItem, offerOf, openTurn, threadKeyOf, threadRecord, tsOf } from '../support/records.ts';

/** A place where data stays while stores over it come and go. */
export interface Medium {
  /** A fresh adapter over what the medium holds. */
  adapter(namespace: string): StorageAdapter;
  /** As a process that starts again: whatever was open is gone, what was stored is there. */
  reopen(): void;
  destroy(): void | Promise<void>;
}

/** The calls to storage that may fail, and how: thrown, answered with `false`, or the process dies. */
interface Disk {
  adapter(namespace: string): StorageAdapter;
  /** `namespace.method` of each call that changes something, in order. */
  writes: string[];
  fail: ((call: string, key: string) => 'throw' | 'false' | undefined) | null;
  /** Something that happens while a call is on its way to the disk. */
  meanwhile: ((call: string) => Promise<void>) | null;
  /** How many rows there are in a namespace. */
  count(namespace: string): Promise<number>;
}

const BIG = 'ä'.repeat(20_000);
const KEY = threadKeyOf(1);

function faultyDisk(medium: Medium): Disk {
  const disk: Disk = {
    writes: [],
    fail: null,
    meanwhile: null,
    adapter(namespace) {
      const inner = medium.adapter(namespace);
      const around = async <T>(method: string, key: string, run: () => Promise<T>, refusal?: unknown): Promise<T> => {
        const call = `${namespace}.${method}`;
        if (method !== 'get') disk.writes.push(call);
        await disk.meanwhile?.(call);
        const how = disk.fail?.(call, key);
        if (how === 'throw') throw new Error('disk I/O error');
        if (how === 'false') return refusal as T;
        return run();
      };
      return new Proxy(inner, {
        get(target, name) {
          switch (name) {
            case 'get':
              return async (key: string) => around('get', key, () => target.get(key));
            case 'set':
              return async (key: string, value: unknown) => around('set', key, () => target.set(key, value), false);
            case 'replace':
              // What the disk does not answer with yes or no is a failure, and no conflict.
              return async (key: string, value: string, revs: Revs) =>
                around('set', key, async (): Promise<boolean | undefined> => target.replace(key, value, revs));
            case 'delete':
              return async (key: string) => around('delete', key, () => target.delete(key), false);
            default: {
              const value: unknown = Reflect.get(target, name, target);
              return typeof value === 'function' ? value.bind(target) : value;
            }
          }
        },
      });
    },
    async count(namespace) {
      let count = 0;
      for await (const _ of medium.adapter(namespace).iterator()) count += 1;
      return count;
    },
  };
  return disk;
}

function code(error: unknown): string {
  return error instanceof BridgeError ? error.code : `not a BridgeError: ${String(error)}`;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => 'nothing was refused', code);
}

/** What every implementation of `Threads` and `Choices` must hold, on every kind of storage. */
export function threadsContract(name: string, createMedium: () => Medium): void {
  describe(`threads on ${name}`, () => {
    const mediums: Medium[] = [];
    afterEach(async () => {
      for (const medium of mediums.splice(0)) await medium.destroy();
    });

    function setUp(medium = createMedium()) {
      mediums.push(medium);
      const disk = faultyDisk(medium);
      const clock = createFakeClock();
      const log = createMemoryLog();
      const start = () => assembleStore(disk.adapter, { clock, log }, () => {});
      const { threads, choices } = start();
      const restart = () => {
        medium.reopen();
        return start();
      };
      return { medium, disk, clock, log, threads, choices, restart };
    }

    it('load what was stored, with the next rev and time', async () => {
      const { threads, clock } = setUp();
      expect(await threads.load(KEY)).toBeNull();
      const record = threadRecord(KEY, {
        runtime: { agentId: 'agent-1', conversationId: 'conv-1', deviceId: null },
        inbox: [inboxItem(1, ':bigint:5 and :base64:aGk= and \u0000 stay text')],
        context: [inboxItem(2)],
        turn: openTurn(3, { posts: [{ part: '0.0', ts: tsOf(9), hash: 'text-1', live: true }] }),
        approvals: [
          approvalRecord(1),
          approvalRecord(3, { after: null }),
          approvalRecord(4, { after: 'message-1' }),
          approvalRecord(2, {
            state: { state: 'decided', decision: 'denied', by: 'U02BOB', at: 5, words: 'no' },
          }),
        ],
        seen: [{ key: inboxItem(1).key, at: clock.now() }],
        rev: 77,
      });
      const stored = await threads.update(KEY, () => record);
      expect(stored).toEqual({ ...record, rev: 1, updatedAt: clock.now() });
      expect(await threads.load(KEY)).toEqual(stored);
      expect((await threads.update(KEY, (now) => now && { ...now, background: true }))?.rev).toBe(2);
    });

    it('write nothing when the change returns null or the same record', async () => {
      const { threads, disk } = setUp();
      expect(await threads.update(KEY, () => null)).toBeNull();
      const stored = await threads.update(KEY, () => threadRecord(KEY));
      const writes = disk.writes.length;
      expect(await threads.update(KEY, () => null)).toEqual(stored);
      expect(await threads.update(KEY, (record) => record)).toEqual(stored);
      expect(disk.writes.length).toBe(writes);
    });

    it('run concurrent updates of one thread in their order', async () => {
      const { threads } = setUp();
      await threads.update(KEY, () => threadRecord(KEY));
      const numbers = Array.from({ length: 50 }, (_, n) => n);
      const revs = await Promise.all(
        numbers.map(async (n) => {
          const stored = await threads.update(
            KEY,
            (record) => record && { ...record, inbox: [...record.inbox, inboxItem(n)] },
          );
          return stored?.rev;
        }),
      );
      expect(revs).toEqual(numbers.map((n) => n + 2));
      expect((await threads.load(KEY))?.inbox.map((item) => item.ts)).toEqual(numbers.map(tsOf));
      expect(threads.busyCount).toBe(0);
    });

    it('go on after a change that throws', async () => {
      const { threads } = setUp();
      await threads.update(KEY, () => threadRecord(KEY));
      const refusal = new Error('refused');
      const first = threads.update(KEY, () => {
        throw refusal;
      });
      const second = threads.update(KEY, (record) => record && { ...record, background: true });
      await expect(first).rejects.toBe(refusal);
      expect((await second)?.rev).toBe(2);
      expect(threads.busyCount).toBe(0);
    });

    it('keep everything over a restart', async () => {
      const { threads, choices, restart } = setUp();
      await choices.set('agent', 'agent-1');
      const stored = await threads.update(KEY, () =>
        threadRecord(KEY, { turn: openTurn(1, { items: [inboxItem(1, BIG)] }), approvals: [approvalRecord(1)] }),
      );
      const again = restart();
      expect(await again.threads.load(KEY)).toEqual(stored);
      expect(await again.threads.listActive()).toEqual([KEY]);
      expect(await again.threads.findByToken('approve1')).toBe(KEY);
      expect(await again.choices.get('agent')).toBe('agent-1');
      expect(await again.choices.get('device')).toBeNull();
    });

    it('keep messages that were handed to the running turn', async () => {
      const { threads, restart } = setUp();
      const sent = {
        clientMessageId: 'slack-2',
        items: [{ ...inboxItem(2, BIG), now: true as const }],
        context: [inboxItem(3, BIG)],
      };
      const stored = await threads.update(KEY, () =>
        threadRecord(KEY, {
          inbox: [{ ...inboxItem(9), goesOn: true, now: true }],
          turn: openTurn(1, {
            wasSteered: true,
            steered: [
              { ...sent, state: 'sent', changes: [{ key: inboxItem(2).key, item: null }] },
              { ...sent, clientMessageId: 'slack-4', state: 'joined', joined: { at: 5, after: 'm1' } },
            ],
          }),
        }),
      );
      expect(stored?.turn?.steered).toHaveLength(2);
      expect(await restart().threads.load(KEY)).toEqual(stored);
    });

    it('refuse a record with another key or with invalid values', async () => {
      const { threads } = setUp();
      expect(await codeOf(threads.update(KEY, () => threadRecord(threadKeyOf(2))))).toBe('internal');
      expect(await codeOf(threads.update(KEY, () => threadRecord(KEY, { createdAt: Number.NaN })))).toBe('internal');
      expect(await threads.load(KEY)).toBeNull();
    });

    describe('on a failing disk', () => {
      const active = threadRecord(KEY, { turn: openTurn(1, { items: [inboxItem(1, BIG)] }) });

      for (const how of ['throw', 'false'] as const) {
        for (const call of ['active.set', 'items.set', 'tokens.set', 'threads.set']) {
          it(`an update is rejected when ${call} fails (${how}), a later one succeeds`, async () => {
            const { threads, disk } = setUp();
            const before = await threads.update(KEY, () => threadRecord(KEY));
            disk.fail = (each) => (each === call ? how : undefined);
            expect(await codeOf(threads.update(KEY, () => active))).toBe('store_failed');
            disk.fail = null;
            expect(await threads.load(KEY)).toEqual(before);
            expect((await threads.update(KEY, () => active))?.rev).toBe(2);
            expect(await threads.listActive()).toEqual([KEY]);
          });
        }
      }

      it('an unreadable record is an error, never a new thread', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY));
        disk.fail = (call) => (call === 'threads.get' ? 'throw' : undefined);
        expect(await codeOf(threads.load(KEY))).toBe('store_failed');
        const asked: unknown[] = [];
        const update = threads.update(KEY, (record) => {
          asked.push(record);
          return threadRecord(KEY);
        });
        expect(await codeOf(update)).toBe('store_failed');
        expect(asked).toEqual([]);
      });

      it('reading or writing tokens, markers or choices is rejected', async () => {
        const { threads, choices, disk } = setUp();
        await threads.update(KEY, () => active);
        disk.fail = () => 'throw';
        expect(await codeOf(threads.findByToken('stop1'))).toBe('store_failed');
        expect(await codeOf(threads.listActive())).toBe('store_failed');
        expect(await codeOf(choices.get('agent'))).toBe('store_failed');
        expect(await codeOf(choices.set('agent', 'a'))).toBe('store_failed');
        disk.fail = (call) => (call === 'choices.set' ? 'false' : undefined);
        expect(await codeOf(choices.set('agent', 'a'))).toBe('store_failed');
      });

      for (const how of ['throw', 'false'] as const) {
        it(`an update counts although its cleanup fails (${how}); a restart cleans up`, async () => {
          const { threads, disk, log, restart } = setUp();
          await threads.update(KEY, () => active);
          disk.fail = (call) => (call.endsWith('.delete') ? how : undefined);
          expect((await threads.update(KEY, (record) => record && { ...record, turn: null }))?.turn).toBeNull();
          expect(log.lines.map((line) => line.level)).toEqual(['warn']);
          disk.fail = null;
          const again = restart();
          expect(await again.threads.listActive()).toEqual([]);
          for (const namespace of ['active', 'items', 'tokens']) expect(await disk.count(namespace)).toBe(0);
        });
      }
    });

    describe('with an unusable record', () => {
      async function put(disk: Disk, namespace: string, key: string, text: string) {
        await disk.adapter(namespace).set(key, text);
      }

      it('of a newer schema refuse it and leave it unchanged', async () => {
        const { threads, disk, medium } = setUp();
        const row = JSON.stringify({ value: { schema: 2, key: KEY, whatever: true } });
        await put(disk, 'threads', KEY, row);
        expect(await codeOf(threads.load(KEY))).toBe('record_newer');
        expect(await codeOf(threads.update(KEY, () => threadRecord(KEY)))).toBe('record_newer');
        expect(await medium.adapter('threads').get(KEY)).toBe(row);
      });

      it.each([
        ['broken JSON', '{'],
        ['null', 'null'],
        ['no value', '{}'],
        ['no schema', '{"value":{}}'],
        ['a field too few', '{"value":{"schema":1}}'],
        ['another thread’s record', JSON.stringify({ value: { schema: 1, ...threadRecord(threadKeyOf(2)) } })],
        ['an unknown field', JSON.stringify({ value: { schema: 1, ...threadRecord(KEY), surprise: 1 } })],
        ['an expiry of keyv’s', JSON.stringify({ value: { schema: 0 }, expires: 1 })],
      ])('(%s) report its key and do not treat it as new', async (_, text) => {
        const { threads, disk } = setUp();
        await put(disk, 'threads', KEY, text);
        const error = await threads.load(KEY).catch((thrown: unknown) => thrown);
        expect(code(error)).toBe('store_failed');
        expect(String(error)).toContain(KEY);
        expect(await disk.count('threads')).toBe(1);
      });

      it('still list it among the active threads', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY, { background: true }));
        await threads.update(threadKeyOf(2), () => threadRecord(threadKeyOf(2), { background: true }));
        await put(disk, 'threads', KEY, '{"value":{"schema":9}}');
        expect((await threads.listActive()).sort()).toEqual([KEY, threadKeyOf(2)]);
      });

      it('with an expiry ignore that and keep it', async () => {
        const { threads, disk } = setUp();
        const stored = await threads.update(KEY, () => threadRecord(KEY));
        const text = String(await disk.adapter('threads').get(KEY));
        await put(disk, 'threads', KEY, JSON.stringify({ ...JSON.parse(text), expires: 1 }));
        expect(await threads.load(KEY)).toEqual(stored);
      });
    });

    it('refuse to overwrite a record that another process wrote meanwhile', async () => {
      const medium = createMedium();
      const { threads, disk } = setUp(medium);
      await threads.update(KEY, () => threadRecord(KEY));
      const other = assembleStore(medium.adapter, { clock: createFakeClock(), log: createMemoryLog() }, () => {});
      // The other replica is quicker: it writes between this one's read and its write.
      disk.meanwhile = async (call) => {
        if (call !== 'active.set') return;
        disk.meanwhile = null;
        await other.threads.update(KEY, (record) => record && { ...record, participants: ['U02BOB'] });
      };
      const update = threads.update(KEY, (record) => record && { ...record, inbox: [inboxItem(1)] });
      expect(await codeOf(update)).toBe('record_conflict');
      expect(await threads.load(KEY)).toMatchObject({ rev: 2, participants: ['U02BOB'], inbox: [] });
      expect((await threads.update(KEY, (record) => record && { ...record, background: true }))?.rev).toBe(3);
    });

    describe('within bounds', () => {
      it('forget seen messages after 24 hours, and those beyond 2,000', async () => {
        const { threads, clock } = setUp();
        const at = clock.now();
        const seen = Array.from({ length: 2_500 }, (_, n) => ({ key: inboxItem(n).key, at }));
        const stored = await threads.update(KEY, () => threadRecord(KEY, { seen }));
        expect(stored?.seen).toEqual(seen.slice(-2_000));
        await clock.advance(24 * 60 * 60_000 - 1);
        const touch = () => threads.update(KEY, (record) => record && { ...record, participants: [] });
        expect((await touch())?.seen.length).toBe(2_000);
        await clock.advance(1);
        expect((await touch())?.seen).toEqual([]);
      });

      it('keep open approvals, the turn’s own, and the last 50 closed', async () => {
        const { threads } = setUp();
        const closed = { state: 'closed', why: 'turn_over', at: 1 } as const;
        const old = Array.from({ length: 80 }, (_, n) => approvalRecord(n, { turn: makeTurnId('old'), state: closed }));
        const own = Array.from({ length: 60 }, (_, n) => approvalRecord(100 + n, { state: closed }));
        const open = approvalRecord(999, { turn: makeTurnId('old') });
        const stored = await threads.update(KEY, () =>
          threadRecord(KEY, { turn: openTurn(1), approvals: [open, ...old, ...own] }),
        );
        expect(stored?.approvals).toEqual([open, ...old.slice(-50), ...own]);
        expect(await threads.findByToken('approve29')).toBeNull();
        expect(await threads.findByToken('approve30')).toBe(KEY);
      });

      it('refuse a record that is too large and keep the one before', async () => {
        const { threads, disk } = setUp();
        const before = await threads.update(KEY, () => threadRecord(KEY));
        const inbox = Array.from({ length: 100 }, (_, n) => inboxItem(n, 'x'.repeat(12_000)));
        expect(await codeOf(threads.update(KEY, () => threadRecord(KEY, { inbox })))).toBe('record_too_large');
        expect(await threads.load(KEY)).toEqual(before);
        expect(await threads.listActive()).toEqual([]);
        expect(await disk.count('active')).toBe(0);
      });

      it('refuse messages when nearly full, but let the turn go on', async () => {
        const { threads } = setUp();
        const inbox = Array.from({ length: 60 }, (_, n) => inboxItem(n, 'x'.repeat(12_000)));
        await threads.update(KEY, () => threadRecord(KEY, { inbox }));
        const more = [1, 2, 3, 4, 5].map((n) => inboxItem(100 + n, 'x'.repeat(12_000)));
        const grown = threads.update(KEY, (record) => record && { ...record, inbox: [...record.inbox, ...more] });
        expect(await codeOf(grown)).toBe('record_too_large');
        const approvals = Array.from({ length: 200 }, (_, n) => approvalRecord(n));
        const turn = openTurn(1, { items: inbox.slice(0, 1) });
        const begun = await threads.update(
          KEY,
          (record) => record && { ...record, inbox: inbox.slice(1), turn, approvals },
        );
        expect(begun?.approvals).toHaveLength(200);
        const back = await threads.update(
          KEY,
          (record) => record && { ...record, inbox, turn: openTurn(2, { items: [] }) },
        );
        expect(back?.inbox).toHaveLength(60);
      });
    });

    describe('moved to another channel', () => {
      const TO = makeThreadKey({ team: 'T01SANDBOX', channel: 'C09NEW', root: tsOf(1) });

      it('are found under the new key only, with messages, buttons and mark', async () => {
        const { threads, disk } = setUp();
        const from = threadKeyOf(1);
        const turn = openTurn(1, { items: [inboxItem(1, BIG)] });
        await threads.update(from, () => threadRecord(from, { turn, inbox: [inboxItem(2, BIG)] }));
        await threads.update(threadKeyOf(2), () => threadRecord(threadKeyOf(2)));
        expect((await threads.listOfChannel('T01SANDBOX', 'C01GEN')).sort()).toEqual([from, threadKeyOf(2)].sort());
        const moved = await threads.move(from, TO, (record) => ({ ...record, key: TO }));
        expect(moved).toMatchObject({ key: TO, turn, inbox: [inboxItem(2, BIG)] });
        expect(await threads.load(from)).toBeNull();
        expect(await threads.load(TO)).toEqual(moved);
        expect(await threads.listActive()).toEqual([TO]);
        expect(await threads.findByToken(turn.stopToken)).toBe(TO);
        expect(await disk.count('items')).toBe(2);
        expect(await threads.listOfChannel('T01SANDBOX', 'C09NEW')).toEqual([TO]);
        expect(await threads.move(from, TO, (record) => record)).toBeNull();
      });
    });

    describe('by their conversation', () => {
      const runtimeOf = (n: number) => ({ agentId: 'agent-1', conversationId: `local-conv-${n}`, deviceId: `d-${n}` });

      it('are found over whichever device, while they have it', async () => {
        const { threads, disk, restart } = setUp();
        const runtime = runtimeOf(3);
        await threads.update(threadKeyOf(1), () => threadRecord(threadKeyOf(1)));
        await threads.update(threadKeyOf(2), () => threadRecord(threadKeyOf(2), { runtime }));
        expect(await threads.findByConversation({ ...runtime })).toBe(threadKeyOf(2));
        expect(await threads.findByConversation({ ...runtime, agentId: 'agent-2' })).toBeNull();
        expect(await threads.findByConversation(runtimeOf(4))).toBeNull();
        const again = restart().threads;
        const read: string[] = [];
        disk.fail = (call) => void read.push(call);
        expect(await again.findByConversation(runtime)).toBe(threadKeyOf(2));
        expect(read).toEqual(['conversations.get', 'conversations.get', 'threads.get']);
        await again.update(threadKeyOf(2), (now) => now && { ...now, runtime: { ...runtime, deviceId: 'd-9' } });
        expect(await again.findByConversation(runtime)).toBe(threadKeyOf(2));
        await again.update(threadKeyOf(2), (now) => now && { ...now, runtime: runtimeOf(4) });
        expect(await again.findByConversation(runtime)).toBeNull();
        expect(await again.findByConversation(runtimeOf(4))).toBe(threadKeyOf(2));
        await again.update(threadKeyOf(2), (now) => now && { ...now, runtime: null });
        expect(await again.findByConversation(runtimeOf(4))).toBeNull();
      });

      it('are added before the record is written and removed after', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY));
        disk.writes.length = 0;
        await threads.update(KEY, (now) => now && { ...now, runtime: runtimeOf(1) });
        await threads.update(KEY, (now) => now && { ...now, muted: true });
        await threads.update(KEY, (now) => now && { ...now, runtime: runtimeOf(2) });
        expect(disk.writes).toEqual([
          ...['conversations.set', 'threads.set', 'threads.set'],
          ...['conversations.set', 'threads.set', 'conversations.delete'],
        ]);
      });

      it('are found when any one write of the index failed', async () => {
        for (const failing of [1, 2, 3]) {
          for (const how of ['throw', 'false'] as const) {
            const { threads, disk } = setUp();
            let count = 0;
            disk.fail = (call) => {
              const isWrite = call === 'conversations.set' || call === 'conversations.delete';
              if (isWrite) count += 1;
              return isWrite && count === failing ? how : undefined;
            };
            const store = (n: number) =>
              threads
                .update(KEY, (now) => ({ ...(now ?? threadRecord(KEY)), runtime: runtimeOf(n) }))
                .catch(() => null);
            await store(1);
            await store(1);
            expect(await threads.findByConversation(runtimeOf(1))).toBe(KEY);
            await store(2);
            await store(2);
            expect(await threads.findByConversation(runtimeOf(1))).toBeNull();
            expect(await threads.findByConversation(runtimeOf(2))).toBe(KEY);
            expect(count).toBeGreaterThanOrEqual(failing);
          }
        }
      });

      it('left in it by a crash: are dropped when read', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY));
        disk.fail = (call) => (call === 'threads.set' ? 'throw' : undefined);
        const change = threads.update(KEY, (now) => now && { ...now, runtime: runtimeOf(1) });
        await expect(change).rejects.toThrow();
        disk.fail = null;
        const before = await disk.count('conversations');
        expect(await threads.findByConversation(runtimeOf(1))).toBeNull();
        expect(await disk.count('conversations')).toBe(before - 1);
      });

      it('stored before there was an index: are found, then by it', async () => {
        const { threads, disk, medium, restart } = setUp();
        for (const n of [1, 2, 3]) {
          await threads.update(threadKeyOf(n), () => threadRecord(threadKeyOf(n), { runtime: runtimeOf(n) }));
        }
        await medium.adapter('conversations').clear();
        const again = restart().threads;
        await again.update(threadKeyOf(4), () => threadRecord(threadKeyOf(4), { runtime: runtimeOf(4) }));
        const read: string[] = [];
        disk.fail = (call) => void read.push(call);
        for (const n of [1, 2, 3, 4]) expect(await again.findByConversation(runtimeOf(n))).toBe(threadKeyOf(n));
        expect(read.filter((call) => call === 'threads.get')).toHaveLength(4 + 4);
        read.length = 0;
        expect(await restart().threads.findByConversation(runtimeOf(3))).toBe(threadKeyOf(3));
        expect(read).toEqual(['conversations.get', 'conversations.get', 'threads.get']);
      });

      it('with one in common: each is found until none has it', async () => {
        const { threads } = setUp();
        const keys = Array.from({ length: 30 }, (_, n) => threadKeyOf(n + 1));
        for (const key of keys) await threads.update(key, () => threadRecord(key, { runtime: runtimeOf(1) }));
        for (const [at, key] of keys.toReversed().entries()) {
          expect(await threads.findByConversation(runtimeOf(1))).toBe(at < 20 ? key : keys[0]);
          if (key === keys[0]) break;
          await threads.update(key, (now) => now && { ...now, runtime: null });
        }
        await threads.update(threadKeyOf(1), (now) => now && { ...now, runtime: null });
        expect(await threads.findByConversation(runtimeOf(1))).toBeNull();
      });

      it('move with their thread to another key', async () => {
        const { threads, disk } = setUp();
        const to = threadKeyOf(2);
        await threads.update(KEY, () => threadRecord(KEY, { runtime: runtimeOf(1) }));
        const before = await disk.count('conversations');
        await threads.move(KEY, to, (now) => ({ ...now, key: to }));
        expect(await threads.findByConversation(runtimeOf(1))).toBe(to);
        expect(await disk.count('conversations')).toBe(before);
      });
    });

    describe('with big messages', () => {
      it('store them apart, load them whole, and delete them when done', async () => {
        const { threads, disk } = setUp();
        const big = inboxItem(1, BIG);
        const inbox = [inboxItem(0), big];
        expect((await threads.update(KEY, () => threadRecord(KEY, { inbox })))?.inbox).toEqual(inbox);
        expect(String(await disk.adapter('threads').get(KEY)).length).toBeLessThan(2_000);
        expect((await threads.load(KEY))?.inbox).toEqual(inbox);
        // On its way through a turn it is the same row.
        const turn = openTurn(1, { items: [big], context: [inboxItem(2, BIG)] });
        await threads.update(KEY, (record) => record && { ...record, inbox: [], turn, context: [inboxItem(3, BIG)] });
        expect(await disk.count('items')).toBe(3);
        expect((await threads.load(KEY))?.turn).toEqual(turn);
        await threads.update(KEY, (record) => record && { ...record, turn: null, context: [] });
        expect(await disk.count('items')).toBe(0);
      });

      it('report an error when one of them is missing', async () => {
        const { threads, disk, medium } = setUp();
        await threads.update(KEY, () => threadRecord(KEY, { inbox: [inboxItem(1, BIG)] }));
        for await (const [ref] of medium.adapter('items').iterator()) await disk.adapter('items').delete(ref);
        expect(await codeOf(threads.load(KEY))).toBe('store_failed');
      });
    });

    describe('with offers', () => {
      it('keep messages and tokens of an offer without counting as active', async () => {
        const { threads, disk, restart } = setUp();
        const posts = [{ part: '0.0', ts: tsOf(9), hash: 'card-1' }];
        const items = [inboxItem(1, BIG), { ...inboxItem(2), again: 1, askedAt: 1_700_000_000_001 }];
        const offers = [offerOf(1, { items, count: 2, posts })];
        await threads.update(KEY, () => threadRecord(KEY, { offers }));
        const again = restart();
        expect(await again.threads.listActive()).toEqual([]);
        expect((await again.threads.load(KEY))?.offers).toEqual(offers);
        expect(await again.threads.findByToken('offer1')).toBe(KEY);
        expect(await disk.count('items')).toBe(1);
        const decided = offerOf(1, { items: [], state: { state: 'decided', choice: 'dropped', at: 1 } });
        await again.threads.update(KEY, (record) => record && { ...record, offers: [decided] });
        expect(await disk.count('items')).toBe(0);
        expect(await again.threads.findByToken('offer1')).toBe(KEY);
      });

      it('keep tokens of Details as long as the record has them', async () => {
        const { threads, restart } = setUp();
        const ref = (n: number) => ({
          token: makeToken(`details${n}`),
          turn: makeTurnId(`t${n}`),
          at: 1_700_000_000_000,
        });
        await threads.update(KEY, () => threadRecord(KEY, { details: [ref(1), ref(2)] }));
        const again = restart();
        expect((await again.threads.load(KEY))?.details).toEqual([ref(1), ref(2)]);
        expect(await again.threads.findByToken('details1')).toBe(KEY);
        expect(await again.threads.listActive()).toEqual([]);
        await again.threads.update(KEY, (record) => record && { ...record, details: [ref(2)] });
        expect(await again.threads.findByToken('details1')).toBeNull();
        expect(await again.threads.findByToken('details2')).toBe(KEY);
      });

      it('count as active while Slack does not show an offer yet', async () => {
        const { threads } = setUp();
        await threads.update(KEY, () => threadRecord(KEY, { offers: [offerOf(1, { display: 'begun' })] }));
        expect(await threads.listActive()).toEqual([KEY]);
      });

      it('load records from before there were offers', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY, { inbox: [inboxItem(1)] }));
        const rows = disk.adapter('threads');
        const text = String(await rows.get(KEY));
        expect(text).toContain('"offers":[]');
        await rows.set(KEY, text.replace(',"offers":[]', '').replace('"offers":[],', ''));
        expect((await threads.load(KEY))?.offers).toEqual([]);
      });

      it('load records of one unfinished end', async () => {
        const { threads, disk } = setUp();
        const ended = { outcome: 'done', by: null, line: null, tools: 0, durationMs: 0 } as const;
        const late = { turn: makeTurnId('t1'), requester: 'U01ALICE', startedAt: 0, posts: [], ended };
        await threads.update(KEY, () => threadRecord(KEY, { late: [late] }));
        const rows = disk.adapter('threads');
        const list = JSON.stringify([late]);
        const text = String(await rows.get(KEY));
        expect(text).toContain(list);
        await rows.set(KEY, text.replace(list, JSON.stringify(late)));
        expect((await threads.load(KEY))?.late).toEqual([late]);
      });
    });

    describe('in the index of active threads', () => {
      it('are listed exactly while something is open', async () => {
        const { threads, disk } = setUp();
        for (let n = 1; n <= 20; n += 1) await threads.update(threadKeyOf(n), () => threadRecord(threadKeyOf(n)));
        expect(await threads.listActive()).toEqual([]);
        await threads.update(KEY, (record) => record && { ...record, inbox: [inboxItem(1)] });
        const asked = threadKeyOf(7);
        await threads.update(asked, (record) => record && { ...record, approvals: [approvalRecord(1)] });
        expect((await threads.listActive()).sort()).toEqual([KEY, asked]);
        await threads.update(KEY, (record) => record && { ...record, inbox: [] });
        expect(await threads.listActive()).toEqual([asked]);
        expect(await disk.count('active')).toBe(1);
      });

      it('are marked before the record is written and unmarked after', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY));
        disk.writes.length = 0;
        await threads.update(KEY, (record) => record && { ...record, background: true });
        await threads.update(KEY, (record) => record && { ...record, background: false });
        expect(disk.writes).toEqual(['active.set', 'threads.set', 'threads.set', 'active.delete']);
      });

      it('are the only ones read at start', async () => {
        const { threads, disk, restart } = setUp();
        for (let n = 1; n <= 30; n += 1) await threads.update(threadKeyOf(n), () => threadRecord(threadKeyOf(n)));
        await threads.update(KEY, (record) => record && { ...record, background: true });
        const again = restart();
        const read: string[] = [];
        disk.fail = (call, key) => {
          read.push(`${call} ${key}`);
          return undefined;
        };
        expect(await again.threads.listActive()).toEqual([KEY]);
        expect(read).toEqual([`active.get ${KEY}`, `threads.get ${KEY}`]);
      });
    });

    describe('in the index by person', () => {
      const failure = { for: 'U02BOB', at: 1_700_000_000_000, line: 'Failed.' };
      const keysOf = async (threads: { loadWaiting(user: string): Promise<ThreadRecord[]> }, user: string) =>
        (await threads.loadWaiting(user)).map(({ key }) => key);

      it('are listed while something waits there, the newest first', async () => {
        const { threads, disk, restart } = setUp();
        await threads.update(KEY, () => threadRecord(KEY, { offers: [offerOf(1)] }));
        await threads.update(threadKeyOf(2), () => threadRecord(threadKeyOf(2), { offers: [offerOf(2)], failure }));
        expect(await keysOf(threads, 'U01ALICE')).toEqual([threadKeyOf(2), KEY]);
        const again = restart().threads;
        expect(await keysOf(again, 'U02BOB')).toEqual([threadKeyOf(2)]);
        await again.update(threadKeyOf(2), (now) => now && { ...now, offers: [], failure: undefined });
        expect(await keysOf(again, 'U01ALICE')).toEqual([KEY]);
        expect(await disk.count('waiting')).toBe(1);
      });

      it('are added before the record is written and removed after', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY));
        disk.writes.length = 0;
        await threads.update(KEY, (now) => now && { ...now, failure });
        await threads.update(KEY, (now) => now && { ...now, failure: { ...failure, line: 'Again.' } });
        await threads.update(KEY, (now) => now && { ...now, failure: undefined });
        expect(disk.writes).toEqual(['waiting.set', 'threads.set', 'threads.set', 'threads.set', 'waiting.delete']);
      });

      it('left in it by a crash: are dropped when it is read', async () => {
        const { threads, disk } = setUp();
        disk.fail = (call) => (call === 'threads.set' ? 'throw' : undefined);
        await expect(threads.update(KEY, () => threadRecord(KEY, { failure }))).rejects.toThrow();
        disk.fail = null;
        expect(await disk.count('waiting')).toBe(1);
        expect(await keysOf(threads, 'U02BOB')).toEqual([]);
        expect(await disk.count('waiting')).toBe(0);
      });

      it('are at most 20, and no other is read', async () => {
        const { threads, disk } = setUp();
        for (let n = 1; n <= 30; n += 1) {
          await threads.update(threadKeyOf(n), () => threadRecord(threadKeyOf(n), { failure }));
        }
        const read: string[] = [];
        disk.fail = (call) => void read.push(call);
        expect(await keysOf(threads, 'U02BOB')).toHaveLength(WAITING_KEPT);
        expect(read.filter((call) => call === 'threads.get')).toHaveLength(WAITING_KEPT);
      });

      it('of a bot: are not listed', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY, { failure: { ...failure, for: 'B01DEPLOY' } }));
        expect(await disk.count('waiting')).toBe(0);
      });

      it('move with their thread to another key', async () => {
        const { threads } = setUp();
        const to = threadKeyOf(2);
        await threads.update(KEY, () => threadRecord(KEY, { failure }));
        await threads.move(KEY, to, (now) => ({ ...now, key: to }));
        expect(await keysOf(threads, 'U02BOB')).toEqual([to]);
      });
    });

    describe('by their tokens', () => {
      it('are found while the record has the token, open or closed', async () => {
        const { threads, disk } = setUp();
        await threads.update(KEY, () => threadRecord(KEY, { turn: openTurn(1), approvals: [approvalRecord(1)] }));
        expect(await threads.findByToken('stop1')).toBe(KEY);
        expect(await threads.findByToken('approve1')).toBe(KEY);
        const closed = approvalRecord(1, { state: { state: 'closed', why: 'turn_over', at: 1 } });
        await threads.update(KEY, (record) => record && { ...record, turn: null, approvals: [closed] });
        expect(await threads.findByToken('stop1')).toBeNull();
        expect(await threads.findByToken('approve1')).toBe(KEY);
        await threads.update(KEY, (record) => record && { ...record, approvals: [] });
        expect(await threads.findByToken('approve1')).toBeNull();
        expect(await disk.count('tokens')).toBe(0);
        expect(await disk.count('active')).toBe(0);
      });

      it('are not found by an unknown token', async () => {
        const { threads } = setUp();
        for (const token of ['', 'x', `x'; DROP TABLE rows; --`, 'y'.repeat(100_000)]) {
          expect(await threads.findByToken(token)).toBeNull();
        }
      });
    });

    it('lose and leave nothing after a crash at any write', async () => {
      const steps: ((record: ThreadRecord | null) => ThreadRecord)[] = [
        () => threadRecord(KEY, { inbox: [inboxItem(1, BIG)] }),
        (record) => ({
          ...(record ?? threadRecord(KEY)),
          inbox: [inboxItem(2, BIG)],
          turn: openTurn(1, { items: [inboxItem(1, BIG)] }),
          approvals: [approvalRecord(1)],
        }),
        (record) => ({
          ...(record ?? threadRecord(KEY)),
          inbox: [],
          turn: openTurn(2, { items: [inboxItem(2, BIG)] }),
          approvals: [approvalRecord(2, { turn: makeTurnId('t2'), token: makeToken('approve2') })],
        }),
        (record) => ({ ...(record ?? threadRecord(KEY)), turn: null, approvals: [] }),
      ];
      const total = await (async () => {
        const { threads, disk } = setUp();
        for (const step of steps) await threads.update(KEY, step);
        return disk.writes.length;
      })();
      expect(total).toBeGreaterThan(12);
      for (let crash = 1; crash <= total; crash += 1) {
        const { threads, disk, restart } = setUp();
        let written = 0;
        // From the crash on nothing reaches the disk any more.
        disk.fail = (call) => {
          if (call.endsWith('.get')) return undefined;
          written += 1;
          return written >= crash ? 'throw' : undefined;
        };
        let confirmed: ThreadRecord | null = null;
        for (const step of steps) {
          try {
            confirmed = await threads.update(KEY, step);
          } catch {
            break;
          }
        }
        disk.fail = null;
        const again = restart();
        // What was confirmed is there; nothing dangles.
        const found = await again.threads.load(KEY);
        expect(found?.rev ?? 0).toBe(confirmed?.rev ?? 0);
        expect(await again.threads.listActive()).toEqual(found && isActive(found) ? [KEY] : []);
        // Exactly what the record owns is left.
        const items = [...(found?.inbox ?? []), ...(found?.turn?.items ?? [])];
        expect(await disk.count('items')).toBe(items.length);
        expect(await disk.count('tokens')).toBe((found?.approvals.length ?? 0) + (found?.turn ? 1 : 0));
        for (const step of steps) await again.threads.update(KEY, step);
        for (const namespace of ['active', 'items', 'tokens']) expect(await disk.count(namespace)).toBe(0);
      }
    });

    it('leave no more rows behind after ten failures than after one', async () => {
      const { threads, disk } = setUp();
      disk.fail = (call) => (call === 'threads.set' ? 'throw' : undefined);
      for (let n = 1; n <= 10; n += 1) {
        const update = threads.update(KEY, () =>
          threadRecord(KEY, { inbox: [inboxItem(n, BIG)], approvals: [approvalRecord(n)] }),
        );
        expect(await codeOf(update)).toBe('store_failed');
      }
      expect(await disk.count('items')).toBe(1);
      expect(await disk.count('tokens')).toBe(1);
      disk.fail = null;
      await threads.update(KEY, () => threadRecord(KEY, { inbox: [inboxItem(11, BIG)] }));
      expect(await disk.count('items')).toBe(1);
      expect(await disk.count('tokens')).toBe(0);
    });

    it('behave like a map of records, in random order of operations', async () => {
      const thread = fc.integer({ min: 1, max: 3 });
      const text = fc.oneof(fc.string(), fc.constant(BIG));
      const command = fc.oneof(
        fc.record({ do: fc.constant('receive' as const), thread, n: fc.integer({ min: 1, max: 30 }), text }),
        fc.record({ do: fc.constant('take' as const), thread, n: fc.integer({ min: 1, max: 9 }) }),
        fc.record({ do: fc.constant('ask' as const), thread, n: fc.integer({ min: 1, max: 9 }) }),
        fc.record({ do: fc.constant('finish' as const), thread }),
        fc.record({ do: fc.constant('refuse' as const), thread }),
        fc.record({ do: fc.constant('restart' as const), thread }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
          const { threads, restart } = setUp();
          let store = { threads };
          const model = new Map<ThreadKey, ThreadRecord>();
          for (const each of commands) {
            const key = threadKeyOf(each.thread);
            if (each.do === 'restart') {
              store = restart();
              continue;
            }
            const change = (record: ThreadRecord | null): ThreadRecord => {
              const now = record ?? threadRecord(key);
              switch (each.do) {
                case 'receive':
                  return { ...now, inbox: [...now.inbox, inboxItem(each.n, each.text)] };
                case 'take':
                  return { ...now, inbox: [], turn: openTurn(each.n, { items: now.inbox }) };
                case 'ask':
                  return { ...now, approvals: [approvalRecord(each.n, { token: makeToken(`${key}-${each.n}`) })] };
                case 'finish':
                  return { ...now, turn: null, approvals: [] };
                case 'refuse':
                  throw new Error('refused');
              }
            };
            const done = store.threads.update(key, change);
            if (each.do === 'refuse') {
              await expect(done).rejects.toThrow('refused');
              continue;
            }
            const stored = await done;
            const expected = change(model.get(key) ?? null);
            const rev = (model.get(key)?.rev ?? 0) + 1;
            model.set(key, { ...expected, rev, updatedAt: stored?.updatedAt ?? -1 });
            expect(stored).toEqual(model.get(key));
          }
          for (const [key, record] of model) {
            expect(await store.threads.load(key)).toEqual(record);
            for (const { token } of record.approvals) expect(await store.threads.findByToken(token)).toBe(key);
          }
          const active = [...model.values()].filter(isActive).map((record) => record.key);
          expect((await store.threads.listActive()).sort()).toEqual(active.sort());
        }),
        { numRuns: 40 },
      );
    });
  });
}
