import { asBridgeError } from '../../errors.ts';
import type { Place } from '../access/can.ts';
import type { Door } from '../access/door.ts';
import type { ParsedCommand } from '../commands/table.ts';
import { type MessageKey, makeThreadKey, ROLLING, type ThreadKey, type UserId } from '../ids.ts';
import {
  type InboundMessage,
  type InboundRevision,
  type MessageOutcome,
  placeOf,
  type RevisionOutcome,
} from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Clock, Threads } from '../ports.ts';
import { itemOf } from '../record/inbox.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import { isTalk, type Whereabouts, whereIs, withEdited, withWithdrawn } from '../record/whereabouts.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { isBlankText, noNames, spansText } from '../turn/prompt.ts';
import type { Notices } from './notices.ts';

export interface RevisionParts {
  threads: Pick<Threads, 'load'>;
  workers: ThreadWorkers;
  door: Door;
  notices: Notices;
  botUser: UserId;
  clock: Clock;
}

/** What becomes of messages that wait nowhere. */
export interface Untold {
  /** Takes it in. @param asksNow a change made it one for the agent */
  message(message: InboundMessage, asksNow: boolean): Promise<MessageOutcome>;
  /** Should it come yet, it is not taken in. */
  pass(key: MessageKey): Promise<void>;
  /** The command that a message was changed into, if it is one. */
  commandIn(message: InboundMessage, where: Whereabouts): ParsedCommand | null;
  carryOut(
    command: ParsedCommand,
    message: InboundMessage,
    asked: { person: Person; place: Place },
  ): Promise<MessageOutcome>;
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
  readonly #untold: Untold;

  constructor(parts: RevisionParts, untold: Untold) {
    this.#parts = parts;
    this.#untold = untold;
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
    const command = GIVES_COMMANDS.has(where) ? this.#untold.commandIn(message, where) : null;
    if (!command && (where === 'running' || where === 'done')) return ignored('ran_already');
    if (asksNow && (where === 'unknown' || isTalk(where))) {
      // Forgotten after a day: it may have run as a plain reply.
      if (where === 'unknown' && record && this.#isForgotten(record, message)) return ignored('too_old_to_know');
      return begun(await this.#untold.message(message, true));
    }
    if (where === 'unknown') return this.#overtaken(edited);
    if (where === 'overheard') return ignored('not_for_the_bot');
    const { person, place, verdict } = await this.#parts.door.message(message);
    if (!verdict.allowed) {
      if (where !== 'context') this.#parts.notices.whisper(placeOf(message), message.user, verdict.notice);
      return { outcome: 'refused', reason: verdict.reason };
    }
    if (command) return this.#obey(command, key, message, { person, place });
    return this.#isEmpty(message) ? this.#emptied(key, message) : this.#store(key, message);
  }

  #isEmpty({ spans, files }: InboundMessage): boolean {
    return files.length === 0 && isBlankText(spansText(spans, noNames, this.#parts.botUser));
  }

  /** Its author took all words out of it: an empty prompt is never run. */
  async #emptied(key: ThreadKey, message: InboundMessage): Promise<RevisionOutcome> {
    const outcome = await this.#withdraw(key, message.key);
    if (outcome.outcome === 'withdrawn') {
      const text = 'After your edit I can’t read anything in your message, so I won’t run it.';
      this.#parts.notices.whisper(placeOf(message), message.user, text);
    }
    return outcome;
  }

  /** The message itself may be still to come, where the disk failed or Slack is late: as it was it must not be run. */
  async #overtaken({ message, mentionedBefore }: Edited): Promise<RevisionOutcome> {
    if (!this.#isRecent(message)) return ignored('not_for_the_bot');
    const outcome = begun(await this.#untold.message(message, false));
    if (outcome.outcome === 'ignored' && mentionedBefore) await this.#untold.pass(message.key);
    return outcome;
  }

  /** A command is never a prompt: the message that became one leaves the queue first, so that Stop does not list it. */
  async #obey(
    command: ParsedCommand,
    key: ThreadKey,
    message: InboundMessage,
    asked: { person: Person; place: Place },
  ): Promise<RevisionOutcome> {
    const { workers, clock } = this.#parts;
    await workers.store(key, (record) => record && withWithdrawn(record, message.key, clock.now()));
    return begun(await this.#untold.carryOut(command, message, asked));
  }

  async #store(key: ThreadKey, message: InboundMessage): Promise<RevisionOutcome> {
    const { workers, clock } = this.#parts;
    const now = clock.now();
    let changed = false;
    try {
      await workers.store(key, (record) => {
        const next = record && withEdited(record, itemOf(message, now), now);
        changed = next !== record;
        return changed ? next : null;
      });
      if (!changed) return ignored('ran_already');
      return { outcome: 'changed' };
    } catch (error) {
      const { code, notice } = asBridgeError(error);
      if (code !== 'record_too_large') throw error;
      const text = `${notice} I’ll use your message as it was before the edit.`;
      this.#parts.notices.whisper(placeOf(message), message.user, text);
      return { outcome: 'refused', reason: code };
    }
  }

  async #deleted(key: ThreadKey, record: ThreadRecord | null, deleted: Deleted): Promise<RevisionOutcome> {
    const where = record ? whereIs(record, deleted.key) : 'unknown';
    // Others are none of ours, however many of them people delete.
    const isOurs = record !== null || deleted.mentionsBot || deleted.channelKind === 'im';
    if (where === 'unknown' && isOurs && this.#isRecent(deleted)) {
      await this.#untold.pass(deleted.key);
      return ignored('not_taken_in');
    }
    if (record && where === 'running') return this.#ask(record, deleted);
    if (!WAITS.has(where)) return ignored('ran_already');
    return this.#withdraw(key, deleted.key);
  }

  async #withdraw(key: ThreadKey, message: MessageKey): Promise<RevisionOutcome> {
    const { workers, clock } = this.#parts;
    let withdrawn = false;
    await workers.store(key, (now) => {
      withdrawn = now !== null && WAITS.has(whereIs(now, message));
      return withdrawn && now ? withWithdrawn(now, message, clock.now()) : null;
    });
    if (!withdrawn) return ignored('ran_already');
    return { outcome: 'withdrawn' };
  }

  /** The turn goes on, as others may count on it: its author has the Stop button. */
  async #ask(record: ThreadRecord, deleted: Deleted): Promise<RevisionOutcome> {
    const { turn } = record;
    if (!turn || turn.stoppedBy) return ignored('stopped_already');
    const text = 'I’m still working on the message you deleted. Press *Stop* if I should not.';
    this.#parts.notices.whisper(placeOf(deleted), deleted.user, text, turn.stopToken);
    return { outcome: 'asked' };
  }

  #isForgotten(record: ThreadRecord, message: InboundMessage): boolean {
    return record.participants.includes(message.user) && !this.#isRecent(message);
  }

  /** So that it would be remembered. */
  #isRecent({ ts }: Pick<InboundMessage, 'ts'>): boolean {
    return this.#parts.clock.now() - Number(ts) * 1000 <= REMEMBERED_MS;
  }
}

/** As long as handled messages are remembered in a thread's record. */
const REMEMBERED_MS = 24 * 60 * 60 * 1000;
const GIVES_COMMANDS: ReadonlySet<Whereabouts> = new Set(['queued', 'held', 'running']);
const WAITS: ReadonlySet<Whereabouts> = new Set(['queued', 'held', 'context']);

function begun(taken: MessageOutcome): RevisionOutcome {
  const { outcome } = taken;
  if (outcome === 'repeated') return ignored('ran_already');
  return outcome === 'ignored' || outcome === 'refused' ? taken : { outcome: 'began', as: outcome };
}

/** The thread of a message that was changed or deleted. */
export function threadOfRevision(revision: InboundRevision): ThreadKey {
  const { team, channel, channelKind, ts, threadTs } = revision.kind === 'edited' ? revision.message : revision;
  return makeThreadKey({ team, channel, root: threadTs ?? (channelKind === 'im' ? ROLLING : ts) });
}
