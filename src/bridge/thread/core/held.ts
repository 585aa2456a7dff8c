import type { AgentEvent, ApprovalRequest, ConnectionEvent } from '../../agent-event.ts';
import type { Held } from './thread.ts';

/*
 * Events that came before their turn could begin, in order. When EVENTS_HELD are held, text is dropped and only marked as
 * missing; beginnings, ends and requests are kept. When MOST_HELD are held, the oldest are dropped, whatever they are: the
 * history knows of those turns, and a new link names requests that are still open.
 */

const CUT = { type: 'cut' } as const;

/** How many events of the next turn are held while this turn's last view is on its way to Slack. */
const EVENTS_HELD = 10_000;
const MOST_HELD = 11_000;

export function hold(held: readonly Held[], event: AgentEvent | typeof CUT): readonly Held[] {
  if (held.length >= MOST_HELD) {
    const oldest = held.slice(0, EVENTS_HELD);
    return [...oldest.filter(({ type }) => type === 'ready'), CUT, ...held.slice(EVENTS_HELD), event];
  }
  if (held.length < EVENTS_HELD || !isBulk(event)) return [...held, event];
  return held.at(-1)?.type === 'cut' ? held : [...held, CUT];
}

/** Holds a link's replay; it replaces an earlier one, because only the latest state counts. */
export function holdReady(held: readonly Held[], event: ConnectionEvent & { type: 'ready' }): readonly Held[] {
  return [...held.filter(({ type }) => type !== 'ready'), event];
}

/**
 * The link is lost. Held requests are dropped, because the next link's replay repeats those that are still open; the turn
 * whose events come last may have been cut off there.
 */
export function holdLoss(held: readonly Held[]): readonly Held[] {
  const kept = held.filter(({ type }) => type !== 'approval-asked' && type !== 'approvals-open');
  return kept.length === 0 || kept.at(-1)?.type === 'cut' ? kept : [...kept, CUT];
}

/**
 * Drops all up to the last event of a run of which one event `isOurs`, and requests that are over; replays stay. A repair
 * comes when the history is read, so what was heard before it may be of the next turn.
 * @param asks whether Letta waits for a decision: then open requests are the next turn's, and stay as well
 */
export function forgetThrough(held: readonly Held[], isOurs: (event: AgentEvent) => boolean, asks: boolean): Held[] {
  const ours = held.map((event) => event.type !== 'ready' && event.type !== 'cut' && isOurs(event));
  const runs = new Set(held.flatMap((event, at) => (ours[at] ? runOf(event) : [])));
  const last = held.findLastIndex(
    (event, at) => event.type !== 'text-repaired' && (ours[at] || runOf(event).some((run) => runs.has(run))),
  );
  return held.filter((event, at) => {
    if (event.type === 'approval-asked') return (at > last || asks) && isAsked(held, event.request, at);
    return (at > last && !ours[at]) || event.type === 'ready';
  });
}

/** Whether no later event has withdrawn the request. */
function isAsked(held: readonly Held[], { requestId }: ApprovalRequest, at: number): boolean {
  return held.slice(at).every((other) => other.type !== 'approvals-open' || other.requestIds.includes(requestId));
}

/** Whether the event may be dropped: a turn still begins, asks, ends and can be stopped without it. */
function isBulk({ type }: AgentEvent | typeof CUT): boolean {
  switch (type) {
    case 'user-message':
    case 'approval-asked':
    case 'approvals-open':
    case 'external-call':
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
