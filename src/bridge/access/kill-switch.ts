import type { UserId } from '../ids.ts';
import type { Choices, Clock, Log } from '../ports.ts';
import { moment } from '../text/moment.ts';
import { pausedByText } from '../words/access.ts';

/** Who paused the agent, and when (ms since 1970). */
export interface Paused {
  by: UserId;
  at: number;
}

const NAME = 'paused';
const PAUSED = /^([A-Z0-9]{1,32}) (\d{1,15})$/;

/** Whether an admin paused the agent. Stored, so that a restart does not resume it. */
export class KillSwitch {
  readonly #choices: Choices;
  readonly #clock: Clock;
  readonly #log: Log;
  #paused: Paused | null = null;

  constructor({ choices, clock, log }: { choices: Choices; clock: Clock; log: Log }) {
    this.#choices = choices;
    this.#clock = clock;
    this.#log = log;
  }

  get paused(): Paused | null {
    return this.#paused;
  }

  /** Call it before threads are resumed and messages accepted. Rejects when the disk fails: then nothing may start. */
  async load(): Promise<void> {
    const found = PAUSED.exec((await this.#choices.get(NAME)) ?? '');
    this.#paused = found?.[1] ? { by: found[1], at: Number(found[2]) } : null;
    if (this.#paused) this.#log.warn({ ...this.#paused }, 'the agent is paused');
  }

  /** Takes effect at once; resolves when it is on disk. */
  async pause(by: UserId): Promise<void> {
    this.#paused ??= { by, at: this.#clock.now() };
    this.#log.warn({ ...this.#paused }, 'the agent is paused');
    await this.#choices.set(NAME, `${this.#paused.by} ${this.#paused.at}`);
  }

  /** Resolves when it is on disk; until then the agent stays paused. */
  async resume(by: UserId): Promise<void> {
    await this.#choices.set(NAME, '');
    this.#paused = null;
    this.#log.warn({ by }, 'the agent is no longer paused');
  }

  /** One line for people who write while the agent is paused; `null` while it is not. */
  get notice(): string | null {
    const paused = this.#paused;
    return paused && pausedByText(paused.by, moment(paused.at));
  }
}
