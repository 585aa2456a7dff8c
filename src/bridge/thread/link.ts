import type { AgentEvent, ConnectionEvent, LoopStatus } from '../agent-event.ts';
import { isClientMessageId } from '../ids.ts';
import type { AgentConnection, AgentGateway, ConnectOptions, Log } from '../ports.ts';
import type { OpenTurn } from '../record/thread-record.ts';
import type { Mailbox } from './mailbox.ts';

export interface LinkParts {
  gateway: AgentGateway;
  mailbox: Mailbox;
  log: Log;
  onEvent(event: AgentEvent | ConnectionEvent): void;
  /** Letta has confirmed its state after a turn's end, so the next input may be sent. */
  onSettled(): void;
}

/** The pause before something that failed for no lasting reason is tried again; without a pause it would spin. */
export const RETRY_MS = 2_000;

/** A thread's connection to its runtime, and what is known of the runtime through it. */
export class ThreadLink {
  readonly #parts: LinkParts;
  #connection: AgentConnection | null = null;
  /** The options that {@link #connection} was made with. */
  #options: ConnectOptions | null = null;
  /** The options for the connection that is about to be made. */
  #wanted: ConnectOptions | null = null;
  /** Counts connections, so that a late event of an old one is known as such. */
  #dial = 0;
  #ready = false;
  /** Losses that the connection has reported and whose mail the thread has not handled yet. */
  #losses = 0;
  #settled = false;
  #begun = false;
  #runs: Record<string, string[]> = {};
  #active: readonly string[] = [];
  loop: LoopStatus = 'idle';
  device: string | null = null;
  workingDirectory: string | null = null;
  /** Foreign text; `null`: the device does not tell it. */
  agentName: string | null = null;
  /** The conversation's address in Letta's web app; `null`: it has none. */
  page: string | null = null;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /** The connection while the runtime can be reached through it. */
  get ready(): AgentConnection | null {
    return this.#ready && this.#losses === 0 ? this.#connection : null;
  }

  get isDialled(): boolean {
    return this.#connection !== null;
  }

  /** Whether Letta can take an input now: it is idle, and there was a replay, or a `sync` after the last turn's end. */
  get canSubmit(): boolean {
    return this.ready !== null && this.#settled && this.loop === 'idle';
  }

  /** Connects with `options`, unless there is a connection already. */
  connect(options: ConnectOptions): void {
    if (this.#connection) return;
    this.#wanted = options;
    this.#parts.mailbox.after(() => this.#connect());
  }

  #connect(): void {
    const { gateway, mailbox, onEvent } = this.#parts;
    const options = this.#wanted;
    // The thread may have closed while a mail was under way; then nothing would close a new connection.
    if (this.#connection || !options || mailbox.closed) return;
    this.#dial += 1;
    this.#options = options;
    const dial = this.#dial;
    this.#losses = 0;
    this.#connection = gateway.connect(options, (event) => {
      const isLoss = event.type === 'lost';
      if (isLoss && this.#dial === dial) this.#losses += 1;
      mailbox.post(() => {
        if (this.#dial !== dial) return undefined;
        if (isLoss) this.#losses -= 1;
        return onEvent(event);
      });
    });
  }

  /**
   * Whether the connection was made with another permission mode or working directory, or for a conversation given up
   * since.
   */
  differs({ mode, binding, runtime }: ConnectOptions): boolean {
    if (!this.#connection || !this.#options) return false;
    if (runtime === null && this.#options.runtime !== null) return true;
    const directory = (options: ConnectOptions) => options.binding?.workingDirectory ?? null;
    return this.#options.mode !== mode || directory(this.#options) !== (binding?.workingDirectory ?? null);
  }

  disconnect(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#wanted = null;
    this.#dial += 1;
    this.lost();
    this.loop = 'idle';
    this.#runs = {};
    this.#active = [];
  }

  opened(event: ConnectionEvent & { type: 'ready' }): void {
    this.#ready = true;
    this.#settled = true;
    this.device = event.deviceName;
    this.workingDirectory = event.workingDirectory;
    this.agentName = event.agentName ?? this.agentName;
    this.page = event.page ?? null;
    this.loop = event.loop;
    this.#runs = event.clientMessageIdsByRun;
    this.#active = event.activeRunIds;
    this.#begun ||= event.loop !== 'idle';
  }

  lost(): void {
    this.#ready = false;
    this.#settled = false;
  }

  looped(event: AgentEvent & { type: 'loop' }): void {
    this.loop = event.status;
    this.#runs = event.clientMessageIdsByRun;
    this.#active = event.activeRunIds;
    this.#begun ||= event.status !== 'idle';
  }

  /** Whether Letta has reported work since the last input was sent. */
  get begun(): boolean {
    return this.#begun;
  }

  /** An input was sent, so the next one must wait for the end of its turn and a `sync` after that. */
  submitted(): void {
    this.#settled = false;
    this.#begun = false;
  }

  /** The input did not reach Letta after all. */
  unsubmitted(): void {
    if (this.#ready) this.#settled = true;
  }

  settle(): void {
    const connection = this.ready;
    if (!connection) return;
    const { mailbox, log, onSettled } = this.#parts;
    mailbox.away(
      () => connection.settle(),
      () => {
        if (this.ready !== connection) return undefined;
        this.#settled = true;
        return onSettled();
      },
      (error) => {
        log.warn({ err: error }, 'sync after a turn failed');
        // A lost link brings a replay anyway; over a link that is still up, ask again.
        if (this.ready === connection) mailbox.later(RETRY_MS, () => this.settle());
      },
    );
  }

  /**
   * Whether a run is certainly this turn's: runs are tied to inputs by the loop status alone (docs/letta-protocol.md,
   * Loop states). Runs of what Letta queued by itself are tied to no input.
   */
  claims(turn: OpenTurn, runId: string): boolean {
    return turn.clientMessageId !== null && (this.#runs[runId]?.includes(turn.clientMessageId) ?? false);
  }

  /** Whether a run certainly answers another input of ours, so that late events of it are not this turn's. */
  isForeign(turn: OpenTurn, runId: string): boolean {
    const ids = this.#runs[runId]?.filter(isClientMessageId) ?? [];
    return ids.length > 0 && !ids.includes(turn.clientMessageId ?? '');
  }

  /** Whether Letta runs something now that is certainly not this turn. */
  runsAnother(turn: OpenTurn): boolean {
    if (turn.clientMessageId === null) return false;
    return this.#active.length > 0 && !this.#active.some((runId) => this.claims(turn, runId));
  }

  /** Inputs of runs that do not carry this turn's input; none for a turn of Letta's own, which has no input of ours. */
  inputsOfOthers({ clientMessageId: id }: OpenTurn): string[] {
    if (id === null) return [];
    return Object.values(this.#runs).flatMap((ids) => (ids.includes(id) ? [] : ids));
  }

  /** The inputs that a run answers, as the last loop status tied them. */
  inputsOf(runId: string): readonly string[] {
    return this.#runs[runId] ?? [];
  }

  /** Whether Letta began a run with this input. */
  knows(clientMessageId: string): boolean {
    return Object.values(this.#runs).some((ids) => ids.includes(clientMessageId));
  }
}
