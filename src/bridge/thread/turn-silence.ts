import type { AgentEvent, ConnectionEvent } from '../agent-event.ts';
import type { Clock, Timer } from '../ports.ts';
import { sayCause } from '../turn/causes.ts';

/** What to do about a turn that has been silent for `silentMs`; `asked`: whether Letta was asked about it already. */
export function silenceStep(silentMs: number, limitMs: number, asked: boolean): 'wait' | 'ask' | 'abort' {
  if (!asked) return silentMs >= limitMs ? 'ask' : 'wait';
  return silentMs >= 2 * limitMs ? 'abort' : 'wait';
}

/** Events that come only from work on the turn; Letta also sends states when we ask for them, so those do not count. */
const SIGNS_OF_WORK: ReadonlySet<string> = new Set<AgentEvent['type']>([
  'text',
  'reasoning',
  'tool-called',
  'tool-started',
  'tool-output',
  'tool-ended',
  'tool-returned',
  'run-ended',
  'retrying',
  'error',
  'notice',
  'approval-asked',
  'user-message',
  'turn-ended',
]);

export interface SilenceParts {
  clock: Clock;
  limitMs: number;
  /** Whether the agent is working on the turn; silence does not count while it waits for people or for Letta. */
  counts(): boolean;
  /** The turn was silent for the limit: tell people `notice` and ask Letta. */
  ask(notice: string): void;
  /** The turn was silent for twice the limit: stop it, and end it with this sentence. */
  abort(says: string): void;
}

const LOOKS_MS = 60_000;
const LOOKS_PER_LIMIT = 30;

/** Counts how long the open turn has been silent, with one timer while a turn is open. */
export class TurnSilence {
  readonly #parts: SilenceParts;
  readonly #everyMs: number;
  #silentMs = 0;
  #lookedAt = 0;
  #asked = false;
  #line: string | null = null;
  #timer: Timer | null = null;

  constructor(parts: SilenceParts) {
    this.#parts = parts;
    this.#everyMs = Math.max(1, Math.min(LOOKS_MS, parts.limitMs / LOOKS_PER_LIMIT));
  }

  /** Starts to count for a turn that was just opened. */
  begin(): void {
    this.end();
    this.#silentMs = 0;
    this.#asked = false;
    this.#line = null;
    this.#lookLater();
  }

  /** Resets the count on a sign of work. @returns whether that ends a silence that people were told of */
  heard(event: AgentEvent | ConnectionEvent): boolean {
    if (!SIGNS_OF_WORK.has(event.type)) return false;
    const was = this.#asked;
    this.#silentMs = 0;
    this.#lookedAt = this.#parts.clock.monotonic();
    if (this.#line === null) this.#asked = false;
    return was && !this.#asked;
  }

  /** Why the open turn was stopped, a sentence for people; `null`: it was not stopped for its silence. */
  get stoppedFor(): string | null {
    return this.#line;
  }

  /** Ending twice is fine. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #lookLater(): void {
    const { clock } = this.#parts;
    this.#lookedAt = clock.monotonic();
    this.#timer = clock.after(this.#everyMs, () => this.#look());
  }

  #look(): void {
    const { clock, limitMs } = this.#parts;
    // At most one interval per look: a process that was frozen longer could not have heard anything.
    if (this.#parts.counts()) this.#silentMs += Math.min(clock.monotonic() - this.#lookedAt, this.#everyMs);
    const step = silenceStep(this.#silentMs, limitMs, this.#asked);
    const words = limitWords(limitMs);
    if (step === 'ask') {
      this.#asked = true;
      this.#parts.ask(`the agent has been silent for ${words}; I’m checking whether it still works`);
    } else if (step === 'abort' && this.#line === null) {
      this.#line = sayCause({ name: 'silent', detail: limitWords(2 * limitMs) });
      this.#parts.abort(this.#line);
    }
    this.#lookLater();
  }
}

function limitWords(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 360_000) / 10} h`;
}
