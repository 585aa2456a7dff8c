import type { HistoryItem } from '../bridge/agent-event.ts';
import { readHistory } from './runtime/history.ts';

export interface HistoryPage {
  /** Newest first. */
  messages: readonly unknown[];
  /** What the next page ends before; `null`: this was the last one. */
  before: string | null;
}

/** `null`: no answer came, or Letta refused. */
export type AskPage = (query: { limit: number; before?: string }) => Promise<HistoryPage | null>;

/** Reads the newest `limit` items, oldest first; `null`: one of their pages could not be had. */
export type ReadPages = (limit: number, ask: AskPage) => Promise<HistoryItem[] | null>;

/**
 * Two messages with as many pictures as an input may have are below the 16 MiB of unsent bytes at which an App Server
 * cuts its client, which would end the turn (docs/letta-protocol.md, The device's files).
 */
const APP_SERVER = { items: 2, fewest: 1 };
/**
 * A relay costs time for each page, and there a turn survives a cut. Items of one cloud message may share an id, before
 * which a page cannot end in the middle of the message, so pages must not be too small either.
 */
const RELAY = { items: 50, fewest: 4 };

/**
 * Pictures stand in the history in full, so it is read in pages, one after the other, and what is not used of a page is
 * dropped before the next. After a page that did not come, the pages of this reader have half as many items.
 */
export function createPageReader(isAppServer: boolean): ReadPages {
  let { items } = isAppServer ? APP_SERVER : RELAY;
  const { fewest } = isAppServer ? APP_SERVER : RELAY;
  return async (limit, ask) => {
    const pages: HistoryItem[][] = [];
    let before: string | null = null;
    for (let read = 0; read < limit; ) {
      const asked: { limit: number; before?: string } = { limit: Math.min(items, limit - read) };
      if (before !== null) asked.before = before;
      let page: HistoryPage | null = null;
      try {
        page = await ask(asked);
      } finally {
        if (page === null) items = Math.max(fewest, Math.floor(items / 2));
      }
      if (page === null) return null;
      pages.push(readHistory(page.messages));
      read += page.messages.length;
      if (page.messages.length === 0 || page.before === null || page.before === before) break;
      ({ before } = page);
    }
    return pages.toReversed().flat();
  };
}
