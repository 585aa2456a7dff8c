import { BoundedMap } from '../bounded-map.ts';
import { Refusal } from './refusal.ts';

const LIFETIME_MS = 3_000;
const MAX_TRIGGERS = 5_000;

export interface Trigger {
  user: string;
  /** The view whose button was pressed: only then a view can be pushed. */
  viewId: string | null;
}

/** Trigger ids: three seconds, one use (docs/slack.md, Interactivity). */
export class Triggers {
  readonly #triggers = new BoundedMap<string, Trigger & { at: number; used: boolean }>(MAX_TRIGGERS);
  readonly #now: () => number;
  #counter = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  makeTrigger(trigger: Trigger): string {
    this.#counter += 1;
    const id = `${1_000_000_000_000 + this.#counter}.${this.#now()}.${Math.random().toString(16).slice(2).padEnd(12, '0')}`;
    this.#triggers.set(id, { ...trigger, at: this.#now(), used: false });
    return id;
  }

  has(id: string): boolean {
    return this.#triggers.has(id);
  }

  /** Uses the trigger up. @throws Refusal with Slack's error. */
  useTrigger(id: string): Trigger {
    const trigger = this.#triggers.get(id);
    if (!trigger) throw new Refusal('invalid_trigger_id');
    if (trigger.used) throw new Refusal('exchanged_trigger_id');
    if (this.#now() - trigger.at > LIFETIME_MS) throw new Refusal('expired_trigger_id');
    trigger.used = true;
    return trigger;
  }
}
