import type { AgentEvent, CommandEnd, DeviceOffers, LoopStatus } from '../../agent-event.ts';
import type { MessageKey, UserId } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { markSeen } from '../../record/offers.ts';
import type { DeviceRun, ThreadRecord } from '../../record/thread-record.ts';
import { oneLine } from '../../text/one-line.ts';
import { redact } from '../../text/redact.ts';
import { COMPACTION } from '../../words/compaction.ts';
import { DEVICE, offersText, ranText, unknownCommandText } from '../../words/device-commands.ts';
import { FORK } from '../../words/fork.ts';
import { THREAD } from '../../words/thread.ts';
import { findInput, openAgentTurn } from './begun.ts';
import { isCompacting } from './compaction.ts';
import type { Answer } from './events.ts';
import { isForking } from './fork.ts';
import { canSubmit } from './link.ts';
import { isHolding } from './thread.ts';
import {
  change,
  due,
  emit,
  log,
  openTurn,
  say,
  set,
  setLink,
  startTimer,
  stopTimer,
  upLink,
  type Work,
} from './work.ts';

/*
 * Skills and commands of the agent's machine. A command runs at most once: the wish is on disk before the machine is asked,
 * and is not asked again when no answer comes.
 */

/** Whether a command ran is not known when its end does not come; after so long nobody waits for it. */
const OVER_AFTER_MS = 3 * 60_000;
/** The machine begins the turn of a command in the same moment in which it says that the command is over. */
const BEGINS_WITHIN_MS = 3_000;
const LONGEST = 2_000;
/** How much of a command is told above the turn that it began. */
const LINE = 200;
/** What came of a command whose only word is that the agent has a task now. */
const BEGUN: CommandEnd = { ok: true, output: '' };
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
export function pursueRun(work: Work, isPaused: boolean) {
  const run = work.thread.record?.run;
  if (!run) return;
  const { promptedAt } = work.thread.link;
  const endsAt = promptedAt === null ? run.at + OVER_AFTER_MS : promptedAt + BEGINS_WITHIN_MS;
  const left = Math.min(OVER_AFTER_MS, endsAt - work.context.now);
  if (left <= 0) {
    if (promptedAt !== null) return finishRun(work, run, BEGUN);
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
  if ('refused' in outcome) {
    endRun(work);
    emit(work, { do: 'whisper', user: run.by, text: outcome.refused });
    return;
  }
  // Its turn begins at once, and says what it is.
  if (work.thread.link.promptedAt === null) finishRun(work, run, outcome);
}

/**
 * The machine says that a command is over. One that gives the agent a task begins its turn at once: the next loop status is
 * that of this turn, or the machine says at once that it failed.
 */
export function onCommandEnded(work: Work, event: AgentEvent & { type: 'command-ended' }): void {
  const run = work.thread.record?.run;
  // Another client may run commands, too.
  if (!run?.asked || event.line !== `/${lineOf(run)}`) return;
  setLink(work, { promptedAt: event.begins ? work.context.now : null });
  if (event.begins) due(work);
  else finishRun(work, run, event);
}

/** The first loop status after the end of a command that gives the agent a task. @param was Letta's loop before it */
export function onPrompted(work: Work, was: LoopStatus) {
  const { record, link } = work.thread;
  const run = record?.run;
  if (link.promptedAt === null || !run) return;
  const isOther = was !== 'idle' || openTurn(work)?.state === 'submitted' || isHolding(work.thread);
  if (link.loop === 'idle' || isOther) return finishRun(work, run, BEGUN);
  endRun(work);
  const line = oneLine(redact(lineOf(run)).text, LINE);
  openAgentTurn(work, { command: { by: run.by, line } });
  findInput(work);
  log(work, 'info', { by: run.by, command: run.command, turn: openTurn(work)?.id }, 'a command began a turn');
}

function finishRun(work: Work, run: DeviceRun, { ok, output }: CommandEnd): void {
  endRun(work);
  const { by, name, command } = run;
  log(work, 'info', { by, command, ok }, 'a command of the device was run');
  say(work, ranText(name, redact(lineOf(run)).text, ok, redact(output).text));
}

const lineOf = ({ command, args }: DeviceRun) => `${command} ${args}`.trim();

function endRun(work: Work): void {
  change(work, ({ run: _, ...now }) => now);
  setLink(work, { promptedAt: null });
  stopTimer(work, 'run');
  due(work);
}
