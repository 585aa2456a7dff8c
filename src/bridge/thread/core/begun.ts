import type { AgentEvent } from '../../agent-event.ts';
import { clientAsk, noteShown } from '../../record/client-turn.ts';
import { type AgentBeginning, beginAgentTurn, changeTurn, nameAgentTurn } from '../../record/inbox.ts';
import type { Beginning } from '../../turn/beginning.ts';
import { clientInputsOf } from './clients.ts';
import { END_OVERDUE_MS, expectEnd, noteMissed } from './look.ts';
import { foundSchedule, onFired, turnScheduleOf } from './schedules.ts';
import { stop } from './stop.ts';
import { silencedBy } from './tasks.ts';
import type { Thread } from './thread.ts';
import { followTurn, turnIds } from './turn.ts';
import {
  cancelPreparing,
  change,
  due,
  emit,
  openTurn,
  set,
  setLink,
  setLive,
  touch,
  upLink,
  type Work,
} from './work.ts';

/* Turns that Letta began by itself or for another client: what is known of their beginning, and who asked for them. */

/** So many messages and calls of a turn are looked for in the history. */
const IDS_MOST = 50;

/** Until it is known who asked for a turn, it counts as another client's: nobody in Slack did. */
export const UNNAMED: AgentBeginning = { client: {} };

/** Whether only a running turn sends such an event; a terminal error or a status may follow a turn's end. */
export function startsTurn(event: AgentEvent): boolean {
  switch (event.type) {
    case 'text':
    case 'reasoning':
    case 'tool-called':
    case 'tool-started':
    case 'approval-asked':
    case 'external-call':
      return true;
    case 'user-message':
      return event.automatic || event.asked !== undefined;
    default:
      return false;
  }
}

/** Letta began a turn by itself, or for another client. */
export function openAgentTurn(work: Work, beginning: AgentBeginning): void {
  const { input = null, schedule, client, command } = beginning;
  const had = openTurn(work)?.id;
  const ids = turnIds(work);
  change(work, (record) => {
    const begun = beginAgentTurn(record, ids, beginning);
    return client && input !== null ? noteShown(begun, input) : begun;
  });
  setLink(work, { isAsked: false });
  if (schedule) onFired(work, schedule);
  const turn = openTurn(work);
  const { live } = work.thread;
  if (turn && turn.id !== had) followTurn(work, turn);
  else if (live && input !== null) setLive(work, { fold: { ...live.fold, input } });
  if (turn?.id === had && work.thread.wasCut) noteMissed(work);
  set(work, { wasCut: false });
  cancelPreparing(work);
  // What our input waited for does not hold up this turn.
  setLive(work, { phase: 'running', hold: null, isViewOutdated: true });
  // The agent is paused, or reports on background tasks that somebody ended: it must not act on that.
  const by = work.context.paused?.by ?? (client || command ? null : silencedBy(work));
  if (by !== null) stop(work, by);
  // Letta is idle already, so we may have missed this turn's end.
  if (work.thread.link.loop === 'idle') expectEnd(work, END_OVERDUE_MS);
}

/**
 * The open turn's beginning was not heard, and whose it is decides who is asked. Its events are held meanwhile.
 * @param heard what was heard of it, and perhaps of turns behind it
 * @returns whether the history is asked
 */
export function identify(work: Work, held: Thread['held'], heard: Thread['held'] = []): boolean {
  if (upLink(work) === null) return false;
  set(work, { held });
  setLink(work, { isIdentifying: true, isAsked: true });
  const [first] = heard;
  const runId = first && 'runId' in first ? (first.runId ?? undefined) : undefined;
  askHistory(work, clientInputsOf(work.thread.link, runId), heardOf(heard));
  return true;
}

/** The open turn is known, not its input: the history has that under an id that only Letta knows. */
export function findInput(work: Work): void {
  askHistory(work, [], []);
}

function askHistory(work: Work, tied: readonly string[], heard: readonly string[]): void {
  const link = upLink(work);
  const { schedules = [], clients } = work.thread.record ?? {};
  if (link !== null)
    emit(work, { do: 'identify', link, known: { schedules, tied, shown: clients?.shown ?? [], heard } });
}

/** By what the history knows the turn again that the first of these events is of. */
function heardOf(events: Thread['held']): string[] {
  const end = events.findIndex(({ type }) => type === 'turn-ended' || type === 'cut' || type === 'ready');
  const ids = new Set((end < 0 ? events : events.slice(0, end)).flatMap(idOf));
  return [...ids].slice(0, IDS_MOST);
}

function idOf(event: Thread['held'][number]): string[] {
  if ('messageId' in event) return [event.messageId];
  const callId = event.type === 'approval-asked' ? event.request.callId : 'callId' in event ? event.callId : null;
  return callId === null ? [] : [callId];
}

/** The history told of the beginning of the open turn. @param beginning `null`: it does not know */
export function onIdentified(work: Work, beginning: Beginning | null) {
  if (work.thread.link.isIdentifying) {
    if (beginning?.hasEarlier) noteMissed(work);
    return nameOpenTurn(work, beginning && beginningFound(work, beginning));
  }
  const turn = openTurn(work);
  if (turn?.command === undefined || turn.input !== undefined || beginning?.by !== 'client') return;
  noteInput(work, beginning.input);
}

/** The input of a turn that a command began: not to be shown as one that nobody heard. */
function noteInput(work: Work, input: string): void {
  const { live } = work.thread;
  change(work, (record) => noteShown(changeTurn(record, { input }), input));
  if (live) setLive(work, { fold: { ...live.fold, input } });
}

/**
 * While the history is asked, the input is heard after all, or was held: behind a tool it is one that joined, and behind the
 * end of the turn that of a later one.
 * @returns whether the turn is named now, so that held events may go
 */
export function nameByEcho(work: Work): boolean {
  const { link, held } = work.thread;
  if (!link.isIdentifying) return false;
  const late = held.findIndex(({ type }) => type === 'tool-ended' || type === 'tool-returned' || type === 'turn-ended');
  const before = late < 0 ? held : held.slice(0, late);
  const echo = before.find((event) => event.type === 'user-message' && startsTurn(event));
  if (echo?.type !== 'user-message') return false;
  nameOpenTurn(work, beginningHeard(work, echo));
  return true;
}

function nameOpenTurn(work: Work, beginning: AgentBeginning | null): void {
  setLink(work, { isIdentifying: false });
  if (beginning && openTurn(work)?.client) nameTurn(work, beginning);
  due(work);
}

/** The open turn has the requester who is known now. */
function nameTurn(work: Work, beginning: AgentBeginning): void {
  const { input, schedule, client } = beginning;
  change(work, (record) => nameAgentTurn(record, beginning));
  if (client && input != null) change(work, (record) => noteShown(record, input));
  if (schedule) onFired(work, schedule);
  const { live } = work.thread;
  if (live && input != null) setLive(work, { fold: { ...live.fold, input } });
  touch(work);
  const by = client ? null : silencedBy(work);
  if (by !== null) stop(work, by);
}

export function beginningHeard(work: Work, event: AgentEvent & { type: 'user-message' }): AgentBeginning {
  const { clientMessageId: input, firing, asked } = event;
  const schedule = firing ? turnScheduleOf(work, firing) : null;
  return { input, schedule, client: asked === undefined ? null : clientAsk(asked) };
}

function beginningFound(work: Work, beginning: Beginning): AgentBeginning {
  switch (beginning.by) {
    case 'client':
      return { input: beginning.input, client: clientAsk(beginning.asked) };
    case 'schedule': {
      const schedule = foundSchedule(work, beginning.firing);
      return schedule ? { input: beginning.firing.input, schedule } : {};
    }
    case 'letta':
      return {};
    default:
      return beginning satisfies never;
  }
}
