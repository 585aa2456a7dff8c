import { makeMessageKey, makeThreadKey, makeToken, makeTurnId, type ThreadKey } from '../../src/bridge/ids.ts';
import type {
  ApprovalRecord,
  InboxItem,
  Offer,
  OpenTurn,
  ThreadRecord,
} from '../../src/bridge/record/thread-record.ts';

/** `1000.000001`, `1000.000002`, … */
export function tsOf(n: number): string {
  return `${1000 + Math.floor(n / 1_000_000)}.${String(n % 1_000_000).padStart(6, '0')}`;
}

export function threadKeyOf(n: number): ThreadKey {
  return makeThreadKey({ team: 'T01SANDBOX', channel: 'C01GEN', root: tsOf(n) });
}

export function inboxItem(n: number, text = `message ${n}`): InboxItem {
  const ts = tsOf(n);
  return {
    key: makeMessageKey({ team: 'T01SANDBOX', channel: 'C01GEN', ts }),
    ts,
    user: 'U01ALICE',
    spans: [{ kind: 'text', text }],
    files: [],
    receivedAt: 1_700_000_000_000 + n,
  };
}

export function openTurn(n: number, over: Partial<OpenTurn> = {}): OpenTurn {
  return {
    id: makeTurnId(`t${n}`),
    requester: 'U01ALICE',
    origin: 'people',
    items: [inboxItem(n)],
    context: [],
    clientMessageId: `slack-${n}`,
    state: 'prepared',
    notPassedOn: [],
    startedAt: 1_700_000_000_000,
    stopToken: makeToken(`stop${n}`),
    stoppedBy: null,
    posts: [],
    ...over,
  };
}

export function approvalRecord(n: number, over: Partial<ApprovalRecord> = {}): ApprovalRecord {
  return {
    token: makeToken(`approve${n}`),
    turn: makeTurnId('t1'),
    requestId: `request-${n}`,
    tool: 'Bash',
    title: 'ls',
    digest: 'd'.repeat(64),
    requester: 'U01ALICE',
    askedAt: 1_700_000_000_000,
    state: { state: 'open' },
    ...over,
  };
}

export function offerOf(n: number, over: Partial<Offer> = {}): Offer {
  return {
    token: makeToken(`offer${n}`),
    kind: 'run_held',
    for: 'U01ALICE',
    madeAt: 1_700_000_000_000,
    certain: false,
    items: [inboxItem(n)],
    count: 1,
    state: { state: 'open' },
    posts: [],
    display: 'shown',
    ...over,
  };
}

/** A thread in which nothing is going on. */
export function threadRecord(key: ThreadKey, over: Partial<ThreadRecord> = {}): ThreadRecord {
  const [team = '', channel = '', root = ''] = key.split(':');
  return {
    key,
    rev: 0,
    address: { team, channel, threadTs: root },
    starter: 'U01ALICE',
    createdAt: 1_700_000_000_000,
    updatedAt: 0,
    runtime: null,
    participants: ['U01ALICE'],
    inbox: [],
    context: [],
    seen: [],
    turn: null,
    approvals: [],
    background: false,
    offers: [],
    ...over,
  };
}
