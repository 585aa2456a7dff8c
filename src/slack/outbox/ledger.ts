import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/thread-record.ts';
import { confirmed, doubtful, type PlannedCall } from './plan.ts';

/** The messages that Slack has, in reading order; each change is stored before its promise resolves. */
export interface Ledger {
  readonly posts: readonly PostRecord[];
  /** What is known of a file: its id once it may have been shared, `shared` once it certainly was. */
  file(part: string): string | null;
  noteFile(part: string, state: string | null): Promise<void>;
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

/** No file id: those are capitals and digits. */
export const SHARED = 'shared';
/** Files are stored among the posts, with this before their state. The message that shares one is none of our posts. */
const FILE = 'file-';

const SAVE_ATTEMPTS = 5;
const SAVE_AGAIN_MS = 1_000;

export function createLedger({ posts: stored, save, posted, clock, log }: LedgerOptions): Ledger {
  let posts = sorted(stored.filter((record) => !isFile(record)));
  let files = stored.filter(isFile);

  /** A disk that fails does not hide what Slack shows: the next call stores it all again. */
  async function keep(next: PostRecord[], found = false): Promise<void> {
    const first = posts.length === 0 && next.length > 0;
    posts = next;
    if (first) posted(found);
    await store();
  }

  async function store(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await save([...posts, ...files]);
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
    file: (part) => files.find((record) => record.part === part)?.hash.slice(FILE.length) ?? null,
    noteFile(part, state) {
      const others = files.filter((record) => record.part !== part);
      files = state === null ? others : [...others, { part, ts: '', hash: FILE + state }];
      return store();
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

const isFile = ({ hash }: PostRecord) => hash.startsWith(FILE);

function sorted(posts: readonly PostRecord[]): PostRecord[] {
  return [...posts].sort((a, b) => compareTs(a.ts, b.ts));
}
