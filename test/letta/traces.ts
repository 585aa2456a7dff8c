import { readdirSync, readFileSync } from 'node:fs';
import type { AgentEvent, HistoryItem, RuntimeRef } from '../../src/bridge/agent-event.ts';
import { emptyTurn, foldTurn, type TurnState } from '../../src/bridge/turn/fold.ts';
import { decode } from '../../src/letta/protocol/decode.ts';
import type { ResponseFrame } from '../../src/letta/protocol/incoming.ts';
import { readHistory } from '../../src/letta/runtime/history.ts';
import { initialRuntime, type RuntimeInput, type RuntimeState, step } from '../../src/letta/runtime/runtime.ts';

const FOLDER = new URL('../fixtures/letta/', import.meta.url);

export interface TraceLine {
  t: number;
  dir: string;
  sock?: string;
  frame?: Record<string, unknown>;
}

export function traceNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => name.slice(0, -'.jsonl'.length))
    .sort();
}

export function readTrace(name: string): TraceLine[] {
  return readFileSync(new URL(`${name}.jsonl`, FOLDER), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as TraceLine);
}

/** The one trace whose name begins with this number. */
export function findTrace(number: string): TraceLine[] {
  const name = traceNames().find((candidate) => candidate.startsWith(`${number}-`));
  if (name === undefined) throw new Error(`no trace ${number}`);
  return readTrace(name);
}

export interface Client {
  /** Its sockets: lanes of one connection, or one after the other. */
  socks: string[];
  runtime?: RuntimeRef | null;
  ordered: boolean;
}

export interface Replayed {
  turns: TurnState[];
  events: AgentEvent[];
  responses: ResponseFrame[];
  repairs: number;
  state: RuntimeState;
}

/** What a client has to do: lines of its sockets, connections opening and closing, frames. */
export function inputsOf(lines: readonly TraceLine[], client: Client): { t: number; input: RuntimeInput | 'submit' }[] {
  const open = new Set<string>();
  const inputs: { t: number; input: RuntimeInput | 'submit' }[] = [];
  for (const { t, dir, sock, frame } of lines) {
    if (sock === undefined || !client.socks.includes(sock)) continue;
    if (dir === 'open') {
      if (open.size === 0) inputs.push({ t, input: { type: 'opened', isOrdered: client.ordered } });
      open.add(sock);
    } else if (dir === 'close') {
      if (open.size > 0) inputs.push({ t, input: { type: 'closed' } });
      open.clear();
    } else if (dir === 'recv') {
      const decoded = decode(JSON.stringify(frame));
      if (decoded.kind !== 'malformed' && decoded.frame)
        inputs.push({ t, input: { type: 'frame', frame: decoded.frame } });
    } else if (dir === 'send' && isCreateMessage(frame)) {
      inputs.push({ t, input: 'submit' });
    }
  }
  return inputs;
}

function isCreateMessage(frame: Record<string, unknown> | undefined): boolean {
  const payload = frame?.payload as { kind?: unknown } | undefined;
  return frame?.type === 'input' && payload?.kind === 'create_message';
}

/** The history that the trace shows last, which is what a `repair` would have read. */
export function historyOf(lines: readonly TraceLine[]): HistoryItem[] | null {
  const list = lines.findLast(
    ({ frame, dir }) => dir === 'recv' && frame?.type === 'conversation_messages_list_response',
  );
  return list ? readHistory(list.frame?.messages as unknown[]) : null;
}

/** Plays inputs as a connection and a worker would: timers by the trace's time, one fold per turn. */
export function replay(
  inputs: readonly { t: number; input: RuntimeInput | 'submit' }[],
  options: { runtime?: RuntimeRef | null; history?: HistoryItem[] | null } = {},
): Replayed {
  let state = initialRuntime(options.runtime ?? null);
  const events: AgentEvent[] = [];
  const responses: ResponseFrame[] = [];
  const turns: TurnState[] = [];
  let repairs = 0;
  let turn: TurnState | null = null;
  let isFirstLoop = true;
  let holdUntil: number | null = null;

  const take = (event: AgentEvent) => {
    events.push(event);
    if (event.type === 'loop' && isFirstLoop) {
      isFirstLoop = false;
      if (turn && event.status === 'idle') {
        turns.push(turn);
        turn = null;
      }
    }
    if (!turn && opensTurn(event)) turn = emptyTurn;
    if (!turn) return;
    turn = foldTurn(turn, event);
    if (turn.end) {
      turns.push(turn);
      turn = null;
    }
  };
  const feed = (t: number, input: RuntimeInput) => {
    const before = JSON.stringify(state);
    const result = step(state, input);
    if (JSON.stringify(state) !== before) throw new Error('a step changed the state that it was given');
    state = result.state;
    for (const effect of result.effects) {
      if (effect.type === 'emit') take(effect.event);
      else if (effect.type === 'response') responses.push(effect.frame);
      else if (effect.type === 'hold') holdUntil = effect.ms === null ? null : t + effect.ms;
    }
    for (const effect of result.effects) {
      if (effect.type !== 'repair') continue;
      repairs += 1;
      feed(t, { type: 'history', repairId: effect.repairId, items: options.history ?? null });
    }
  };
  const passTime = (t: number) => {
    while (holdUntil !== null && holdUntil <= t) {
      const at: number = holdUntil;
      holdUntil = null;
      feed(at, { type: 'hold-expired' });
    }
  };

  for (const { t, input } of inputs) {
    passTime(t);
    if (input === 'submit') turn ??= emptyTurn;
    else {
      if (input.type === 'opened') isFirstLoop = true;
      feed(t, input);
    }
  }
  passTime(Number.POSITIVE_INFINITY);
  if (turn && turn !== emptyTurn) turns.push(turn);
  return { turns, events, responses, repairs, state };
}

function opensTurn(event: AgentEvent): boolean {
  if (event.type === 'loop') return event.status !== 'idle';
  return (
    event.type === 'text' ||
    event.type === 'text-repaired' ||
    event.type === 'reasoning' ||
    event.type === 'tool-called' ||
    event.type === 'approval-asked' ||
    event.type === 'user-message' ||
    event.type === 'turn-ended'
  );
}
