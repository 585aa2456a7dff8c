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
  /** An input may be sent again. */
  onSettled(): void;
}

/** Between two tries of what failed for no lasting reason; never at once: that would spin. */
export const RETRY_MS = 2_000;

/** A thread's connection to its runtime, and what is known of the runtime through it. */
export class ThreadLink {
  readonly #parts: LinkParts;
  #connection: AgentConnection | null = null;
  /** What it was made with. */
  #options: ConnectOptions | null = null;
  /** What it is to be made with. */
  #wanted: ConnectOptions | null = null;
  /** Counts connections, so that a late event of an old one is known as such. */
  #dial = 0;
  #ready = false;
  /** Losses of the link that it has told of, and that the thread has not come to yet. */
  #losses = 0;
  #settled = false;
  #begun = false;
  #runs: Record<string, string[]> = {};
  #active: readonly string[] = [];
  loop: LoopStatus = 'idle';
  device: string | null = null;
  workingDirectory: string | null = null;

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

  /** Whether Letta would track an input sent now: after a replay, or a `sync` after the last turn's end. */
  get canSubmit(): boolean {
    return this.ready !== null && this.#settled && this.loop === 'idle';
  }

  /** Connects as `options` say; a connection that is there is kept, whatever they say. */
  connect(options: ConnectOptions): void {
    if (this.#connection) return;
    this.#wanted = options;
    this.#parts.mailbox.after(() => this.#connect());
  }

  #connect(): void {
    const { gateway, mailbox, onEvent } = this.#parts;
    const options = this.#wanted;
    // A mail that was under way may come here after the thread was closed: nobody would hang up.
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

  /** Whether Letta was heard to work since the last input was sent. */
  get begun(): boolean {
    return this.#begun;
  }

  /** An input was sent: before the next one its turn must have ended and a round trip passed. */
  submitted(): void {
    this.#settled = false;
    this.#begun = false;
  }

  /** Nothing was sent after all. */
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
        // A lost link replays anyway; a deaf one is asked again.
        if (this.ready === connection) mailbox.later(RETRY_MS, () => this.settle());
      },
    );
  }

  /**
   * Whether a run is certainly this turn's: runs are tied to inputs by the loop status alone (docs/letta-protocol.md,
   * Loop states). Those of what Letta queued by itself are tied to nothing.
   */
  claims(turn: OpenTurn, runId: string): boolean {
    return turn.clientMessageId !== null && (this.#runs[runId]?.includes(turn.clientMessageId) ?? false);
  }

  /** Whether a run is certainly that of another message of ours: what is said of it late is not this turn's. */
  isForeign(turn: OpenTurn, runId: string): boolean {
    const ids = this.#runs[runId]?.filter(isClientMessageId) ?? [];
    return ids.length > 0 && !ids.includes(turn.clientMessageId ?? '');
  }

  /** Whether what runs now is certainly not this turn. */
  runsAnother(turn: OpenTurn): boolean {
    if (turn.clientMessageId === null) return false;
    return this.#active.length > 0 && !this.#active.some((runId) => this.claims(turn, runId));
  }

  /** Inputs of runs that carry none of this turn's; of a turn of Letta's own nobody can say. */
  inputsOfOthers({ clientMessageId: id }: OpenTurn): string[] {
    if (id === null) return [];
    return Object.values(this.#runs).flatMap((ids) => (ids.includes(id) ? [] : ids));
  }

  /** What a run answers, as far as it was told. */
  inputsOf(runId: string): readonly string[] {
    return this.#runs[runId] ?? [];
  }

  /** Whether Letta began a run with this input. */
  knows(clientMessageId: string): boolean {
    return Object.values(this.#runs).some((ids) => ids.includes(clientMessageId));
  }
}
