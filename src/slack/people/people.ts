import { z } from 'zod';
import { BoundedMap } from '../../bounded-map.ts';
import type { TeamId, UserId } from '../../bridge/ids.ts';
import type { Person, PersonKind } from '../../bridge/person.ts';
import type { Clock, People } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { isPassing } from '../api/refusals.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';
import { mrkdwnSpans } from '../inbound/mrkdwn.ts';
import { NOTICES } from '../words/notices.ts';
import { cleanName } from './clean-name.ts';

const KEPT = 5_000;
const FRESH_MS = 10 * 60_000;
/** From this age on an answer is refreshed in the background. */
const REFRESH_MS = 5 * 60_000;

const user = z.looseObject({
  id: z.string(),
  team_id: z.string().nullish(),
  name: z.string().nullish(),
  real_name: z.string().nullish(),
  tz: z.string().nullish(),
  deleted: z.boolean().nullish(),
  is_bot: z.boolean().nullish(),
  is_restricted: z.boolean().nullish(),
  is_ultra_restricted: z.boolean().nullish(),
  is_stranger: z.boolean().nullish(),
  profile: z.looseObject({ display_name: z.string().nullish(), real_name: z.string().nullish() }).nullish(),
  enterprise_user: z
    .looseObject({ enterprise_id: z.string().nullish(), teams: z.array(z.string()).nullish() })
    .nullish(),
});

const channel = z.looseObject({
  name: z.string().nullish(),
  topic: z.looseObject({ value: z.string().nullish() }).nullish().catch(null),
  is_ext_shared: z.boolean().nullish(),
  is_pending_ext_shared: z.boolean().nullish(),
  is_mpim: z.boolean().nullish(),
});

interface ChannelFacts {
  name: string;
  topic: string;
  isShared: boolean;
  isGroupDm: boolean;
}

/** Slack knows no such user here, so the person is not a member. */
const UNKNOWN_PERSON: ReadonlySet<string> = new Set(['user_not_found', 'user_not_visible', 'users_not_found']);
export interface PeopleOptions {
  api: SlackApi;
  clock: Clock;
  /** Our organisation on Enterprise Grid; its people are members in each of its workspaces. */
  enterpriseId?: string | null;
}

/** A name of the time zone database. */
const TIME_ZONE = /^[A-Za-z][\w+/-]{1,60}$/;

/** Reads Slack's `user` object; exported for its tests. */
export function readPerson(raw: unknown, id: UserId, team: TeamId, enterpriseId: string | null): Person {
  const parsed = user.safeParse(raw);
  // A user that cannot be parsed counts as `external`, because access is closed to those by default.
  if (!parsed.success) return { id, team, kind: 'external', name: id };
  const { profile, real_name, name, team_id, tz } = parsed.data;
  const colleague = isColleague(parsed.data, team, enterpriseId);
  const shown = [profile?.display_name, profile?.real_name, real_name, name].map((each) => cleanName(each ?? ''));
  return {
    id,
    team: team_id || team,
    kind: kindOf(parsed.data, team, colleague),
    ...(colleague && { colleague }),
    name: shown.find((each) => each !== '') ?? id,
    ...(tz && TIME_ZONE.test(tz) && { timeZone: tz }),
  };
}

/** Whether the person belongs to our organisation on Enterprise Grid, in any of its workspaces. */
function isColleague(
  { enterprise_user: grid }: z.infer<typeof user>,
  team: TeamId,
  enterpriseId: string | null,
): boolean {
  return (enterpriseId !== null && grid?.enterprise_id === enterpriseId) || grid?.teams?.includes(team) === true;
}

function kindOf(person: z.infer<typeof user>, team: TeamId, colleague: boolean): PersonKind {
  if (person.is_bot || person.id === 'USLACKBOT') return 'bot';
  if (person.deleted) return 'deactivated';
  // Slack calls colleagues of another workspace of our organisation strangers, too: `colleague` tells them apart.
  const elsewhere = person.is_stranger === true || (Boolean(person.team_id) && person.team_id !== team);
  if (elsewhere && !colleague) return 'external';
  return person.is_restricted || person.is_ultra_restricted ? 'guest' : 'member';
}

interface Entry<Value> {
  /** When we asked (not when Slack answered), by the monotonic clock: the answer may be as old as that. */
  at: number;
  value: Promise<Value>;
  /** The request for a newer answer. */
  newer: Promise<Value> | null;
}

/**
 * Caches values by age and drops the least recently used. Callers who ask during a request share its answer. Values
 * that get old are fetched again in the background, so that callers need not wait.
 */
function createCache<Value>(clock: Clock) {
  const entries = new BoundedMap<string, Entry<Value>>(KEPT);

  function ageOf({ at }: Entry<Value>): number {
    return clock.monotonic() - at;
  }

  function startFetch(key: string, fetch: () => Promise<Value>): Promise<Value> {
    const entry: Entry<Value> = { at: clock.monotonic(), value: fetch(), newer: null };
    entries.set(key, entry);
    entry.value.catch(() => {
      if (entries.get(key) === entry) entries.delete(key);
    });
    return entry.value;
  }

  /** The old answer is kept until the new one arrives or the old one expires. */
  function refetch(key: string, entry: Entry<Value>, fetch: () => Promise<Value>): Promise<Value> {
    if (entry.newer) return entry.newer;
    const at = clock.monotonic();
    const next = fetch();
    entry.newer = next;
    next.then(
      () => {
        if (entries.get(key) === entry) entries.set(key, { at, value: next, newer: null });
      },
      () => {
        entry.newer = null;
      },
    );
    return next;
  }

  return (key: string, fetch: () => Promise<Value>, maxAgeMs = FRESH_MS): Promise<Value> => {
    const known = entries.get(key);
    const age = known ? ageOf(known) : Number.POSITIVE_INFINITY;
    if (!known || age >= FRESH_MS) return known?.newer ?? startFetch(key, fetch);
    // Moves the entry to the end, so that the least recently used entries are dropped first.
    entries.set(key, known);
    if (age > maxAgeMs) return refetch(key, known, fetch);
    if (age >= REFRESH_MS) refetch(key, known, fetch).catch(() => undefined);
    return known.value;
  };
}

export interface SlackPeople extends People {
  /** The name that a person had when Slack was last asked for them; `undefined`: not asked since the start. */
  lastNameOf(id: string): string | undefined;
}

/** A topic as people read it. */
function topicText(value: string): string {
  const texts = mrkdwnSpans(value.slice(0, 1_000)).map((span) =>
    span.kind === 'text' ? span.text : `@${'id' in span ? span.id : span.range}`,
  );
  return texts.join('').trim();
}

/** Asks Slack who people are and what channels are called, and keeps answers for ten minutes. */
export function createPeople({ api, clock, enterpriseId = null }: PeopleOptions): SlackPeople {
  const names = new BoundedMap<string, string>(KEPT);
  const cachedPerson = createCache<Person>(clock);
  const cachedChannel = createCache<ChannelFacts>(clock);

  async function fetchPerson(id: UserId, team: TeamId): Promise<Person> {
    try {
      const answer = await api.call('users.info', { user: id }, { client: 'control' });
      const person = readPerson(answer.user, id, team, enterpriseId);
      names.set(id, person.name);
      return person;
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      if (error.failure === 'refused' && UNKNOWN_PERSON.has(error.error)) {
        return { id, team, kind: 'external', name: id };
      }
      throw new BridgeError('slack_failed', error.message, {
        notice: NOTICES.unknownPerson,
        retry: error.failure !== 'refused' || isPassing(error.error),
        cause: error,
      });
    }
  }

  async function fetchChannel(id: string): Promise<ChannelFacts> {
    try {
      const answer = await api.call('conversations.info', { channel: id }, { client: 'control' });
      const parsed = channel.safeParse(answer.channel);
      if (!parsed.success) return { name: id, topic: '', isShared: true, isGroupDm: false };
      const { name, topic, is_ext_shared, is_pending_ext_shared, is_mpim } = parsed.data;
      const isShared = is_ext_shared === true || is_pending_ext_shared === true;
      return {
        name: cleanName(name ?? '') || id,
        topic: topicText(topic?.value ?? ''),
        isShared,
        isGroupDm: is_mpim === true,
      };
    } catch (error) {
      // Slack would refuse again, so the refusal is cached like an answer; other failures are not.
      if (error instanceof SlackError && error.failure === 'refused' && !isPassing(error.error)) {
        return { name: id, topic: '', isShared: true, isGroupDm: false };
      }
      throw new BridgeError('slack_failed', 'could not ask Slack about the channel', {
        notice: NOTICES.unknownChannel,
        retry: true,
        cause: error,
      });
    }
  }

  const factsOf = (id: string, team: TeamId) => cachedChannel(`${team}:${id}`, () => fetchChannel(id));

  return {
    getPerson: (id, team, maxAgeMs) => cachedPerson(`${team}:${id}`, () => fetchPerson(id, team), maxAgeMs),
    getChannelName: (id, team) =>
      factsOf(id, team).then(
        ({ name }) => name,
        () => id,
      ),
    lastNameOf: (id) => names.get(id),
    getChannelTopic: (id, team) =>
      factsOf(id, team).then(
        ({ topic }) => topic,
        () => '',
      ),
    isShared: async (id, team) => (await factsOf(id, team)).isShared,
    isGroupDm: async (id, team) => (await factsOf(id, team)).isGroupDm,
  };
}
