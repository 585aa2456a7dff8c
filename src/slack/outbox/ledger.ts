import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/thread-record.ts';
import { confirmed, doubtful, type PlannedCall } from './plan.ts';

/** The messages that Slack has, in reading order; each change is stored before its promise resolves. */
export interface Ledger {
  readonly posts: readonly PostRecord[];
  confirm(call: PlannedCall, ts: SlackTs): Promise<void>;
  forget(record: PostRecord): Promise<void>;
  /** Takes in messages that were found by looking, except those it has. */
  adopt(found: readonly PostRecord[]): Promise<void>;
  /** What this message shows is not known any more. Not stored: a restart ends with an edit anyway. */
  doubt(record: PostRecord): void;
}

export interface LedgerOptions {
  posts: readonly PostRecord[];
  save(posts: PostRecord[]): Promise<void>;
  /** Told when the first message exists; `found`: it was there before this process. */
  posted(found: boolean): void;
  clock: Clock;
  log: Log;
}

const SAVE_ATTEMPTS = 5;
const SAVE_AGAIN_MS = 1_000;

export function createLedger({ posts: stored, save, posted, clock, log }: LedgerOptions): Ledger {
  let posts = sorted(stored);

  /** A disk that fails does not hide what Slack shows: the next call stores it all again. */
  async function keep(next: PostRecord[], found = false): Promise<void> {
    const first = posts.length === 0 && next.length > 0;
    posts = next;
    if (first) posted(found);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await save([...posts]);
        return;
      } catch (error) {
        log.error({ err: error, attempt }, 'the posts of a turn could not be stored');
        if (attempt >= SAVE_ATTEMPTS) return;
        await new Promise<void>((resolve) => void clock.after(SAVE_AGAIN_MS * attempt, resolve));
      }
    }
  }

  return {
    get posts() {
      return posts;
    },
    confirm: (call, ts) => keep(confirmed(posts, call, ts)),
    forget: (record) => keep(posts.filter(({ ts }) => ts !== record.ts)),
    async adopt(found) {
      const unknown = found.filter((record) => !posts.some(({ ts }) => ts === record.ts));
      if (unknown.length > 0) await keep(sorted([...posts, ...unknown]), true);
    },
    doubt(record) {
      posts = posts.map((known) => (known.ts === record.ts ? doubtful(known) : known));
    },
  };
}

function sorted(posts: readonly PostRecord[]): PostRecord[] {
  return [...posts].sort((a, b) => compareTs(a.ts, b.ts));
}
