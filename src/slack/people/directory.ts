import { z } from 'zod';
import { type SlackApi, SlackError } from '../api/slack-api.ts';

/** What a word stands for in this workspace, or a sentence for people that says why nothing was found. */
export type Found<What> = { found: What } | { problem: string };

export interface FoundPerson {
  /** `U…`, or `S…` for a user group. */
  id: string;
  /** As people see it. Foreign text: escape it before it is shown. */
  name: string;
}

export interface FoundChannel {
  id: string;
  /** Without `#`. */
  name: string;
  isMember: boolean;
}

/** Finds ids by what people type during setup. It reads whole lists, so it is too slow to use for each message. */
export interface Directory {
  /** An e-mail address, `@handle` or `@user-group`, or an id. */
  findPerson(word: string): Promise<Found<FoundPerson>>;
  /** `#name` or an id. */
  findChannel(word: string): Promise<Found<FoundChannel>>;
  /** The channels that the bot is in. */
  listJoined(): Promise<FoundChannel[]>;
}

const PAGE = 200;
const MOST_PAGES = 50;

const user = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  deleted: z.boolean().nullish(),
  profile: z.looseObject({ display_name: z.string().nullish() }).nullish(),
});
const group = z.looseObject({ id: z.string(), handle: z.string().nullish(), name: z.string().nullish() });
const channel = z.looseObject({ id: z.string(), name: z.string().nullish(), is_member: z.boolean().nullish() });
const cursor = z.looseObject({
  response_metadata: z.looseObject({ next_cursor: z.string().nullish() }).nullish(),
});

export function createDirectory(api: SlackApi): Directory {
  const call = (method: string, args: Record<string, unknown>) => api.call(method, args, { client: 'control' });

  /** Reads all pages of a list and leaves out entries that cannot be parsed. */
  async function fetchAll<Row>(method: string, args: Record<string, unknown>, list: string, row: z.ZodType<Row>) {
    const rows: Row[] = [];
    let next = '';
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const answer = await call(method, { ...args, limit: PAGE, ...(next !== '' && { cursor: next }) });
      const items: unknown = answer[list];
      for (const item of Array.isArray(items) ? items : []) {
        const parsed = row.safeParse(item);
        if (parsed.success) rows.push(parsed.data);
      }
      next = cursor.safeParse(answer).data?.response_metadata?.next_cursor ?? '';
      if (next === '') break;
    }
    return rows;
  }

  async function findByEmail(email: string): Promise<Found<FoundPerson>> {
    try {
      const answer = await call('users.lookupByEmail', { email });
      const { id, name } = user.parse(answer.user);
      return { found: { id, name: name ?? id } };
    } catch (error) {
      if (!(error instanceof SlackError) || error.failure !== 'refused') throw error;
      if (error.error === 'missing_scope') {
        return {
          problem:
            'this app cannot read e-mail addresses (it lacks the optional scope users:read.email); use an @handle',
        };
      }
      return { problem: `no one has the address ${email}` };
    }
  }

  async function findById(id: string): Promise<Found<FoundPerson>> {
    try {
      const answer = await call('users.info', { user: id });
      const { name } = user.parse(answer.user);
      return { found: { id, name: name ?? id } };
    } catch (error) {
      if (error instanceof SlackError && error.failure === 'refused') return { problem: `there is no user ${id}` };
      throw error;
    }
  }

  async function findByHandle(handle: string): Promise<Found<FoundPerson>> {
    const wanted = handle.toLowerCase();
    const groups = await fetchAll('usergroups.list', {}, 'usergroups', group);
    const ofGroup = groups.find((each) => each.handle?.toLowerCase() === wanted);
    if (ofGroup) return { found: { id: ofGroup.id, name: ofGroup.name ?? handle } };
    const users = (await fetchAll('users.list', {}, 'members', user)).filter(({ deleted }) => deleted !== true);
    // Handles are unique, so they are tried first; several people may have the same display name.
    const named = users.find(({ name }) => name?.toLowerCase() === wanted);
    if (named) return { found: { id: named.id, name: named.name ?? handle } };
    const shown = users.filter(({ profile }) => profile?.display_name?.toLowerCase() === wanted);
    const [only] = shown;
    if (shown.length > 1)
      return { problem: `${shown.length} people are called ${handle}; use an id (profile, ⋮, Copy member ID)` };
    return only
      ? { found: { id: only.id, name: handle } }
      : { problem: `no person and no user group is called @${handle}` };
  }

  const listChannels = () =>
    fetchAll(
      'conversations.list',
      { types: 'public_channel,private_channel', exclude_archived: true },
      'channels',
      channel,
    );
  const toFound = ({ id, name, is_member }: z.infer<typeof channel>): FoundChannel => {
    return { id, name: name ?? id, isMember: is_member === true };
  };

  return {
    async findPerson(word) {
      if (/^[UW][A-Z0-9]{2,}$/.test(word)) return findById(word);
      if (/^S[A-Z0-9]{2,}$/.test(word)) {
        const groups = await fetchAll('usergroups.list', {}, 'usergroups', group);
        const known = groups.find(({ id }) => id === word);
        return known
          ? { found: { id: word, name: known.name ?? word } }
          : { problem: `there is no user group ${word}` };
      }
      if (/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(word)) return findByEmail(word);
      return findByHandle(word.replace(/^@/, ''));
    },
    async findChannel(word) {
      const name = word.replace(/^#/, '').toLowerCase();
      const known = (await listChannels()).find((each) => each.id === word || each.name?.toLowerCase() === name);
      if (!known) return { problem: `the bot cannot find the channel ${word}; if it is private, invite the bot first` };
      return { found: toFound(known) };
    },
    async listJoined() {
      return (await listChannels()).map(toFound).filter(({ isMember }) => isMember);
    },
  };
}
