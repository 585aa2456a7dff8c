import type { TurnId } from '../../ids.ts';
import type { Timer as Running } from '../../ports.ts';
import type { UsedTurn } from '../../turn/steps.ts';
import type { Effect, ThreadEffect } from '../core/effects.ts';
import type { Timer } from '../core/events.ts';
import { CallRunner, type CallRunnerParts } from './calls.ts';
import { ForkSide, type ForkSideParts } from './fork.ts';
import { Jobs, type Performs } from './jobs.ts';
import { LettaSide, type LettaSideParts } from './letta.ts';
import { Rights, type RightsParts } from './rights.ts';
import { SlackSide, type SlackSideParts } from './slack.ts';

export type PerformerParts = SlackSideParts &
  LettaSideParts &
  CallRunnerParts &
  ForkSideParts &
  RightsParts & {
    onRetired(): void;
    /** Left out: turns are not counted. */
    onTurnUsed?: ((used: UsedTurn) => void) | undefined;
  };

/** Does what steps want done in the world, and hands what comes of it back as events. */
export class Performer {
  readonly #parts: PerformerParts;
  readonly #timers = new Map<Timer, { turn: TurnId | undefined; running: Running }>();
  readonly #calls: CallRunner;
  readonly #performs: Performs<Effect>;
  readonly slack: SlackSide;
  readonly letta: LettaSide;

  constructor(parts: PerformerParts) {
    this.#parts = parts;
    const jobs = new Jobs(parts);
    const rights = new Rights(parts, jobs);
    this.slack = new SlackSide(parts, jobs);
    this.letta = new LettaSide(parts, jobs, rights);
    this.#calls = new CallRunner(parts, jobs, this.letta, rights);
    const { slack } = this;
    const own: Performs<ThreadEffect> = {
      log: ({ level, fields, message }) => parts.log[level](fields, message),
      timer: (effect) => this.#setTimer(effect),
      // A closed thread would refuse the event that waits.
      note_use: ({ used }) => parts.onTurnUsed?.(used),
      retire: () => (parts.mailbox.empty ? parts.onRetired() : this.#setTimer({ timer: 'rest', ms: 0 })),
    };
    this.#performs = {
      ...own,
      ...slack.performs,
      ...new ForkSide(parts, jobs, rights).performs,
      ...this.letta.performs,
      ...this.#calls.performs,
      ...rights.performs,
      close_turn: (effect) => {
        slack.performs.close_turn(effect);
        for (const [timer, { turn }] of this.#timers) if (turn !== undefined) this.#setTimer({ timer });
      },
    };
  }

  close(): void {
    for (const { running } of this.#timers.values()) running.cancel();
    this.#calls.close();
    this.letta.close();
  }

  perform(effect: Effect): void {
    // The link was lost while the disk wrote: over the next one Letta asks anew, perhaps for something else.
    if ('link' in effect && (this.letta.isLinkLost || effect.link !== this.#parts.thread().link.up)) return;
    // TypeScript does not see that the function found under an effect's name takes that effect.
    const performs = this.#performs[effect.do] as (effect: Effect) => void;
    performs(effect);
  }

  #setTimer({ timer, ms, turn, attempt }: Omit<Effect & { do: 'timer' }, 'do'>): void {
    const { mailbox, handle } = this.#parts;
    this.#timers.get(timer)?.running.cancel();
    this.#timers.delete(timer);
    if (ms === undefined) return;
    const running = mailbox.later(ms, () => {
      // It may have been cancelled, or set anew, while its event waited.
      if (this.#timers.get(timer) !== entry) return;
      this.#timers.delete(timer);
      handle({ type: 'timer', timer, ...(turn !== undefined && { turn }), ...(attempt !== undefined && { attempt }) });
    });
    const entry = { turn, running };
    this.#timers.set(timer, entry);
  }
}
