import { type ChannelId, compareTs, makeMessageKey, type SlackTs, type TeamId } from '../ids.ts';
import type { LinkedPast, PastMessage } from '../ports.ts';
import type { InboxItem, LinkedMessages } from '../record/thread-record.ts';
import { cutSpans } from '../text/cut-spans.ts';

/** A message that a link leads to. */
export interface MessageLink {
  channel: ChannelId;
  ts: SlackTs;
  /** The thread that it is in, where the link says so. */
  threadTs: SlackTs | null;
}

/** How many links of a turn are followed, and characters of each message behind one. */
const MOST_LINKS = 3;
const MESSAGE_CHARACTERS = 2_000;
const LINK =
  /(\bbehind )?https:\/\/[\w-]+(?:\.enterprise)?\.slack(?:-gov)?\.com\/archives\/([CDG][A-Z0-9]{1,20})\/p(\d{10})(\d{6})\b(\?[\w.&=%-]*)?/g;

/**
 * The messages that the turn's texts link to, each once, at most three; not those of the turn's own thread that it brings
 * anyway. A link whose message Slack has put beside it is left out: the text says what is behind it.
 */
export function linksIn(items: readonly InboxItem[]): MessageLink[] {
  const found = new Map<string, MessageLink>();
  const shown = new Set<string>();
  for (const { spans } of items) {
    for (const span of spans) {
      if (span.kind !== 'text') continue;
      for (const [, behind, channel = '', seconds = '', micros = '', query = ''] of span.text.matchAll(LINK)) {
        const ts = `${seconds}.${micros}`;
        if (behind !== undefined) shown.add(`${channel} ${ts}`);
        const threadTs = /[?&]thread_ts=(\d+\.\d+)/.exec(query)?.[1] ?? null;
        found.set(`${channel} ${ts}`, { channel, ts, threadTs: threadTs === ts ? null : threadTs });
      }
    }
  }
  return [...found].flatMap(([name, link]) => (shown.has(name) ? [] : [link])).slice(0, MOST_LINKS);
}

/** What was found behind a link, as it is stored with the turn. */
export function linkedMessages(team: TeamId, link: MessageLink, found: LinkedPast): LinkedMessages {
  const { channel, ts } = link;
  if ('refused' in found) return { channel, ts, items: [], refused: found.refused };
  const itemOf = ({ ts: at, user, bot, own, spans, files }: PastMessage): InboxItem => ({
    key: makeMessageKey({ team, channel, ts: at }),
    ...{ ts: at, user, spans: cutSpans(spans, MESSAGE_CHARACTERS), files, receivedAt: 0 },
    ...(bot && { bot: true as const }),
    ...(bot?.name && { botName: bot.name }),
    ...(own && { own }),
  });
  return { channel, ts, items: found.messages.map(itemOf).sort((a, b) => compareTs(a.ts, b.ts)) };
}
