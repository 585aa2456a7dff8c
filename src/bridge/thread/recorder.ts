import type { Policy } from '../access/policy.ts';
import type { Recordings } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import type { ThreadEvent } from './core/events.ts';
import { encodeLine, type Line, notingContext, type RecordedContext } from './core/recording.ts';
import type { Config, Thread } from './core/thread.ts';
import type { Context, Work } from './core/work.ts';

/** Notes down what the steps of one thread were given, for `npm run replay`. */
export class StepRecorder {
  readonly #recordings: Recordings;
  readonly #config: Config;
  #hasBegun = false;
  #policy: Policy | null = null;

  constructor(recordings: Recordings, config: Config) {
    this.#recordings = recordings;
    this.#config = config;
  }

  /** The context for a step, and what that draws from it. */
  note(context: Context): { context: Context; noted: RecordedContext } {
    return notingContext(context, this.#config);
  }

  /** @param before the thread before the step */
  addStep(before: Thread, event: ThreadEvent, noted: RecordedContext, { effects }: Work): void {
    const { policy } = noted;
    const isNewPolicy = policy !== this.#policy;
    if (policy) this.#policy = policy;
    const context = isNewPolicy ? noted : { ...noted, policy: undefined };
    this.#add(before, { event, context, effects });
  }

  /** @param record as it is on disk; `undefined`: the steps since the last store do not count */
  addStored(thread: Thread, record: ThreadRecord | null | undefined): void {
    this.#add(thread, record === undefined ? { dropped: true } : { stored: record });
  }

  /** Something else than a step changed the thread, so the next line begins anew. */
  interrupt(): void {
    this.#hasBegun = false;
  }

  #add(before: Thread, line: Line): void {
    const begin = () => encodeLine({ begins: before, config: this.#config, policy: this.#policy as Policy });
    this.#recordings.add(before.key, encodeLine(line), begin, !this.#hasBegun);
    this.#hasBegun = true;
  }
}
