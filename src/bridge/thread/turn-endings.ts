import type { Clock } from '../ports.ts';
import type { Leftover } from '../record/offers.ts';
import type { ApprovalRecord, Ending } from '../record/thread-record.ts';
import { sayCause } from '../turn/causes.ts';
import { isGoodStopReason } from '../turn/fold.ts';
import { effectsOfTurn, endingOf, failureLine, wayOnAtEnd, wayOnOf } from '../view/ending.ts';
import type { ThreadLink } from './link.ts';
import type { ThreadState } from './state.ts';
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
    const ending = endingOf(state.open, state.turn, clock.now(), state.heard);
    if (silence.stoppedFor === null) return ending;
    return { ...ending, outcome: 'failed', line: this.#line(silence.stoppedFor, this.wayOn()) };
  }

  /** What is left to decide about the ending that {@link now} tells. */
  wayOn(): Leftover | null {
    const { state, silence } = this.#parts;
    if (!state.open) return null;
    if (silence.stoppedFor === null) return wayOnAtEnd(state.open, state.turn, state.heard);
    return wayOnOf(state.open, { name: 'silent' }, effectsOfTurn(state.open, state.turn, state.heard));
  }

  /** @param says what went wrong, a sentence for people */
  failed(says: string, leftover: Leftover | null): Ending {
    const { tools, durationMs } = this.now();
    return { outcome: 'failed', by: null, line: this.#line(says, leftover), tools, durationMs };
  }

  #line(says: string, leftover: Leftover | null): string {
    const { open, turn, heard } = this.#parts.state;
    return open ? failureLine(says, effectsOfTurn(open, turn, heard), leftover) : says;
  }

  /**
   * The ending of a turn whose end we did not see.
   * @param answered the history ends with the agent's words
   * @param unbroken the link has held since the turn began, so no loss can have cut the turn off
   * @param leftover what is left to decide if it was cut off
   */
  unseen(answered: boolean, unbroken = false, leftover: Leftover | null = this.cutOff()): Ending {
    // The end was stored before the process died, and only its last view is missing in Slack.
    const known = this.#parts.state.open?.ended;
    if (known) return known;
    const ending = this.now();
    const outlived = unbroken || !this.#parts.turnsDieWithLink;
    // Letta reported a good end of the turn's last run; only its `turn_finished` is missing.
    const { lastRunEnd } = this.#parts.state.turn;
    const ran = lastRunEnd !== null && isGoodStopReason(lastRunEnd);
    const complete = (ran || (answered && outlived)) && !this.#diedAsking();
    const isMaybeUnsent = leftover?.offer === 'send_again';
    if (ending.outcome !== 'done' && isMaybeUnsent) return { ...ending, line: this.#line('', leftover).trim() };
    if (ending.outcome !== 'done' || complete) return ending;
    if (leftover?.offer === 'ask_again') {
      const line = 'The agent’s request was lost with the connection to Letta, and nothing of it ran.';
      return { ...ending, outcome: 'interrupted', line };
    }
    const says = isMaybeUnsent ? 'I lost the connection to Letta.' : sayCause({ name: 'link_lost' });
    return { ...ending, outcome: 'interrupted', line: this.#line(says, leftover) };
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
