import { createHash } from 'node:crypto';
import type { RuntimeRef } from '../bridge/agent-event.ts';
import { Chains } from '../bridge/chains.ts';
import type { ThreadKey } from '../bridge/ids.ts';
import { readConversation, toRow } from './records.ts';
import type { Rows } from './rows.ts';

/** Threads of one conversation that its row names; with more, the row says so. */
const NAMED = 20;
/** The row that says that the index names all threads. Rows of conversations have hexadecimal keys. */
const COMPLETE = 'complete';

/** What the index has of a conversation. */
export interface IndexedThreads {
  /** The newest first. Some may have another conversation by now. */
  threads: ThreadKey[];
  /** Whether there may be threads of the conversation that are not among them. */
  mayHaveMore: boolean;
}

/**
 * For each conversation the threads that have it. A thread is added before its record says so and removed after it no
 * longer does, so a crash leaves too many, never too few; the record decides. A store from before the index has threads
 * that it does not name, so it counts only once it is marked as complete.
 */
export class ConversationIndex {
  readonly #rows: Rows;
  readonly #chains = new Chains<string>();
  #isComplete = false;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** Whether every thread that has a conversation is named here. */
  async isComplete(): Promise<boolean> {
    this.#isComplete ||= (await this.#rows.get(COMPLETE)) !== undefined;
    return this.#isComplete;
  }

  async markComplete(): Promise<void> {
    await this.#rows.set(COMPLETE, toRow({ threads: [] }));
    this.#isComplete = true;
  }

  list(runtime: RuntimeRef): Promise<IndexedThreads> {
    const name = nameOf(runtime);
    return this.#chains.run(name, async () => {
      const { threads, hasMore } = await this.#read(name);
      return { threads: threads.toReversed(), mayHaveMore: hasMore === true };
    });
  }

  add(runtime: RuntimeRef, thread: ThreadKey): Promise<void> {
    const name = nameOf(runtime);
    return this.#chains.run(name, async () => {
      const { threads: before, hasMore } = await this.#read(name);
      if (before.includes(thread)) return;
      const threads = [...before, thread];
      const isCut = hasMore === true || threads.length > NAMED;
      await this.#rows.set(name, toRow({ threads: threads.slice(-NAMED), ...(isCut && { hasMore: true }) }));
    });
  }

  remove(runtime: RuntimeRef, thread: ThreadKey): Promise<void> {
    const name = nameOf(runtime);
    return this.#chains.run(name, async () => {
      const { threads: before, hasMore } = await this.#read(name);
      if (!before.includes(thread)) return;
      const threads = before.filter((each) => each !== thread);
      if (threads.length === 0 && hasMore !== true) await this.#rows.delete(name);
      else await this.#rows.set(name, toRow({ threads, ...(hasMore && { hasMore }) }));
    });
  }

  async #read(name: string): Promise<ReturnType<typeof readConversation>> {
    const found = await this.#rows.get(name);
    return found === undefined ? { threads: [] } : readConversation(`conversations/${name}`, found);
  }
}

/** Ids of Letta are foreign texts of any length, and the key of a row is bounded. */
function nameOf({ agentId, conversationId }: RuntimeRef): string {
  return createHash('sha256')
    .update(JSON.stringify([agentId, conversationId]))
    .digest('hex');
}
