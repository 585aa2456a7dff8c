import { z } from 'zod';
import type { TeamId } from '../../bridge/ids.ts';
import type { Clock } from '../../bridge/ports.ts';
import { type SlackAnswer, type SlackApi, type SlackCall, SlackError } from './slack-api.ts';

/** Lists that an org-wide token gets of one workspace at a time (docs/slack.md, OAuth and rotation), and their rows. */
const PAGED: Readonly<Record<string, string>> = { 'users.list': 'members', 'conversations.list': 'channels' };
const FRESH_MS = 10 * 60_000;
const PAGE = 100;
/** More workspaces of an organisation are not looked into. */
const MOST_TEAMS = 500;
/** Slack's words for a user group that is of another workspace. */
const ELSEWHERE: ReadonlySet<string> = new Set(['no_such_subteam', 'subteam_not_found', 'invalid_team']);

const teamsList = z.looseObject({
  teams: z.array(z.looseObject({ id: z.string() })),
  response_metadata: z.looseObject({ next_cursor: z.string().nullish() }).nullish(),
});
const groupsList = z.looseObject({ usergroups: z.array(z.unknown()) });
const cursorOf = z.looseObject({ response_metadata: z.looseObject({ next_cursor: z.string().nullish() }).nullish() });

/**
 * The Web API of an org-wide installation: methods that act on one workspace are asked about all workspaces that have the
 * app, so that callers need not know which they are. Ids are the same in all of them.
 */
export function acrossTeams(api: SlackApi, clock: Clock): SlackApi {
  let known: { until: number; teams: Promise<readonly TeamId[]> } | null = null;

  async function fetchTeams(options: SlackCall): Promise<readonly TeamId[]> {
    const teams: TeamId[] = [];
    let cursor = '';
    do {
      const args = { limit: PAGE, ...(cursor !== '' && { cursor }) };
      const parsed = teamsList.safeParse(await api.call('auth.teams.list', args, options));
      if (!parsed.success) throw new SlackError('auth.teams.list', 'unknown', 'unexpected_answer');
      teams.push(...parsed.data.teams.map(({ id }) => id));
      cursor = parsed.data.response_metadata?.next_cursor ?? '';
    } while (cursor !== '' && teams.length < MOST_TEAMS);
    return teams.slice(0, MOST_TEAMS);
  }

  function listTeams(options: SlackCall): Promise<readonly TeamId[]> {
    if (known && clock.monotonic() < known.until) return known.teams;
    const asked = { until: clock.monotonic() + FRESH_MS, teams: fetchTeams(options) };
    known = asked;
    asked.teams.catch(() => {
      if (known === asked) known = null;
    });
    return asked.teams;
  }

  /** One page of one workspace; the cursor tells which comes next. */
  async function callPaged(method: string, args: Record<string, unknown>, options: SlackCall): Promise<SlackAnswer> {
    const teams = await listTeams(options);
    const given = typeof args.cursor === 'string' ? args.cursor : '';
    const [team = teams[0] ?? '', ...rest] = given === '' ? [] : given.split(' ');
    const inner = rest.join(' ');
    const { cursor: _cursor, ...others } = args;
    if (team === '') return { ok: true, [PAGED[method] ?? '']: [], response_metadata: { next_cursor: '' } };
    const answer = await api.call(
      method,
      { ...others, team_id: team, ...(inner !== '' && { cursor: inner }) },
      options,
    );
    const more = cursorOf.safeParse(answer).data?.response_metadata?.next_cursor ?? '';
    const next = teams[teams.indexOf(team) + 1];
    const cursor = more !== '' ? `${team} ${more}` : next === undefined ? '' : `${next} `;
    return { ...answer, response_metadata: { ...(answer.response_metadata as object), next_cursor: cursor } };
  }

  async function listGroups(args: Record<string, unknown>, options: SlackCall): Promise<SlackAnswer> {
    const usergroups: unknown[] = [];
    for (const team_id of await listTeams(options)) {
      const answer = await api.call('usergroups.list', { ...args, team_id }, options);
      usergroups.push(...(groupsList.safeParse(answer).data?.usergroups ?? []));
    }
    return { ok: true, usergroups };
  }

  async function listMembers(args: Record<string, unknown>, options: SlackCall): Promise<SlackAnswer> {
    let refusal: SlackError | null = null;
    for (const team_id of await listTeams(options)) {
      try {
        return await api.call('usergroups.users.list', { ...args, team_id }, options);
      } catch (error) {
        if (!(error instanceof SlackError) || error.failure !== 'refused' || !ELSEWHERE.has(error.error)) throw error;
        refusal = error;
      }
    }
    throw refusal ?? new SlackError('usergroups.users.list', 'refused', 'no_such_subteam');
  }

  return {
    call(method, args, options) {
      if (args.team_id !== undefined) return api.call(method, args, options);
      if (method in PAGED) return callPaged(method, args, options);
      if (method === 'usergroups.list') return listGroups(args, options);
      if (method === 'usergroups.users.list') return listMembers(args, options);
      return api.call(method, args, options);
    },
  };
}
