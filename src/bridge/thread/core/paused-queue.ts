import { sentInputs } from '../../record/steered.ts';
import { RETRY_MS } from './link.ts';
import { unwantedInputs } from './steer.ts';
import { emit, log, openTurn, setLink, startTimer, upLink, type Work } from './work.ts';

/*
 * An abort leaves in Letta's queue what waited behind the turn, until more input comes: also when another client gave it,
 * and also what Letta queued itself, such as the run of a schedule. What this thread wants must not wait for that.
 */

/** Has Letta go on with its queue, once what must not run is out of it. After every step. */
export function resumeQueue(work: Work): void {
  const { link } = work.thread;
  const up = upLink(work);
  const { isDraining, paused } = work.context;
  if (up === null || link.paused.length === 0 || link.isResuming || link.loop !== 'idle' || isDraining || paused)
    return;
  const turn = openTurn(work);
  const ours = sentInputs(turn).map(({ clientMessageId }) => clientMessageId);
  if (turn?.clientMessageId != null) ours.push(turn.clientMessageId);
  const unwanted = unwantedInputs(work);
  const isOfOther = (id: string) => link.queued.includes(id) && !ours.includes(id);
  // What another client stopped is its own to go on with, unless a message of ours waits with it.
  const isWanted = link.paused.some((id) => ours.includes(id)) || !link.paused.some(isOfOther);
  if (!isWanted || link.paused.some((id) => unwanted.includes(id))) return;
  setLink(work, { isResuming: true });
  log(work, 'info', { turn: turn?.id, inputs: link.paused.length }, 'Letta goes on with its queue');
  emit(work, { do: 'resume_queue', link: up });
}

/** @param ok whether Letta has heard it */
export function onQueueResumed(work: Work, ok: boolean): void {
  if (ok) setLink(work, { paused: [], isResuming: false });
  else startTimer(work, 'resume_queue', RETRY_MS);
}
