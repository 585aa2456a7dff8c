import type { AgentEvent, ApprovalRequest, ConnectionEvent } from '../agent-event.ts';

/** Stands for events that were dropped here, because there was no room. */
const CUT = { type: 'cut' } as const;

export type Held = AgentEvent | (ConnectionEvent & { type: 'ready' }) | typeof CUT;

/** How many events of the next turn are held while this turn's last view is on its way to Slack. */
const EVENTS_HELD = 10_000;

/**
 * Events that came before their turn could begin, in order. When {@link EVENTS_HELD} are held, text is dropped and only
 * marked as missing; beginnings, ends and requests are kept.
 */
export class HeldEvents {
  readonly #events: Held[] = [];

  push(event: AgentEvent | typeof CUT): void {
    if (this.#events.length < EVENTS_HELD || !isBulk(event)) this.#events.push(event);
    else if (this.#events.at(-1) !== CUT) this.#events.push(CUT);
  }

  /** Holds a link's replay; it replaces an earlier one, because only the latest state counts. */
  pushReady(event: ConnectionEvent & { type: 'ready' }): void {
    const last = this.#events.findIndex((held) => held.type === 'ready');
    if (last >= 0) this.#events.splice(last, 1);
    this.#events.push(event);
  }

  /** The link is lost. Held requests are dropped, because the next link's replay repeats those that are still open. */
  linkLost(): void {
    const still = this.#events.filter(({ type }) => type !== 'approval-asked' && type !== 'approvals-open');
    this.#events.splice(0, this.#events.length, ...still);
  }

  putFirst(events: readonly AgentEvent[]): void {
    this.#events.unshift(...events);
  }

  /**
   * Drops all up to the last event of a run of which one event `isOurs`, and requests that are over; replays stay.
   * @param asks whether Letta waits for a decision: then open requests are the next turn's, and stay as well
   */
  forgetThrough(isOurs: (event: AgentEvent) => boolean, asks: boolean): void {
    const ours = this.#events.map((event) => event.type !== 'ready' && event.type !== 'cut' && isOurs(event));
    const runs = new Set(this.#events.flatMap((event, at) => (ours[at] ? runOf(event) : [])));
    const last = this.#events.findLastIndex((event, at) => ours[at] || runOf(event).some((run) => runs.has(run)));
    const stays = (event: Held, at: number) => {
      if (event.type === 'approval-asked') return (at > last || asks) && this.#isAsked(event.request, at);
      return at > last || event.type === 'ready';
    };
    const later = this.#events.filter(stays);
    this.#events.splice(0, this.#events.length, ...later);
  }

  /** Whether no later event has withdrawn the request. */
  #isAsked({ requestId }: ApprovalRequest, at: number): boolean {
    const later = this.#events.slice(at);
    return later.every((other) => other.type !== 'approvals-open' || other.requestIds.includes(requestId));
  }

  /** Removes and returns all held events. */
  take(): Held[] {
    return this.#events.splice(0);
  }
}

/** Whether the event may be dropped: a turn still begins, asks, ends and can be stopped without it. */
function isBulk({ type }: AgentEvent | typeof CUT): boolean {
  switch (type) {
    case 'user-message':
    case 'approval-asked':
    case 'approvals-open':
    case 'turn-ended':
    case 'cut':
      return false;
    default:
      return true;
  }
}

function runOf(event: Held): string[] {
  return 'runId' in event && event.runId !== null ? [event.runId] : [];
}
