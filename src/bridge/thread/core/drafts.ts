import { can } from '../../access/can.ts';
import { SCHEDULES_ALLOWED } from '../../access/policy.ts';
import { makeToken, type UserId } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { newRecord, noteMention } from '../../record/inbox.ts';
import { markSeen, offerSchedule } from '../../record/offers.ts';
import { findSchedule } from '../../record/schedules.ts';
import { LONGEST_PROMPT, MOST_IN_THREAD, type ScheduleDraft, whenOf } from '../../schedules/schedule.ts';
import { checkWhen, readWhen } from '../../schedules/when.ts';
import { readZone } from '../../schedules/zone.ts';
import { showInvisible } from '../../text/invisible.ts';
import { HOW_TO_SCHEDULE, NOT_WHEN, SCHEDULES, tooManyText, ZONE_UNKNOWN } from '../../words/schedules.ts';
import type { Command } from './events.ts';
import { addressOf, isDirectThread, placeOf } from './thread.ts';
import { change, due, log, type Work, write } from './work.ts';

/* Schedules that people write and confirm on a card. */

/** What somebody wrote of a schedule: when, and what. */
type Wanted = Pick<ScheduleDraft, 'prompt' | 'cron' | 'once' | 'zone'>;

/** What follows `!schedule`: when, `::` and what. Empty where something is missing. */
export function splitSchedule(args: string): { when: string; what: string } {
  const at = args.indexOf('::');
  return at < 0 ? { when: '', what: '' } : { when: args.slice(0, at).trimEnd(), what: args.slice(at + 2).trimStart() };
}

/** @returns what is wrong, in words for the person */
export function readSchedule(
  { when, what }: { when: string; what: string },
  by: Pick<Person, 'kind' | 'timeZone'>,
  now: number,
): Wanted | string {
  if (by.kind === 'bot') return SCHEDULES.noBots;
  const zone = readZone(by.timeZone ?? 'UTC') ?? readZone('UTC');
  const prompt = what.trim();
  if (when === '' || prompt === '' || !zone) return HOW_TO_SCHEDULE;
  // The owner reads all of it on the card, with what is invisible in it.
  if (showInvisible(prompt).length > LONGEST_PROMPT) return SCHEDULES.tooLong;
  const read = readWhen(when, zone, now);
  if ('problem' in read) return `${NOT_WHEN[read.problem]} ${HOW_TO_SCHEDULE}`;
  return { prompt, cron: read.cron ?? null, once: read.once ?? null, zone: zone.name };
}

/** Asks the person on a card to confirm a schedule. @returns a line for them */
export function proposeSchedule(work: Work, order: Command & { name: 'schedule' }): string {
  const { by, isTop, isGroup, seen } = order;
  const { now, policy } = work.context;
  const wanted = readSchedule(order, by, now);
  if (typeof wanted === 'string') return wanted;
  const { key } = work.thread;
  const address = { ...addressOf(work.thread), ...(isGroup && { kind: 'mpim' as const }) };
  const place = { channel: address.channel, channelKind: placeOf(work.thread).channelKind, external: false };
  const verdict = can(policy, by, { do: 'speak' }, isGroup ? { ...place, channelKind: 'mpim' } : place);
  if (!verdict.allowed) return verdict.notice;
  const full = tooMany(work, by.id);
  if (full !== null) return full;
  const token = makeToken(work.context.id());
  const inChannel = isTop && !isDirectThread(work.thread);
  const id = order.id ?? work.context.id().slice(0, 8);
  const { record: before } = work.thread;
  const isAsked = before?.offers.some((offer) => offer.draft?.id === id) || findSchedule(before, id) !== null;
  if (isAsked) return SCHEDULES.confirm;
  const draft = { ...wanted, id, owner: by.id, ...(inChannel && { inChannel: true as const }) };
  write(work, (known) => {
    const record = known ?? newRecord(key, address, by.id, now);
    return offerSchedule(noteMention(record, by.id), draft, token, now);
  });
  if (seen !== undefined) change(work, (record) => markSeen(record, seen, now));
  log(work, 'info', { schedule: draft.id, owner: by.id }, 'a schedule waits for its owner to confirm it');
  due(work);
  return by.timeZone === wanted.zone ? SCHEDULES.confirm : `${SCHEDULES.confirm} ${ZONE_UNKNOWN}`;
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
  if (has.channel >= place) return tooManyText('channel', place);
  const everywhere = policy.limits.workspace?.schedules ?? SCHEDULES_ALLOWED.workspace;
  return has.workspace >= everywhere ? tooManyText('workspace', everywhere) : null;
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
