import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentEvent, ConnectionEvent } from '../src/bridge/agent-event.ts';
import type { AgentConnection } from '../src/bridge/ports.ts';
import { systemClock, systemRandom } from '../src/clock.ts';
import { createGateway } from '../src/letta/gateway.ts';
import { appServerLanes } from '../src/letta/link/endpoints.ts';
import { createSocketDialer } from '../src/letta/link/socket.ts';
import { conversationList } from '../src/letta/protocol/outgoing.ts';
import { unreachable } from '../src/letta/routes/app-server.ts';
import { visit } from '../src/letta/visit.ts';
import { startRealLetta } from '../test/support/letta/real-letta.ts';
import { SILENT } from './pace/clock.ts';
import { median, type Row, row } from './row.ts';

export interface Herd {
  /** ms from when each thread was begun until its answer was whole. */
  answered: number[];
  /** How often a thread was told that Letta is away, or lost its link. */
  unavailable: number;
  lost: number;
  /** How many threads were told a place in line. */
  queued: number;
  /** Conversations of the threads, and those that Letta has besides. */
  conversations: number;
  orphaned: number;
}

/** New threads that begin within a second, with a real App Server and a scripted model. */
export async function beginHerd(count: number): Promise<Herd> {
  const letta = await startRealLetta('app-server');
  const rows = new Map<string, string>();
  const address = { url: letta.env.LETTA_APP_SERVER_URL ?? '', token: null };
  const parts = { clock: systemClock, random: systemRandom, dial: createSocketDialer(systemClock), log: SILENT };
  const gateway = createGateway({
    ...parts,
    target: { mode: 'app-server', ...address },
    agentId: null,
    fetch: () => Promise.reject(new Error('nothing is fetched')),
    choices: {
      get: async (name) => rows.get(name) ?? null,
      set: async (name, value) => void rows.set(name, value),
    },
  });
  const open: AgentConnection[] = [];
  const told: (AgentEvent | ConnectionEvent)['type'][][] = [];
  const conversations = new Set<string>();
  let agentId = '';

  async function beginThread(number: number): Promise<number> {
    await sleep((number * 1_000) / count);
    const from = performance.now();
    const types: (AgentEvent | ConnectionEvent)['type'][] = [];
    told.push(types);
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const connection = gateway.connect({ runtime: null, mode: 'standard' }, (event) => {
      types.push(event.type);
      if (event.type === 'ready') {
        conversations.add(event.runtime.conversationId);
        agentId = event.runtime.agentId;
        ready.resolve();
      }
      if (event.type === 'turn-ended') ended.resolve();
    });
    open.push(connection);
    await ready.promise;
    await connection.submit({ clientMessageId: `cm-${number}`, content: 'say 12 words' });
    await ended.promise;
    return performance.now() - from;
  }

  try {
    const answered = await Promise.all(Array.from({ length: count }, (_, number) => beginThread(number)));
    const list = await visit({ endpoints: appServerLanes(address), unreachable, ...parts }, (ask) =>
      ask('conversation_list_response', (id) => conversationList(id, { agentId, limit: 200 }), 30_000),
    );
    const made = (list?.conversations ?? []).map(({ id }) => id).filter((id) => id !== 'default');
    const countOf = (type: ConnectionEvent['type']) => told.filter((types) => types.includes(type)).length;
    return {
      answered,
      unavailable: countOf('unavailable'),
      lost: countOf('lost'),
      queued: countOf('in-line'),
      conversations: conversations.size,
      orphaned: made.filter((id) => !conversations.has(id)).length,
    };
  } finally {
    for (const connection of open) connection.close();
    await letta.close();
  }
}

const FIRST_ANSWER_MS = 2_500;

/** Needs the real Letta server: without `LETTA_HOME` there are no rows. */
export async function herdRows(): Promise<Row[]> {
  if (process.env.LETTA_HOME === undefined) return [];
  const rows: Row[] = [];
  for (const count of [20, 40]) {
    const id = (figure: string) => `herd_${count}_${figure}`;
    const { answered, unavailable, lost, orphaned } = await beginHerd(count);
    rows.push(
      row(id('first_answer'), Math.min(...answered), 'ms', FIRST_ANSWER_MS),
      row(id('median_answer'), median(answered), 'ms'),
      row(id('last_answer'), Math.max(...answered), 'ms'),
      row(id('unavailable'), unavailable, 'calls', 0),
      row(id('turns_cut'), lost, 'calls', 0),
      row(id('orphaned_conversations'), orphaned, 'calls', 0),
    );
  }
  return rows;
}
