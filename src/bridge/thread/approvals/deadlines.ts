import type { Clock, Log, Surface, Timer } from '../../ports.ts';
import type { ApprovalRecord } from '../../record/thread-record.ts';
import { asCode } from '../../text/as-code.ts';
import { oneLine } from '../../text/one-line.ts';
import type { ThreadLink } from '../link.ts';
import type { Mailbox } from '../mailbox.ts';
import { say } from '../say.ts';
import type { ThreadState } from '../state.ts';
import type { ApprovalDecisions } from './decide.ts';

export interface DeadlineParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  surface: Surface;
  decisions: ApprovalDecisions;
  clock: Clock;
  log: Log;
  /** Makes sure that the cards can still be seen. */
  recheckCards(): void;
}

/** People who have not clicked by then are reminded, once. */
const REMIND_AFTER_MS = 15 * 60_000;
const AGAIN_MS = 60_000;

/** Reminds of open requests once, and denies those that nobody decided in time. One timer for all of a thread. */
export class ApprovalDeadlines {
  readonly #parts: DeadlineParts;
  /**
   * How far the monotonic clock was from the wall clock when each request became known here, by request and time of asking:
   * a wall clock that is set meanwhile must not hasten or delay a deadline.
   */
  readonly #offsets = new Map<string, number>();
  #timer: Timer | null = null;

  constructor(parts: DeadlineParts) {
    this.#parts = parts;
  }

  /** Looks again at what is due when. */
  arm(): void {
    const { mailbox } = this.#parts;
    this.#timer?.cancel();
    const open = this.#open();
    const known = new Set(open.map(keyOf));
    for (const key of this.#offsets.keys()) if (!known.has(key)) this.#offsets.delete(key);
    const next = Math.min(...open.map((record) => this.#msUntil(record, nextOf(record))));
    this.#timer = Number.isFinite(next) ? mailbox.later(Math.max(0, next), () => this.#fire()) : null;
  }

  /** @param at ms since 1970, as it stands in the record */
  #msUntil(record: ApprovalRecord, at: number): number {
    const { clock } = this.#parts;
    const key = keyOf(record);
    const offset = this.#offsets.get(key) ?? clock.monotonic() - clock.now();
    this.#offsets.set(key, offset);
    return at + offset - clock.monotonic();
  }

  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #open(): ApprovalRecord[] {
    const { record, open } = this.#parts.state;
    return (record?.approvals ?? []).filter(({ turn, state }) => turn === open?.id && state.state === 'open');
  }

  #fire(): void {
    const { link, mailbox, clock, decisions } = this.#parts;
    const now = clock.now();
    const due = this.#open().filter((record) => this.#msUntil(record, nextOf(record)) <= 0);
    // Nobody could decide meanwhile: it is looked at again when Letta is there.
    if (due.length > 0 && !link.ready) {
      this.#timer = mailbox.later(AGAIN_MS, () => this.#fire());
      return;
    }
    for (const record of due) {
      const expired = this.#msUntil(record, record.expiresAt ?? Number.POSITIVE_INFINITY) <= 0;
      if (expired) decisions.denyUndecided(record, 'expired');
      else this.#remind(record, now);
    }
    this.arm();
  }

  /** On disk first: a reminder is rather lost than given twice. */
  #remind({ token, asks, requester, tool, title }: ApprovalRecord, now: number): void {
    const { state } = this.#parts;
    state.change((record) => ({
      ...record,
      approvals: record.approvals.map((each) => (each.token === token ? { ...each, remindedAt: now } : each)),
    }));
    // Somebody may have deleted it: people are not sent to a card that is not there.
    this.#parts.recheckCards();
    const whom = (asks ?? [requester]).slice(0, 20).map((id) => (id.startsWith('S') ? `<!subteam^${id}>` : `<@${id}>`));
    const what =
      tool === 'AskUserQuestion'
        ? 'a question is waiting for an answer'
        : `${asCode(oneLine(tool, 40))} is waiting for a decision`;
    say(this.#parts, `${whom.join(' ')} ${what} above: ${asCode(title) || 'see the card'}`);
  }
}

const keyOf = ({ token, askedAt }: ApprovalRecord) => `${token} ${askedAt}`;

function nextOf({ askedAt, remindedAt, expiresAt = Number.POSITIVE_INFINITY }: ApprovalRecord): number {
  return remindedAt === undefined ? Math.min(askedAt + REMIND_AFTER_MS, expiresAt) : expiresAt;
}
