import { lettaMode } from '../access/policy.ts';
import type { UserId } from '../ids.ts';
import type { Log, Surface } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import { asCode } from '../text/as-code.ts';
import type { ThreadLink } from './link.ts';
import type { Mailbox } from './mailbox.ts';
import { say } from './say.ts';
import type { ThreadState } from './state.ts';

export interface SettingsParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  surface: Surface;
  log: Log;
}

/** Keeps a thread's link as the channel's settings want it, and tells whoever changed them when Letta applies them. */
export class ThreadSettings {
  readonly #parts: SettingsParts;
  /** Who changed the channel's settings and is still to be told that Letta has confirmed them. */
  #toConfirm: UserId | null = null;

  constructor(parts: SettingsParts) {
    this.#parts = parts;
  }

  /** Whether somebody waits for Letta to confirm what they set. */
  get unconfirmed(): boolean {
    return this.#toConfirm !== null;
  }

  changedBy(user: UserId): void {
    this.#toConfirm = user;
  }

  connect({ runtime, turn }: ThreadRecord): void {
    const { state, link } = this.#parts;
    const { permissions, binding } = state.settings;
    const options = { runtime, mode: lettaMode(permissions), binding };
    // A submitted turn keeps the settings that it began with, so a link with old settings is replaced only without one.
    if (turn?.state !== 'submitted' && link.differs(options)) link.disconnect();
    link.connect(options);
    // Guarded and strict are one mode to Letta, so a change between them needs no new link and applies at once.
    if (link.ready && turn?.state !== 'submitted') this.confirm();
  }

  /**
   * Tells whoever changed the settings that they apply, if the link was made with them: it is ready only once Letta has
   * taken the mode (docs/letta-protocol.md, Other frames of the client).
   */
  confirm(): void {
    const { state, link } = this.#parts;
    const by = this.#toConfirm;
    const { permissions, binding } = state.settings;
    if (by === null || link.differs({ runtime: state.record?.runtime ?? null, mode: lettaMode(permissions), binding }))
      return;
    this.#toConfirm = null;
    const directory = link.workingDirectory;
    const where = directory === null ? '' : `, directory ${asCode(directory)}`;
    say(this.#parts, `<@${by}> changed the permissions here to ${permissions}${where}. Letta has confirmed it.`);
  }

  /** The default agent no longer exists and another was chosen, so people are told that they talk to another one. */
  agentReplaced(gone: string, agentId: string): void {
    say(
      this.#parts,
      `The agent that answered new threads so far (${asCode(gone)}) no longer exists. From now on ${asCode(agentId)} answers them; it does not know the earlier conversations.`,
    );
  }
}
