import type { TurnId } from '../../ids.ts';
import type { Log } from '../../ports.ts';
import type { Effect } from '../core/effects.ts';
import type { ThreadEvent } from '../core/events.ts';
import type { Mailbox } from '../mailbox.ts';

/** One function for each of these effects, which does it. */
export type Performs<E extends Effect> = { readonly [K in E['do']]: (effect: Extract<E, { do: K }>) => void };

export interface JobsParts {
  mailbox: Pick<Mailbox, 'post'>;
  /** Takes a step; called only while a mail or its effects are handled. */
  handle(event: ThreadEvent): void;
  log: Log;
}

type Fields = { level?: 'warn' | 'error'; turn?: TurnId; request?: string };

/** Begins a thread's work in the world, which takes time; what comes of it is an event. */
export class Jobs {
  readonly #parts: JobsParts;

  constructor(parts: JobsParts) {
    this.#parts = parts;
  }

  /** @param message for the log when it fails, with `fields` */
  begin<T>(
    message: string,
    begin: () => Promise<T>,
    done: (value: T) => ThreadEvent | null = () => null,
    failed: (error: unknown) => ThreadEvent | null = () => null,
    { level = 'warn', ...fields }: Fields = {},
  ): void {
    const post = (event: ThreadEvent | null) => (event ? this.post(event) : undefined);
    Promise.try(begin).then(
      (value) => post(done(value)),
      (error: unknown) => {
        this.#parts.log[level]({ ...fields, err: error }, message);
        post(failed(error));
      },
    );
  }

  /** As {@link begin}; `told` also tells that it failed, by `null`. */
  ask<T>(message: string, begin: () => Promise<T>, told: (answer: T | null) => ThreadEvent, fields: Fields = {}): void {
    this.begin(message, begin, told, () => told(null), fields);
  }

  post(event: ThreadEvent): void {
    this.#parts.mailbox.post(() => this.#parts.handle(event));
  }
}
