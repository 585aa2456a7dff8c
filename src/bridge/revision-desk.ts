import { asBridgeError } from '../errors.ts';
import type { Door } from './door.ts';
import { makeThreadKey, ROLLING, type ThreadKey } from './ids.ts';
import type { InboundMessage, InboundRevision, MessageOutcome, RevisionOutcome, ThreadAddress } from './inbound.ts';
import { itemOf } from './inbox.ts';
import type { KillSwitch } from './kill-switch.ts';
import type { Clock, Log, Surface, Threads } from './ports.ts';
import { type Whereabouts, whereIs, withAsked, withEdited, withWithdrawn } from './revisions.ts';
import type { ThreadRecord } from './thread-record.ts';
import type { ThreadWorkers } from './thread-workers.ts';

export interface RevisionParts {
  threads: Threads;
  workers: ThreadWorkers;
  surface: Surface;
  door: Door;
  killSwitch: KillSwitch;
  clock: Clock;
  log: Log;
}

type Edited = InboundRevision & { kind: 'edited' };
type Deleted = InboundRevision & { kind: 'deleted' };

const ignored = (reason: string): RevisionOutcome => ({ outcome: 'ignored', reason });

/**
 * What becomes of messages whose author changed or deleted them: as long as they wait, the change counts; a message that
 * went to the agent stays said.
 */
export class RevisionDesk {
  readonly #parts: RevisionParts;
  readonly #message: (message: InboundMessage) => Promise<MessageOutcome>;

  /** @param message takes in a message that a change made one for the agent */
  constructor(parts: RevisionParts, message: (message: InboundMessage) => Promise<MessageOutcome>) {
    this.#parts = parts;
    this.#message = message;
  }

  /** In the chain of its thread, as messages are. Resolves when it is on disk. */
  async take(key: ThreadKey, revision: InboundRevision): Promise<RevisionOutcome> {
    const record = await this.#parts.threads.load(key);
    return revision.kind === 'edited' ? this.#edited(key, record, revision) : this.#deleted(key, record, revision);
  }

  async #edited(key: ThreadKey, record: ThreadRecord | null, edited: Edited): Promise<RevisionOutcome> {
    const { message, mentionedBefore } = edited;
    const where = record ? whereIs(record, message.key) : 'unknown';
    const asksNow = message.mentionsBot && !mentionedBefore;
    if (where === 'unknown') {
      if (!asksNow) return ignored('not_for_the_bot');
      // Forgotten after a day: it may have run as a plain reply.
      if (record && this.#isForgotten(record, message)) return ignored('too_old_to_know');
      return { outcome: 'began', as: (await this.#message(message)).outcome };
    }
    if (where === 'running' || where === 'done') return ignored('ran_already');
    if (where === 'overheard' && !asksNow) return ignored('not_for_the_bot');
    const refusal = await this.#refusal(message);
    if (refusal) return refusal;
    const begins = asksNow && (where === 'context' || where === 'overheard');
    if (begins && this.#parts.killSwitch.paused) return { outcome: 'refused', reason: 'paused' };
    return this.#store(key, message, begins);
  }

  async #store(key: ThreadKey, message: InboundMessage, begins: boolean): Promise<RevisionOutcome> {
    const { threads, workers, surface, clock, log } = this.#parts;
    const now = clock.now();
    let changed = false;
    try {
      const stored = await threads.update(key, (record) => {
        const next = record && changedBy(record, message, begins, now);
        changed = next !== record;
        return changed ? next : null;
      });
      if (!changed) return ignored('ran_already');
      workers.wake(key, stored);
      return begins ? { outcome: 'began', as: 'accepted' } : { outcome: 'changed' };
    } catch (error) {
      const { code, notice } = asBridgeError(error);
      if (code !== 'record_too_large') throw error;
      const text = `${notice} Your message counts as it was before.`;
      surface
        .whisper(placeOf(message), message.user, text)
        .catch((cause: unknown) => log.warn({ err: cause }, 'unsaid'));
      return { outcome: 'refused', reason: code };
    }
  }

  async #deleted(key: ThreadKey, record: ThreadRecord | null, deleted: Deleted): Promise<RevisionOutcome> {
    const { threads, workers, clock } = this.#parts;
    const where = record ? whereIs(record, deleted.key) : 'unknown';
    if (record && where === 'running') return this.#ask(record, deleted);
    if (!WAITS.has(where)) return ignored('ran_already');
    let withdrawn = false;
    const stored = await threads.update(key, (now) => {
      withdrawn = now !== null && WAITS.has(whereIs(now, deleted.key));
      return withdrawn && now ? withWithdrawn(now, deleted.key, clock.now()) : null;
    });
    if (!withdrawn) return ignored('ran_already');
    workers.wake(key, stored);
    return { outcome: 'withdrawn' };
  }

  /** The turn goes on, as others may count on it: its author has the Stop button. */
  async #ask(record: ThreadRecord, deleted: Deleted): Promise<RevisionOutcome> {
    const { surface, log } = this.#parts;
    const { turn } = record;
    if (!turn || turn.stoppedBy) return ignored('stopped_already');
    const text = 'You deleted a message that the agent is working on. It goes on unless you stop it.';
    surface.whisper(placeOf(deleted), deleted.user, text, turn.stopToken).catch((error: unknown) => {
      log.warn({ err: error }, 'a private notice could not be shown');
    });
    return { outcome: 'asked' };
  }

  async #refusal(message: InboundMessage): Promise<RevisionOutcome | null> {
    const { verdict } = await this.#parts.door.message(message);
    return verdict.allowed ? null : { outcome: 'refused', reason: verdict.reason };
  }

  #isForgotten(record: ThreadRecord, { ts, user }: InboundMessage): boolean {
    return record.participants.includes(user) && this.#parts.clock.now() - Number(ts) * 1000 > REMEMBERED_MS;
  }
}

/** As long as handled messages are remembered in a thread's record. */
const REMEMBERED_MS = 24 * 60 * 60 * 1000;
const WAITS: ReadonlySet<Whereabouts> = new Set(['queued', 'held', 'context']);

function changedBy(record: ThreadRecord, message: InboundMessage, begins: boolean, now: number): ThreadRecord {
  const where = whereIs(record, message.key);
  const item = itemOf(message, now);
  if (begins && (where === 'context' || where === 'overheard')) return withAsked(record, { ...item, askedAt: now });
  return WAITS.has(where) ? withEdited(record, item, now) : record;
}

function placeOf({ team, channel, threadTs }: InboundMessage | Deleted): ThreadAddress {
  return { team, channel, threadTs };
}

/** The thread of a message that was changed or deleted. */
export function threadOfRevision(revision: InboundRevision): ThreadKey {
  const { team, channel, channelKind, ts, threadTs } = revision.kind === 'edited' ? revision.message : revision;
  return makeThreadKey({ team, channel, root: threadTs ?? (channelKind === 'im' ? ROLLING : ts) });
}
