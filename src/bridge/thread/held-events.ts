import type { AgentEvent, ApprovalRequest, ConnectionEvent } from '../agent-event.ts';

/** Here something was heard that there was no room for. */
const CUT = { type: 'cut' } as const;

export type Held = AgentEvent | (ConnectionEvent & { type: 'ready' }) | typeof CUT;

/** Events of a next turn that may wait while the last words of this one are on their way to Slack. */
const EVENTS_HELD = 10_000;

/**
 * What was heard before its turn could begin, in order. Bounded: beyond it text is forgotten, of which only is known that
 * it was; beginnings, ends and requests are not.
 */
export class HeldEvents {
  readonly #events: Held[] = [];

  push(event: AgentEvent | typeof CUT): void {
    if (this.#events.length < EVENTS_HELD || !isBulk(event)) this.#events.push(event);
    else if (this.#events.at(-1) !== CUT) this.#events.push(CUT);
  }

  /** What was held of a link that is gone since then stays in its order; only the last state counts. */
  pushReady(event: ConnectionEvent & { type: 'ready' }): void {
    const last = this.#events.findIndex((held) => held.type === 'ready');
    if (last >= 0) this.#events.splice(last, 1);
    this.#events.push(event);
  }

  /** The link is lost: what was asked over it is asked again by the next one's replay, or was never answered. */
  linkLost(): void {
    const still = this.#events.filter(({ type }) => type !== 'approval-asked' && type !== 'approvals-open');
    this.#events.splice(0, this.#events.length, ...still);
  }

  putFirst(events: readonly AgentEvent[]): void {
    this.#events.unshift(...events);
  }

  /**
   * Forgets everything up to the last event of a run of which one event `isOurs`, and requests that are over; states of
   * the link stay.
   * @param asks Letta waits for an answer: then what was asked is the next turn's, and stays, too
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

  /** Whether it is a request that nothing behind it has withdrawn. */
  #isAsked({ requestId }: ApprovalRequest, at: number): boolean {
    const later = this.#events.slice(at);
    return later.every((other) => other.type !== 'approvals-open' || other.requestIds.includes(requestId));
  }

  /** All of them; none is left. */
  take(): Held[] {
    return this.#events.splice(0);
  }
}

/** Events without which a turn still begins, ends, asks and is stopped. */
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
