import { compareTs, type MessageKey, type SlackTs } from '../ids.ts';
import { hasSeen, sortByTs } from '../record/inbox.ts';
import { sentItems } from '../record/steered.ts';
import type { InboxItem, KnownThread, OpenTurn, ThreadRecord } from '../record/thread-record.ts';
import { cutSpans } from '../text/cut-spans.ts';
import { fileLabel } from '../text/file-label.ts';
import { noNames, spansText } from './prompt.ts';

/** What Slack's history holds of a thread: at most what was asked for. */
export interface PastMessages {
  /** The thread's first message, however old; `null`: there is none, or Slack does not have it any more. */
  root: InboxItem | null;
  /** The others, oldest first. */
  messages: readonly InboxItem[];
  /** How many between the first message and the others Slack did not give, at least. */
  unread: number;
  /** False when the newest ones are missing. */
  isComplete: boolean;
}

/** What of the thread goes along with a turn, root first. */
export interface ChosenPast {
  context: InboxItem[];
  omitted: number;
  isFirst: boolean;
  known: KnownThread;
}

/** Characters that go along as context, and those of one message. */
export const PAST_CHARACTERS = 24_000;
const MESSAGE_CHARACTERS = 6_000;
/** How many messages that a turn is about go along for sure. */
const MOST_ASKED_ABOUT = 3;
/** What the envelope's line around a message has, roughly. */
const LINE_CHARACTERS = 180;
/** Single messages that are remembered as told while the history cannot be read. */
const ALSO_LIMIT = 200;

/** Whether the conversation knows nothing of the thread yet, so that its first message goes along. */
export function isFirstTold({ known }: ThreadRecord): boolean {
  return (known?.upTo ?? null) === null;
}

/**
 * Up to when a turn knows its thread: messages after its own come with the next turn. Of a message that was run late, all
 * that was written until somebody asked for it counts.
 */
export function upToOf({ items }: Pick<OpenTurn, 'items'>): SlackTs {
  const times = items.map(({ ts, askedAt }) => (askedAt === undefined ? ts : laterTs(ts, tsOf(askedAt))));
  return times.reduce(laterTs, '0.000000');
}

function tsOf(ms: number): SlackTs {
  return `${Math.floor(ms / 1000)}.${String(Math.floor(ms % 1000) * 1000).padStart(6, '0')}`;
}

function laterTs(a: SlackTs, b: SlackTs): SlackTs {
  return compareTs(a, b) >= 0 ? a : b;
}

/**
 * Whether there can be anything to read: not when the turn's only message begins the thread of a conversation that is
 * new.
 */
export function mayHavePast(record: ThreadRecord, { items }: Pick<OpenTurn, 'items'>): boolean {
  const { threadTs } = record.address;
  return !(isFirstTold(record) && items.length === 1 && threadTs !== null && items[0]?.ts === threadTs);
}

/**
 * Chooses what goes along of what Slack's history holds: the first message of a thread that the conversation does not
 * know, and the newest others within the limits. What the conversation knows, what waits for a turn of its own, and what
 * the bridge handled otherwise (a command, an answer, a refusal) is left out.
 */
export function choosePast(
  record: ThreadRecord,
  turn: Pick<OpenTurn, 'items' | 'context'>,
  read: PastMessages,
  mostMessages: number,
): ChosenPast {
  const isFirst = isFirstTold(record);
  const upTo = upToOf(turn);
  const isToGo = toGo(record, turn, isFirst);
  const root = isFirst && read.root && isToGo(read.root) ? shortened(read.root, PAST_CHARACTERS / 3) : null;
  // Where Slack did not give the newest ones, those that were delivered fill the gap.
  const isAskedAbout = askedAbout(turn);
  const delivered = turn.context.filter((item) => !read.isComplete || isAskedAbout(item));
  const found = new Map([...delivered, ...read.messages].map((item) => [item.key, item]));
  const others = sortByTs([...found.values()]).filter(
    (item) =>
      item.key !== root?.key &&
      compareTs(item.ts, upTo) < 0 &&
      (isAskedAbout(item) || (item.key !== read.root?.key && isToGo(item))),
  );
  const kept: InboxItem[] = [];
  let left = PAST_CHARACTERS - (root ? sizeOf(root) : 0);
  // What somebody asks about goes along however long the thread is.
  const wanted = others.filter(isAskedAbout).slice(-MOST_ASKED_ABOUT);
  for (const item of wanted) {
    const short = shortened(item, MESSAGE_CHARACTERS);
    left -= sizeOf(short);
    kept.push(short);
  }
  const newest = others.filter((item) => !wanted.includes(item)).toReversed();
  for (const item of newest.slice(0, mostMessages)) {
    const short = shortened(item, MESSAGE_CHARACTERS);
    left -= sizeOf(short);
    if (left < 0) break;
    kept.unshift(short);
  }
  const known = record.known ?? { upTo: null, also: [] };
  const next = known.upTo === null ? upTo : laterTs(known.upTo, upTo);
  const also = [...known.also, ...turn.items.map(({ ts }) => ts)].filter((ts) => compareTs(ts, next) > 0);
  return {
    context: [...(root ? [root] : []), ...sortByTs(kept)],
    omitted: others.length - kept.length + read.unread,
    isFirst,
    known: { upTo: next, also: also.slice(-ALSO_LIMIT) },
  };
}

/** Whether a dialog or a reaction among the turn's messages asks about this one. */
function askedAbout({ items }: Pick<OpenTurn, 'items'>): (item: InboxItem) => boolean {
  const asked = new Set(items.flatMap(({ about }) => (about ? [about.ts] : [])));
  // It may be one of the turn's own messages.
  for (const { ts } of items) asked.delete(ts);
  return ({ ts }) => asked.has(ts);
}

/** What goes along when the history is not read: what was delivered. It is noted, so that it is not told again. */
export function deliveredPast(record: ThreadRecord, turn: Pick<OpenTurn, 'items' | 'context'>): ChosenPast {
  const { upTo = null, also = [] } = record.known ?? {};
  const told = [...turn.context, ...turn.items].map(({ ts }) => ts);
  const beyond = [...new Set([...also, ...told])].filter((ts) => upTo === null || compareTs(ts, upTo) > 0);
  const isToGo = toGo(record, turn, false);
  const isAskedAbout = askedAbout(turn);
  return {
    context: turn.context.filter((item) => isToGo(item) || isAskedAbout(item)),
    omitted: 0,
    isFirst: false,
    known: { upTo, also: beyond.sort(compareTs).slice(-ALSO_LIMIT) },
  };
}

function toGo(
  record: ThreadRecord,
  { items }: Pick<OpenTurn, 'items'>,
  isFirst: boolean,
): (item: InboxItem) => boolean {
  const { known, inbox, offers } = record;
  const also = new Set(known?.also);
  const held = offers.filter(({ state }) => state.state === 'open').flatMap((offer) => offer.items);
  const own = new Set<MessageKey>([...items, ...inbox, ...sentItems(record.turn), ...held].map(({ key }) => key));
  const contextOnly = new Set(record.seen.filter(({ as }) => as === 'context').map(({ key }) => key));
  return (item) => {
    if (own.has(item.key) || also.has(item.ts)) return false;
    // Once it was told anything, the conversation knows its own answers.
    if (item.own === 'answer' && known !== undefined) return false;
    if (isFirst) return true;
    if (known && known.upTo !== null && compareTs(item.ts, known.upTo) <= 0) return false;
    return contextOnly.has(item.key) || !hasSeen(record, item.key);
  };
}

function shortened(item: InboxItem, most: number): InboxItem {
  return { ...item, spans: cutSpans(item.spans, most) };
}

function sizeOf({ spans, files }: InboxItem): number {
  const labels = files.map(fileLabel).join(' ');
  return spansText(spans, noNames, '').length + labels.length + LINE_CHARACTERS;
}
