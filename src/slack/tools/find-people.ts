import { z } from 'zod';
import type { UserId } from '../../bridge/ids.ts';
import type { Clock } from '../../bridge/ports.ts';
import { says } from '../../bridge/tools/result.ts';
import type { ToolCall, ToolHandler } from '../../bridge/tools/tool.ts';
import { quoted } from '../../bridge/turn/prompt.ts';
import { SlackError } from '../api/slack-api.ts';
import { nextCursor } from '../outbox/calls.ts';
import { cleanName } from '../people/clean-name.ts';
import { readPerson } from '../people/people.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { planning, resulting, type ToolApi } from './calls.ts';
import type { ToolParts } from './parts.ts';

type Call = ToolCall<'slack_find_people'>;

/** Somebody who can be found. */
interface Entry {
  id: string;
  kind: 'member' | 'guest' | 'external' | 'bot' | 'group';
  name: string;
  /** All words by which they are found, folded. */
  words: readonly string[];
  /** Foreign text about them. */
  title: string;
  timeZone: string | undefined;
}

interface Directory {
  people: readonly Entry[];
  groups: readonly Entry[];
  isWhole: boolean;
}

const users = z.looseObject({ members: z.array(z.unknown()) });
const user = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  real_name: z.string().nullish(),
  deleted: z.boolean().nullish(),
  profile: z
    .looseObject({ display_name: z.string().nullish(), real_name: z.string().nullish(), title: z.string().nullish() })
    .nullish(),
});
const groups = z.looseObject({
  usergroups: z.array(z.looseObject({ id: z.string(), name: z.string().nullish(), handle: z.string().nullish() })),
});
const members = z.looseObject({ members: z.array(z.string()) });

/** Pages of 1,000 people, which `users.list` gives 20 times a minute. */
const PAGES = 10;
const KEPT_MS = 10 * 60_000;
/** People and groups in one result. */
const SHOWN = 20;
const MEMBER_PAGES = 3;

/**
 * `slack_find_people`: who is called so in this workspace. Guests and people of other organisations, who see no more of it
 * in Slack, find the people of the channel.
 */
export function createFindPeople(parts: ToolParts & { enterpriseId: string | null }): ToolHandler<'slack_find_people'> {
  const { api, clock, people, enterpriseId } = parts;
  const directory = keep(clock, (team: string, signal) => readDirectory(api, team, enterpriseId, signal));

  /** `null`: all. */
  async function visibleTo({ requester, staysHere, team, address, signal }: Call): Promise<ReadonlySet<UserId> | null> {
    const person = /^[UW]/.test(requester) && !staysHere ? await people.getPerson(requester, team) : null;
    if (person?.kind === 'member' || person?.colleague) return null;
    const found = new Set<UserId>();
    let cursor: string | null = '';
    for (let page = 0; page < MEMBER_PAGES && cursor !== null; page += 1) {
      const args = { channel: address.channel, limit: 1_000, ...(cursor !== '' && { cursor }) };
      const answer = await api('conversations.members', args, signal);
      for (const id of members.parse(answer).members) found.add(id);
      cursor = nextCursor(answer);
    }
    return found;
  }

  return {
    prepare: (call) => planning(async () => ({ may: 'run', seal: fold(call.input.query) })),
    run: (call) =>
      resulting(async () => {
        const visible = await visibleTo(call);
        const known = await directory(call.team, call.signal);
        const all = [
          ...known.people.filter(({ id }) => visible === null || visible.has(id)),
          ...(visible === null ? known.groups : []),
        ];
        const found = search(all, call.input.query);
        const rest = known.isWhole ? [] : [TOOL_WORDS.onlySomeSearched(known.people.length)];
        if (found.length === 0) return says([TOOL_WORDS.noOneFound(quoted(call.input.query)), ...rest].join('\n'));
        const more = found.length > SHOWN ? [TOOL_WORDS.morePeople] : [];
        return says([TOOL_WORDS.people, ...found.slice(0, SHOWN).map(lineOf), ...more, ...rest].join('\n'));
      }),
  };
}

function lineOf({ id, kind, name, title, timeZone }: Entry): string {
  const facts = [
    ...(kind === 'member' ? [] : [kind === 'external' ? 'of another organisation' : kind]),
    ...(title === '' ? [] : [`title ${quoted(title)}`]),
    ...(timeZone === undefined ? [] : [`time zone ${timeZone}`]),
  ];
  return `${id} ${quoted(name)}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
}

/** Whole names first, then beginnings, then parts. */
function search(all: readonly Entry[], query: string): Entry[] {
  const wanted = fold(query.replace(/^@/, ''));
  if (wanted === '') return [];
  const rank = ({ id, words }: Entry) => {
    if (id.toLowerCase() === wanted || words.includes(wanted)) return 0;
    if (words.some((word) => word.startsWith(wanted))) return 1;
    return words.some((word) => word.includes(wanted)) ? 2 : 3;
  };
  return all
    .map((entry) => ({ entry, rank: rank(entry) }))
    .filter((each) => each.rank < 3)
    .sort((a, b) => a.rank - b.rank)
    .map(({ entry }) => entry);
}

function fold(words: string): string {
  return cleanName(words)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase();
}

async function readDirectory(
  api: ToolApi,
  team: string,
  enterpriseId: string | null,
  signal: AbortSignal,
): Promise<Directory> {
  const people: Entry[] = [];
  let cursor: string | null = '';
  for (let page = 0; page < PAGES && cursor !== null; page += 1) {
    const answer = await api('users.list', { limit: 1_000, ...(cursor !== '' && { cursor }) }, signal);
    for (const raw of users.parse(answer).members) people.push(...entryOf(raw, team, enterpriseId));
    cursor = nextCursor(answer);
  }
  return { people, groups: await readGroups(api, signal), isWhole: cursor === null };
}

function entryOf(raw: unknown, team: string, enterpriseId: string | null): Entry[] {
  const parsed = user.safeParse(raw);
  if (!parsed.success || parsed.data.deleted) return [];
  const { id, name, real_name, profile } = parsed.data;
  const person = readPerson(raw, id, team, enterpriseId);
  if (person.kind === 'deactivated') return [];
  const words = [person.name, name, real_name, profile?.display_name, profile?.real_name].map((each) =>
    fold(each ?? ''),
  );
  const title = cleanName(profile?.title ?? '');
  return [
    {
      ...{ id, kind: person.kind, name: person.name, title, timeZone: person.timeZone },
      words: [...new Set(words)].filter((each) => each !== ''),
    },
  ];
}

/** Without the scope for them, only people are found. */
async function readGroups(api: ToolApi, signal: AbortSignal): Promise<Entry[]> {
  try {
    const answer = await api('usergroups.list', {}, signal);
    return groups.parse(answer).usergroups.map(({ id, name, handle }) => ({
      ...{ id, kind: 'group', title: handle ? `@${cleanName(handle)}` : '', timeZone: undefined },
      name: cleanName(name ?? '') || id,
      words: [name, handle].map((each) => fold(each ?? '')).filter((each) => each !== ''),
    }));
  } catch (error) {
    if (error instanceof SlackError && error.failure === 'refused') return [];
    throw error;
  }
}

/** Keeps the last answer for ten minutes, for one workspace. */
function keep<Value>(clock: Clock, read: (team: string, signal: AbortSignal) => Promise<Value>) {
  let known: { team: string; until: number; value: Value } | null = null;
  return async (team: string, signal: AbortSignal): Promise<Value> => {
    if (known?.team === team && clock.monotonic() < known.until) return known.value;
    const value = await read(team, signal);
    known = { team, until: clock.monotonic() + KEPT_MS, value };
    return value;
  };
}
