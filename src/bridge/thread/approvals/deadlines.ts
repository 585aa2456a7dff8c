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
  /** Checks that Slack still shows the cards of the turn. */
  recheckCards(): void;
}

/** People who have not decided after this long are reminded, once. */
const REMIND_AFTER_MS = 15 * 60_000;
const AGAIN_MS = 60_000;

/** Reminds people of open requests, once, and denies requests that they did not decide in time. */
export class ApprovalDeadlines {
  readonly #parts: DeadlineParts;
  /**
   * By request and time of asking: the monotonic clock minus the wall clock when this process first saw the request, so
   * that setting the wall clock moves no deadline.
   */
  readonly #offsets = new Map<string, number>();
  #timer: Timer | null = null;

  constructor(parts: DeadlineParts) {
    this.#parts = parts;
  }

  /** Sets the one timer to the next reminder or deadline of an open request. */
  arm(): void {
    const { mailbox } = this.#parts;
    this.#timer?.cancel();
    const open = this.#open();
    const known = new Set(open.map(keyOf));
    for (const key of this.#offsets.keys()) if (!known.has(key)) this.#offsets.delete(key);
    const next = Math.min(...open.map((record) => this.#msUntil(record, nextOf(record))));
    this.#timer = Number.isFinite(next) ? mailbox.later(Math.max(0, next), () => this.#fire()) : null;
  }

  /** @param at ms since 1970, as stored in the record */
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
    // While Letta cannot be reached nobody can decide, so nothing is denied or reminded of until it can.
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

  /** Stores the reminder before posting it, so that a crash loses a reminder rather than repeating it. */
  #remind({ token, asks, requester, tool, title }: ApprovalRecord, now: number): void {
    const { state } = this.#parts;
    state.change((record) => ({
      ...record,
      approvals: record.approvals.map((each) => (each.token === token ? { ...each, remindedAt: now } : each)),
    }));
    // Somebody may have deleted a card, and a reminder must not point to one that is gone.
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
