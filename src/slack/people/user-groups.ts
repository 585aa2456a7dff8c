import { z } from 'zod';
import { BoundedMap } from '../../bounded-map.ts';
import type { GroupId } from '../../bridge/access/policy.ts';
import type { UserId } from '../../bridge/ids.ts';
import type { Clock, Log, UserGroups } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { isLasting, isPassing } from '../api/refusals.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';
import { NOTICES } from '../words/notices.ts';

/** A membership expires this long after Slack has confirmed it. */
const USABLE_MS = 10 * 60_000;
/** From this age on an answer is refreshed in the background, so that callers seldom wait. */
const REFRESH_MS = 5 * 60_000;
const KEPT = 500;
const FAILED_MS = 60_000;

interface Known {
  /** When we asked (not when Slack answered), by the monotonic clock: the answer may be as old as that. */
  at: number;
  members: ReadonlySet<UserId>;
}

const answered = z.looseObject({ users: z.array(z.string()) });
const listed = z.array(z.looseObject({ id: z.string(), handle: z.string().nullish() }));

/**
 * Reads the members of user groups with `usergroups.users.list`. An answer is valid for ten minutes; if Slack gives no
 * newer one in that time, `members` rejects rather than trust an old one.
 */
export function createUserGroups({ api, clock, log }: { api: SlackApi; clock: Clock; log: Log }): UserGroups {
  const known = new BoundedMap<GroupId, Known>(KEPT);
  const inFlight = new Map<GroupId, Promise<ReadonlySet<UserId>>>();
  let handles: { until: number; value: Promise<ReadonlyMap<GroupId, string>> } | null = null;

  async function fetchMembers(id: GroupId): Promise<ReadonlySet<UserId>> {
    try {
      const answer = answered.parse(await api.call('usergroups.users.list', { usergroup: id }, { client: 'control' }));
      return new Set(answer.users);
    } catch (error) {
      if (error instanceof SlackError && error.failure === 'refused' && !isPassing(error.error)) {
        // If the group does not exist or the app may not read it, it counts as empty: access stays closed.
        if (!isLasting(error.error)) {
          log.warn({ group: id, error: error.error }, 'Slack does not tell who is in a user group of the policy');
          return new Set();
        }
      }
      throw new BridgeError('slack_failed', 'could not ask Slack for the members of a user group', {
        notice: NOTICES.unknownGroup,
        retry: true,
        cause: error,
      });
    }
  }

  /** Of all groups at once. A failure is kept for a minute, because it is only about how a group is called. */
  function listHandles(): Promise<ReadonlyMap<GroupId, string>> {
    const now = clock.monotonic();
    if (handles && now < handles.until) return handles.value;
    const value = api
      .call('usergroups.list', {}, { client: 'live' })
      .then(
        ({ usergroups }) =>
          new Map(listed.parse(usergroups).flatMap(({ id, handle }) => (handle ? [[id, handle]] : []))),
      );
    const entry = { until: now + USABLE_MS, value };
    value.catch(() => {
      entry.until = clock.monotonic() + FAILED_MS;
    });
    handles = entry;
    return value;
  }

  function ageOf(entry: Known | undefined): number {
    return entry ? clock.monotonic() - entry.at : Number.POSITIVE_INFINITY;
  }

  function refreshMembers(group: GroupId): Promise<ReadonlySet<UserId>> {
    const underWay = inFlight.get(group);
    if (underWay) return underWay;
    const at = clock.monotonic();
    const answer = fetchMembers(group)
      .then((members) => {
        known.set(group, { at, members });
        return members;
      })
      .finally(() => inFlight.delete(group));
    inFlight.set(group, answer);
    return answer;
  }

  return {
    getHandle: async (group) => (await listHandles().catch(() => null))?.get(group) ?? null,
    async listMembers(group) {
      const entry = known.get(group);
      const age = ageOf(entry);
      if (!entry || age >= USABLE_MS) return refreshMembers(group);
      if (age >= REFRESH_MS) {
        refreshMembers(group).catch((error: unknown) =>
          log.warn({ group, err: error }, 'could not refresh the members of a user group'),
        );
      }
      return entry.members;
    },
  };
}
