import { asBridgeError } from '../../errors.ts';
import { UNCONFIRMED, type Verdict } from '../access/can.ts';
import type { AgentConnection, Log } from '../ports.ts';
import { noteFiles } from '../record/handed-over.ts';
import { changeTurn } from '../record/inbox.ts';
import { END_TOOLS } from '../record/tasks.ts';
import type { OpenTurn } from '../record/thread-record.ts';
import type { InputContent } from '../turn/input-content.ts';
import { RETRY_MS, type ThreadLink } from './link.ts';
import type { Mailbox } from './mailbox.ts';
import type { PastSources } from './read-past.ts';
import type { ThreadState } from './state.ts';
import type { TurnLookup } from './turn-lookup.ts';
import { type PromptSources, type WrittenInput, writeInput } from './write-prompt.ts';

export interface InputParts extends PromptSources, PastSources {
  state: ThreadState;
  link: ThreadLink;
  lookup: TurnLookup;
  mailbox: Mailbox;
  log: Log;
  /** Whether the process is about to end, so that a turn that has not begun waits on disk. */
  draining(): boolean;
  advance(): void;
  /** Whether the turn's author still may use the agent. Rejects when that cannot be found out. */
  mayBegin(turn: OpenTurn): Promise<Verdict>;
  /** The author may no longer use the agent, so nothing of the turn is run. */
  onNotAllowed(turn: OpenTurn, verdict: Verdict & { allowed: false }): void;
  /** Letta will never take this input. @param notice fit for people */
  onRefused(notice: string): void;
}

/** Letta accepted an input: if it has not begun it after this long, the history is read. */
const NEVER_BEGAN_MS = 60_000;

const WAITS_FOR_SLACK = 'Slack can’t tell me right now who wrote this, so it waits.';

/** Sends the open turn's messages to Letta, at most once: the record says `submitted` before they leave. */
export class TurnInput {
  readonly #parts: InputParts;
  #sending = false;
  /** Set while the input is being written. */
  #writing: AbortController | null = null;
  #waits = false;

  constructor(parts: InputParts) {
    this.#parts = parts;
  }

  /** Whether the input is being prepared or sent. */
  get sending(): boolean {
    return this.#sending;
  }

  /** The link was lost or is new, so Letta's answer to what was sent over the old one will not come. */
  forget(): void {
    this.#sending = false;
    this.cancel();
  }

  /** An input that is being written is not needed any more: no further file is fetched for it. */
  cancel(): void {
    if (!this.#writing) return;
    this.#writing.abort();
    this.#writing = null;
    this.#sending = false;
  }

  /** Sends the input if Letta can take it now; else the caller asks again when that changes. */
  send(turn: OpenTurn): void {
    const { state, link, mailbox, draining, advance } = this.#parts;
    const connection = link.ready;
    if (this.#sending || draining() || !connection || !link.canSubmit) return;
    this.#sending = true;
    this.#writing = new AbortController();
    const { signal } = this.#writing;
    mailbox.away(
      () => {
        const verdict = this.#mayBegin(turn);
        const mayHandOver = verdict.then((is) => is !== 'unknown' && is.allowed);
        return Promise.all([writeInput(this.#parts, state, turn, { connection, mayHandOver, signal }), verdict]);
      },
      ([input, verdict]) => {
        if (signal.aborted) return advance();
        this.#writing = null;
        if (verdict === 'unknown') return this.#waitForSlack();
        this.#heldUp(false);
        const now = state.open;
        const same = now?.id === turn.id && now.state === 'prepared';
        const carries = now !== null && (now.items.length > 0 || now.ends !== undefined);
        const wanted = same && !now.stoppedBy && carries && !draining();
        if (wanted && !verdict.allowed) {
          this.#sending = false;
          return this.#parts.onNotAllowed(now, verdict);
        }
        if (wanted && input.unreadable !== null) {
          this.#sending = false;
          return this.#parts.onRefused(input.unreadable);
        }
        if (wanted && link.ready === connection && link.canSubmit) return this.#submit(turn, connection, input);
        this.#sending = false;
        return advance();
      },
      (error) => {
        if (signal.aborted) return advance();
        this.#writing = null;
        this.#sending = false;
        throw error;
      },
    );
  }

  async #mayBegin(turn: OpenTurn): Promise<Verdict | 'unknown'> {
    // Whoever may stop need not be allowed to speak; their right to stop was judged at the click.
    if (turn.ends) return { allowed: true };
    try {
      const verdict = await this.#parts.mayBegin(turn);
      return !verdict.allowed && verdict.reason === UNCONFIRMED ? 'unknown' : verdict;
    } catch (error) {
      this.#parts.log.warn({ turn: turn.id, err: error }, 'could not check whether a turn may begin');
      return 'unknown';
    }
  }

  /** While Slack does not tell who the author is, the input waits, because their rights cannot be judged. */
  #waitForSlack(): void {
    const { mailbox, advance } = this.#parts;
    this.#sending = false;
    this.#heldUp(true);
    mailbox.later(RETRY_MS, advance);
  }

  #heldUp(held: boolean): void {
    const { state } = this.#parts;
    if (held === this.#waits) return;
    this.#waits = held;
    state.hold = held ? { kind: 'waiting_for_letta', notice: WAITS_FOR_SLACK } : null;
    state.isViewOutdated = true;
  }

  #submit(turn: OpenTurn, connection: AgentConnection, { turn: written, content, files }: WrittenInput): void {
    const { state, mailbox, advance } = this.#parts;
    // On disk before it leaves, so that a restart never sends an input twice.
    const { context, notPassedOn, past } = written;
    const leaves = { state: 'submitted' as const, context, notPassedOn, ...(past && { past }) };
    state.change((record) => (isAsWritten(record.turn, turn) ? noteFiles(changeTurn(record, leaves), files) : record));
    if (state.open?.state !== 'submitted') {
      this.#sending = false;
      advance();
      return;
    }
    mailbox.after(() => this.#leave(turn, connection, content));
  }

  /** Sends the input, which is on disk as submitted. */
  #leave(turn: OpenTurn, connection: AgentConnection, content: InputContent): void {
    const { state, link, lookup, mailbox, log, advance } = this.#parts;
    if (link.ready !== connection) {
      // The link was lost while the disk wrote: over the next link a submitted input would count as sent over this one.
      state.change((record) => changeTurn(record, { state: 'prepared' }));
      this.#sending = false;
      advance();
      return;
    }
    lookup.forget();
    link.submitted();
    state.isViewOutdated = true;
    log.debug({ turn: turn.id }, 'sending input to Letta');
    mailbox.away(
      () =>
        connection.submit({
          clientMessageId: turn.clientMessageId ?? turn.id,
          content,
          ...(turn.ends && { tools: END_TOOLS }),
        }),
      () => this.#accepted(turn),
      (error) => this.#failed(turn, error),
    );
  }

  #accepted(turn: OpenTurn): void {
    const { state, link, lookup, advance } = this.#parts;
    this.#sending = false;
    // Letta accepted the input but has not begun it; if that stays so, the history is read.
    if (state.open?.id === turn.id && link.loop === 'idle' && !lookup.due) lookup.expectEnd(NEVER_BEGAN_MS);
    // The turn may have ended before this answer came, and then the next turn waits for it.
    advance();
  }

  #failed(turn: OpenTurn, error: unknown): void {
    const { state, link, lookup, mailbox, log, advance, onRefused } = this.#parts;
    this.#sending = false;
    const cause = asBridgeError(error);
    log.warn({ turn: turn.id, err: cause, certain: cause.certain }, 'Letta did not confirm the input');
    if (state.open?.id !== turn.id || state.isEnding) return;
    // We cannot tell whether Letta got it: the replay of the next link tells, or over this link the history.
    if (!cause.certain) {
      lookup.lookLater(RETRY_MS);
      return;
    }
    if (!cause.retry) {
      onRefused(cause.notice);
      return;
    }
    state.change((record) => changeTurn(record, { state: 'prepared' }));
    link.unsubmitted();
    mailbox.later(RETRY_MS, advance);
  }
}

/** Whether the turn's messages are the same as in `written`, which the prompt was made of: none edited or deleted. */
function isAsWritten(now: OpenTurn | null, written: OpenTurn): boolean {
  const version = ({ items, context }: OpenTurn) =>
    [...items, ...context].map((item) => `${item.key} ${item.editedAt}`);
  return now?.id === written.id && version(now).join() === version(written).join();
}
