import type { UserId } from '../ids.ts';
import type { InboxItem } from '../record/thread-record.ts';
import { INVISIBLE } from '../text/invisible.ts';
import { oneLine } from '../text/one-line.ts';
import { redact } from '../text/redact.ts';
import { noNames, spansText } from './prompt.ts';

const LONGEST = 80;
/** Where a text is cut before it is searched for secrets, far behind all that a title shows. */
const LOOKED_AT = 4_000;

/**
 * What a conversation is called in Letta: how its first message begins, in one line without secrets; `null`: that says
 * nothing.
 */
export function titleOf(items: readonly Pick<InboxItem, 'spans'>[], botUser: UserId): string | null {
  for (const { spans } of items) {
    const said = redact(spansText(spans, noNames, botUser).slice(0, LOOKED_AT)).text;
    const title = oneLine(said.replaceAll(INVISIBLE, ' '), LONGEST);
    if (title !== '') return title;
  }
  return null;
}
