import type { RuntimeRef } from '../bridge/agent-event.ts';
import { Chains } from '../bridge/chains.ts';
import { type ChannelId, parseThreadKey, type TeamId, type ThreadKey, type UserId } from '../bridge/ids.ts';
import type { Clock, Log, ThreadMoves, ThreadOwners, Threads } from '../bridge/ports.ts';
import { isActive, type ThreadRecord } from '../bridge/record/thread-record.ts';
import { peopleAwaited, waitsFor } from '../bridge/record/waiting.ts';
import { BridgeError } from '../errors.ts';
import { ConversationIndex } from './conversations.ts';
import {
  checkRecord,
  readItem,
  readMarker,
  readRecord,
  readTokenOwner,
  type StoredRecord,
  threadKey,
  toRow,
} from './records.ts';
import type { Rows } from './rows.ts';
import {
  isEmpty,
  joinRecord,
  pruneRecord,
  type SideRows,
  sideRowsOf,
  splitRecord,
  subtractRows,
} from './stored-record.ts';
import { WaitingIndex } from './waiting.ts';
import { NOTICES } from './words/notices.ts';

/**
 * Most JSON characters of one record without its big messages. Live threads stay far below; it is still written in
 * milliseconds.
 */
const RECORD_MAX = 1024 * 1024;
/** A record of this size takes no further message, so that its turns still have room to run. */
const RECORD_FULL = 768 * 1024;
const TOKEN_MAX = 200;

/** The namespaces of the threads, each on an adapter of its own. */
export interface ThreadRows {
  threads: Rows;
  /** Messages that are too big for their record. */
  items: Rows;
  /** One marker per active thread. */
  active: Rows;
  /** Button token → thread. */
  tokens: Rows;
  /** Person → threads where something waits for them. */
  waiting: Rows;
  /** Conversation → threads that have it. */
  conversations: Rows;
}

interface Stored {
  stored: StoredRecord;
  record: ThreadRecord;
}

/**
 * One record per thread and five indexes, kept consistent without transactions:
 *
 * - what a record refers to is written before the record, and deleted after the record no longer refers to it, so a
 * crash between two writes never leaves a dangling reference;
 * - a thread's marker is written before its record becomes active, and deleted after it stops being active. It names
 * all side rows that unfinished writes may leave behind, so that the next start can delete them;
 * - {@link WaitingIndex} is the index by person, for Home tabs, {@link ConversationIndex} the one by conversation;
 * - the record decides. After a crash there may be too many markers and tokens, never too few.
 */
export class StoredThreads implements Threads, ThreadMoves, ThreadOwners {
  readonly #rows: ThreadRows;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #waiting: WaitingIndex;
  readonly #conversations: ConversationIndex;
  readonly #chains = new Chains<ThreadKey>();
  #newness: Promise<void> | null = null;

  constructor(rows: ThreadRows, parts: { clock: Clock; log: Log }) {
    this.#rows = rows;
    this.#waiting = new WaitingIndex(rows.waiting);
    this.#conversations = new ConversationIndex(rows.conversations);
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Waits for updates of the thread that are under way. */
  load(key: ThreadKey): Promise<ThreadRecord | null> {
    return this.#chains.run(key, async () => (await this.#readRecord(key))?.record ?? null);
  }

  /**
   * As `Threads.update`. `change` may also return the record that it was given, which changes nothing. Resolves once
   * the record is on disk. If only the cleanup after that fails, it is logged and the next start does it.
   * @throws BridgeError store_failed, record_newer, record_conflict, record_too_large; whatever `change` throws.
   */
  update(key: ThreadKey, change: (record: ThreadRecord | null) => ThreadRecord | null): Promise<ThreadRecord | null> {
    return this.#chains.run(key, () => this.#updateRecord(key, change));
  }

  async listActive(): Promise<ThreadKey[]> {
    const active: ThreadKey[] = [];
    for (const name of await this.#rows.active.keys()) {
      const key = threadKey.safeParse(name);
      if (!key.success) throw new BridgeError('store_failed', `active/${name} is not a thread`);
      if (await this.#chains.run(key.data, () => this.#confirmActive(key.data))) active.push(key.data);
    }
    return active;
  }

  async findByToken(token: string): Promise<ThreadKey | null> {
    if (token === '' || token.length > TOKEN_MAX) return null;
    const found = await this.#rows.tokens.get(token);
    return found === undefined ? null : readTokenOwner(`tokens/${token}`, found);
  }

  async loadWaiting(user: UserId): Promise<ThreadRecord[]> {
    const keys = await this.#waiting.list(user);
    const records = await Promise.all(keys.map((key) => this.#chains.run(key, () => this.#confirmWaiting(key, user))));
    return records.filter((record) => record !== null);
  }

  async listOfChannel(team: TeamId, channel: ChannelId): Promise<ThreadKey[]> {
    return (await this.#listKeys()).filter((key) => {
      const parts = parseThreadKey(key);
      return parts.team === team && parts.channel === channel;
    });
  }

  /**
   * Two rows, however many threads are stored. The first call on a store from before the index reads all of them, once; so
   * does one for a conversation of very many threads of which the newest have another one now.
   */
  async findByConversation(runtime: RuntimeRef): Promise<ThreadKey | null> {
    if (!(await this.#conversations.isComplete())) await this.#indexConversations();
    const { threads, mayHaveMore } = await this.#conversations.list(runtime);
    for (const key of threads) {
      if (await this.#chains.run(key, () => this.#confirmConversation(key, runtime))) return key;
    }
    return mayHaveMore ? this.#searchConversation(runtime) : null;
  }

  move(
    from: ThreadKey,
    to: ThreadKey,
    change: (record: ThreadRecord, there: ThreadRecord | null) => ThreadRecord,
  ): Promise<ThreadRecord | null> {
    return this.#chains.run(from, async () => {
      const before = await this.#readRecord(from);
      if (!before) return null;
      const moved = await this.#chains.run(to, () => this.#updateRecord(to, (there) => change(before.record, there)));
      // Delete the old marker first, or the next start would resume the turn in two places. The buttons already belong
      // to the new record.
      await this.#rows.active.delete(from);
      await this.#rows.threads.delete(from);
      await this.#deleteSideRows({ items: sideRowsOf(before.stored).items, tokens: new Set() });
      for (const user of peopleAwaited(before.record)) await this.#waiting.remove(user, from);
      if (before.record.runtime) await this.#conversations.remove(before.record.runtime, from);
      return moved;
    });
  }

  /** Resolves when no update is under way. */
  waitUntilIdle(): Promise<void> {
    return this.#chains.whenIdle();
  }

  /** Threads with an update under way. It must be 0 at rest; tests check that nothing leaks. */
  get busyCount(): number {
    return this.#chains.size;
  }

  async #updateRecord(
    key: ThreadKey,
    change: (record: ThreadRecord | null) => ThreadRecord | null,
  ): Promise<ThreadRecord | null> {
    const before = await this.#readRecord(key);
    const record = before?.record ?? null;
    const changed = change(record);
    if (changed === null || changed === record) return record;
    if (changed.key !== key) throw new BridgeError('internal', `a record of ${changed.key} was given for ${key}`);
    const now = this.#clock.now();
    const rev = before?.stored.rev ?? 0;
    const next = checkRecord({ ...pruneRecord(changed, now), rev: rev + 1, updatedAt: now });
    const { stored, items } = splitRecord(next);

    const owned = sideRowsOf(before?.stored ?? null);
    const wanted = sideRowsOf(stored);
    const added = subtractRows(wanted, owned);
    const dropped = subtractRows(owned, wanted);
    const wasActive = record !== null && isActive(record);
    const willBeActive = isActive(next);
    const needsMarker = !isEmpty(added) || (!wasActive && (willBeActive || !isEmpty(dropped)));
    if (needsMarker) await this.#writeMarker(key, owned, wanted);
    for (const ref of added.items) await this.#rows.items.set(ref, toRow({ ...items.get(ref) }));
    for (const token of added.tokens) await this.#rows.tokens.set(token, toRow({ thread: key }));
    const [awaited, awaits] = [peopleAwaited(record), peopleAwaited(next)];
    for (const user of awaits) if (!awaited.includes(user)) await this.#waiting.add(user, key);
    if (record === null) {
      this.#newness ??= this.#noteNewStore();
      await this.#newness;
    }
    const [left, taken] = [record?.runtime ?? null, next.runtime];
    const isOther = !isSameConversation(left, taken);
    if (taken !== null && isOther) await this.#conversations.add(taken, key);
    await this.#saveRecord(stored, before?.stored ?? null);
    try {
      await this.#deleteSideRows(dropped);
      for (const user of awaited) if (!awaits.includes(user)) await this.#waiting.remove(user, key);
      if (left !== null && isOther) await this.#conversations.remove(left, key);
      if (!willBeActive && (wasActive || needsMarker)) await this.#deleteMarker(key, wanted);
    } catch (error) {
      this.#log.warn({ thread: key, error }, 'could not tidy up after an update; the next start will');
    }
    return next;
  }

  /**
   * Writes the record if the stored one still is `before`. If replicas share a store, a conflict means that another one
   * was faster.
   * @throws record_conflict, record_too_large
   */
  async #saveRecord(stored: StoredRecord, before: StoredRecord | null): Promise<void> {
    const row = toRow(stored);
    const size = JSON.stringify(row).length;
    const takesMessages = messagesOf(stored) > messagesOf(before);
    if (size > (takesMessages ? RECORD_FULL : RECORD_MAX)) {
      throw new BridgeError('record_too_large', `threads/${stored.key} would be ${size} characters`, {
        notice: NOTICES.full,
      });
    }
    const expected = before?.rev ?? 0;
    const known = new Set(before?.seen.map(({ key }) => key));
    const has = stored.seen.flatMap(({ key }) => (known.has(key) ? [] : key));
    if (await this.#rows.threads.replace(stored.key, row, { expected, next: stored.rev }, has)) return;
    throw new BridgeError('record_conflict', `threads/${stored.key} is no longer at rev ${expected}`, { retry: true });
  }

  /**
   * Writes the thread's marker: it is, or is about to be, active, and these side rows may be left behind by unfinished
   * writes.
   */
  async #writeMarker(key: ThreadKey, owned: SideRows, wanted: SideRows): Promise<void> {
    const left = await this.#rows.active.get(key);
    // Delete what an interrupted update left before its names are overwritten.
    if (left !== undefined)
      await this.#deleteSideRows(subtractRows(subtractRows(readMarker(`active/${key}`, left), owned), wanted));
    await this.#rows.active.set(
      key,
      toRow({ items: union(owned.items, wanted.items), tokens: union(owned.tokens, wanted.tokens) }),
    );
  }

  /**
   * Deletes the marker, and first the side rows that it names and the record lacks: a write that reported failure may
   * still have happened.
   */
  async #deleteMarker(key: ThreadKey, wanted: SideRows): Promise<void> {
    const left = await this.#rows.active.get(key);
    if (left !== undefined) await this.#deleteSideRows(subtractRows(readMarker(`active/${key}`, left), wanted));
    await this.#rows.active.delete(key);
  }

  /** Whether a marked thread is really active. Deletes what an interrupted update left behind. */
  async #confirmActive(key: ThreadKey): Promise<boolean> {
    const left = await this.#rows.active.get(key);
    if (left === undefined) return false;
    let before: Stored | null;
    try {
      before = await this.#readRecord(key);
    } catch (error) {
      // One unreadable thread must not stop the start of the others; loading it reports the error.
      this.#log.error({ thread: key, error }, 'could not read an active thread');
      return true;
    }
    const leftovers = subtractRows(readMarker(`active/${key}`, left), sideRowsOf(before?.stored ?? null));
    await this.#deleteSideRows(leftovers);
    if (before !== null && isActive(before.record)) return true;
    await this.#rows.active.delete(key);
    return false;
  }

  /** The thread's record if something there waits for the person; else the index forgets the thread. */
  async #confirmWaiting(key: ThreadKey, user: UserId): Promise<ThreadRecord | null> {
    try {
      const record = (await this.#readRecord(key))?.record ?? null;
      if (record && waitsFor(record, user)) return record;
      await this.#waiting.remove(user, key);
    } catch (error) {
      this.#log.warn({ thread: key, error }, 'could not read a thread where something may wait for a person');
    }
    return null;
  }

  /** A store without a thread has none that its index does not name. Reads a page of keys at most. */
  async #noteNewStore(): Promise<void> {
    try {
      if (await this.#conversations.isComplete()) return;
      for await (const _ of this.#rows.threads.iterateKeys()) return;
      await this.#conversations.markComplete();
    } catch (error) {
      this.#log.debug({ error }, 'could not begin the index by conversation; the first look-up will fill it');
    }
  }

  /** Adds the threads that were stored before there was the index. Those that are stored meanwhile add themselves. */
  async #indexConversations(): Promise<void> {
    for (const key of await this.#listKeys()) {
      await this.#chains.run(key, async () => {
        const runtime = runtimeOf(await this.#rows.threads.get(key));
        if (runtime !== null) await this.#conversations.add(runtime, key);
      });
    }
    await this.#conversations.markComplete();
  }

  /** Whether the thread has this conversation; else the index forgets that. */
  async #confirmConversation(key: ThreadKey, runtime: RuntimeRef): Promise<boolean> {
    if (isSameConversation(runtimeOf(await this.#rows.threads.get(key)), runtime)) return true;
    await this.#conversations.remove(runtime, key);
    return false;
  }

  async #searchConversation(runtime: RuntimeRef): Promise<ThreadKey | null> {
    for (const key of await this.#listKeys()) {
      if (isSameConversation(runtimeOf(await this.#rows.threads.get(key)), runtime)) return key;
    }
    return null;
  }

  async #listKeys(): Promise<ThreadKey[]> {
    return (await this.#rows.threads.keys()).flatMap((name) => threadKey.safeParse(name).data ?? []);
  }

  async #deleteSideRows(rows: SideRows): Promise<void> {
    for (const ref of rows.items) await this.#rows.items.delete(ref);
    for (const token of rows.tokens) await this.#rows.tokens.delete(token);
  }

  async #readStored(key: ThreadKey): Promise<StoredRecord | null> {
    const found = await this.#rows.threads.get(key);
    if (found === undefined) return null;
    const stored = readRecord(`threads/${key}`, found);
    if (stored.key !== key) throw new BridgeError('store_failed', `threads/${key} holds the record of ${stored.key}`);
    return stored;
  }

  async #readRecord(key: ThreadKey): Promise<Stored | null> {
    const stored = await this.#readStored(key);
    if (stored === null) return null;
    const record = await joinRecord(stored, async (ref) => {
      const item = await this.#rows.items.get(ref);
      if (item === undefined) throw new BridgeError('store_failed', `items/${ref} is missing`);
      return readItem(`items/${ref}`, item);
    });
    return { stored, record };
  }
}

/** The conversation of a stored record. Looks at that field alone: a record that cannot be read has one, too. */
function runtimeOf(row: unknown): RuntimeRef | null {
  const { runtime } = (row ?? {}) as { runtime?: Partial<RuntimeRef> | null };
  const { agentId, conversationId } = runtime ?? {};
  return typeof agentId === 'string' && typeof conversationId === 'string' ? { agentId, conversationId } : null;
}

/** Over whichever device: ids of agents do not repeat from machine to machine. */
function isSameConversation(a: RuntimeRef | null, b: RuntimeRef | null): boolean {
  return a?.conversationId === b?.conversationId && a?.agentId === b?.agentId;
}

/** Counts the open turn's messages, too: when a turn returns its messages to the inbox, the record does not grow. */
function messagesOf(stored: Counted | null): number {
  const { inbox = [], turn } = stored ?? {};
  // What joined the turn is among its own messages, too.
  const sent = (turn?.steered ?? []).filter(({ state }) => state === 'sent');
  const steered = sent.reduce((sum, { items }) => sum + items.length, 0);
  return inbox.length + (turn?.items.length ?? 0) + steered;
}

interface Counted {
  inbox: unknown[];
  turn: { items: unknown[]; steered?: { items: unknown[]; state: string }[] | undefined } | null;
}

function union(a: Set<string>, b: Set<string>): string[] {
  return [...new Set([...a, ...b])];
}
