import { BoundedMap } from '../../bounded-map.ts';
import { Chains } from '../chains.ts';
import type { ChannelId, TeamId } from '../ids.ts';
import type { InboundChannelChange } from '../inbound.ts';
import type { Log, ThreadMoves } from '../ports.ts';
import { keyInChannel, recordInChannel } from '../record/channel-move.ts';
import type { ThreadWorkers } from '../thread/workers.ts';

export interface ChannelMovesParts {
  moves: ThreadMoves;
  workers: ThreadWorkers;
  log: Log;
}

const NAMES_KEPT = 1_000;

/** Moves threads to a channel's new id when Slack changes it (docs/slack.md, Slack Connect and Enterprise). */
export class ChannelMoves {
  readonly #parts: ChannelMovesParts;
  /** Old id → new id: routes messages and clicks that still carry the old one. */
  readonly #renamed = new BoundedMap<string, ChannelId>(NAMES_KEPT);
  /**
   * Moves of one team run one after another. Slack tells of a change again when its threads take longer than three seconds
   * to move, and a second move beside the first would close the thread that is just moving.
   */
  readonly #moves = new Chains<TeamId>();

  constructor(parts: ChannelMovesParts) {
    this.#parts = parts;
  }

  /** The id that the channel has now. */
  currentChannel(team: TeamId, channel: ChannelId): ChannelId {
    return this.#renamed.get(`${team} ${channel}`) ?? channel;
  }

  /**
   * Resolves when every thread is stored under the new id. When a move was interrupted, calling it again finishes it.
   */
  async moveThreads(change: InboundChannelChange): Promise<number> {
    const { team, from, to } = change;
    if (from === to) return 0;
    this.#rememberMove(team, from, to);
    return this.#moves.run(team, () => this.#moveThreads(change));
  }

  async #moveThreads({ team, from, to }: InboundChannelChange): Promise<number> {
    const { moves, workers, log } = this.#parts;
    const keys = await moves.listOfChannel(team, from);
    for (const key of keys) {
      const next = keyInChannel(key, to);
      await workers.move(key, next, () => moves.move(key, next, (old, there) => recordInChannel(old, to, there)));
    }
    log.warn(
      { from, to, threads: keys.length },
      'Slack gave a channel a new id; replace the old id in SLACK_ALLOWED_CHANNELS and in the policy',
    );
    return keys.length;
  }

  #rememberMove(team: TeamId, from: ChannelId, to: ChannelId): void {
    this.#renamed.delete(`${team} ${to}`);
    this.#renamed.set(`${team} ${from}`, to);
  }
}
