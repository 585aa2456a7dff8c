import { can } from '../access/can.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import type { PolicyBook } from '../access/policy.ts';
import { whoDecides } from '../approvals/who-decides.ts';
import type { UserId } from '../ids.ts';
import type { Person } from '../person.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import type { HomeAgent, HomeCheck, HomeView } from '../view/home.ts';
import { memoryNotice } from './memory-notice.ts';
import { helpText } from './table.ts';

export interface HomeParts {
  workers: ThreadWorkers;
  policies: PolicyBook;
  killSwitch: KillSwitch;
  botUser: UserId;
  /** What must be well for the bridge to hear and answer; left out: nothing is said of it. */
  checks?: (() => readonly HomeCheck[]) | undefined;
  /** Which agents answered of late. */
  agents?: (() => readonly HomeAgent[]) | undefined;
}

/** What a person sees in the app's Home tab: theirs only, out of the threads in which something happens. */
export class HomeTab {
  readonly #parts: HomeParts;

  constructor(parts: HomeParts) {
    this.#parts = parts;
  }

  viewHome(person: Person): HomeView {
    const { policies, workers, killSwitch, botUser, checks, agents } = this.#parts;
    const policy = policies.current();
    const verdict = can(policy, person, { do: 'home' }, null);
    if (!verdict.allowed) return { kind: 'refused', notice: verdict.notice };
    const open = workers.overviews();
    const approvals = open.flatMap(({ address, place, asks }) =>
      asks
        .filter((ask) => can(policy, person, whoDecides(ask), place).allowed)
        .map(({ tool, title, askedAt }) => ({ address, tool, title, askedAt })),
    );
    const threads = open
      .filter(({ requester }) => requester === person.id)
      .map(({ address, doing, queued, since }) => ({ address, doing, queued, since }))
      .toSorted((a, b) => b.since - a.since);
    return {
      kind: 'open',
      paused: killSwitch.notice,
      checks: checks?.() ?? [],
      agents: agents?.() ?? [],
      approvals: approvals.toSorted((a, b) => a.askedAt - b.askedAt),
      threads,
      help: `${helpText(botUser)}\n\n${memoryNotice(policy)}`,
    };
  }
}
