import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { Clock, Log } from '../../bridge/ports.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { Seams } from '../render/post.ts';
import type { BegunStream } from './calls.ts';
import { applyCall, type PlannedCall, UNKNOWN, withUnknownContent } from './plan.ts';

/** The messages that Slack has, in reading order. A change is stored before its promise resolves. */
export interface Ledger {
  readonly posts: readonly PostRecord[];
  /** The state of a file: its id once it may have been shared, `shared` once it certainly was; `null`: not begun. */
  fileState(part: string): string | null;
  saveFileState(part: string, state: string | null): Promise<void>;
  saveCall(call: PlannedCall, ts: SlackTs): Promise<void>;
  forgetPost(record: PostRecord): Promise<void>;
  /** Notes that Slack no longer lets us edit, or delete, the message. */
  saveRefusal(record: PostRecord, what: 'edit' | 'delete'): Promise<void>;
  /** Notes how much of the text the message shows: the rest is posted below it, before it is edited. */
  saveSeam(record: PostRecord, seam: number): Promise<void>;
  /** Where texts go on in a new message. */
  readonly seams: Seams;
  /** The native stream that may have been begun, if its answer has not come; `null`: there is none. */
  readonly begun: BegunStream | null;
  /**
   * Notes that a native stream is about to be begun, so that it is found again when its answer is lost. False: that is not
   * on disk, so it must not be begun.
   */
  saveBegun(begun: BegunStream): Promise<boolean>;
  /** Notes that no stream was begun. Stored with the next change. */
  dropBegun(): void;
  /** Notes that the message is no native stream any more: nobody knows what it shows. `isLast`: it must stay as it is. */
  saveStopped(record: PostRecord, isLast: boolean): Promise<void>;
  /** Notes that Slack still takes the message for a native stream. */
  markStream(record: PostRecord): Promise<void>;
  /** Marks a message as one that must not be changed any more, whatever it says. */
  keepAsIs(record: PostRecord): Promise<void>;
  /** Whether the thread is gone: its root was deleted before it had a reply. */
  readonly isThreadGone: boolean;
  /** Notes that the thread is gone and that our message landed at the top of the channel: it must be deleted. */
  saveStray(part: string, ts: SlackTs): Promise<void>;
  /** Adds messages that a look has found and that are not in the ledger. */
  adoptPosts(found: readonly PostRecord[]): Promise<void>;
  /** Notes that we no longer know what the message shows. Not stored, because a restart edits it anyway. */
  markDoubtful(record: PostRecord): void;
}

export interface LedgerOptions {
  posts: readonly PostRecord[];
  savePosts(posts: PostRecord[]): Promise<void>;
  /** Called when the first message exists; `wasFound`: a look found it, so an earlier process posted it. */
  onFirstPost(wasFound: boolean): void;
  clock: Clock;
  log: Log;
}

/** Cannot be a file id, because those are capitals and digits. */
export const SHARED = 'shared';
/**
 * Files are stored among the posts with this prefix before their state. Slack posts the message that shares a file, not
 * we.
 */
const FILE = 'file-';
/** A native stream that is being begun is stored among the posts with this prefix before what it is known by. */
const BEGUN = 'stream-';
/** Stored among the posts when the thread is gone. */
const GONE: PostRecord = { part: 'thread', ts: '', hash: 'gone' };

/** The hash of a message that must not be changed any more. */
const KEPT_AS_IS = 'text-left';

const SAVE_ATTEMPTS = 5;
const SAVE_AGAIN_MS = 1_000;

export function createLedger({ posts: stored, savePosts, onFirstPost, clock, log }: LedgerOptions): Ledger {
  let posts = sorted(stored.filter((record) => !isFile(record) && !isGone(record) && !isBegun(record)));
  let gone = stored.some(isGone);
  let files = stored.filter(isFile);
  let begun = begunOf(stored.find(isBegun));

  /**
   * Changes the ledger even if storing fails, because Slack shows the change already. The next call stores all of it.
   */
  async function replacePosts(next: PostRecord[], wasFound = false): Promise<void> {
    const first = posts.length === 0 && next.length > 0;
    posts = next;
    if (first) onFirstPost(wasFound);
    await saveAll();
  }

  function replacePost(record: PostRecord, to: PostRecord): Promise<void> {
    return replacePosts(posts.map((known) => (known.ts === record.ts ? to : known)));
  }

  /** False: it could not be stored. */
  async function saveAll(attempts = SAVE_ATTEMPTS): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const open =
          begun === null ? [] : [{ part: begun.part, ts: '', hash: `${BEGUN}${begun.since} ${begun.words}` }];
        await savePosts([...posts, ...files, ...open, ...(gone ? [GONE] : [])]);
        return true;
      } catch (error) {
        log.error({ err: error, attempt }, 'could not store the posts of a turn');
        if (attempt >= attempts) return false;
        await new Promise<void>((resolve) => void clock.after(SAVE_AGAIN_MS * attempt, resolve));
      }
    }
  }

  return {
    get posts() {
      return posts;
    },
    fileState: (part) => files.find((record) => record.part === part)?.hash.slice(FILE.length) ?? null,
    async saveFileState(part, state) {
      const others = files.filter((record) => record.part !== part);
      files = state === null ? others : [...others, { part, ts: '', hash: FILE + state }];
      await saveAll();
    },
    saveCall(call, ts) {
      if (call.kind === 'post') begun = null;
      return replacePosts(applyCall(posts, call, ts));
    },
    forgetPost: (record) => replacePosts(posts.filter(({ ts }) => ts !== record.ts)),
    saveRefusal: (record, what) => replacePost(record, { ...record, refuses: what }),
    saveSeam: (record, seam) => replacePost(record, { ...record, seam }),
    get seams() {
      const marked = posts.filter(({ seam }) => seam !== undefined);
      const byItem = Map.groupBy(marked, ({ part }) => Number(part.split('.')[0]));
      return new Map(
        [...byItem].map(([item, records]) => [item, records.map(({ seam = 0 }) => seam).sort((a, b) => a - b)]),
      );
    },
    get begun() {
      return begun;
    },
    saveBegun(next) {
      begun = next;
      // No second attempt: the text is posted instead of waiting for the disk.
      return saveAll(1);
    },
    dropBegun() {
      begun = null;
    },
    saveStopped({ stream: _, ...record }, isLast) {
      return replacePost(record, { ...record, hash: isLast ? KEPT_AS_IS : UNKNOWN });
    },
    markStream: (record) => replacePost(record, { ...record, stream: true }),
    keepAsIs: ({ live: _, stream: __, ...record }) => replacePost(record, { ...record, hash: KEPT_AS_IS }),
    get isThreadGone() {
      return gone;
    },
    saveStray(part, ts) {
      gone = true;
      const known = posts.filter((record) => record.ts !== ts);
      return replacePosts(sorted([...known, { part, ts, hash: UNKNOWN, refuses: 'edit' }]));
    },
    async adoptPosts(found) {
      const unknown = found.filter((record) => !posts.some(({ ts }) => ts === record.ts));
      if (unknown.some(({ stream }) => stream)) begun = null;
      // What was posted again before the look stands below the first one: that stays, and this one goes.
      const isAgain = ({ part, ts }: PostRecord) =>
        unknown.some((own) => own.part === part && compareTs(own.ts, ts) < 0);
      const known = posts.map((record) => (isAgain(record) ? withUnknownContent(record) : record));
      if (unknown.length > 0) await replacePosts(sorted([...known, ...unknown]), true);
    },
    markDoubtful(record) {
      posts = posts.map((known) => (known.ts === record.ts ? withUnknownContent(known) : known));
    },
  };
}

/** Whether a message shows a card; one that a look found is known by its part. */
export const isCard = ({ hash, part }: PostRecord) => hash.startsWith('card-') || part.startsWith('card-');
const isFile = ({ hash }: PostRecord) => hash.startsWith(FILE);
const isBegun = ({ ts, hash }: PostRecord) => ts === '' && hash.startsWith(BEGUN);
const isGone = ({ ts, hash }: PostRecord) => ts === GONE.ts && hash === GONE.hash;

function begunOf(record: PostRecord | undefined): BegunStream | null {
  if (!record) return null;
  const [since = '', ...words] = record.hash.slice(BEGUN.length).split(' ');
  return { part: record.part, words: words.join(' '), since };
}

function sorted(posts: readonly PostRecord[]): PostRecord[] {
  return [...posts].sort((a, b) => compareTs(a.ts, b.ts));
}
