import { readCron } from '../schedules/cron.ts';
import { LONGEST_PROMPT, MOST_IN_THREAD, type Schedule, type ScheduleDraft, whenOf } from '../schedules/schedule.ts';
import { LEAST_MINUTES, type NotWhen, timesOf, type When } from '../schedules/when.ts';
import { readZone, weekdayOf, type Zone } from '../schedules/zone.ts';
import { asCode } from '../text/as-code.ts';
import { showInvisible } from '../text/invisible.ts';
import { oneLine } from '../text/one-line.ts';
import { FROM_HISTORY } from './thread.ts';

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const two = (value: number) => String(value).padStart(2, '0');

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** A moment in a zone: `Mon 30 Nov 2026, 9:00`. */
function momentIn(zone: Zone, at: number): string {
  const wall = zone.wallAt(at);
  const day = `${WEEKDAYS[weekdayOf(wall)]?.slice(0, 3)} ${wall.day} ${MONTHS[wall.month - 1]} ${wall.year}`;
  return `${day}, ${wall.hour}:${two(wall.minute)}`;
}

/** `every Monday at 9:00`, or the five fields where no words fit. */
function ruleText(when: When, zone: Zone): string {
  if (when.cron === undefined) return `once, ${momentIn(zone, when.once)}`;
  const cron = readCron(when.cron);
  const [minute = '', hour = '', , month = ''] = when.cron.split(' ');
  const isPlain = cron && month === '*';
  const step = /^\*\/(\d+)$/.exec(minute)?.[1];
  const everyDay = isPlain && cron.days === null && cron.weekdays === null;
  if (everyDay && step !== undefined && 60 % Number(step) === 0 && hour === '*') return `every ${step} minutes`;
  if (!isPlain || cron.minutes.length !== 1) return `by the rule ${asCode(when.cron)}`;
  const at = cron.minutes[0] ?? 0;
  if (everyDay && hour === '*') return at === 0 ? 'every hour' : `every hour at minute ${at}`;
  const hours = /^\*\/(\d+)$/.exec(hour)?.[1];
  if (everyDay && hours !== undefined && 24 % Number(hours) === 0)
    return `every ${hours} hours${at === 0 ? '' : ` at minute ${at}`}`;
  if (cron.hours.length > 6) return `by the rule ${asCode(when.cron)}`;
  const times = listed(cron.hours.map((each) => `${each}:${two(at)}`));
  if (cron.days !== null) return `every month on day ${listed([...cron.days].map(String))} at ${times}`;
  const weekdays = [...(cron.weekdays ?? [])].sort((a, b) => a - b);
  const days =
    weekdays.length === 0 || weekdays.length === 7
      ? 'day'
      : weekdays.join() === '1,2,3,4,5'
        ? 'weekday'
        : listed(weekdays.map((weekday) => WEEKDAYS[weekday] ?? ''));
  return `every ${days} at ${times}`;
}

type Timed = Pick<ScheduleDraft, 'cron' | 'once' | 'zone'>;

/** The rule in words, with its zone. */
function scheduleRuleText(schedule: Timed): string {
  const zone = readZone(schedule.zone);
  return zone ? `${ruleText(whenOf(schedule), zone)} (${schedule.zone})` : asCode(schedule.cron ?? '');
}

/** Foreign text as a block of code, whole: nothing in it is formatted, and nothing is hidden. */
function quoted(given: string): string {
  const text = showInvisible(given);
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

const NEXT = 3;
const MACHINE_ON = {
  often:
    'The agent’s machine must be on at those times: it skips a time at which it is off, and does not make up for it.',
  once: 'The agent’s machine must be on then, or within five minutes after that time. If it is off, this does not run.',
} as const;

/** Begins a thread for a schedule of the channel. */
export function scheduleThreadText(owner: string): string {
  return `A schedule of <@${owner}>: the details are in the thread.`;
}

/** What the owner is asked to confirm. @param madeAt ms since 1970 */
export function askScheduleText(draft: ScheduleDraft, madeAt: number): string {
  const zone = readZone(draft.zone);
  const times = zone ? timesOf(whenOf(draft), zone, madeAt, NEXT).map((at) => momentIn(zone, at)) : [];
  const where = draft.inChannel ? 'in this thread and in the channel' : 'in this thread';
  return [
    `<@${draft.owner}>, should I schedule this? *${scheduleRuleText(draft)}*`,
    quoted(draft.prompt),
    `Next: ${times.join(' · ')}`,
    `It will be yours: it runs with your rights and asks you before risky steps. Its answers appear ${where}.`,
    draft.cron === null ? MACHINE_ON.once : MACHINE_ON.often,
  ].join('\n');
}

/** @param id as people name it in commands */
export function scheduledText(draft: ScheduleDraft): string {
  const prompt = asCode(oneLine(showInvisible(draft.prompt), 120));
  return `<@${draft.owner}> scheduled ${prompt}: ${scheduleRuleText(draft)}. \`!schedules\` lists, pauses and deletes schedules; this one is ${asCode(draft.id)}.`;
}

export function notScheduledText(owner: string): string {
  return `<@${owner}> did not schedule this.`;
}

export function scheduleLapsedText(owner: string): string {
  return `<@${owner}> did not confirm this schedule in time. To ask for it again, write \`!schedule\`.`;
}

/** Above the answer of a scheduled turn. @param late set when it ran while no one listened */
export function firedText(
  schedule: Timed & { owner: string; at: number; late?: { earlier: number } | undefined },
): string {
  const head = `Schedule of <@${schedule.owner}>: ${scheduleRuleText(schedule)}`;
  const zone = readZone(schedule.zone);
  if (!schedule.late || !zone) return head;
  const { earlier } = schedule.late;
  const more =
    earlier === 0 ? '' : earlier === 1 ? ' An earlier run is not shown.' : ` ${earlier} earlier runs are not shown.`;
  return `${head}\nPosted late: it ran on ${momentIn(zone, schedule.at)}, while I was not connected. ${FROM_HISTORY}${more}`;
}

/** Why a schedule cannot be made from these words. */
export const NOT_WHEN: Readonly<Record<NotWhen, string>> = {
  unknown: 'I don’t understand when that is.',
  no_time: 'At what time? Add it, like `9:00`.',
  uneven:
    'The minutes must divide an hour, and the hours a day: every 5, 10, 15, 20 or 30 minutes, every 2, 3, 4, 6, 8 or 12 hours.',
  several_minutes: 'Several times a day must be at the same minute, like `9:00 and 15:00`. Make two schedules instead.',
  both_days: 'Give a day of the month or a weekday, not both.',
  too_often: `That is too often: a schedule may run every ${LEAST_MINUTES} minutes at most.`,
  past: 'That time is over. Choose a later one.',
  never: 'That time never comes: there is no such date, or the clocks skip that hour. Choose another one.',
  too_far: 'That is more than a year away. Choose an earlier time.',
};

export const HOW_TO_SCHEDULE =
  'Write when, then `::`, then what the agent should do: `!schedule every Monday 9:00 :: post the open incidents`. Also `every weekday at 8:30`, `every 15 minutes`, `tomorrow 15:00`, or five fields like `0 9 * * 1`.';

export const SCHEDULES = {
  confirm: 'Please confirm it on the card in the thread.',
  noBots: 'Only people can make schedules.',
  tooLong: `What the agent should do is too long. Shorten it to ${LONGEST_PROMPT} characters.`,
  nothing: 'There are no schedules here.',
  noneOfYours: 'You have no schedules. To make one, write `!schedule` in a thread.',
  unknown: 'There is no such schedule. `!schedules` lists them.',
  notYours: 'Only its owner and admins can change this schedule.',
  running: 'I asked Letta to run it now.',
  notRun: 'I could not run it now. Try again in a moment.',
  paused: 'Paused.',
  resumed: 'Resumed.',
  deleted: 'Deleted.',
  over: 'Its time is over, so it cannot be resumed. Delete it and make a new one.',
  usage: 'Write `!schedules`, or `!schedules pause`, `resume`, `run` or `delete` and the id of a schedule.',
} as const;

/** @param limits how many there may be; the exceeded one is named */
export function tooManyText(which: 'thread' | 'user' | 'channel' | 'workspace', most: number): string {
  if (which === 'thread') return `A thread can have ${MOST_IN_THREAD} schedules. Delete one first: \`!schedules\`.`;
  if (most === 0) return 'The policy does not allow schedules here. Ask an admin.';
  const whose = which === 'user' ? 'You already have' : `This ${which} already has`;
  return `${whose} ${most} ${most === 1 ? 'schedule' : 'schedules'}, which is the limit. Delete one first: \`!schedules\`.`;
}

/** Whose zone is not known, so that UTC counts. */
export const ZONE_UNKNOWN = 'Slack does not tell me your time zone, so the times are in UTC.';

/** What the agent's tools for schedules tell it. */
export const SCHEDULE_TOOLS = {
  asked:
    'The person was asked to confirm it on a card in this thread. Nothing is made before they do, and you are not told what they decide.',
  deleted: 'It is deleted.',
  notHere: 'There is no such schedule in this thread.',
  notTheirs: 'Only its owner can have it deleted, and this turn is not theirs.',
} as const;

/** A line of the list. @param where a channel, mentioned; left out: here */
export function scheduleLine(schedule: Schedule, now: number, where?: string): string {
  const zone = readZone(schedule.zone);
  const [next] = zone ? timesOf(whenOf(schedule), zone, now, 1) : [];
  const state =
    schedule.wanted === 'paused'
      ? schedule.lostAccess
        ? 'paused, because its owner may no longer use the agent here'
        : 'paused'
      : schedule.confirmed === null
        ? 'not made at Letta yet'
        : next === undefined || !zone
          ? 'its time is over'
          : `next: ${momentIn(zone, next)}`;
  const what = asCode(oneLine(showInvisible(schedule.prompt), 80));
  return `- ${asCode(schedule.id)} ${scheduleRuleText(schedule)}: ${what}, of <@${schedule.owner}>${where === undefined ? '' : ` in ${where}`} · ${state}`;
}

/** Said in the thread. */
export function lostAccessText(schedule: Schedule): string {
  return `I paused a schedule of <@${schedule.owner}> (${scheduleRuleText(schedule)}), because they may no longer use the agent here. An admin can delete it: \`!schedules delete ${schedule.id}\`.`;
}
export function refusedByLettaText(schedule: Schedule, error: string): string {
  return `<@${schedule.owner}>, Letta refused the schedule ${scheduleRuleText(schedule)}: ${asCode(oneLine(error, 200))} It was not made.`;
}
export function notMadeHereText(schedule: Schedule): string {
  return `<@${schedule.owner}>, I did not make the schedule ${scheduleRuleText(schedule)}: this thread belongs to a conversation that runs on schedules of another thread. Write \`!schedule\` there, or \`!new\` here and then \`!schedule\` again.`;
}
export function deletedElsewhereText(schedule: Schedule): string {
  return `The schedule ${asCode(schedule.id)} of <@${schedule.owner}> (${scheduleRuleText(schedule)}) was deleted at Letta, so it no longer runs.`;
}
export function missedText(schedule: Schedule): string {
  return `<@${schedule.owner}>, this did not run: ${asCode(oneLine(schedule.prompt, 120))}, ${scheduleRuleText(schedule)}. The agent’s machine was off at that time. To schedule it again, write \`!schedule\`.`;
}
