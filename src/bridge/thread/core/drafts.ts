import { can } from '../../access/can.ts';
import { SCHEDULES_ALLOWED } from '../../access/policy.ts';
import { makeToken, type UserId } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { newRecord, noteMention } from '../../record/inbox.ts';
import { markSeen, offerSchedule } from '../../record/offers.ts';
import { LONGEST_PROMPT, MOST_IN_THREAD, type ScheduleDraft, whenOf } from '../../schedules/schedule.ts';
import { checkWhen, readWhen } from '../../schedules/when.ts';
import { readZone } from '../../schedules/zone.ts';
import { HOW_TO_SCHEDULE, NOT_WHEN, SCHEDULES, tooManyText, ZONE_UNKNOWN } from '../../words/schedules.ts';
import type { Command } from './events.ts';
import { addressOf, isDirectThread, placeOf } from './thread.ts';
import { change, due, log, type Work, write } from './work.ts';

/** Asks the person on a card to confirm a schedule. @returns a line for them */
export function proposeSchedule(work: Work, order: Command & { name: 'schedule' }): string {
  const { by, args, isTop, seen } = order;
  const zone = readZone(by.timeZone ?? 'UTC') ?? readZone('UTC');
  const [, when = '', what = ''] = /^([\s\S]*?)\s*::\s*([\s\S]*)$/.exec(args) ?? [];
  const prompt = what.trim();
  if (when === '' || prompt === '' || !zone) return HOW_TO_SCHEDULE;
  const read = readWhen(when, zone, work.context.now);
  if ('problem' in read) return `${NOT_WHEN[read.problem]} ${HOW_TO_SCHEDULE}`;
  const { cron = null, once = null } = read;
  const inChannel = isTop && !isDirectThread(work.thread);
  const problem = draftSchedule(work, by, {
    ...{ prompt, cron, once, zone: zone.name },
    ...(inChannel && { inChannel: true as const }),
  });
  if (problem !== null) return problem;
  if (seen !== undefined) change(work, (record) => markSeen(record, seen, work.context.now));
  return by.timeZone === zone.name ? SCHEDULES.confirm : `${SCHEDULES.confirm} ${ZONE_UNKNOWN}`;
}

/**
 * Shows the card of a schedule that its owner is to confirm.
 * @returns why not, for the owner
 */
function draftSchedule(work: Work, by: Person, wanted: Omit<ScheduleDraft, 'id' | 'owner'>): string | null {
  if (by.kind === 'bot') return SCHEDULES.noBots;
  if (wanted.prompt.length > LONGEST_PROMPT) return SCHEDULES.tooLong;
  const { now, policy } = work.context;
  const verdict = can(policy, by, { do: 'speak' }, placeOf(work.thread));
  if (!verdict.allowed) return verdict.notice;
  const full = tooMany(work, by.id);
  if (full !== null) return full;
  const token = makeToken(work.context.id());
  const draft = { ...wanted, id: work.context.id().slice(0, 8), owner: by.id };
  const { key } = work.thread;
  const address = addressOf(work.thread);
  write(work, (known) => {
    const record = known ?? newRecord(key, address, by.id, now);
    return offerSchedule(noteMention(record, by.id), draft, token, now);
  });
  log(work, 'info', { schedule: draft.id, owner: by.id }, 'a schedule waits for its owner to confirm it');
  due(work);
  return null;
}

function tooMany(work: Work, owner: UserId): string | null {
  const { policy, countSchedules } = work.context;
  const { channel } = placeOf(work.thread);
  const kept = (work.thread.record?.schedules ?? []).filter(({ wanted }) => wanted !== 'gone');
  if (kept.length >= MOST_IN_THREAD) return tooManyText('thread', MOST_IN_THREAD);
  const has = countSchedules(owner, channel);
  const user = policy.limits.user.schedules ?? SCHEDULES_ALLOWED.user;
  const place = policy.limits.channel.schedules ?? SCHEDULES_ALLOWED.channel;
  if (has.user >= user) return tooManyText('user', user);
  return has.channel >= place ? tooManyText('channel', place) : null;
}

/** Whether its owner may confirm it now. @returns why not, for the owner */
export function mayMake(work: Work, draft: ScheduleDraft, person: Person): string | null {
  const { policy, now } = work.context;
  const verdict = can(policy, person, { do: 'speak' }, placeOf(work.thread));
  if (!verdict.allowed) return verdict.notice;
  const zone = readZone(draft.zone);
  const when = zone && checkWhen(whenOf(draft), zone, now);
  if (!when) return HOW_TO_SCHEDULE;
  return 'problem' in when ? `${NOT_WHEN[when.problem]}` : tooMany(work, draft.owner);
}
