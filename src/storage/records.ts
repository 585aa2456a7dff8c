import { z } from 'zod';
import type { AuditEntry } from '../bridge/approvals/audit-entry.ts';
import {
  type MessageKey,
  parseMessageKey,
  parseThreadKey,
  type ThreadKey,
  type Token,
  type TurnId,
} from '../bridge/ids.ts';
import type { InboxItem, ThreadRecord } from '../bridge/record/thread-record.ts';
import type { TurnDetails } from '../bridge/turn/steps.ts';
import { BridgeError } from '../errors.ts';
import { NOTICES } from './words/notices.ts';

/** Raise it when an older bridge would misread the records of this one, and keep reading the older schemas. */
const SCHEMA = 1;

function parses(parse: (key: string) => unknown): (value: unknown) => boolean {
  return (value) => {
    if (typeof value !== 'string') return false;
    try {
      parse(value);
      return true;
    } catch {
      return false;
    }
  };
}

const time = z.number().int().nonnegative();
const messageKey = z.custom<MessageKey>(
  parses((key) => parseMessageKey(key as MessageKey)),
  'not a message key',
);
export const threadKey = z.custom<ThreadKey>(
  parses((key) => parseThreadKey(key as ThreadKey)),
  'not a thread key',
);
const turnId = z.custom<TurnId>((value) => typeof value === 'string' && value !== '', 'not a turn id');
const token = z.custom<Token>((value) => typeof value === 'string' && value !== '', 'not a token');
const text = z.string();

const span = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('text'), text }),
  z.strictObject({ kind: z.literal('user'), id: text }),
  z.strictObject({ kind: z.literal('channel'), id: text, name: text.nullable() }),
  z.strictObject({ kind: z.literal('group'), id: text, name: text.nullable() }),
  z.strictObject({ kind: z.literal('broadcast'), range: z.enum(['here', 'channel', 'everyone']) }),
]);

const file = z.strictObject({
  id: text,
  name: text,
  mimetype: text.nullable(),
  size: z.number().nullable(),
  withheld: z.enum(['deleted', 'too_old', 'external']).optional(),
  clip: z.enum(['audio', 'video']).optional(),
  transcript: text.optional(),
  forwarded: z.literal(true).optional(),
});

const handedFile = z.strictObject({
  path: text,
  at: time,
  decode: text.optional(),
  pieces: z.number().int().positive().optional(),
  isShared: z.literal(true).optional(),
});

const inboxItem = z.strictObject({
  key: messageKey,
  ts: text,
  user: text,
  spans: z.array(span),
  files: z.array(file),
  receivedAt: time,
  askedAt: time.optional(),
  again: z.number().int().positive().optional(),
  bot: z.literal(true).optional(),
  botUser: text.optional(),
  editedAt: time.optional(),
  botName: text.optional(),
  own: z.enum(['answer', 'card', 'notice']).optional(),
  outsider: z.literal(true).optional(),
  about: z.strictObject({ ts: text, emoji: text.optional() }).optional(),
  now: z.literal(true).optional(),
  goesOn: z.literal(true).optional(),
});

const runtime = z.strictObject({ agentId: text, conversationId: text, deviceId: text.nullable() });
const known = z.strictObject({ upTo: text.nullable(), also: z.array(text) });
const past = z.strictObject({
  known,
  isFirst: z.boolean(),
  omitted: z.number().int().nonnegative(),
  seal: text,
  linked: z
    .array(z.strictObject({ channel: text, ts: text, items: z.array(inboxItem), refused: text.optional() }))
    .optional(),
});

const approvalState = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('open') }),
  z.strictObject({
    state: z.literal('decided'),
    decision: z.enum(['approved', 'approved_with_changes', 'edited', 'denied', 'answered']),
    by: text,
    name: text.optional(),
    at: time,
    words: text.nullable(),
    via: z.enum(['click', 'modal', 'command', 'reply', 'grant']).optional(),
  }),
  z.strictObject({
    state: z.literal('closed'),
    why: z.enum(['answered_elsewhere', 'turn_over', 'link_lost', 'expired', 'not_shown']),
    at: time,
  }),
]);

const approval = z.strictObject({
  token,
  turn: turnId,
  requestId: text,
  tool: text,
  title: text,
  digest: text,
  requester: text,
  edit: z.strictObject({ command: text, by: text }).optional(),
  asks: z.array(text).optional(),
  call: z.strictObject({ id: text, seal: text }).optional(),
  only: z.enum(['admins', 'nobody']).optional(),
  rule: z.boolean().optional(),
  askedAt: time,
  after: text.nullable().optional(),
  below: text.optional(),
  expiresAt: time.optional(),
  remindedAt: time.optional(),
  audit: z.enum(['due', 'done']).optional(),
  input: text.optional(),
  state: approvalState,
});

const toolCall = z.strictObject({
  requestIds: z.array(text),
  callId: text,
  turn: turnId,
  tool: text,
  input: z.record(text, z.union([text, z.number()])),
  digest: text,
  at: time,
  state: z.enum(['waiting', 'acting', 'done']),
  result: z.strictObject({ text, isError: z.boolean().optional() }).optional(),
});

const grant = z.strictObject({
  kind: z.enum(['command', 'edits']),
  digest: text.nullable(),
  directory: text.optional(),
  by: z.strictObject({
    id: text,
    name: text.optional(),
    kind: z.enum(['member', 'guest', 'external', 'bot', 'deactivated']),
    groups: z.array(text),
  }),
  at: time,
});

const yes = z.literal(true).optional();
const refuses = z.enum(['edit', 'delete']).optional();
const seam = z.number().int().nonnegative().optional();
const posts = z.array(
  z.strictObject({ part: text, ts: text, hash: text, live: yes, ends: yes, refuses, seam, stream: yes }),
);

const said = z.array(z.strictObject({ runId: text, messageId: text, text }));

const ending = z.strictObject({
  outcome: z.enum(['done', 'stopped', 'failed', 'interrupted']),
  by: text.nullable(),
  line: text.nullable(),
  tools: z.number().int().nonnegative(),
  durationMs: z.number().nonnegative(),
  thoughts: z.number().int().nonnegative().optional(),
  details: token.optional(),
  notify: text.optional(),
  goesOn: z.literal(true).optional(),
});

const task = z.strictObject({
  id: text,
  process: text.nullable(),
  kind: z.enum(['subagent', 'command', 'monitor', 'memory']),
  what: text,
  runtime: z.strictObject({ agentId: text, conversationId: text }).nullable(),
  for: text,
  since: time,
});

const lateEnd = z.strictObject({
  turn: turnId,
  requester: text,
  startedAt: time,
  posts,
  said: said.optional(),
  ended: ending,
});

const endTasks = z.strictObject({
  by: text,
  at: time,
  ids: z.array(text),
  step: z.enum(['wanted', 'asked', 'told']),
});

const draft = {
  id: text,
  owner: text,
  prompt: text,
  cron: text.nullable(),
  once: time.nullable(),
  zone: text,
  inChannel: yes,
};
const scheduleDraft = z.strictObject(draft);
const schedule = z.strictObject({
  ...draft,
  madeAt: time,
  wanted: z.enum(['active', 'paused', 'gone']),
  confirmed: z.enum(['active', 'paused']).nullable(),
  lostAccess: yes,
  firedAt: time,
});
const turnSchedule = scheduleDraft
  .omit({ prompt: true })
  .extend({ at: time, late: z.strictObject({ earlier: z.number().int().nonnegative() }).optional() });

const clientAsk = z.strictObject({
  asked: text.optional(),
  late: z.strictObject({ earlier: z.number().int().nonnegative() }).optional(),
});

/**
 * The schema of a thread's record. `item` differs: in memory every message is whole, on disk big ones are references.
 */
function recordOf<Item extends z.ZodType>(item: Item) {
  const steered = z.strictObject({
    clientMessageId: text,
    items: z.array(item),
    context: z.array(item),
    state: z.enum(['sent', 'joined']),
    joined: z.strictObject({ at: time, after: text.nullable().optional() }).optional(),
    past: past.optional(),
    changes: z.array(z.strictObject({ key: messageKey, item: item.nullable() })).optional(),
  });
  const turn = z.strictObject({
    id: turnId,
    requester: text,
    origin: z.enum(['people', 'agent']),
    items: z.array(item),
    context: z.array(item),
    clientMessageId: text.nullable(),
    input: text.optional(),
    schedule: turnSchedule.optional(),
    client: clientAsk.optional(),
    command: text.optional(),
    joined: z.array(clientAsk).optional(),
    state: z.enum(['prepared', 'submitted']),
    notPassedOn: z.array(text),
    missingFiles: z.array(text).optional(),
    startedAt: time,
    stopToken: token,
    stoppedBy: text.nullable(),
    posts,
    grants: z.array(grant).optional(),
    ends: z.array(text).optional(),
    ended: ending.optional(),
    said: said.optional(),
    told: z.literal(true).optional(),
    withdrawn: z.literal(true).optional(),
    alongside: z.number().int().positive().optional(),
    joinsLate: z.literal(true).optional(),
    past: past.optional(),
    steered: z.array(steered).optional(),
    wasSteered: z.literal(true).optional(),
  });
  const offer = z.strictObject({
    token,
    kind: z.enum([
      ...(['run_held', 'send_again', 'start_new', 'continue', 'ask_again', 'deny_or_keep'] as const),
      ...(['background', 'schedule'] as const),
    ]),
    for: text,
    madeAt: time,
    certain: z.boolean(),
    items: z.array(item),
    reached: yes,
    tail: z.strictObject({ turn: turnId, message: text.optional() }).optional(),
    about: z.strictObject({ approval: token, message: messageKey }).optional(),
    gone: z.strictObject({ agentId: text, conversationId: text }).optional(),
    count: z.number().int().nonnegative(),
    clockAheadMs: z.number().nonnegative().optional(),
    draft: scheduleDraft.optional(),
    lines: z.array(text).optional(),
    state: z.discriminatedUnion('state', [
      z.strictObject({ state: z.literal('open') }),
      z.strictObject({
        state: z.literal('decided'),
        choice: z.enum([
          ...(['scheduled', 'not_scheduled', 'run', 'dropped', 'sent'] as const),
          ...(['started', 'continued', 'asked', 'denied', 'kept'] as const),
        ]),
        at: time,
      }),
      z.strictObject({ state: z.literal('lapsed'), at: time }),
    ]),
    posts,
    display: z.enum(['wanted', 'begun', 'shown']),
  });
  return z.strictObject({
    key: threadKey,
    rev: z.number().int().nonnegative(),
    address: z.strictObject({
      team: text,
      channel: text,
      threadTs: text.nullable(),
      kind: z.literal('mpim').optional(),
    }),
    starter: text,
    createdAt: time,
    updatedAt: time,
    runtime: runtime.nullable(),
    isShared: z.literal(true).optional(),
    contextTold: z.literal(true).optional(),
    compaction: z.strictObject({ by: text, name: text, at: time, asked: z.literal(true).optional() }).optional(),
    run: z
      .strictObject({ by: text, name: text, at: time, command: text, args: text, asked: z.literal(true).optional() })
      .optional(),
    fork: z
      .strictObject({
        id: text,
        by: text,
        name: text,
        at: time,
        upTo: z.strictObject({ ts: text, isAnswer: z.boolean() }).optional(),
        asked: z.literal(true).optional(),
        made: runtime.optional(),
        root: text.optional(),
      })
      .optional(),
    known: known.optional(),
    participants: z.array(text),
    inbox: z.array(item),
    context: z.array(item),
    seen: z.array(z.strictObject({ key: messageKey, at: time, as: z.literal('context').optional() })),
    turn: turn.nullable(),
    approvals: z.array(approval),
    background: z.boolean(),
    tasks: z.array(task).optional(),
    schedules: z.array(schedule).optional(),
    endTasks: endTasks.optional(),
    // Older records have at most one, without a list.
    late: z.union([z.array(lateEnd), lateEnd.transform((only) => [only])]).optional(),
    details: z
      .array(z.strictObject({ token, turn: turnId, at: time, by: text.optional(), shared: text.optional() }))
      .optional(),
    answer: z.strictObject({ turn: turnId, by: text, ts: text, shared: text.optional() }).optional(),
    reacted: z.array(z.strictObject({ to: text, user: text, emoji: text })).optional(),
    // Records from before offers existed have none.
    offers: z.array(offer).default([]),
    botsInARow: z.number().int().nonnegative().optional(),
    muted: z.boolean().optional(),
    mutedBy: text.optional(),
    handedOver: z.array(handedFile).optional(),
    calls: z.array(toolCall).optional(),
    warned: z.literal(true).optional(),
    headsUp: z.literal(true).optional(),
    failure: z.strictObject({ for: text, at: time, line: text }).optional(),
    clients: z
      .strictObject({ shown: z.array(text), from: text.nullable().optional(), newest: text.optional() })
      .optional(),
  });
}

/** Stands for a message that is too big for the record and is stored under its own key. */
const itemRef = z.strictObject({ ref: text });
export type StoredItem = InboxItem | z.output<typeof itemRef>;

const record = recordOf(inboxItem);
const storedRecord = recordOf(z.union([itemRef, inboxItem]));
export type StoredRecord = z.output<typeof storedRecord>;

// Does not compile unless the schema and the bridge's own type are the same, in both directions.
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
true satisfies Same<z.output<typeof record>, ThreadRecord>;

/** Keys of side rows that may exist although the record does not name them yet, or no longer does. */
const marker = z.strictObject({ items: z.array(text), tokens: z.array(text) });
export type Marker = z.output<typeof marker>;

const auditEntry = z.strictObject({
  id: text,
  thread: threadKey,
  turn: turnId,
  requestId: text,
  tool: text,
  title: text,
  digest: text,
  input: text.optional(),
  requester: text,
  editedBy: text.optional(),
  askedAt: time,
  by: text.nullable(),
  at: time,
  outcome: z.enum([
    ...(['approved', 'approved_with_changes', 'edited', 'denied', 'answered'] as const),
    ...(['answered_elsewhere', 'turn_over', 'link_lost', 'expired', 'not_shown', 'refused'] as const),
  ]),
  reason: text.optional(),
  via: z.enum(['click', 'modal', 'command', 'reply', 'grant', 'rule', 'guarded', 'file', 'stop', 'tools']).nullable(),
});
true satisfies Same<z.output<typeof auditEntry>, AuditEntry>;

const tokenOwner = z.strictObject({ thread: threadKey });
const waiting = z.strictObject({ threads: z.array(threadKey) });
const conversation = z.strictObject({ threads: z.array(threadKey), hasMore: z.literal(true).optional() });
const choice = z.strictObject({ value: text });
const details = z.strictObject({
  turn: turnId,
  endedAt: time,
  steps: z.array(
    z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('call'),
        tool: text,
        input: text,
        output: text,
        status: z.enum(['called', 'running', 'ok', 'failed']),
      }),
      z.strictObject({ kind: z.literal('thought'), text }),
      z.strictObject({ kind: z.literal('summary') }),
      z.strictObject({ kind: z.literal('error'), text }),
    ]),
  ),
  todo: z.array(z.strictObject({ text, status: z.enum(['pending', 'in_progress', 'completed']) })).optional(),
  earlier: z.number().int().nonnegative(),
  used: z
    .strictObject({
      input: z.number(),
      cached: z.number(),
      output: z.number(),
      isAll: z.boolean(),
      model: text.nullable(),
      context: z.number().nullable(),
    })
    .optional(),
  page: text.optional(),
});
true satisfies Same<z.output<typeof details>, TurnDetails>;

/** A constant, because zod compiles each new schema again. */
const versioned = z.looseObject({ schema: z.number().int().positive() });

/**
 * Reads a stored row, `{ schema, … }`, with a schema.
 * @throws record_newer for a row with a later schema, store_failed for a row that does not fit; both name `key`.
 */
function readRow<Schema extends z.ZodType>(schema: Schema, key: string, row: unknown): z.output<Schema> {
  const version = versioned.safeParse(row);
  if (!version.success) throw malformedError(key, version.error);
  if (version.data.schema > SCHEMA) {
    throw new BridgeError(
      'record_newer',
      `${key} was written by a newer version of the bridge (schema ${version.data.schema}, this one knows ${SCHEMA})`,
      { notice: NOTICES.newer },
    );
  }
  const { schema: _, ...fields } = version.data;
  const result = schema.safeParse(fields);
  if (!result.success) throw malformedError(key, result.error);
  return result.data;
}

function malformedError(key: string, cause: z.ZodError): BridgeError {
  // Report paths, never values: values hold what people wrote.
  const where = cause.issues.slice(0, 3).map((issue) => issue.path.join('.') || '(whole)');
  return new BridgeError('store_failed', `${key} is malformed at ${where.join(', ')}`, {
    notice: NOTICES.unreadable,
  });
}

export const readRecord = (key: string, row: unknown): StoredRecord => readRow(storedRecord, key, row);
export const readItem = (key: string, row: unknown): InboxItem => readRow(inboxItem, key, row);
export const readMarker = (key: string, row: unknown): Marker => readRow(marker, key, row);
export const readTokenOwner = (key: string, row: unknown): ThreadKey => readRow(tokenOwner, key, row).thread;
export const readWaiting = (key: string, row: unknown): ThreadKey[] => readRow(waiting, key, row).threads;
export const readConversation = (key: string, row: unknown): z.output<typeof conversation> =>
  readRow(conversation, key, row);
export const readDetails = (key: string, row: unknown): TurnDetails => readRow(details, key, row);
export const readAuditEntry = (key: string, row: unknown): AuditEntry => readRow(auditEntry, key, row);
export const readChoice = (key: string, row: unknown): string => readRow(choice, key, row).value;

/** Makes the row to store: the fields and the schema's number. */
export function toRow<Fields extends object>(fields: Fields): Fields & { schema: number } {
  return { schema: SCHEMA, ...fields };
}

/** Checks a record as strictly as reading does, because a record that cannot be read again must not be written. */
export function checkRecord(value: ThreadRecord): ThreadRecord {
  const result = record.safeParse(value);
  if (result.success) return result.data;
  throw new BridgeError('internal', malformedError(value.key, result.error).message, { cause: result.error });
}
