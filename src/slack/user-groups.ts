import { z } from 'zod';
import type { UserId } from '../bridge/ids.ts';
import type { GroupId } from '../bridge/policy.ts';
import type { Clock, Log, UserGroups } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { isPassing } from './refusals.ts';
import { type SlackApi, SlackError } from './slack-api.ts';

const FRESH_MS = 10 * 60_000;
/** So long the members of before count while newer ones are asked for, or can not be had. */
const USABLE_MS = 60 * 60_000;
const KEPT = 500;

interface Known {
  at: number;
  members: ReadonlySet<UserId>;
}

const answered = z.looseObject({ users: z.array(z.string()) });

/** Who is in which user group, by `usergroups.users.list`, kept for ten minutes. */
export function createUserGroups({ api, clock, log }: { api: SlackApi; clock: Clock; log: Log }): UserGroups {
  const known = new Map<GroupId, Known>();
  const asked = new Map<GroupId, Promise<ReadonlySet<UserId>>>();

  async function fetch(group: GroupId): Promise<ReadonlySet<UserId>> {
    try {
      const answer = answered.parse(
        await api.call('usergroups.users.list', { usergroup: group }, { client: 'control' }),
      );
      return new Set(answer.users);
    } catch (error) {
      if (error instanceof SlackError && error.failure === 'refused' && !isPassing(error.error)) {
        // A group that does not exist, or that the app may not read, has nobody in it: closed, not open.
        log.warn({ group, error: error.error }, 'slack does not tell who is in a user group of the policy');
        return new Set();
      }
      throw new BridgeError('slack_failed', 'the members of a user group could not be asked for', {
        notice: 'Slack does not say who is in a user group right now. Please try again in a moment.',
        retry: true,
        cause: error,
      });
    }
  }

  function refresh(group: GroupId): Promise<ReadonlySet<UserId>> {
    const underWay = asked.get(group);
    if (underWay) return underWay;
    const at = clock.now();
    const answer = fetch(group)
      .then((members) => {
        known.delete(group);
        known.set(group, { at, members });
        for (const oldest of known.keys()) {
          if (known.size <= KEPT) break;
          known.delete(oldest);
        }
        return members;
      })
      .finally(() => asked.delete(group));
    asked.set(group, answer);
    return answer;
  }

  return {
    async members(group) {
      const entry = known.get(group);
      const age = entry ? clock.now() - entry.at : Number.POSITIVE_INFINITY;
      if (entry && age < FRESH_MS) return entry.members;
      const fresh = refresh(group);
      if (!entry || age >= USABLE_MS) return fresh;
      fresh.catch((error: unknown) =>
        log.warn({ group, err: error }, 'members of a user group are older than they should be'),
      );
      return entry.members;
    },
  };
}
