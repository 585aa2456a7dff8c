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

/** The words with which the open turn ends, and what it leaves for people to decide. */
export class TurnEndings {
  readonly #parts: EndingParts;

  constructor(parts: EndingParts) {
    this.#parts = parts;
  }

  /** As Letta and people ended it. @throws TypeError when no turn is open */
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
   * Its end was not seen.
   * @param answered the history ends with the agent's words
   * @param unbroken the link has held since the turn began: nothing can have cut it
   */
  unseen(answered: boolean, unbroken = false): Ending {
    // It had ended before the process did, and was only not shown yet.
    const known = this.#parts.state.open?.ended;
    if (known) return known;
    const ending = this.now();
    const outlived = unbroken || !this.#parts.turnsDieWithLink;
    // Letta said that its last run had come to its end; only the word that the turn had, too, is missing.
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
   * It asked, nobody answered, and Letta does not know of it any more: what was said before the question is no answer.
   */
  #diedAsking(): boolean {
    const { record, open } = this.#parts.state;
    const isLost = ({ turn, state }: ApprovalRecord) =>
      turn === open?.id && state.state === 'closed' && state.why === 'link_lost';
    return record?.approvals.some(isLost) ?? false;
  }

  /** Nothing is left to be sent: its messages were deleted, or wait for their author's word. */
  emptied(): Ending {
    if (this.#parts.state.open?.withdrawn) {
      return { ...this.now(), outcome: 'stopped', line: 'the message was deleted before the agent got it' };
    }
    const line = 'I could not reach Letta for a long time, so I did not run this.';
    return { ...this.now(), outcome: 'interrupted', line };
  }

  /** Its author lost the right to use the agent while it waited. */
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

  /** What is left to decide about a turn that nobody can follow any more. */
  leftover(): Leftover | null {
    const { state, link } = this.#parts;
    const turn = state.open;
    // What it was to end is asked for again by whoever still wants it.
    if (turn?.ends) return null;
    if (!turn || turn.state === 'prepared') return { offer: 'send_again', certain: true };
    const id = turn.clientMessageId;
    const began = id === null || link.knows(id) || state.turn.parts.length > 0;
    if (!began) return { offer: 'send_again', certain: false };
    return turn.stoppedBy ? null : this.cutOff();
  }
}
