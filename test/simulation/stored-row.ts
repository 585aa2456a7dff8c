interface Row {
  key: string;
  rev: number;
  address: { channel: string; threadTs: string | null };
  createdAt: number;
  inbox: { key: string }[];
  context: { key: string }[];
  runtime: { conversationId: string } | null;
  turn: { id: string; origin: string; startedAt: number; items: { key: string }[] } | null;
  approvals: { token: string; title: string; requester: string; askedAt: number; state: { state: string } }[];
  seen: { key: string }[];
  details?: { token: string }[];
  offers: {
    token: string;
    kind: string;
    for: string;
    display: string;
    state: { state: string };
    items: { key: string }[];
    about?: { message: string };
    tail?: { turn: string };
  }[];
  background: boolean;
  schedules?: { id: string; owner: string; wanted: string; confirmed: string | null }[];
}

const parsed = new Map<string, { value: Row }>();
const PARSED_KEPT = 1_000;

/**
 * A stored row as it is on disk. An update reads its row and writes the next one, and the invariants look at it again:
 * the same text is parsed once, and frozen, as everybody gets the same object.
 */
export function parseRow(text: string): { value: Row } {
  const known = parsed.get(text);
  if (known) return known;
  const row = freezeDeep(JSON.parse(text) as { value: Row });
  if (parsed.size >= PARSED_KEPT) parsed.clear();
  parsed.set(text, row);
  return row;
}

export function readRecord(text: string): { record: Row } {
  return { record: parseRow(text).value };
}

/** The row of a bridge of before what the agent says was stored (the same as of a text that is too long for that). */
export function withoutSaid(row: string): string {
  const stored = JSON.parse(row) as { value: { turn: { said?: unknown } | null } };
  if (stored.value.turn?.said === undefined) return row;
  delete stored.value.turn.said;
  return JSON.stringify(stored);
}

/** Whether something is open in a thread, by its row. */
export function isActive(row: string): boolean {
  const { turn, inbox, background, approvals } = readRecord(row).record;
  const asks = approvals.some(({ state }) => state.state === 'open');
  return turn !== null || inbox.length > 0 || background || asks;
}

function freezeDeep<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) freezeDeep(inner);
  return Object.freeze(value);
}
