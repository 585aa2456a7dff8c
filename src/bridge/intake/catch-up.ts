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
  intake: Pick<Intake, 'message'>;
  /** The threads in which somebody spoke to the agent last. */
  recent: RecentKeys<ThreadKey>;
  choices: Choices;
  clock: Clock;
  log: Log;
  team: TeamId;
  limits: CatchUpLimits;
}

export interface CatchUpLimits {
  /** ms; older messages are not looked for. At most the time for which handled messages are remembered (24 h). */
  maxAgeMs: number;
  /** How many threads are looked into. */
  threads: number;
  /** ms; threads in which nobody spoke to the agent for longer are not looked into. */
  threadAgeMs: number;
}

/** How often the mark is stored while all is well. */
const MARK_MS = 30_000;
const MARK_AGAIN_MS = 2_000;
/** A connection that is not sure to be alive is found out within half a minute, and clocks differ. */
const OVERLAP_MS = 2 * 60_000;
/** After a connection came back; one that flaps is not worth a look each time. */
const SETTLE_MS = 1_000;
/** After a look that failed: Slack is mostly back within seconds; then twice as long each time, up to five minutes. */
const AGAIN: Backoff = { firstMs: 10_000, longestMs: 5 * 60_000 };
/** Slack itself delivers again at once, after a minute and after five (docs/slack.md, HTTP delivery). */
const AFTER_RETRIES_MS = 7 * 60_000;
const ATTEMPTS = 16;
/** Places and messages that may fail before a look is broken off. */
const MOST_FAILED = 4;

/**
 * Finds what was written while Slack could not reach the bridge, in the background. The mark says up to when everything
 * was delivered and stored; while something before it is still to be looked for, it does not move.
 */
export class CatchUp {
  readonly #parts: CatchUpParts;
  readonly #name: string;
  #connected = false;
  /** ms since 1970 from which on messages may have been missed; `null`: none were. */
  #gap: number | null = null;
  /** The gap that is being looked into. */
  #looking: number | null = null;
  #running: Promise<void> | null = null;
  #next: { at: number; timer: Timer } | null = null;
  #tick: Timer | null = null;
  #again: Timer | null = null;
  #failures = 0;
  #stopped = false;

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
    this.#name = `caught-up-to:${parts.team}`;
  }

  /** Reads up to when all was well. Before Slack is connected; rejects when the disk does. */
  async start(): Promise<void> {
    const { choices, recent, log } = this.#parts;
    await recent.load();
    const mark = Number((await choices.get(this.#name)) ?? Number.NaN);
    // Without one nothing was ever delivered to this store.
    if (Number.isFinite(mark)) this.#missing(mark);
    log.debug({ mark: this.#gap }, 'catch-up knows its mark');
    this.#keepMark();
  }

  /** Slack can, or can not, reach us. */
  connection(connected: boolean): void {
    if (this.#connected === connected) return;
    this.#connected = connected;
    if (!connected) this.#missing(this.#parts.clock.now());
    // The first mark of all: without it nothing would be looked for after a crash.
    else if (this.#gap === null) this.#saveSoon();
    this.#schedule(SETTLE_MS);
  }

  /** A message that Slack delivered could not be stored: it may be given up before the disk is well. */
  missed(ts: SlackTs): void {
    this.#missing(Math.min(Number(ts) * 1000, this.#parts.clock.now()));
    this.#schedule(AFTER_RETRIES_MS);
  }

  /**
   * Another process may have been dealt a part of what was written in the last `ms`: Slack delivers it to nobody else.
   */
  taken(ms: number): void {
    this.#missing(this.#parts.clock.now() - ms);
    this.#schedule(SETTLE_MS);
  }

  /** What kept messages from being taken in is over: they are looked for now, not when Slack delivers them again. */
  soon(): void {
    this.#schedule(SETTLE_MS);
  }

  /**
   * After intake has ended. Resolves when the mark is on disk, or can not be: then an older one holds. Never rejects.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#next?.timer.cancel();
    this.#tick?.cancel();
    this.#again?.cancel();
    await this.#running;
    await this.#trySave();
  }

  #missing(since: number): void {
    this.#gap = Math.min(this.#gap ?? since, since);
    this.#failures = 0;
  }

  #schedule(ms: number): void {
    if (this.#gap === null || !this.#connected || this.#running || this.#stopped) return;
    const { clock } = this.#parts;
    const at = clock.monotonic() + ms;
    if (this.#next && this.#next.at <= at) return;
    this.#next?.timer.cancel();
    const timer = clock.after(ms, () => {
      this.#next = null;
      if (!this.#connected || this.#stopped || this.#running) return;
      this.#running = this.#run().finally(() => {
        this.#running = null;
        this.#schedule(this.#failures > 0 ? backoffMs(AGAIN, this.#failures) : SETTLE_MS);
      });
    });
    this.#next = { at, timer };
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#parts;
    const gap = this.#gap;
    if (gap === null) return;
    const began = clock.monotonic();
    // Whatever is missed from here on is another gap.
    this.#gap = null;
    this.#looking = gap;
    const whole = await this.#pass(gap).catch((error: unknown) => {
      log.warn({ err: error }, 'catch-up failed');
      return false;
    });
    this.#looking = null;
    if (!whole) {
      const failures = this.#failures + 1;
      if (failures < ATTEMPTS || this.#stopped) {
        this.#missing(gap);
        this.#failures = failures;
        return;
      }
      log.error({ since: gap, failures }, 'catch-up was given up; messages from then on may be missing');
    }
    this.#failures = 0;
    log.info({ since: gap, tookMs: clock.monotonic() - began }, 'caught up with slack');
    this.#saveSoon();
  }

  /** Looks once into everything. True when nothing failed. */
  async #pass(gap: number): Promise<boolean> {
    const { history, recent, clock, limits, log, team } = this.#parts;
    const now = clock.now();
    const after = tsOf(Math.max(gap - OVERLAP_MS, now - limits.maxAgeMs));
    const known = recent.since(now - limits.threadAgeMs).slice(0, limits.threads);
    const places = new Map<ChannelId, ThreadKey[]>();
    for (const key of known) {
      const { channel } = parseThreadKey(key);
      places.set(channel, [...(places.get(channel) ?? []), key]);
    }
    const tally = { channels: places.size, threads: 0, accepted: 0, failed: 0 };
    const lively: ThreadKey[] = [];
    for (const channel of places.keys()) {
      const past = await this.#look(() => history.channel(channel, after), tally);
      if (past === null) places.delete(channel);
      if (!past) continue;
      await this.#take(past.messages, tally);
      lively.push(...past.threads.map((root) => makeThreadKey({ team, channel, root })));
    }
    // First those of ours of which the channel said that something is new in them; last those of others, where somebody
    // may have mentioned the bot. Some became ours just now.
    const ours = recent.since(now - limits.threadAgeMs);
    const isNew = new Set(lively);
    const order = [...ours.filter((key) => isNew.has(key)), ...ours, ...lively];
    const threads = [...new Set(order)].slice(0, limits.threads);
    for (const key of threads) {
      const { channel, root } = parseThreadKey(key);
      if (root === ROLLING || !places.has(channel)) continue;
      const past = await this.#look(() => history.thread(channel, root, after), tally);
      tally.threads += 1;
      if (past) await this.#take(past.messages, tally);
    }
    log.info({ ...tally, after }, 'looked back');
    return tally.failed === 0;
  }

  /** `undefined`: not now. One place that can not be read does not hide the others; many mean that Slack is away. */
  async #look(look: () => Promise<Past | null>, tally: { failed: number }): Promise<Past | null | undefined> {
    try {
      return await look();
    } catch (error) {
      tally.failed += 1;
      if (this.#stopped || tally.failed >= MOST_FAILED) throw error;
      this.#parts.log.warn({ err: error }, 'a place could not be looked into');
      return undefined;
    }
  }

  /** One after another, so that a thread's messages keep their order. */
  async #take(messages: readonly InboundMessage[], tally: { accepted: number; failed: number }): Promise<void> {
    const { intake, log } = this.#parts;
    for (const message of messages) {
      try {
        const { outcome } = await intake.message(message, { caughtUp: true });
        if (outcome === 'accepted') tally.accepted += 1;
      } catch (error) {
        tally.failed += 1;
        log.warn({ message: message.key, err: error }, 'a message that was found could not be taken in');
      }
    }
  }

  #keepMark(): void {
    this.#tick = this.#parts.clock.after(MARK_MS, () => {
      if (this.#stopped) return;
      this.#keepMark();
      this.#saveSoon();
    });
  }

  #saveSoon(): void {
    void this.#trySave();
  }

  async #trySave(): Promise<void> {
    try {
      await this.#save();
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'the mark could not be stored');
      this.#saveAgain();
    }
  }

  /** Without a mark nothing is looked for after a crash: a disk that fails once is asked again soon. */
  #saveAgain(): void {
    if (this.#again || this.#stopped) return;
    this.#again = this.#parts.clock.after(MARK_AGAIN_MS, () => {
      this.#again = null;
      if (!this.#stopped) this.#saveSoon();
    });
  }

  async #save(): Promise<void> {
    const { choices, recent, clock } = this.#parts;
    await recent.save();
    const open = [this.#gap, this.#looking].filter((since) => since !== null);
    // When nothing can be known, the mark of before holds.
    if (open.length === 0 && !this.#connected) return;
    const mark = Math.min(clock.now(), ...open);
    await choices.set(this.#name, String(Math.floor(mark)));
  }
}

function tsOf(ms: number): SlackTs {
  return `${Math.max(0, Math.floor(ms / 1000))}.000000`;
}
