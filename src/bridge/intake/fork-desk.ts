import type { Door } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import { makeThreadKey, ROLLING, type ThreadKey } from '../ids.ts';
import { type ActionOutcome, type InboundAsk, refused } from '../inbound.ts';
import type { Threads } from '../ports.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { FORK } from '../words/fork.ts';

export interface ForkDeskParts {
  threads: Pick<Threads, 'load'>;
  workers: Pick<ThreadWorkers, 'get'>;
  door: Door;
  killSwitch: KillSwitch;
}

/** Goes on from one message of a thread in a new one, for a person who may write to the agent there. */
export class ForkDesk {
  readonly #parts: ForkDeskParts;

  constructor(parts: ForkDeskParts) {
    this.#parts = parts;
  }

  /** Resolves when the wish is on disk. @returns its line for the person, also when it is granted */
  async begin(ask: InboundAsk): Promise<{ outcome: ActionOutcome; text: string }> {
    const { workers, door, killSwitch } = this.#parts;
    const { team, channel, actor, ts, message } = ask;
    const { person, verdict } = await door.judgeActor(team, channel, actor.user, { do: 'speak' });
    const no = (text: string, reason: string) => ({ outcome: refused('not_allowed', text, reason), text });
    if (!verdict.allowed) return no(verdict.notice, verdict.reason);
    if (killSwitch.notice !== null) return no(killSwitch.notice, 'paused');
    const key = await this.#findThread(ask);
    if (key === null) return no(FORK.notOurs, 'not_a_thread_of_ours');
    const upTo = { ts, isAnswer: message === null };
    return { outcome: { result: 'decided' }, text: await workers.get(key).command({ name: 'fork', by: person, upTo }) };
  }

  /** At the top of a direct message there may be a thread below the message, or the rolling conversation. */
  async #findThread({ team, channel, channelKind, ts, threadTs }: InboundAsk): Promise<ThreadKey | null> {
    const keys = [makeThreadKey({ team, channel, root: threadTs ?? ts })];
    if (threadTs === null && channelKind === 'im') keys.push(makeThreadKey({ team, channel, root: ROLLING }));
    for (const key of keys) if ((await this.#parts.threads.load(key)) !== null) return key;
    return null;
  }
}
