import type { AgentEvent, ConnectionEvent } from '../agent-event.ts';
import type { Clock, Timer } from '../ports.ts';
import type { Ending } from '../record/thread-record.ts';

/** What to do about a turn that has been silent for `silentMs`, of which `asked` says whether Letta was asked already. */
export function silenceStep(silentMs: number, limitMs: number, asked: boolean): 'wait' | 'ask' | 'abort' {
  if (!asked) return silentMs >= limitMs ? 'ask' : 'wait';
  return silentMs >= 2 * limitMs ? 'abort' : 'wait';
}

/** Only these come from work on the turn; states are also told when somebody asks for them. */
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
  /** Whether the turn is the agent's to go on with: not while people or the device are waited for. */
  counts(): boolean;
  /** Nothing came for the limit: tell people and ask Letta. */
  ask(notice: string): void;
  /** Nothing came for as long again: stop the turn, with this line. */
  abort(line: string): void;
}

const LOOKS_MS = 60_000;
const LOOKS_PER_LIMIT = 30;

/** Counts the time in which the open turn says nothing; one timer, while a turn is open. */
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

  /** A turn is open from now on. */
  begin(): void {
    this.end();
    this.#silentMs = 0;
    this.#asked = false;
    this.#line = null;
    this.#lookLater();
  }

  /** Whether what was said of a silence is over by this. */
  heard(event: AgentEvent | ConnectionEvent): boolean {
    if (!SIGNS_OF_WORK.has(event.type)) return false;
    const was = this.#asked;
    this.#silentMs = 0;
    this.#lookedAt = this.#parts.clock.monotonic();
    if (this.#line === null) this.#asked = false;
    return was && !this.#asked;
  }

  /** How the turn ended, when silence was why it was stopped. */
  because(ending: Ending, turn: string): Ending {
    return this.#line === null ? ending : { ...ending, outcome: 'failed', line: `${this.#line} · ${turn}` };
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
    // At most what a look covers: a process that stood still has not listened.
    if (this.#parts.counts()) this.#silentMs += Math.min(clock.monotonic() - this.#lookedAt, this.#everyMs);
    const step = silenceStep(this.#silentMs, limitMs, this.#asked);
    const words = limitWords(limitMs);
    if (step === 'ask') {
      this.#asked = true;
      this.#parts.ask(`the agent has been silent for ${words}; I’m checking whether it still works`);
    } else if (step === 'abort' && this.#line === null) {
      this.#line = `I stopped the agent, because it had been silent for ${limitWords(2 * limitMs)}`;
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
