import type { UserId } from '../ids.ts';
import type { Choices, Clock, Log } from '../ports.ts';
import { moment } from '../text/moment.ts';

/** Who stopped everything, and when (ms since 1970). */
export interface Paused {
  by: UserId;
  at: number;
}

const NAME = 'paused';
const PAUSED = /^([A-Z0-9]{1,32}) (\d{1,15})$/;

/** Whether the agent may work at all. Stored, so that a restart does not wake what somebody has stopped. */
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

  /** Before anything is taken up or taken in. Rejects when the disk fails: then nothing may start. */
  async load(): Promise<void> {
    const found = PAUSED.exec((await this.#choices.get(NAME)) ?? '');
    this.#paused = found?.[1] ? { by: found[1], at: Number(found[2]) } : null;
    if (this.#paused) this.#log.warn({ ...this.#paused }, 'the agent is paused');
  }

  /** Holds from this moment on; resolves when it is on disk. */
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

  /** One line for whoever wants something of the agent; `null` while it works. */
  get notice(): string | null {
    const paused = this.#paused;
    return (
      paused && `<@${paused.by}> paused the agent (${moment(paused.at)}). It runs nothing until an admin resumes it.`
    );
  }
}
