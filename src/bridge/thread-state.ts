import { parseThreadKey, ROLLING, type ThreadKey } from './ids.ts';
import type { ThreadAddress } from './inbound.ts';
import type { Threads } from './ports.ts';
import type { OpenTurn, ThreadRecord } from './thread-record.ts';
import { emptyTurn, type TurnState } from './turn.ts';
import { type Activity, type Ending, type TurnView, turnView } from './turn-view.ts';

/** What the worker and its parts know of a thread: the record as it is on disk, and the open turn as it was folded. */
export class ThreadState {
  readonly key: ThreadKey;
  readonly #threads: Threads;
  record: ThreadRecord | null = null;
  turn: TurnState = emptyTurn;
  /** What holds the turn up outside the agent. */
  hold: Activity | null = null;
  /** Whether people see something older than what is known here. */
  dirty = false;

  constructor(key: ThreadKey, threads: Threads) {
    this.key = key;
    this.#threads = threads;
  }

  get open(): OpenTurn | null {
    return this.record?.turn ?? null;
  }

  get address(): ThreadAddress {
    const { team, channel, root } = parseThreadKey(this.key);
    return this.record?.address ?? { team, channel, threadTs: root === ROLLING ? null : root };
  }

  get direct(): boolean {
    return this.address.threadTs === null || this.address.channel.startsWith('D');
  }

  async load(): Promise<void> {
    this.record ??= await this.#threads.load(this.key);
  }

  /** A record that somebody else has just stored; older than what is known here, it is no news. */
  take(record: ThreadRecord | null): void {
    if (record && record.rev >= (this.record?.rev ?? -1)) this.record = record;
  }

  /** Resolves when the change is on disk. */
  async update(change: (record: ThreadRecord) => ThreadRecord): Promise<void> {
    const next = await this.#threads.update(this.key, (record) => (record ? change(record) : null));
    if (next) this.record = next;
  }

  view(record: ThreadRecord, turn: OpenTurn, workingDirectory: string | null, ending: Ending | null): TurnView {
    return turnView(this.turn, {
      address: record.address,
      turn,
      approvals: record.approvals.filter((approval) => approval.turn === turn.id),
      workingDirectory,
      hold: this.hold ?? (turn.state === 'prepared' ? { kind: 'starting' } : null),
      ending,
    });
  }
}
