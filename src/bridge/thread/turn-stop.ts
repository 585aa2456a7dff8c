import { type Backoff, backoffMs } from '../../backoff.ts';
import type { UserId } from '../ids.ts';
import type { Log, Surface, Timer } from '../ports.ts';
import { changeTurn } from '../record/inbox.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';
import { noNames, spansText } from '../turn/prompt.ts';
import type { ThreadLink } from './link.ts';
import type { Mailbox } from './mailbox.ts';
import { say } from './say.ts';
import type { ThreadState } from './state.ts';
import { END_OVERDUE_MS, type TurnLookup } from './turn-lookup.ts';

export interface StopParts {
  state: ThreadState;
  link: ThreadLink;
  lookup: TurnLookup;
  mailbox: Mailbox;
  surface: Surface;
  botUser: UserId;
  log: Log;
  /** Ends a turn that was not submitted yet. */
  advance(): void;
}

/** After an abort, Letta may take this long to end the turn when the model is slow (docs/letta-protocol.md, Errors). */
export const STOP_OVERDUE_MS = 20_000;

const AGAIN: Backoff = { firstMs: 2 * STOP_OVERDUE_MS, longestMs: 5 * 60_000 };

/** Stops the open turn and discards the messages queued behind it. */
export class TurnStop {
  readonly #parts: StopParts;
  #timer: Timer | null = null;

  constructor(parts: StopParts) {
    this.#parts = parts;
  }

  /** Stores the Stop together with what `also` changes. Stopping twice is fine. */
  stop(by: UserId, also?: (record: ThreadRecord) => ThreadRecord): void {
    const { state, mailbox, log, botUser } = this.#parts;
    const turn = state.open;
    if (!turn) return;
    if (turn.stoppedBy) {
      if (also) state.change(also);
      mailbox.after(() => this.#pursue());
      return;
    }
    const line = (item: InboxItem) => oneLine(spansText(item.spans, noNames, botUser), 80);
    let dropped: InboxItem[] = [];
    state.change((record) => {
      dropped = record.inbox;
      // Also stored with the turn, because the notice below is lost if the process dies.
      const told = dropped.map((item) => `discarded by Stop: ${line(item) || 'files'}`);
      const notPassedOn = [...(record.turn?.notPassedOn ?? []), ...told];
      const stopped = { ...changeTurn(record, { stoppedBy: by, notPassedOn }), inbox: [] };
      return also ? also(stopped) : stopped;
    });
    mailbox.after(() => {
      log.info({ turn: turn.id, by, dropped: dropped.length }, 'stopping a turn');
      this.#pursue();
      if (dropped.length === 0) return;
      const texts = dropped.map((item) => `- <@${item.user}>: ${asCode(line(item)) || 'files'}`);
      say(this.#parts, ['Stopped. I discarded these queued messages:', ...texts].join('\n'));
    });
  }

  /** Stops the open turn if the record says that somebody wants that: at once, or by an abort at Letta. */
  #pursue(): void {
    const { state } = this.#parts;
    const turn = state.open;
    if (!turn?.stoppedBy || this.#timer !== null) return;
    state.isViewOutdated = true;
    if (turn.state === 'prepared') this.#parts.advance();
    else this.abort();
  }

  /** Asks Letta to end the turn, again until the turn's end comes, because an answer to an abort does not prove it. */
  abort(attempt = 0): void {
    const { link, lookup, mailbox, log } = this.#parts;
    const connection = link.ready;
    if (!connection) return;
    this.#again(attempt);
    mailbox.away(
      () => connection.abort(),
      // If Letta had nothing to abort, the turn is just ending or never began; its end or the history says which.
      ({ aborted }) => lookup.expectEnd(aborted ? STOP_OVERDUE_MS : END_OVERDUE_MS),
      (error) => {
        log.warn({ err: error }, 'Letta did not confirm the abort');
        lookup.expectEnd(STOP_OVERDUE_MS);
      },
    );
  }

  /** The turn is over, or the thread closes. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Repeats the abort after a `sync`, because the abort may have failed, or the frames of the turn's end were lost. */
  #again(attempt: number): void {
    const { state, link, mailbox } = this.#parts;
    const turn = state.open?.id;
    const isDue = () => state.open?.id === turn && Boolean(state.open?.stoppedBy) && link.ready !== null;
    const again = () => (isDue() ? this.abort(attempt + 1) : undefined);
    this.#timer?.cancel();
    this.#timer = mailbox.later(backoffMs(AGAIN, attempt + 1), () => {
      this.#timer = null;
      const connection = isDue() ? link.ready : null;
      if (connection) mailbox.away(() => connection.settle(), again, again);
    });
  }
}
