import { oneLine } from '../text/one-line.ts';
import { redact } from '../text/redact.ts';
import type { ClientAsk, OpenTurn, ThreadRecord } from './thread-record.ts';

/* What other clients of Letta asked in the conversation of a thread. */

const LETTERS = 300;
/** How much of a text is searched for secrets: more than what is kept, so that none is cut in half. */
const LOOKED_AT = 2_000;
/** Messages of others in one turn that are told. */
const JOINED_MOST = 5;
/** Items that are remembered: as many as are looked at in the history. */
const SHOWN_MOST = 50;

/** What is kept of what another client asked. @param text `null`: it is not known */
export function clientAsk(text: string | null): ClientAsk {
  const line = oneLine(redact((text ?? '').slice(0, LOOKED_AT)).text, LETTERS);
  return line === '' ? {} : { asked: line };
}

/** Another client's input joined the open turn. */
export function noteJoined(record: ThreadRecord, ask: ClientAsk): ThreadRecord {
  const { turn } = record;
  if (!turn) return record;
  return { ...record, turn: { ...turn, joined: [...(turn.joined ?? []), ask].slice(-JOINED_MOST) } };
}

/** The thread shows what became of these inputs of other clients, or these texts of the agent. */
export function noteShown(record: ThreadRecord, ...inputs: readonly string[]): ThreadRecord {
  const shown = record.clients?.shown ?? [];
  const fresh = inputs.filter((input) => !shown.includes(input));
  if (fresh.length === 0) return record;
  return { ...record, clients: { ...record.clients, shown: [...shown, ...fresh].slice(-SHOWN_MOST) } };
}

/** The thread knows all of the history up to this item; the same record when it knew. */
export function noteNewest(record: ThreadRecord, newest: string): ThreadRecord {
  const { clients } = record;
  return clients?.newest === newest ? record : { ...record, clients: { shown: [], ...clients, newest } };
}

/** A conversation that others may have used before: none of what is there is to be shown. */
export function startFrom(record: ThreadRecord, newest: string | null): ThreadRecord {
  return { ...record, clients: { shown: [], ...record.clients, from: newest, ...(newest !== null && { newest }) } };
}

/** Whether anyone but the requester has a say in what the turn does, so that nothing passes in the requester's name. */
export function hasOthersWords({ client, joined }: OpenTurn): boolean {
  return client !== undefined || joined !== undefined;
}

/**
 * After a turn the thread knows the conversation up to the agent's last words, if nothing came after them. What was shown
 * is known again by the ids of its texts: others may have asked for a part of it, unheard, or in an input without a name.
 * @param isAll whether no turn of another client is to be looked for that ran before
 */
export function noteHeard(
  record: ThreadRecord,
  turn: OpenTurn | null,
  parts: readonly { kind: string; messageId?: string }[],
  isAll: boolean,
): ThreadRecord {
  const said = parts.flatMap(({ kind, messageId }) => (kind === 'text' && messageId ? [messageId] : []));
  const isKept = record.clients !== undefined || turn?.client !== undefined;
  const noted = isKept ? noteShown(record, ...said) : record;
  const last = parts.at(-1);
  const newest = isAll && last?.kind === 'text' ? last.messageId : undefined;
  return newest && noted.clients ? noteNewest(noted, newest) : noted;
}
