import type { SlackTs } from '../../ids.ts';
import type { MessageAddress, Surface } from '../../ports.ts';
import type { Joining } from '../../record/joined.ts';
import type { Fork } from '../../record/thread-record.ts';
import { forkedText, forkRootText } from '../../words/fork.ts';
import type { SlackEffect } from '../core/effects.ts';
import { addressOf, type Thread } from '../core/thread.ts';
import type { Jobs, Performs } from './jobs.ts';
import type { Rights } from './rights.ts';

export interface ForkSideParts {
  surface: Pick<Surface, 'say' | 'beginThread'>;
  /** The address of a message in Slack; left out: none is known. */
  linkTo?: ((at: MessageAddress) => string | null) | undefined;
  /** Stores a thread that belongs to a conversation. */
  begin(root: SlackTs, joining: Joining): Promise<void>;
  thread(): Thread;
}

export type ForkEffect = Extract<SlackEffect, { do: 'post_fork' | 'join_fork' }>;

/** Shows a new thread that goes on from this one, and this one where it goes on. Both can be done again. */
export class ForkSide {
  readonly #parts: ForkSideParts;
  readonly #jobs: Jobs;
  readonly #rights: Rights;

  constructor(parts: ForkSideParts, jobs: Jobs, rights: Rights) {
    this.#parts = parts;
    this.#jobs = jobs;
    this.#rights = rights;
  }

  readonly performs: Performs<ForkEffect> = {
    post_fork: ({ fork }) =>
      this.#jobs.begin(
        'could not begin a new thread',
        () => this.#post(fork),
        (posted) => ({ type: 'fork_posted', id: fork.id, ...posted }),
        () => ({ type: 'fork_posted', id: fork.id, root: null }),
      ),
    join_fork: ({ fork, made: runtime, root }) => {
      const join = async () => {
        const { team, channel, kind } = addressOf(this.#parts.thread());
        const address = { team, channel, threadTs: root, ...(kind && { kind }) };
        await this.#parts.begin(root, { address, runtime, requester: fork.by, isCopy: true });
        return this.#tell(fork, root);
      };
      this.#jobs.ask('could not link a new thread', join, (ok) => ({
        type: 'fork_joined',
        id: fork.id,
        ok: ok ?? false,
      }));
    },
  };

  async #post({ id, by, name, upTo }: Fork): Promise<{ root: SlackTs | null; refused?: string }> {
    const verdict = await this.#rights.maySpeak(by);
    if (verdict === 'unknown') return { root: null };
    if (!verdict.allowed) return { root: null, refused: verdict.notice };
    const { surface, thread } = this.#parts;
    const { threadTs, ...there } = addressOf(thread());
    const link = this.#link(upTo?.ts ?? threadTs, threadTs);
    const text = forkRootText(name, link, upTo !== undefined);
    return { root: (await surface.beginThread?.({ ...there, threadTs: null }, text, `fork-${id}`)) ?? null };
  }

  /** @returns whether the old thread shows it, or never will */
  async #tell({ id, name, upTo }: Fork, root: SlackTs): Promise<boolean> {
    const { surface, thread } = this.#parts;
    const text = forkedText(name, this.#link(root, null), upTo !== undefined);
    const { delivered } = await surface.say(addressOf(thread()), text, undefined, `forked-${id}`);
    return delivered;
  }

  #link(ts: SlackTs | null, threadTs: SlackTs | null): string | null {
    const { channel } = addressOf(this.#parts.thread());
    return ts === null ? null : (this.#parts.linkTo?.({ channel, ts, threadTs }) ?? null);
  }
}
