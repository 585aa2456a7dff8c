import { BoundedMap } from '../../bounded-map.ts';
import { type TurnLimits as Bounds, type Policy, THREADS_ALLOWED } from '../access/policy.ts';
import { type ChannelId, parseThreadKey, type ThreadKey, type UserId } from '../ids.ts';
import type { Admission } from '../record/inbox-change.ts';
import type { InboxItem } from '../record/thread-record.ts';
import { moment } from '../text/moment.ts';
import type { BusyThread } from '../thread/workers.ts';
import { atOnceReachedText, botsRateReachedText, rateReachedText } from '../words/messages.ts';

const KEPT = 2_000;
/** A thread that was let in and has not begun its turn after this long is not counted any more. */
const LET_IN_FOR_MS = 10_000;
const WORKSPACE = 'w';
const NONE: Pick<Bounds, 'rate'> = { rate: null };

/**
 * Limits how many turns a person, a channel and the whole workspace may begin per period, and how many may run at once. A
 * restart forgets the turns that were begun, not the ones that run.
 */
export class TurnLimits {
  /**
   * When turns began, by the monotonic clock, oldest first; one list for each person, each channel, the bots of each
   * channel, and the workspace.
   */
  readonly #begun = new BoundedMap<string, number[]>(KEPT);
  /** Threads whose turn was reserved, while their worker may not know the message yet. */
  readonly #letIn = new Map<ThreadKey, { user: UserId; at: number }>();

  /**
   * Whether a message may begin a turn in `thread` now; a yes counts the turn as begun.
   * @param author who wrote it, and whether it is a bot
   * @param busy all threads with a running turn
   * @param now by the monotonic clock
   * @param wall ms since 1970, for what people are told
   */
  reserveTurn(
    thread: ThreadKey,
    { user, bot }: Pick<InboxItem, 'user' | 'bot'>,
    { limits, bots }: Policy,
    busy: () => readonly BusyThread[],
    now: number,
    wall: number = now,
  ): Admission {
    const { channel } = parseThreadKey(thread);
    const verdict =
      (bot ? this.#checkRate(`b ${channel}`, bots, 'bots', now, wall) : null) ??
      this.#checkRate(`u ${user}`, limits.user, 'user', now, wall) ??
      this.#checkRate(`c ${channel}`, limits.channel, 'channel', now, wall) ??
      this.#checkRate(WORKSPACE, limits.workspace ?? NONE, 'workspace', now, wall) ??
      this.#checkAtOnce(thread, user, channel, limits, busy, now);
    if (verdict) return verdict;
    if (bot) this.#noteTurn(`b ${channel}`, bots.rate, now);
    if (limits.user.rate) this.#noteTurn(`u ${user}`, limits.user.rate, now);
    if (limits.channel.rate) this.#noteTurn(`c ${channel}`, limits.channel.rate, now);
    if (limits.workspace?.rate) this.#noteTurn(WORKSPACE, limits.workspace.rate, now);
    this.#letIn.set(thread, { user, at: now });
    return { isGranted: true };
  }

  /** Undoes what {@link reserveTurn} reserved at `now`: the turn does not begin after all. */
  releaseTurn(thread: ThreadKey, user: UserId, now: number): void {
    this.#letIn.delete(thread);
    const { channel } = parseThreadKey(thread);
    for (const key of [`u ${user}`, `c ${channel}`, `b ${channel}`, WORKSPACE]) {
      const begun = this.#begun.get(key) ?? [];
      const at = begun.lastIndexOf(now);
      if (at >= 0) this.#begun.set(key, begun.toSpliced(at, 1));
    }
  }

  #checkRate(
    key: string,
    { rate }: Pick<Bounds, 'rate'>,
    whose: 'user' | 'channel' | 'bots' | 'workspace',
    now: number,
    wall: number,
  ): Admission | null {
    if (!rate) return null;
    const recent = this.#recentTurns(key, rate.perMs, now);
    const first = recent[recent.length - rate.turns];
    if (first === undefined) return null;
    const again = moment(wall + first + rate.perMs - now);
    const notice = whose === 'bots' ? botsRateReachedText(rate, again) : rateReachedText(whose, rate, again);
    return { isGranted: false, reason: `${whose}_rate`, notice, isPrivate: true };
  }

  #checkAtOnce(
    thread: ThreadKey,
    user: UserId,
    channel: ChannelId,
    limits: Policy['limits'],
    busy: () => readonly BusyThread[],
    now: number,
  ): Admission | null {
    const others = this.#listBusy(busy(), now).filter(({ key }) => key !== thread);
    const mine = others.filter(({ users }) => users.includes(user)).length;
    const here = others.filter(({ key }) => parseThreadKey(key).channel === channel).length;
    for (const [whose, count, most] of [
      ['user', mine, limits.user.atOnce],
      ['channel', here, limits.channel.atOnce],
      ['workspace', others.length, limits.workspace?.atOnce ?? THREADS_ALLOWED],
    ] as const) {
      if (most === null || count < most) continue;
      return { isGranted: false, reason: `${whose}_at_once`, notice: atOnceReachedText(whose, most), isPrivate: true };
    }
    return null;
  }

  /** The running threads and those that were let in a moment ago. */
  #listBusy(known: readonly BusyThread[], now: number): BusyThread[] {
    const keys = new Set(known.map(({ key }) => key));
    for (const [key, { at }] of this.#letIn) {
      if (keys.has(key) || now - at > LET_IN_FOR_MS) this.#letIn.delete(key);
    }
    return [...known, ...[...this.#letIn].map(([key, { user }]) => ({ key, users: [user] }))];
  }

  #recentTurns(key: string, perMs: number, now: number): number[] {
    return (this.#begun.get(key) ?? []).filter((at) => now - at < perMs);
  }

  #noteTurn(key: string, rate: NonNullable<Bounds['rate']>, now: number): void {
    const recent = [...this.#recentTurns(key, rate.perMs, now), now].slice(-rate.turns);
    this.#begun.set(key, recent);
  }
}
