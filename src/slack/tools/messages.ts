import { compareTs, isDirect, makeMessageKey, type SlackTs, type TeamId } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { PastMessage, PastQuery, People, Random, ThreadReader } from '../../bridge/ports.ts';
import type { InboxItem } from '../../bridge/record/thread-record.ts';
import { cutSpans } from '../../bridge/text/cut-spans.ts';
import { fileLabel } from '../../bridge/text/file-label.ts';
import { oneLine } from '../../bridge/text/one-line.ts';
import { contextLines, type Names, quoted, spansText } from '../../bridge/turn/prompt.ts';
import { BridgeError } from '../../errors.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { ToolRefused } from './calls.ts';

/** Messages that were read for a tool, oldest first. */
export interface ReadMessages {
  items: InboxItem[];
  /** Whether Slack has older ones than these. */
  hasOlder: boolean;
}

/** Characters of one message, and of a whole result: results stay under 32,000. */
const MESSAGE_CHARACTERS = 6_000;
const RESULT_CHARACTERS = 27_000;
const SEAL = 8;
/** Newer than any message: all are older. */
export const NEWEST: SlackTs = '9999999999.999999';

/** The newest `limit` messages of a place that the query asks for. Rejects with a ToolRefused. */
export async function readMessages(
  reader: ThreadReader,
  address: ThreadAddress,
  query: Pick<PastQuery, 'after' | 'before'>,
  limit: number,
): Promise<ReadMessages> {
  try {
    const { root, messages, unread } = await reader.readThread(address, { ...query, most: limit });
    const all = [...(root ? [root] : []), ...messages];
    const items = all.map((message) => itemOf(address.team, address.channel, message));
    // The first message of a thread comes with every page of Slack's; here it has its place among the others.
    const older = items.filter(({ ts }) => compareTs(ts, query.before) < 0);
    return { items: older.slice(-limit), hasOlder: older.length > limit || unread > 0 };
  } catch (error) {
    if (error instanceof BridgeError) throw new ToolRefused(TOOL_WORDS.unreadable(error.notice));
    throw error;
  }
}

function itemOf(team: TeamId, channel: string, message: PastMessage): InboxItem {
  const { ts, user, bot, own, spans, files } = message;
  return {
    key: makeMessageKey({ team, channel, ts }),
    ...{ ts, user, spans: cutSpans(spans, MESSAGE_CHARACTERS), files, receivedAt: 0 },
    ...(bot && { bot: true as const }),
    ...(bot?.name && { botName: bot.name }),
    ...(own && { own }),
  };
}

export interface ShowOptions {
  people: People;
  random: Random;
  team: TeamId;
  botUser: string;
  /** What is shown, in words of ours. */
  heading: string;
  /** How to get older messages, after the time stamp of the oldest one that is shown. */
  older(ts: SlackTs): string;
  /** Whether files may be read with `slack_read_file`, so that their ids are told. */
  hasFiles: boolean;
}

/**
 * Messages for the agent, marked as untrusted as in the prompt: each line of ours begins with a seal that no text
 * contains. The newest ones that fit; how to get the others.
 */
export async function showMessages(read: ReadMessages, options: ShowOptions): Promise<string> {
  const names = await namesOf(read.items, options);
  const seal = sealFor(read.items, names, options);
  const line = (text: string) => `[${seal}] ${text}`;
  const kept: string[] = [];
  let left = RESULT_CHARACTERS;
  let oldest: SlackTs | null = null;
  for (const item of read.items.toReversed()) {
    const files = options.hasFiles ? item.files.map(({ id, name }) => line(`File ${id}: ${quoted(name)}`)) : [];
    const text = [...contextLines(item, line, { names, botUser: options.botUser }), ...files].join('\n');
    left -= text.length + 1;
    if (left < 0) break;
    kept.unshift(text);
    oldest = item.ts;
  }
  const hasOlder = read.hasOlder || kept.length < read.items.length;
  const head = [line(`${options.heading}. ${TOOL_WORDS.howToRead}`)];
  if (kept.length === 0) head.push(line(TOOL_WORDS.noMessages));
  if (hasOlder && oldest !== null) head.push(line(options.older(oldest)));
  return [...head, ...kept].join('\n');
}

/** Names of the people and channels in the messages; what Slack does not tell is shown as its id. */
async function namesOf(items: readonly InboxItem[], { people, team }: ShowOptions): Promise<Names> {
  const users = new Map<string, string>();
  const channels = new Map<string, string>();
  const ids = new Set<string>();
  const places = new Set<string>();
  for (const { user, own, botName, spans } of items) {
    if (!own && botName === undefined) ids.add(user);
    for (const span of spans) {
      if (span.kind === 'user') ids.add(span.id);
      if (span.kind === 'channel' && span.name === null && !isDirect(span.id)) places.add(span.id);
    }
  }
  await Promise.all([
    ...[...ids].slice(0, MOST_NAMES).map(async (id) => {
      const person = await people.getPerson(id, team).catch(() => null);
      if (person) users.set(id, oneLine(person.name, 80));
    }),
    ...[...places].slice(0, MOST_NAMES).map(async (id) => {
      channels.set(id, oneLine(await people.getChannelName(id, team), 80));
    }),
  ]);
  return { users, channels };
}

/** More people than Slack may be asked for at once. */
const MOST_NAMES = 40;

function sealFor(items: readonly InboxItem[], names: Names, { random, botUser, heading }: ShowOptions): string {
  const texts = [
    ...items.flatMap(({ spans, files, botName }) => [
      spansText(spans, names, botUser),
      ...files.flatMap((file) => [fileLabel(file), file.name]),
      botName ?? '',
    ]),
    ...names.users.values(),
    ...names.channels.values(),
    heading,
  ];
  for (;;) {
    const seal = random.id().slice(0, SEAL);
    if (!texts.some((text) => text.includes(seal))) return seal;
  }
}
