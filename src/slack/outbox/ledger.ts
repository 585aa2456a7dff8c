import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import { confirmed, doubtful, type PlannedCall, UNKNOWN } from './plan.ts';

/** The messages that Slack has, in reading order; each change is stored before its promise resolves. */
export interface Ledger {
  readonly posts: readonly PostRecord[];
  /** What is known of a file: its id once it may have been shared, `shared` once it certainly was. */
  file(part: string): string | null;
  noteFile(part: string, state: string | null): Promise<void>;
  confirm(call: PlannedCall, ts: SlackTs): Promise<void>;
  forget(record: PostRecord): Promise<void>;
  /** Slack does not let us do this with the message any more. */
  refused(record: PostRecord, what: 'edit' | 'delete'): Promise<void>;
  /** Leaves a message as it stands, whatever it says. */
  leave(record: PostRecord): Promise<void>;
  /** Whether the thread is gone: its root was deleted before it had a reply. */
  readonly gone: boolean;
  /** The thread is gone, and this message of ours, meant for it, landed at the top of the channel: it must go. */
  strayed(part: string, ts: SlackTs): Promise<void>;
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
/** Stored among the posts, too. */
const GONE: PostRecord = { part: 'thread', ts: '', hash: 'gone' };

/** The hash of a message that stays as it is, whatever it shows. */
const LEFT = 'text-left';

const SAVE_ATTEMPTS = 5;
const SAVE_AGAIN_MS = 1_000;

export function createLedger({ posts: stored, save, posted, clock, log }: LedgerOptions): Ledger {
  let posts = sorted(stored.filter((record) => !isFile(record) && !isGone(record)));
  let gone = stored.some(isGone);
  let files = stored.filter(isFile);

  /** A disk that fails does not hide what Slack shows: the next call stores it all again. */
  async function keep(next: PostRecord[], found = false): Promise<void> {
    const first = posts.length === 0 && next.length > 0;
    posts = next;
    if (first) posted(found);
    await store();
  }

  function change(record: PostRecord, to: PostRecord): Promise<void> {
    return keep(posts.map((known) => (known.ts === record.ts ? to : known)));
  }

  async function store(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await save([...posts, ...files, ...(gone ? [GONE] : [])]);
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
    refused: (record, what) => change(record, { ...record, refuses: what }),
    leave: ({ live: _, ...record }) => change(record, { ...record, hash: LEFT }),
    get gone() {
      return gone;
    },
    strayed(part, ts) {
      gone = true;
      const known = posts.filter((record) => record.ts !== ts);
      return keep(sorted([...known, { part, ts, hash: UNKNOWN, refuses: 'edit' }]));
    },
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
const isGone = ({ ts, hash }: PostRecord) => ts === GONE.ts && hash === GONE.hash;

function sorted(posts: readonly PostRecord[]): PostRecord[] {
  return [...posts].sort((a, b) => compareTs(a.ts, b.ts));
}
