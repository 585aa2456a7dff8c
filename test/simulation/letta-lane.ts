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
  /** Called when a frame of the client reaches the server. */
  onReceive(lane: SimLane, frame: Json): void;
  /** Called when a frame has reached the client. */
  onHeard(frame: Json): void;
  /** Called when the server notices that the client is gone. */
  onGone(lane: SimLane): void;
}

/** One socket between the bridge and Letta. Frames stay in order until it breaks; either end may notice that late. */
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
  #isOpen = false;
  /** The client's end. */
  #isClosed = false;
  /** The server's end. */
  #gone = false;
  /** Frames that were on their way to the server when it broke are lost. */
  #isSevered = false;
  #downAt = 0;
  #upAt = 0;
  #isFrozen = false;
  readonly #heldRuns: (() => void)[] = [];
  readonly #onCut = () => this.#endClientSide();

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.endpoint = parts.endpoint;
    if (parts.life.isOver) this.#endClientSide();
    else parts.life.onCut(this.#onCut);
  }

  get name(): string {
    return this.endpoint.name;
  }

  get url(): URL {
    return new URL(this.endpoint.url);
  }

  /** Whether the server's end is gone, perhaps before it was there. */
  get isGone(): boolean {
    return this.#gone;
  }

  get isAlive(): boolean {
    return this.#isOpen && !this.#gone;
  }

  /** Whether the bridge still holds its end. */
  get isHeld(): boolean {
    return !this.#isClosed;
  }

  openLane(): void {
    if (this.#isClosed || this.#gone) return;
    this.#isOpen = true;
    const { life, handlers } = this.#parts;
    life.enter(() => handlers.onOpen());
  }

  refuseLane(loss: LaneLoss): void {
    this.#gone = true;
    this.#reportLoss(loss);
  }

  /** To the client, in order. */
  deliverFrame(frame: Json): void {
    const { clock, chance, life, handlers } = this.#parts;
    const text = JSON.stringify(frame);
    this.#downAt = Math.max(this.#downAt, clock.now() + chance.between(0, 8));
    clock.after(this.#downAt - clock.now(), () =>
      this.#unlessFrozen(() => {
        life.enter(() => {
          if (this.#isClosed || !this.#isOpen) return;
          handlers.onMessage(text);
          this.#parts.onHeard(frame);
        });
      }),
    );
  }

  // ---- the client's end ------------------------------------------------------------------------

  send(text: string): void {
    if (this.#isClosed || !this.#isOpen) return;
    const { clock, chance } = this.#parts;
    this.#upAt = Math.max(this.#upAt, clock.now() + chance.between(0, 8));
    clock.after(this.#upAt - clock.now(), () =>
      this.#unlessFrozen(() => {
        if (!this.#isSevered && !this.#gone) this.#parts.onReceive(this, JSON.parse(text) as Json);
      }),
    );
  }

  close(): void {
    if (!this.#isClosed) this.#endClientSide();
  }

  #endClientSide(): void {
    const { clock, chance, life } = this.#parts;
    life.offCut(this.#onCut);
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isSevered = life.isOver && chance.happens(0.5);
    const hears = Math.max(clock.now() + chance.between(1, 60), this.#upAt + 1);
    clock.after(hears - clock.now(), () => this.#endServerSide());
  }

  // ---- faults ----------------------------------------------------------------------------------

  /** The network breaks. Server and client may notice it seconds apart. */
  loseLane(loss: LaneLoss = { kind: 'closed', code: 1006, text: '' }): void {
    const { clock, chance } = this.#parts;
    this.#isSevered = chance.happens(0.5);
    this.#reportLoss(loss, chance.happens(0.3) ? chance.between(1, 3_000) : 1);
    clock.after(chance.happens(0.3) ? chance.between(1, 3_000) : 1, () => this.#endServerSide());
  }

  /** Holds all frames for a while and loses none; after too long a silence the heartbeat ends the lane. */
  freezeLane(ms: number): void {
    const { clock } = this.#parts;
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    if (ms > 60_000) clock.after(60_000, () => this.loseLane({ kind: 'silent' }));
    clock.after(ms, () => {
      this.#isFrozen = false;
      for (const run of this.#heldRuns.splice(0)) clock.after(1, run);
    });
  }

  /** Frames that were not acknowledged come again. */
  redeliverFrames(): void {
    for (const frame of [...this.unacked.values()].slice(0, 20)) this.deliverFrame(frame);
  }

  #endServerSide(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#parts.onGone(this);
  }

  #reportLoss(loss: LaneLoss, ms = 1): void {
    const { clock, life, handlers } = this.#parts;
    clock.after(ms, () => {
      if (this.#isClosed) return;
      this.#isClosed = true;
      life.offCut(this.#onCut);
      life.enter(() => handlers.onClose(loss));
    });
  }

  #unlessFrozen(run: () => void): void {
    if (this.#isFrozen) this.#heldRuns.push(run);
    else run();
  }
}
