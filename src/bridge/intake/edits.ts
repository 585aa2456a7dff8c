import { asBridgeError } from '../../errors.ts';
import type { Place } from '../access/can.ts';
import type { Door } from '../access/door.ts';
import { asMessageForNow } from '../commands/now.ts';
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
import { isContextOnly, type MessageState, stateOfMessage } from '../record/message-state.ts';
import { findReaction } from '../record/reacted.ts';
import type { ReactionMark, ThreadRecord } from '../record/thread-record.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { isBlankText, noNames, spansText } from '../turn/prompt.ts';
import { HEARD } from '../words/messages.ts';
import type { Notices } from './notices.ts';

export interface RevisionParts {
  threads: Pick<Threads, 'load'>;
  workers: ThreadWorkers;
  door: Door;
  notices: Notices;
  botUser: UserId;
  clock: Clock;
}

/** Edits and deletions of messages that the thread's record does not hold: what the message intake does with them. */
export interface UnseenMessages {
  /** Handles the edited message as a new one. @param asksNow the edit added a mention of the bot */
  handleMessage(message: InboundMessage, asksNow: boolean): Promise<MessageOutcome>;
  /** If the message itself is still delivered, it is ignored. */
  markHandled(key: MessageKey): Promise<void>;
  /** The command that an edit made of a message; `null` when it is none. */
  findCommand(message: InboundMessage, where: MessageState): ParsedCommand | null;
  runCommand(
    command: ParsedCommand,
    message: InboundMessage,
    asked: { person: Person; place: Place },
  ): Promise<MessageOutcome>;
}

type Edited = InboundRevision & { kind: 'edited' };
type Deleted = InboundRevision & { kind: 'deleted' };

const ignored = (reason: string): RevisionOutcome => ({ outcome: 'ignored', reason });

/**
 * Applies edits and deletions: a message that still waits is changed or withdrawn; one that went to the agent stays as it
 * was, because the agent has read it.
 */
export class RevisionDesk {
  readonly #parts: RevisionParts;
  readonly #unseen: UnseenMessages;

  constructor(parts: RevisionParts, untold: UnseenMessages) {
    this.#parts = parts;
    this.#unseen = untold;
  }

  /** Must run in the thread's chain, as messages do, so that both keep their order. Resolves when it is on disk. */
  async handleRevision(key: ThreadKey, revision: InboundRevision): Promise<RevisionOutcome> {
    const record = await this.#parts.threads.load(key);
    return revision.kind === 'edited'
      ? this.#handleEdit(key, record, revision)
      : this.#handleDeletion(key, record, revision);
  }

  async #handleEdit(key: ThreadKey, record: ThreadRecord | null, edited: Edited): Promise<RevisionOutcome> {
    const { mentionedBefore } = edited;
    const message = asMessageForNow(edited.message, this.#parts.botUser);
    const where = record ? stateOfMessage(record, message.key) : 'unknown';
    const asksNow = message.mentionsBot && !mentionedBefore;
    const command = GIVES_COMMANDS.has(where) ? this.#unseen.findCommand(message, where) : null;
    if (!command && (where === 'running' || where === 'done')) {
      if (edited.hasAddedFiles) this.#parts.notices.whisper(placeOf(message), message.user, HEARD.filesTooLate);
      return ignored('ran_already');
    }
    if (asksNow && (where === 'unknown' || isContextOnly(where))) {
      // The record forgets handled messages after a day, so this one may have run as a plain reply: do not run it again.
      if (where === 'unknown' && record && this.#mayBeForgotten(record, message)) return ignored('too_old_to_know');
      return asRevisionOutcome(await this.#unseen.handleMessage(message, true));
    }
    if (where === 'unknown') return this.#handleEditOfUnseen(edited);
    if (where === 'overheard') return ignored('not_for_the_bot');
    const { person, place, verdict } = await this.#parts.door.judgeMessage(message);
    if (!verdict.allowed) {
      if (where !== 'context') this.#parts.notices.whisper(placeOf(message), message.user, verdict.notice);
      return { outcome: 'refused', reason: verdict.reason };
    }
    if (command) return this.#runCommandInstead(command, key, message, { person, place });
    return this.#isEmpty(message) ? this.#withdrawEmptied(key, message) : this.#storeEdit(key, message);
  }

  #isEmpty({ spans, files }: InboundMessage): boolean {
    return files.length === 0 && isBlankText(spansText(spans, noNames, this.#parts.botUser));
  }

  /** When an edit leaves nothing readable, withdraws the message: an empty prompt never runs. */
  async #withdrawEmptied(key: ThreadKey, message: InboundMessage): Promise<RevisionOutcome> {
    const outcome = await this.#withdrawMessage(key, message.key);
    if (outcome.outcome === 'withdrawn') {
      const text = HEARD.emptied;
      this.#parts.notices.whisper(placeOf(message), message.user, text);
    }
    return outcome;
  }

  /** The edit may arrive before its message, when the disk failed or Slack is late: then only the new text may run. */
  async #handleEditOfUnseen({ message, mentionedBefore }: Edited): Promise<RevisionOutcome> {
    if (!this.#wouldBeRemembered(message)) return ignored('not_for_the_bot');
    const outcome = asRevisionOutcome(await this.#unseen.handleMessage(message, false));
    if (outcome.outcome === 'ignored' && mentionedBefore) await this.#unseen.markHandled(message.key);
    return outcome;
  }

  /** Takes the message out of the queue before the command runs, so that Stop does not list it as a waiting prompt. */
  async #runCommandInstead(
    command: ParsedCommand,
    key: ThreadKey,
    message: InboundMessage,
    asked: { person: Person; place: Place },
  ): Promise<RevisionOutcome> {
    await this.#parts.workers.store(key, { do: 'withdraw', key: message.key });
    return asRevisionOutcome(await this.#unseen.runCommand(command, message, asked));
  }

  async #storeEdit(key: ThreadKey, message: InboundMessage): Promise<RevisionOutcome> {
    try {
      const { isChanged } = await this.#parts.workers.store(key, { do: 'edit', message });
      return isChanged ? { outcome: 'changed' } : ignored('ran_already');
    } catch (error) {
      const { code, notice } = asBridgeError(error);
      if (code !== 'record_too_large') throw error;
      const text = `${notice} ${HEARD.asBeforeEdit}`;
      this.#parts.notices.whisper(placeOf(message), message.user, text);
      return { outcome: 'refused', reason: code };
    }
  }

  async #handleDeletion(key: ThreadKey, record: ThreadRecord | null, deleted: Deleted): Promise<RevisionOutcome> {
    const where = record ? stateOfMessage(record, deleted.key) : 'unknown';
    // Deletions of all other messages need no note, so that a mass deletion fills no memory.
    const isOurs = record !== null || deleted.mentionsBot || deleted.channelKind === 'im';
    if (where === 'unknown' && isOurs && this.#wouldBeRemembered(deleted)) {
      await this.#unseen.markHandled(deleted.key);
      return ignored('not_taken_in');
    }
    if (record && where === 'running') return this.#offerStop(record, deleted, HEARD.deletedRuns);
    if (!WAITS.has(where)) return ignored('ran_already');
    return this.#withdrawMessage(key, deleted.key);
  }

  async #withdrawMessage(key: ThreadKey, message: MessageKey, mark?: ReactionMark): Promise<RevisionOutcome> {
    const { isChanged } = await this.#parts.workers.store(key, { do: 'withdraw', key: message, mark });
    return isChanged ? { outcome: 'withdrawn' } : ignored('ran_already');
  }

  /** A reaction that was taken back asks nothing, if it can still be withdrawn. */
  async takeBackReaction(key: ThreadKey, mark: ReactionMark, place: InboundMessage): Promise<RevisionOutcome> {
    const record = await this.#parts.threads.load(key);
    const item = record && findReaction(record, mark);
    if (!record || !item) return ignored('not_waiting');
    // One that was handed to the running turn may run: taken back and added again, it would run twice.
    if (MAY_RUN.has(stateOfMessage(record, item.key)))
      return this.#offerStop(record, { ...place, user: mark.user }, HEARD.takenBackRuns);
    return this.#withdrawMessage(key, item.key, mark);
  }

  /** Offers the author a Stop button instead of stopping the turn, because others may wait for its answer. */
  async #offerStop(
    record: ThreadRecord,
    deleted: Pick<InboundMessage, 'team' | 'channel' | 'threadTs' | 'user' | 'asked'>,
    text: string,
  ): Promise<RevisionOutcome> {
    const { turn } = record;
    if (!turn || turn.stoppedBy) return ignored('stopped_already');
    this.#parts.notices.whisper(placeOf({ ...deleted, asked: undefined }), deleted.user, text, {
      stop: turn.stopToken,
    });
    return { outcome: 'asked' };
  }

  #mayBeForgotten(record: ThreadRecord, message: InboundMessage): boolean {
    return record.participants.includes(message.user) && !this.#wouldBeRemembered(message);
  }

  /** Whether the message is so young that the record would still remember having handled it. */
  #wouldBeRemembered({ ts }: Pick<InboundMessage, 'ts'>): boolean {
    return this.#parts.clock.now() - Number(ts) * 1000 <= REMEMBERED_MS;
  }
}

/** How long a thread's record remembers handled messages. */
const REMEMBERED_MS = 24 * 60 * 60 * 1000;
const MAY_RUN: ReadonlySet<MessageState> = new Set(['running', 'steered']);
const GIVES_COMMANDS: ReadonlySet<MessageState> = new Set(['queued', 'held', ...MAY_RUN]);
const WAITS: ReadonlySet<MessageState> = new Set(['queued', 'held', 'steered', 'context']);

function asRevisionOutcome(taken: MessageOutcome): RevisionOutcome {
  const { outcome } = taken;
  if (outcome === 'repeated') return ignored('ran_already');
  return outcome === 'ignored' || outcome === 'refused' ? taken : { outcome: 'began', as: outcome };
}

/** The thread of a message that was changed or deleted. */
export function threadOfRevision(revision: InboundRevision): ThreadKey {
  const { team, channel, channelKind, ts, threadTs } = revision.kind === 'edited' ? revision.message : revision;
  return makeThreadKey({ team, channel, root: threadTs ?? (channelKind === 'im' ? ROLLING : ts) });
}
