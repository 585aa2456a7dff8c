import { asBridgeError } from '../../../errors.ts';
import { isBot } from '../../access/can.ts';
import type { Door } from '../../access/door.ts';
import type { PlaceSettings } from '../../access/policy.ts';
import { makeMessageKey, parseThreadKey, type ThreadKey } from '../../ids.ts';
import type { ThreadAddress } from '../../inbound.ts';
import type { Clock, Log, PastMessage, ThreadReader } from '../../ports.ts';
import { EARLIER } from '../../record/inbox.ts';
import type { InboxItem, LinkedMessages, OpenTurn, ThreadRecord } from '../../record/thread-record.ts';
import { linkedMessages, linksIn, type MessageLink } from '../../turn/links.ts';
import {
  type ChosenPast,
  choosePast,
  deliveredPast,
  isFirstTold,
  mayHavePast,
  type PastMessages,
  upToOf,
} from '../../turn/past.ts';
import { within } from '../../within.ts';

/** How the history of threads is read. */
export interface PastOptions {
  reader: ThreadReader;
  /** How many messages go along at most, besides a thread's first one. */
  mostMessages: number;
}

export interface PastSources {
  /** Left out: only replies that were delivered go along. */
  past?: PastOptions | undefined;
  door: Pick<Door, 'mayUseAgent'>;
  clock: Clock;
  log: Log;
}

/** Where a turn is. */
export interface TurnPlace {
  key: ThreadKey;
  address: ThreadAddress;
  record: ThreadRecord | null;
  isDirect: boolean;
  /** What of the thread may go along here. */
  context: PlaceSettings['context'];
  /** Set when the input joins the turn that runs: the agent knows what the bridge showed of that. */
  isSteering?: true;
}

/** What goes along with a turn. */
export type GoingAlong = ChosenPast & { notPassedOn: string[] };

/** A turn does not wait longer than this for Slack. */
const READ_WITHIN_MS = 3_000;
const NOTHING: PastMessages = { root: null, messages: [], unread: 0, isComplete: false };

/** Reads what goes along with a turn, within three seconds. What could not be read is named. Never rejects. */
export async function readPast(
  sources: PastSources,
  { key, context }: Pick<TurnPlace, 'key' | 'context'>,
  record: ThreadRecord,
  turn: OpenTurn,
): Promise<GoingAlong> {
  const { past, clock, log } = sources;
  if (past === undefined || context !== 'thread') {
    const chosen = deliveredPast(record, turn);
    return { ...chosen, context: context === 'off' ? [] : chosen.context, notPassedOn: turn.notPassedOn };
  }
  const others = turn.notPassedOn.filter((line) => line !== EARLIER);
  if (!mayHavePast(record, turn)) {
    return { ...choosePast(record, turn, NOTHING, past.mostMessages), notPassedOn: others };
  }
  const isFirst = isFirstTold(record);
  const failed = (reason: string): GoingAlong => {
    log.warn({ turn: turn.id, reason }, 'could not read the thread; the turn runs without it');
    const what = isFirst ? EARLIER : 'what else was written here since the last turn';
    return { ...deliveredPast(record, turn), notPassedOn: [...others, `${what} (${reason})`] };
  };
  try {
    const work = readMessages(sources, past, key, record, turn);
    const read = await within(clock, READ_WITHIN_MS, work);
    if (read === 'late') return failed('Slack did not answer in time');
    const chosen = choosePast(record, turn, read, past.mostMessages);
    log.debug({ turn: turn.id, messages: chosen.context.length, omitted: chosen.omitted }, 'read the thread');
    const missing = read.isComplete ? [] : ['the newest messages of this thread (it is too long)'];
    return { ...chosen, notPassedOn: [...others, ...missing] };
  } catch (error) {
    return failed(asBridgeError(error).notice);
  }
}

async function readMessages(
  { door }: PastSources,
  { reader, mostMessages }: PastOptions,
  key: ThreadKey,
  record: ThreadRecord,
  turn: OpenTurn,
): Promise<PastMessages> {
  const after = record.known?.upTo ?? null;
  const found = await reader.readThread(record.address, { after, before: upToOf(turn), most: mostMessages });
  const authors = [found.root, ...found.messages].flatMap((message) => (message && !message.own ? [message] : []));
  const verdicts = new Map<string, boolean>();
  await Promise.all(
    [...new Map(authors.map((author) => [author.user, author])).values()].map(async (author) => {
      // Whose rights Slack does not tell counts as one who has none.
      verdicts.set(author.user, await door.mayUseAgent(key, author).catch(() => false));
    }),
  );
  const { team, channel } = parseThreadKey(key);
  const itemOf = ({ ts, user, bot, own, spans, files }: PastMessage): InboxItem => ({
    key: makeMessageKey({ team, channel, ts }),
    ...{ ts, user, spans, files, receivedAt: 0 },
    ...(bot && { bot: true as const, ...(bot.user !== null && { botUser: bot.user }) }),
    ...(bot?.name && { botName: bot.name }),
    ...(own ? { own } : verdicts.get(user) !== true && { outsider: true as const }),
  });
  const { root, messages, unread, isComplete } = found;
  return { root: root && itemOf(root), messages: messages.map(itemOf), unread, isComplete };
}

/** Reads what is behind the links of a turn's messages to other messages, within three seconds. Never rejects. */
export async function readLinks(
  { past, clock }: PastSources,
  { key, context }: Pick<TurnPlace, 'key' | 'context'>,
  turn: OpenTurn,
): Promise<LinkedMessages[]> {
  // A bot is in no channel as a person is.
  if (past === undefined || context !== 'thread' || isBot(turn.requester)) return [];
  const { team, channel: from } = parseThreadKey(key);
  const read = async (link: MessageLink) => {
    const work = past.reader.readLinked({ ...link, reader: turn.requester, from });
    const found = await within(clock, READ_WITHIN_MS, work);
    return linkedMessages(team, link, found === 'late' ? { refused: 'Slack did not answer in time' } : found);
  };
  return Promise.all(linksIn(turn.items).map(read));
}
