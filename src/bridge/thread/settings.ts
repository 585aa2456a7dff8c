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

/** The link of a thread is as its channel's settings want it; who changes them is told when they hold. */
export class ThreadSettings {
  readonly #parts: SettingsParts;
  /** Who has changed the settings of the channel: the thread is told once Letta has confirmed them. */
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
    // What was set meanwhile holds from here on; a turn that runs goes on as it was begun.
    if (turn?.state !== 'submitted' && link.differs(options)) link.disconnect();
    link.connect(options);
    // Guarded and strict are one mode to Letta: then nothing is dialled anew, and it holds already.
    if (link.ready && turn?.state !== 'submitted') this.confirm();
  }

  /**
   * A link is ready only once Letta's mode is what was asked for (docs/letta-protocol.md, Other frames of the client).
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

  /** The agent that answered new threads is gone, and another one was chosen: people talk to somebody else now. */
  agentReplaced(gone: string, agentId: string): void {
    say(
      this.#parts,
      `The agent that answered new threads so far (${asCode(gone)}) no longer exists. From now on ${asCode(agentId)} answers them; it does not know the earlier conversations.`,
    );
  }
}
