import { nearSince } from '../../approvals/deadline.ts';
import { dueReminder, type Reminder, reminderText, reminderTime } from '../../approvals/reminders.ts';
import { shortId } from '../../approvals/short-id.ts';
import type { UserId } from '../../ids.ts';
import type { Clock, Log, MessageAddress, Surface, Timer, UserGroups } from '../../ports.ts';
import type { ApprovalRecord } from '../../record/thread-record.ts';
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
  /** Left out: every user group counts as empty. */
  groups?: UserGroups | undefined;
  /** Checks that Slack still shows the cards of the turn. */
  recheckCards(): void;
}

const AGAIN_MS = 60_000;
/** How many people are reminded of one request. */
const REMINDED_MOST = 20;

/** Reminds people of open requests in direct messages, and denies requests that they did not decide in time. */
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

  /** Sets the one timer to the next reminder or deadline of an open request, or to when its card has to name that. */
  arm(): void {
    const { mailbox } = this.#parts;
    this.#timer?.cancel();
    const open = this.#open();
    const known = new Set(open.map(keyOf));
    for (const key of this.#offsets.keys()) if (!known.has(key)) this.#offsets.delete(key);
    const nears = open.map((record) => this.#msUntil(record, nearSince(record))).filter((ms) => ms > 0);
    const next = Math.min(...nears, ...open.map((record) => this.#msUntil(record, nextOf(record))));
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
    const { state, link, mailbox, decisions } = this.#parts;
    if (this.#open().some((record) => this.#msUntil(record, nearSince(record)) <= 0)) state.isViewOutdated = true;
    const due = this.#open().filter((record) => this.#msUntil(record, nextOf(record)) <= 0);
    // While Letta cannot be reached nobody can decide, so nothing is denied or reminded of until it can.
    if (due.length > 0 && !link.ready) {
      this.#timer = mailbox.later(AGAIN_MS, () => this.#fire());
      return;
    }
    for (const record of due) {
      const expired = this.#msUntil(record, record.expiresAt ?? Number.POSITIVE_INFINITY) <= 0;
      if (expired) decisions.denyUndecided(record, 'expired');
      else this.#remind(record);
    }
    this.arm();
  }

  /** Stores the reminder before posting it, so that a crash loses a reminder rather than repeating it. */
  #remind(request: ApprovalRecord): void {
    const { state } = this.#parts;
    const reminder = dueReminder(request);
    if (!reminder) return;
    state.change((record) => ({
      ...record,
      approvals: record.approvals.map((each) =>
        each.token === request.token ? { ...each, remindedAt: reminder.at } : each,
      ),
    }));
    // Somebody may have deleted a card, and a reminder must not point to one that is gone.
    this.#parts.recheckCards();
    const text = reminderText(request, state.address.channel, state.direct);
    // In a direct message the thread itself is where the person reads.
    if (state.direct) say(this.#parts, `<@${request.requester}> ${text}`);
    else this.#tell(reminder, request, text);
  }

  #tell({ whom }: Reminder, request: ApprovalRecord, text: string): void {
    const { mailbox, surface, state, log } = this.#parts;
    const { address, open } = state;
    const card = open?.posts.findLast(({ part }) => part === `card-${shortId(request.token)}`);
    const ts = card?.ts ?? address.threadTs;
    const at: MessageAddress | undefined = ts === null ? undefined : { ...address, ts };
    const tell = (user: UserId) => surface.sendDirectMessage?.(user, address.team, text, null, at);
    mailbox.away(
      async () => {
        const missed: UserId[] = [];
        for (const user of await this.#people(whom)) if (!(await tell(user))?.delivered) missed.push(user);
        return missed;
      },
      (missed) => {
        if (missed.length === 0) return;
        log.warn({ users: missed }, 'could not remind people in a direct message; reminding them in the thread');
        say(
          this.#parts,
          `${missed.map((user) => `<@${user}>`).join(' ')} ${reminderText(request, address.channel, true)}`,
        );
      },
      (error) => log.warn({ err: error }, 'could not remind people of a request'),
    );
  }

  /** The people among these users and user groups (`S…`), each once; bots read no direct messages. */
  async #people(whom: readonly string[]): Promise<UserId[]> {
    const { groups } = this.#parts;
    const people = new Set<UserId>();
    for (const id of whom) {
      const members = id.startsWith('S') ? ((await groups?.listMembers(id)) ?? []) : [id];
      for (const member of members) if (/^[UW]/.test(member)) people.add(member);
    }
    return [...people].slice(0, REMINDED_MOST);
  }
}

const keyOf = ({ token, askedAt }: ApprovalRecord) => `${token} ${askedAt}`;

function nextOf(record: ApprovalRecord): number {
  return Math.min(reminderTime(record), record.expiresAt ?? Number.POSITIVE_INFINITY);
}
