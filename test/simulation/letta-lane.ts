import type { LaneEndpoint, LaneHandlers, LaneLoss } from '../../src/letta/link/lane.ts';
import type { VirtualClock } from './clock.ts';
import type { Life } from './life.ts';
import type { Chance } from './random.ts';

type Json = Record<string, unknown>;

export interface LaneParts {
  life: Life;
  clock: VirtualClock;
  chance: Chance;
  endpoint: LaneEndpoint;
  handlers: LaneHandlers;
  /** What the client sent, as the server gets it. */
  receive(lane: SimLane, frame: Json): void;
  /** The client has heard a frame. */
  heard(frame: Json): void;
  /** The server knows that the client has gone. */
  gone(lane: SimLane): void;
}

/** One socket between the bridge and Letta: in order each way, until it breaks; either end may learn of that late. */
export class SimLane {
  readonly endpoint: LaneEndpoint;
  /** Conversations that it listens to. */
  readonly subscribed = new Set<string>();
  /** App Server: events are counted per socket. */
  eventSeq = 0;
  /** Hosted: frames are counted per socket and acknowledged. */
  seq = 0;
  readonly unacked = new Map<number, Json>();
  readonly #parts: LaneParts;
  #open = false;
  /** The client's end. */
  #closed = false;
  /** The server's end. */
  #gone = false;
  /** What was on its way to the server when it broke does not arrive. */
  #severed = false;
  #downAt = 0;
  #upAt = 0;
  #frozen = false;
  readonly #stuck: (() => void)[] = [];
  readonly #onCut = () => this.#breakOff();

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.endpoint = parts.endpoint;
    if (parts.life.over) this.#breakOff();
    else parts.life.onCut(this.#onCut);
  }

  get name(): string {
    return this.endpoint.name;
  }

  get url(): URL {
    return new URL(this.endpoint.url);
  }

  /** Whether the server's end is gone, perhaps before it was there. */
  get gone(): boolean {
    return this.#gone;
  }

  get alive(): boolean {
    return this.#open && !this.#gone;
  }

  /** Whether the bridge still holds its end. */
  get held(): boolean {
    return !this.#closed;
  }

  open(): void {
    if (this.#closed || this.#gone) return;
    this.#open = true;
    this.#parts.handlers.onOpen();
  }

  refuse(loss: LaneLoss): void {
    this.#gone = true;
    this.#tellClosed(loss);
  }

  /** To the client, in order. */
  deliver(frame: Json): void {
    const { clock, chance, handlers } = this.#parts;
    const text = JSON.stringify(frame);
    this.#downAt = Math.max(this.#downAt, clock.now() + chance.between(0, 8));
    clock.after(this.#downAt - clock.now(), () =>
      this.#unlessFrozen(() => {
        if (this.#closed || !this.#open) return;
        handlers.onMessage(text);
        this.#parts.heard(frame);
      }),
    );
  }

  // ---- the client's end ------------------------------------------------------------------------

  send(text: string): void {
    if (this.#closed || !this.#open) return;
    const { clock, chance } = this.#parts;
    this.#upAt = Math.max(this.#upAt, clock.now() + chance.between(0, 8));
    clock.after(this.#upAt - clock.now(), () =>
      this.#unlessFrozen(() => {
        if (!this.#severed && !this.#gone) this.#parts.receive(this, JSON.parse(text) as Json);
      }),
    );
  }

  close(): void {
    if (!this.#closed) this.#breakOff();
  }

  #breakOff(): void {
    const { clock, chance, life } = this.#parts;
    life.offCut(this.#onCut);
    if (this.#closed) return;
    this.#closed = true;
    this.#severed = life.over && chance.chance(0.5);
    const hears = Math.max(clock.now() + chance.between(1, 60), this.#upAt + 1);
    clock.after(hears - clock.now(), () => this.#leave());
  }

  // ---- faults ----------------------------------------------------------------------------------

  /** The network breaks. The server may learn of it seconds after the client, or before. */
  lose(loss: LaneLoss = { kind: 'closed', code: 1006, text: '' }): void {
    const { clock, chance } = this.#parts;
    this.#severed = chance.chance(0.5);
    this.#tellClosed(loss, chance.chance(0.3) ? chance.between(1, 3_000) : 1);
    clock.after(chance.chance(0.3) ? chance.between(1, 3_000) : 1, () => this.#leave());
  }

  /** Nothing passes for a while, nothing is lost; heartbeats end what is silent for too long. */
  freeze(ms: number): void {
    const { clock } = this.#parts;
    if (this.#frozen) return;
    this.#frozen = true;
    if (ms > 60_000) clock.after(60_000, () => this.lose({ kind: 'silent' }));
    clock.after(ms, () => {
      this.#frozen = false;
      for (const run of this.#stuck.splice(0)) clock.after(1, run);
    });
  }

  /** Frames that were not acknowledged come again. */
  redeliver(): void {
    for (const frame of [...this.unacked.values()].slice(0, 20)) this.deliver(frame);
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#parts.gone(this);
  }

  #tellClosed(loss: LaneLoss, ms = 1): void {
    const { clock, life, handlers } = this.#parts;
    clock.after(ms, () => {
      if (this.#closed) return;
      this.#closed = true;
      life.offCut(this.#onCut);
      handlers.onClose(loss);
    });
  }

  #unlessFrozen(run: () => void): void {
    if (this.#frozen) this.#stuck.push(run);
    else run();
  }
}
