import { can } from '../access/can.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import type { PolicyBook } from '../access/policy.ts';
import { whoDecides } from '../approvals/who-decides.ts';
import { type ModelsPlace, parseThreadKey, type ThreadKey, type UserId } from '../ids.ts';
import type { Person } from '../person.ts';
import type { Clock, Log, Threads } from '../ports.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import {
  type HomeAgent,
  type HomeCheck,
  type HomeView,
  type HomeWaiting,
  type Machines,
  waitingOf,
} from '../view/home.ts';
import { memoryNotice } from '../view/memory-notice.ts';
import { helpText } from '../words/commands.ts';
import { NOTIFY_CHOICES, type NotifyTimes } from './notify-times.ts';

export interface HomeParts {
  workers: ThreadWorkers;
  threads: Pick<Threads, 'loadWaiting'>;
  clock: Clock;
  log: Log;
  policies: PolicyBook;
  killSwitch: KillSwitch;
  botUser: UserId;
  /** Left out: people cannot choose when they are notified. */
  notifyTimes?: NotifyTimes | undefined;
  /** The state of Slack, Letta and the store; left out: not shown. */
  checks?: (() => readonly HomeCheck[]) | undefined;
  /** The agents that answered recently. */
  agents?: (() => readonly HomeAgent[]) | undefined;
  /** Left out: no machine can dial in. */
  machines?: (() => Machines) | undefined;
}

/** The app's Home tab: a person's own running threads, and the requests that they may decide. */
export class HomeTab {
  readonly #parts: HomeParts;

  constructor(parts: HomeParts) {
    this.#parts = parts;
  }

  /** Stores after how long the end of a turn notifies this person. @param ms one of the choices; `null`: as usual */
  async chooseNotifyTime(person: Person, ms: number | null): Promise<void> {
    const { policies, notifyTimes } = this.#parts;
    if (ms !== null && !NOTIFY_CHOICES.includes(ms)) return;
    if (can(policies.current(), person, { do: 'home' }, null).allowed) await notifyTimes?.choose(person.id, ms);
  }

  async viewHome(person: Person): Promise<HomeView> {
    const { policies, workers, killSwitch, botUser, checks, agents, machines, notifyTimes } = this.#parts;
    const policy = policies.current();
    const verdict = can(policy, person, { do: 'home' }, null);
    if (!verdict.allowed) return { kind: 'refused', notice: verdict.notice };
    const known = machines?.() ?? null;
    const isAdmin = can(policy, person, { do: 'administer' }, null).allowed;
    const open = workers.overviews();
    const approvals = open.flatMap(({ address, place, asks }) =>
      asks
        .filter((ask) => can(policy, person, whoDecides(ask), place).allowed)
        .map(({ tool, title, askedAt }) => ({ address, tool, title, askedAt })),
    );
    const threads = open
      .filter(({ requester }) => requester === person.id)
      .map(({ address, question, doing, queued, since, stop, page, model, key, place, modelsOf }) => {
        const mayChoose = can(policy, person, { do: 'choose_model', starter: modelsOf }, place).allowed;
        const models = mayChoose && model !== null ? placeOfThread(key) : null;
        return { address, question, doing, queued, since, stop, page, model, models };
      })
      .toSorted((a, b) => b.since - a.since);
    return {
      kind: 'open',
      paused: killSwitch.notice,
      checks: checks?.() ?? [],
      agents: agents?.() ?? [],
      machines: known && { list: known.list, command: isAdmin ? known.command : null },
      approvals: approvals.toSorted((a, b) => a.askedAt - b.askedAt),
      waiting: await this.#listWaiting(person),
      threads,
      prompts: policy.prompts,
      notifyAfter: notifyTimes
        ? { chosen: notifyTimes.getChosen(person.id), usual: notifyTimes.usual, choices: NOTIFY_CHOICES }
        : null,
      help: helpText(botUser),
      memory: memoryNotice(policy),
    };
  }

  /** Also of threads that sleep: their records are read, so only what the store's index names. */
  async #listWaiting(person: Person): Promise<HomeWaiting[]> {
    const { threads, clock, log, botUser } = this.#parts;
    try {
      const records = await threads.loadWaiting(person.id);
      return records.flatMap((record) => waitingOf(record, person.id, botUser, clock.now()) ?? []);
    } catch (error) {
      log.warn({ err: error }, 'could not read what waits for a person; their Home tab lacks it');
      return [];
    }
  }
}

function placeOfThread(thread: ThreadKey): ModelsPlace {
  const { team, channel } = parseThreadKey(thread);
  return { team, channel, thread };
}
