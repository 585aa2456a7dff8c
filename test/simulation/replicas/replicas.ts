import { type MessageKey, makeMessageKey } from '../../../src/bridge/ids.ts';
import { TRY_AGAIN } from '../../../src/slack/words/try-again.ts';
import type { Bridge } from '../../../src/wiring.ts';
import type { VirtualClock } from '../clock.ts';
import type { SimDisk } from '../disk.ts';
import type { Chance } from '../random.ts';
import type { Story } from '../story.ts';
import { SimServer } from './network.ts';
import { type ProcessParts, type Saying, SimProcess } from './process.ts';
import { SimTables } from './tables.ts';

/** Which faults the processes and their database know, per minute. */
interface Weather {
  kill: number;
  end: number;
  freeze: number;
  cut: number;
  away: number;
  gap: number;
}

export interface ReplicasParts {
  clock: VirtualClock;
  chance: Chance;
  story: Story;
  disk: SimDisk;
  outside: ProcessParts['outside'];
  wire: ProcessParts['wire'];
  /** The workspace is about to be wired at another process. */
  onOpening(): void;
  onServing(process: SimProcess): void;
}

interface Delivery {
  saying: Saying;
  /** What it is about, in the story. */
  name: string;
  /** Slack heard "ok". */
  isAcked: boolean;
  /** How often the workspace took it up, and how often it said what became of it. */
  begun: number;
  outcomes: unknown[];
  told: 'nothing done' | 'not known' | null;
  onBegun: () => void;
  onOutcome: (outcome: unknown) => void;
}

const TIMES = { expiryMs: 15_000, heartbeatMs: 5_000 };
const LETTERS = ['a', 'b', 'c'];

/** Several processes of one bridge on one database: who lives, and what befalls them. */
export class SimReplicas {
  readonly server: SimServer;
  readonly #parts: ReplicasParts;
  readonly #chance: Chance;
  readonly #processes = new Map<string, SimProcess>();
  readonly #deliveries: Delivery[] = [];
  readonly #weather: Weather;
  readonly #count: number;
  #births = 0;
  #isCalm = false;

  constructor(parts: ReplicasParts) {
    this.#parts = parts;
    const { chance, clock, story, disk } = parts;
    this.#chance = chance;
    const tables = new SimTables(disk, clock, story, chance.between(-5_000, 5_000));
    this.server = new SimServer(tables, clock, chance.forkStream('network'), story);
    this.#count = chance.happens(0.3) ? 3 : 2;
    const some = (often: number) => (chance.happens(0.5) ? chance.between(0.2, 1) * often : 0);
    this.#weather = {
      ...{ kill: some(1.5), end: some(0.8), freeze: some(1.5), cut: some(1.5), away: some(0.5), gap: some(1) },
    };
    this.server.faults = { lost: some(0.02), slow: some(0.03), unheard: some(0.3) };
  }

  start(): void {
    for (const slot of LETTERS.slice(0, this.#count))
      this.#parts.clock.after(this.#chance.between(1, 300), () => this.#begin(slot));
  }

  /** The process that serves the workspace, by its own word; `null`: none, or it cannot say. */
  get owner(): SimProcess | null {
    return [...this.#processes.values()].find((each) => !each.life.isFrozen && each.isServing) ?? null;
  }

  get bridge(): Bridge | null {
    return this.owner?.bridge ?? null;
  }

  /** Nothing is on its way between processes, and all of them are well. */
  get isAtRest(): boolean {
    const all = [...this.#processes.values()];
    const isWell = (each: SimProcess) => each.isUp && each.isConnected && !each.life.isFrozen;
    return (
      all.length === this.#count && all.every(isWell) && this.owner !== null && this.server.tables.inbound.length === 0
    );
  }

  describe(): string {
    const all = [...this.#processes.values()].map(
      (each) => `${each.name}${each.isUp ? '' : ' (starting)'}${each.isServing ? ' serves' : ''}`,
    );
    return `${all.join(', ')}; ${this.server.tables.inbound.length} deliveries wait`;
  }

  /**
   * Slack hands a delivery to one of the sockets, at times to two.
   * @returns how many got it
   */
  deliver(
    saying: Saying,
    name: string,
    on: { begun?: () => void; outcome?: (outcome: unknown) => void; acked?: () => void },
  ): number {
    const isEvent = saying.kind === 'message' || saying.kind === 'reaction';
    const sockets = [...this.#processes.values()].filter(({ isConnected }) => isConnected);
    if (sockets.length === 0) return 0;
    const delivery: Delivery = {
      ...{ saying, name, isAcked: false, begun: 0, outcomes: [], told: null },
      ...{ onBegun: () => on.begun?.(), onOutcome: (outcome) => on.outcome?.(outcome) },
    };
    const n = this.#deliveries.push(delivery) - 1;
    const first = this.#chance.pickOne(sockets);
    const second = isEvent && this.#chance.happens(0.1) ? this.#chance.pickOne(sockets) : first;
    for (const process of new Set([first, second])) {
      process.life.enter(() => {
        process.deliver(n, isEvent ? 'events_api' : 'interactive').then(
          (reply) => {
            if (process.life.isOver) return;
            this.#noteReply(delivery, reply);
            delivery.isAcked = true;
            on.acked?.();
          },
          () => undefined,
        );
      });
    }
    return sockets.length;
  }

  /** Now and then something breaks. @param now whether it is time for something that happens so often a minute */
  breakSomething(now: (perMinute: number) => boolean): void {
    const chance = this.#chance;
    const { kill, end, freeze, cut, away, gap } = this.#weather;
    const { clock, story } = this.#parts;
    const pick = () => {
      const all = [...this.#processes.values()];
      return all.length === 0 ? null : chance.happens(0.6) ? (this.owner ?? chance.pickOne(all)) : chance.pickOne(all);
    };
    if (now(kill)) this.#killSoon(pick());
    if (now(end)) this.#end(pick());
    const sleeper = now(freeze) ? pick() : null;
    if (sleeper && !sleeper.life.isFrozen) {
      const ms = chance.happens(0.5) ? chance.between(15_000, 75_000) : chance.between(500, 15_000);
      const isAsleep = chance.happens(0.3);
      story.addLine('world', `${sleeper.name} ${isAsleep ? 'sleeps' : 'is frozen'} for ${Math.round(ms / 1000)} s`);
      // What it is doing at this moment ends first.
      clock.after(1, () => sleeper.freeze());
      clock.after(ms + 1, () => this.#thaw(sleeper, isAsleep));
    }
    const alone = now(cut) ? pick() : null;
    if (alone && alone.network.way === 'open') {
      const ms = chance.happens(0.5) ? chance.between(10_000, 60_000) : chance.between(200, 10_000);
      const way = chance.happens(0.5) ? 'silent' : 'refused';
      story.addLine('net', `${alone.name} does not reach the database for ${Math.round(ms / 1000)} s: ${way}`);
      alone.network.setWay(way);
      clock.after(ms, () => this.#heal(alone));
    }
    if (now(away)) this.server.restart(chance.between(500, chance.happens(0.3) ? 40_000 : 8_000));
    const lost = now(gap) ? pick() : null;
    if (lost?.isConnected) {
      const ms = chance.between(1_000, 40_000);
      story.addLine('slack', `the socket of ${lost.name} is gone for ${Math.round(ms / 1000)} s`);
      lost.life.enter(() => lost.setConnected(false));
      clock.after(ms, () => lost.life.enter(() => lost.isEnding || lost.setConnected(true)));
    }
  }

  /** The process that serves the workspace is killed, if any does. */
  killOwner(why: string): void {
    const { owner } = this;
    if (owner) this.#kill(owner, why);
  }

  /** From here on everything works. */
  calm(): void {
    this.#isCalm = true;
    this.server.faults = { lost: 0, slow: 0, unheard: 0 };
    for (const process of this.#processes.values()) {
      this.#thaw(process, false);
      this.#heal(process);
    }
  }

  /** Each is replaced by another one, as by a new version. */
  replaceAll(): void {
    for (const process of this.#processes.values()) this.#end(process);
  }

  /** What must hold of deliveries when all has come to rest. @param isStored whether a thread ever had the message */
  judge(isStored: (key: MessageKey) => boolean): void {
    const { story } = this.#parts;
    const ofMessage = new Map<string, { isAcked: boolean; begun: number }>();
    for (const { saying, name, isAcked, begun, outcomes, told } of this.#deliveries) {
      if (saying.kind === 'message' || saying.kind === 'reaction') {
        const known = ofMessage.get(`${saying.kind} ${name}`) ?? { isAcked: false, begun: 0 };
        ofMessage.set(`${saying.kind} ${name}`, {
          ...{
            isAcked: known.isAcked || isAcked,
            begun: known.begun + outcomes.length + (isStored(keyOf(saying)) ? 1 : 0),
          },
        });
        continue;
      }
      if (begun > 1) story.addViolation(`${name} was taken up ${begun} times`);
      // Whoever takes it up may find out that it cannot do it, and say so.
      if (told === 'nothing done' && outcomes.length > 0)
        story.addViolation(`${name} was told as not done, and was handled`);
      if (isAcked && told === null && begun === 0) story.addViolation(`${name} was answered, and never taken up`);
    }
    for (const [name, { isAcked, begun }] of ofMessage)
      if (isAcked && begun === 0) story.addViolation(`the ${name} was acked and never handled`);
    for (const { delivery } of this.server.tables.inbound) story.addViolation(`a delivery is left over: ${delivery}`);
  }

  #begin(slot: string): void {
    if (this.#processes.has(slot)) return;
    this.#births += 1;
    const { clock, story, outside, wire, onOpening, onServing } = this.#parts;
    const process = new SimProcess({
      ...{ name: `${slot}${this.#births}`, number: this.#births, server: this.server, clock, story, outside, wire },
      chance: this.#chance.forkStream(`process ${this.#births}`),
      times: TIMES,
      sayingOf: (n) => this.#deliveryOf(n).saying,
      onHandling: (n) => {
        const delivery = this.#deliveryOf(n);
        delivery.begun += 1;
        delivery.onBegun();
        return (outcome) => {
          delivery.outcomes.push(outcome);
          delivery.onOutcome(outcome);
        };
      },
      onOpening,
      onServing: (served) => {
        story.addLine('world', `${served.name} serves the workspace`);
        onServing(served);
      },
      onTold: (text, url) => {
        const delivery = this.#deliveryOf(Number(url.split('/').pop()));
        delivery.told = text === TRY_AGAIN.nothingDone ? 'nothing done' : 'not known';
      },
      onFailed: (failed, why) => {
        if (!failed.life.isOver) this.#kill(failed, why);
      },
    });
    this.#processes.set(slot, process);
  }

  #deliveryOf(n: number): Delivery {
    const delivery = this.#deliveries[n];
    if (!delivery) throw new Error(`there is no delivery ${n}`);
    return delivery;
  }

  #noteReply(delivery: Delivery, reply: unknown): void {
    const text = JSON.stringify(reply ?? '');
    if (text.includes(TRY_AGAIN.nothingDone)) delivery.told = 'nothing done';
    else if (text.includes(TRY_AGAIN.notKnown)) delivery.told = 'not known';
  }

  /** At any ms, not only between two ticks. */
  #killSoon(process: SimProcess | null): void {
    if (!process) return;
    this.#parts.clock.after(this.#chance.between(1, 500), () => this.#kill(process, 'killed'));
  }

  #kill(process: SimProcess, why: string): void {
    if (process.life.isOver) return;
    this.#parts.story.addLine('world', `${process.name} is gone: ${why}`);
    this.#bury(process);
  }

  #bury(process: SimProcess): void {
    if (process.life.isOver) return;
    const slot = process.name.slice(0, 1);
    process.life.cutOff();
    for (const listener of [...process.network.listeners]) listener.breakOff();
    process.isConnected = false;
    this.#processes.delete(slot);
    const ms =
      this.#isCalm || this.#chance.happens(0.7)
        ? this.#chance.between(500, 4_000)
        : this.#chance.between(4_000, 60_000);
    this.#parts.clock.after(ms, () => this.#begin(slot));
  }

  /** As on SIGTERM; whoever waits for it may lose patience. */
  #end(process: SimProcess | null): void {
    if (!process || process.isEnding || process.life.isOver || process.life.isFrozen) return;
    const { story, clock } = this.#parts;
    story.addLine('world', `${process.name} is told to end`);
    process.isEnding = true;
    // As the front door does, it takes nothing more.
    process.isConnected = false;
    process.end().then(
      () => {
        if (process.life.isOver) return;
        story.addLine('world', `${process.name} has ended`);
        this.#bury(process);
      },
      (error: unknown) => this.#kill(process, String(error)),
    );
    const patience = this.#isCalm || this.#chance.happens(0.7) ? 90_000 : this.#chance.between(1, 20_000);
    clock.after(patience, () => this.#kill(process, 'it did not end in time'));
  }

  #thaw(process: SimProcess, isAsleep: boolean): void {
    if (!process.life.isFrozen) return;
    this.#parts.story.addLine('world', `${process.name} goes on`);
    process.thaw(isAsleep);
  }

  #heal(process: SimProcess): void {
    process.network.setWay('open');
  }
}

/** The key by which a thread knows the message or the reaction. */
function keyOf(saying: Saying & { kind: 'message' | 'reaction' }): MessageKey {
  return saying.kind === 'message' ? saying.message.key : makeMessageKey({ ...saying.event, ts: saying.event.at });
}
