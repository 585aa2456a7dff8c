import { type Backoff, backoffMs } from '../../backoff.ts';
import {
  type ChannelId,
  makeThreadKey,
  parseThreadKey,
  ROLLING,
  type SlackTs,
  type TeamId,
  type ThreadKey,
} from '../ids.ts';
import type { InboundMessage } from '../inbound.ts';
import type { Choices, Clock, History, Intake, Log, Past, Timer } from '../ports.ts';
import type { RecentKeys } from './recent-keys.ts';

export interface CatchUpParts {
  history: History;
  intake: Pick<Intake, 'handleMessage'>;
  /** The threads in which a person wrote to the agent most recently. */
  recent: RecentKeys<ThreadKey>;
  choices: Choices;
  clock: Clock;
  log: Log;
  team: TeamId;
  limits: CatchUpLimits;
}

export interface CatchUpLimits {
  /**
   * ms; catch-up ignores older messages. At most 24 h, because a thread's record remembers handled messages for that
   * long: an older one could run twice.
   */
  maxAgeMs: number;
  /** How many threads catch-up reads. */
  threads: number;
  /** ms; catch-up skips threads whose last message to the agent is older. */
  threadAgeMs: number;
}

/** How often the mark is stored while Slack is connected. */
const MARK_MS = 30_000;
const MARK_AGAIN_MS = 2_000;
/** Reads from this much before the mark: a dead connection is noticed only after half a minute, and clocks differ. */
const OVERLAP_MS = 2 * 60_000;
/** Waits this long after a reconnect, so that a connection that flaps does not cause a look each time. */
const SETTLE_MS = 1_000;
/** Between looks that fail: short at first, because Slack is mostly back within seconds. */
const AGAIN: Backoff = { firstMs: 10_000, longestMs: 5 * 60_000 };
/** Later than Slack's own three retries: at once, after a minute, after five (docs/slack.md, HTTP delivery). */
const AFTER_RETRIES_MS = 7 * 60_000;
const ATTEMPTS = 16;
/** When this many places and messages failed, Slack is away: the look ends and is repeated later. */
const MOST_FAILED = 4;

/**
 * Reads Slack's history in the background for messages that were written while Slack could not reach the bridge. The
 * stored mark is the time up to which every message was delivered and stored; it stays while a gap before it is open.
 */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #name: string;
  #isConnected = false;
  /** ms since 1970 from which on the bridge may have missed messages; `null`: it missed none. */
  #missedSince: number | null = null;
  /** Where the gap begins that the current look reads. */
  #lookingSince: number | null = null;
  #currentLook: Promise<void> | null = null;
  #nextLook: { at: number; timer: Timer } | null = null;
  #markTimer: Timer | null = null;
  #retryTimer: Timer | null = null;
  #failureCount = 0;
  #isStopped = false;

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
    this.#name = `caught-up-to:${parts.team}`;
  }

  /** Loads the mark; call it before Slack is connected. Rejects when the disk does. */
  async start(): Promise<void> {
    const { choices, recent, log } = this.#parts;
    await recent.load();
    const mark = Number((await choices.get(this.#name)) ?? Number.NaN);
    // Without a mark Slack never delivered anything to this store, so there is no gap.
    if (Number.isFinite(mark)) this.#noteGap(mark);
    log.debug({ mark: this.#missedSince }, 'catch-up: read where to continue');
    this.#saveMarkRegularly();
  }

  /** Slack connected, or the connection was lost. */
  setConnected(isConnected: boolean): void {
    if (this.#isConnected === isConnected) return;
    this.#isConnected = isConnected;
    if (!isConnected) this.#noteGap(this.#parts.clock.now());
    // Stores the first mark at once: without a mark catch-up would do nothing after a crash.
    else if (this.#missedSince === null) this.#saveMarkInBackground();
    this.#scheduleLook(SETTLE_MS);
  }

  /** A message could not be stored. Slack stops delivering it after three retries, so catch-up looks for it then. */
  noteUnstoredMessage(ts: SlackTs): void {
    this.#noteGap(Math.min(Number(ts) * 1000, this.#parts.clock.now()));
    this.#scheduleLook(AFTER_RETRIES_MS);
  }

  /**
   * Another process was connected with our app token during the last `ms`: Slack delivered a part of the messages to it
   * alone, so catch-up looks for them.
   */
  noteOtherReceiver(ms: number): void {
    this.#noteGap(this.#parts.clock.now() - ms);
    this.#scheduleLook(SETTLE_MS);
  }

  /** The bridge can handle messages again: looks now instead of when Slack would deliver them again. */
  lookSoon(): void {
    this.#scheduleLook(SETTLE_MS);
  }

  /**
   * Call it after intake has ended. Resolves when the mark is on disk, or the disk failed: then the next start reads from
   * the mark before. Never rejects.
   */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#nextLook?.timer.cancel();
    this.#markTimer?.cancel();
    this.#retryTimer?.cancel();
    await this.#currentLook;
    await this.#trySaveMark();
  }

  #noteGap(since: number): void {
    this.#missedSince = Math.min(this.#missedSince ?? since, since);
    this.#failureCount = 0;
  }

  #scheduleLook(ms: number): void {
    if (this.#missedSince === null || !this.#isConnected || this.#currentLook || this.#isStopped) return;
    const { clock } = this.#parts;
    const at = clock.monotonic() + ms;
    if (this.#nextLook && this.#nextLook.at <= at) return;
    this.#nextLook?.timer.cancel();
    const timer = clock.after(ms, () => {
      this.#nextLook = null;
      if (!this.#isConnected || this.#isStopped || this.#currentLook) return;
      this.#currentLook = this.#lookBack().finally(() => {
        this.#currentLook = null;
        this.#scheduleLook(this.#failureCount > 0 ? backoffMs(AGAIN, this.#failureCount) : SETTLE_MS);
      });
    });
    this.#nextLook = { at, timer };
  }

  async #lookBack(): Promise<void> {
    const { clock, log } = this.#parts;
    const since = this.#missedSince;
    if (since === null) return;
    const began = clock.monotonic();
    // Messages that are missed from here on open another gap.
    this.#missedSince = null;
    this.#lookingSince = since;
    const hasSeenAll = await this.#lookEverywhere(since).catch((error: unknown) => {
      log.warn({ err: error }, 'catch-up failed');
      return false;
    });
    this.#lookingSince = null;
    if (!hasSeenAll) {
      const failures = this.#failureCount + 1;
      if (failures < ATTEMPTS || this.#isStopped) {
        this.#noteGap(since);
        this.#failureCount = failures;
        return;
      }
      log.error({ since, failures }, 'catch-up gave up; messages since then may be missing');
    }
    this.#failureCount = 0;
    log.info({ since, tookMs: clock.monotonic() - began }, 'caught up with slack');
    this.#saveMarkInBackground();
  }

  /** Reads every channel and thread once. True when nothing failed. */
  async #lookEverywhere(since: number): Promise<boolean> {
    const { history, recent, clock, limits, log, team } = this.#parts;
    const now = clock.now();
    const after = tsOf(Math.max(since - OVERLAP_MS, now - limits.maxAgeMs));
    const known = recent.listSince(now - limits.threadAgeMs).slice(0, limits.threads);
    const places = new Map<ChannelId, ThreadKey[]>();
    for (const key of known) {
      const { channel } = parseThreadKey(key);
      places.set(channel, [...(places.get(channel) ?? []), key]);
    }
    const tally = { channels: places.size, threads: 0, accepted: 0, failed: 0 };
    const lively: ThreadKey[] = [];
    const readable = new Set<ChannelId>();
    const seen = new Set<ThreadKey>();
    /** False: the thread is not to be read, or was. */
    const readThread = async (key: ThreadKey): Promise<boolean> => {
      const { channel, root } = parseThreadKey(key);
      if (root === ROLLING || !readable.has(channel) || seen.has(key) || seen.size >= limits.threads) return false;
      seen.add(key);
      const past = await this.#lookInto(() => history.readThread(channel, root, after), tally);
      tally.threads += 1;
      if (past) await this.#handInMessages(past.messages, tally);
      return true;
    };
    const listOurs = () => recent.listSince(now - limits.threadAgeMs);
    for (const channel of places.keys()) {
      const past = await this.#lookInto(() => history.readChannel(channel, after), tally);
      if (past !== null) readable.add(channel);
      if (!past) continue;
      await this.#handInMessages(past.messages, tally);
      const shown = past.threads.map((root) => makeThreadKey({ team, channel, root }));
      lively.push(...shown);
      // Asked anew, because a message that was just handed in can make a thread ours.
      const ours = new Set(listOurs());
      let hasRead = false;
      for (const key of shown) if (ours.has(key)) hasRead = (await readThread(key)) || hasRead;
      // Another one costs no time, because Slack counts reading threads apart from reading channels.
      for (const key of hasRead ? [] : known) if (await readThread(key)) break;
    }
    // Last come foreign threads with new replies, where a person may have mentioned the bot.
    for (const key of [...listOurs(), ...lively]) await readThread(key);
    log.info({ ...tally, after }, 'catch-up searched the history');
    return tally.failed === 0;
  }

  /** `undefined`: reading failed, the others are read all the same. Throws once so many failed that Slack is away. */
  async #lookInto(look: () => Promise<Past | null>, tally: { failed: number }): Promise<Past | null | undefined> {
    try {
      return await look();
    } catch (error) {
      tally.failed += 1;
      if (this.#isStopped || tally.failed >= MOST_FAILED) throw error;
      this.#parts.log.warn({ err: error }, 'catch-up could not read a place');
      return undefined;
    }
  }

  /** Hands the messages to intake one after another, so that a thread's messages keep their order. */
  async #handInMessages(
    messages: readonly InboundMessage[],
    tally: { accepted: number; failed: number },
  ): Promise<void> {
    const { intake, log } = this.#parts;
    for (const message of messages) {
      try {
        const { outcome } = await intake.handleMessage(message, { caughtUp: true });
        if (outcome === 'accepted') tally.accepted += 1;
      } catch (error) {
        tally.failed += 1;
        log.warn({ message: message.key, err: error }, 'catch-up could not accept a message that it found');
      }
    }
  }

  #saveMarkRegularly(): void {
    this.#markTimer = this.#parts.clock.after(MARK_MS, () => {
      if (this.#isStopped) return;
      this.#saveMarkRegularly();
      this.#saveMarkInBackground();
    });
  }

  #saveMarkInBackground(): void {
    void this.#trySaveMark();
  }

  async #trySaveMark(): Promise<void> {
    try {
      await this.#saveMark();
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'catch-up could not store how far it got');
      this.#retrySaveMark();
    }
  }

  /** Retries soon when the disk failed: after a crash, catch-up reads only from the last stored mark. */
  #retrySaveMark(): void {
    if (this.#retryTimer || this.#isStopped) return;
    this.#retryTimer = this.#parts.clock.after(MARK_AGAIN_MS, () => {
      this.#retryTimer = null;
      if (!this.#isStopped) this.#saveMarkInBackground();
    });
  }

  async #saveMark(): Promise<void> {
    const { choices, recent, clock } = this.#parts;
    await recent.save();
    const open = [this.#missedSince, this.#lookingSince].filter((since) => since !== null);
    // While disconnected without a known gap, now is no safe mark, so the one before stays.
    if (open.length === 0 && !this.#isConnected) return;
    const mark = Math.min(clock.now(), ...open);
    await choices.set(this.#name, String(Math.floor(mark)));
  }
}

function tsOf(ms: number): SlackTs {
  return `${Math.max(0, Math.floor(ms / 1000))}.000000`;
}
