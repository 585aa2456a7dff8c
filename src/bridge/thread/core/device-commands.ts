import type { DeviceOffers } from '../../agent-event.ts';
import type { MessageKey, UserId } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { markSeen } from '../../record/offers.ts';
import type { DeviceRun, ThreadRecord } from '../../record/thread-record.ts';
import { redact } from '../../text/redact.ts';
import { COMPACTION } from '../../words/compaction.ts';
import { DEVICE, offersText, ranText, unknownCommandText } from '../../words/device-commands.ts';
import { FORK } from '../../words/fork.ts';
import { THREAD } from '../../words/thread.ts';
import { isCompacting } from './compaction.ts';
import type { Answer } from './events.ts';
import { isForking } from './fork.ts';
import { canSubmit } from './link.ts';
import { change, due, emit, log, openTurn, say, set, startTimer, stopTimer, upLink, type Work } from './work.ts';

/*
 * Skills and commands of the agent's machine. A command runs at most once: the wish is on disk before the machine is asked,
 * and is not asked again when no answer comes.
 */

/** Whether a command ran is not known when its end does not come; after so long nobody waits for it. */
const OVER_AFTER_MS = 3 * 60_000;
const LONGEST = 2_000;
/** People of one thread who wait for the list at once. */
const MOST_WAIT = 20;
const NOTHING: DeviceOffers = { skills: [], commands: [] };

/** Lists what the machine offers, as soon as it is connected. @returns a line for the person */
export function listOffers(work: Work, by: UserId): string {
  if (!work.thread.record?.runtime) return THREAD.noConversation;
  if (upLink(work) !== null) return offersText(work.thread.link.offers ?? NOTHING);
  const { toTellOffers } = work.thread;
  if (toTellOffers.size >= MOST_WAIT) return DEVICE.busy;
  set(work, { toTellOffers: new Set([...toTellOffers, by]) });
  due(work);
  return DEVICE.asking;
}

/** The machine is connected: whoever waits for the list gets it. */
export function tellOffers(work: Work): void {
  tellWaiting(work, offersText(work.thread.link.offers ?? NOTHING));
}

/** The machine cannot be reached, and is not tried again: nobody gets a list. */
export function giveUpOffers(work: Work): void {
  tellWaiting(work, DEVICE.notListed);
}

function tellWaiting(work: Work, text: string): void {
  const { toTellOffers } = work.thread;
  if (toTellOffers.size === 0) return;
  set(work, { toTellOffers: new Set() });
  for (const user of toTellOffers) emit(work, { do: 'whisper', user, text });
  due(work);
}

/** Has a command run as soon as that is possible. @returns a line for the person */
export function requestRun(work: Work, by: Person, words: string, seen: MessageKey | undefined): string {
  const { record, link } = work.thread;
  const { now, pausedNotice } = work.context;
  if (pausedNotice !== null) return pausedNotice;
  if (!record?.runtime) return THREAD.noConversation;
  const [, command = '', args = ''] = /^\/?(\S+)\s*([\s\S]*)$/.exec(words.trim()) ?? [];
  if (command === '') return DEVICE.usage;
  if (words.length > LONGEST) return DEVICE.tooLong;
  if (record.run) return DEVICE.runs;
  if (isCompacting(work)) return COMPACTION.runs;
  if (isForking(work)) return FORK.runs;
  if (record.turn || record.inbox.length > 0) return DEVICE.isWorking;
  const unknown = upLink(work) === null ? null : whyUnknown(link.offers, command);
  if (unknown !== null) return unknown;
  change(work, (to) => {
    const wanted: ThreadRecord = { ...to, run: { by: by.id, name: by.name, at: now, command, args } };
    return seen === undefined ? wanted : markSeen(wanted, seen, now);
  });
  due(work);
  return DEVICE.begins;
}

/** Letta has commands of its own, too, such as `clear`: only those of the machine are run. */
function whyUnknown(offers: DeviceOffers | null, command: string): string | null {
  const known = (offers ?? NOTHING).commands.map(({ name }) => name);
  return known.includes(command) ? null : unknownCommandText(command, known);
}

/** Whether inputs wait: a command may begin a turn. */
export const isRunningCommand = ({ thread }: Pick<Work, 'thread'>): boolean => thread.record?.run !== undefined;

/** Asks the machine when it can be asked, once; gives the wait for the end up after a time. */
export function pursueRun(work: Work, isPaused: boolean): void {
  const run = work.thread.record?.run;
  if (!run) return;
  const left = Math.min(OVER_AFTER_MS, run.at + OVER_AFTER_MS - work.context.now);
  if (left <= 0) {
    endRun(work);
    emit(work, { do: 'whisper', user: run.by, text: run.asked ? DEVICE.unsure : DEVICE.notAsked });
    return;
  }
  startTimer(work, 'run', left);
  const link = upLink(work);
  const isBusy = openTurn(work)?.state === 'submitted' || !canSubmit(work);
  if (run.asked || isPaused || work.context.isDraining || isBusy || link === null) return;
  const unknown = whyUnknown(work.thread.link.offers, run.command);
  if (unknown !== null) {
    endRun(work);
    emit(work, { do: 'whisper', user: run.by, text: unknown });
    return;
  }
  const asked: DeviceRun = { ...run, asked: true };
  change(work, (record) => ({ ...record, run: asked }));
  emit(work, { do: 'run_command', link, run: asked });
}

/** The command is over, or was not run. */
export function onCommandRan(work: Work, { at, outcome }: Answer & { type: 'command_ran' }): void {
  const run = work.thread.record?.run;
  if (run?.at !== at || outcome === null) return;
  endRun(work);
  if ('refused' in outcome) {
    emit(work, { do: 'whisper', user: run.by, text: outcome.refused });
    return;
  }
  const { by, name, command, args } = run;
  log(work, 'info', { by, command, ok: outcome.ok }, 'a command of the device was run');
  say(work, ranText(name, redact(`${command} ${args}`.trim()).text, outcome.ok, redact(outcome.output).text));
}

function endRun(work: Work): void {
  change(work, ({ run: _, ...now }) => now);
  stopTimer(work, 'run');
  due(work);
}
