import type { Clock } from '../ports.ts';
import type { ApprovalRecord, Ending } from '../record/thread-record.ts';
import { isGoodStopReason } from '../turn/fold.ts';
import { endingOf } from '../view/turn.ts';
import type { ThreadLink } from './link.ts';
import type { Leftover, ThreadState } from './state.ts';
import type { TurnSilence } from './turn-silence.ts';

export interface EndingParts {
  state: ThreadState;
  link: ThreadLink;
  silence: TurnSilence;
  clock: Clock;
  /** App Server: a turn does not outlive its socket (docs/letta-protocol.md, Loss and restart). */
  turnsDieWithLink: boolean;
}

/** Makes the ending that people read for the open turn, and says what it leaves for them to decide. */
export class TurnEndings {
  readonly #parts: EndingParts;

  constructor(parts: EndingParts) {
    this.#parts = parts;
  }

  /** The ending as Letta or a Stop brought it about. @throws TypeError when no turn is open */
  now(): Ending {
    const { state, silence, clock } = this.#parts;
    if (!state.open) throw new TypeError('no turn is open');
    return silence.because(endingOf(state.open, state.turn, clock.now()), state.open.id);
  }

  /** @param line what went wrong, for people */
  failed(line: string): Ending {
    const { tools, durationMs } = this.now();
    return { outcome: 'failed', by: null, line: `${line} · ${this.#parts.state.open?.id ?? ''}`, tools, durationMs };
  }

  /**
   * The ending of a turn whose end we did not see.
   * @param answered the history ends with the agent's words
   * @param unbroken the link has held since the turn began, so no loss can have cut the turn off
   */
  unseen(answered: boolean, unbroken = false): Ending {
    // The end was stored before the process died, and only its last view is missing in Slack.
    const known = this.#parts.state.open?.ended;
    if (known) return known;
    const ending = this.now();
    const outlived = unbroken || !this.#parts.turnsDieWithLink;
    // Letta reported a good end of the turn's last run; only its `turn_finished` is missing.
    const { lastRunEnd } = this.#parts.state.turn;
    const ran = lastRunEnd !== null && isGoodStopReason(lastRunEnd);
    const complete = (ran || (answered && outlived)) && !this.#diedAsking();
    if (ending.outcome !== 'done' || complete) return ending;
    const line =
      'I lost the connection to Letta while the agent worked, so this answer may be incomplete. Reply to continue.';
    return { ...ending, outcome: 'interrupted', line: `${line} · ${this.#parts.state.open?.id ?? ''}` };
  }

  /** What is left to decide about a turn that was cut off in its work. */
  cutOff(): Leftover {
    return { offer: this.#diedAsking() ? 'ask_again' : 'continue' };
  }

  /**
   * Whether Letta lost a request of the turn before anybody decided it: then the text before the request is no answer.
   */
  #diedAsking(): boolean {
    const { record, open } = this.#parts.state;
    const isLost = ({ turn, state }: ApprovalRecord) =>
      turn === open?.id && state.state === 'closed' && state.why === 'link_lost';
    return record?.approvals.some(isLost) ?? false;
  }

  /** The ending of a turn without messages: all were deleted, or moved to an offer because they waited too long. */
  endingWithoutMessages(): Ending {
    if (this.#parts.state.open?.withdrawn) {
      return { ...this.now(), outcome: 'stopped', line: 'the message was deleted before the agent got it' };
    }
    const line = 'I could not reach Letta for a long time, so I did not run this.';
    return { ...this.now(), outcome: 'interrupted', line };
  }

  /** The ending of a turn whose author lost the right to use the agent while it was queued. */
  notAllowed(): Ending {
    return { ...this.now(), outcome: 'stopped', line: 'not run: its author may no longer use the agent' };
  }

  /** What is left to decide about a turn whose conversation is gone at Letta. */
  withoutConversation(): Leftover | null {
    const { state, link } = this.#parts;
    const turn = state.open;
    if (!turn || turn.items.length === 0 || turn.stoppedBy) return null;
    const began = turn.state === 'submitted' && (link.begun || state.turn.parts.length > 0);
    return { offer: 'start_new', certain: !began };
  }

  /** What is left to decide about a turn that we can no longer follow. */
  leftover(): Leftover | null {
    const { state, link } = this.#parts;
    const turn = state.open;
    // A turn that was to end background tasks leaves no offer: whoever clicked Stop is told which tasks still run.
    if (turn?.ends) return null;
    if (!turn || turn.state === 'prepared') return { offer: 'send_again', certain: true };
    const id = turn.clientMessageId;
    const began = id === null || link.knows(id) || state.turn.parts.length > 0;
    if (!began) return { offer: 'send_again', certain: false };
    return turn.stoppedBy ? null : this.cutOff();
  }
}
