interface Row {
  key: string;
  address: { channel: string };
  createdAt: number;
  inbox: { key: string }[];
  context: { key: string }[];
  runtime: { conversationId: string } | null;
  turn: { id: string; startedAt: number; items: { key: string }[] } | null;
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
  }[];
  background: boolean;
}

const read = new Map<string, { record: Row }>();
const READ_KEPT = 100;

/** Whether something is open in a thread, by its row. */
export function isActive(row: string): boolean {
  const { turn, inbox, background, approvals } = readRecord(row).record;
  const asks = approvals.some(({ state }) => state.state === 'open');
  return turn !== null || inbox.length > 0 || background || asks;
}

/** A stored row as it lies on disk; the same text is looked at again and again. */
export function readRecord(value: string): { record: Row } {
  const known = read.get(value);
  if (known) return known;
  const { value: record } = JSON.parse(value) as { value: Row };
  if (read.size >= READ_KEPT) read.clear();
  read.set(value, { record });
  return { record };
}
