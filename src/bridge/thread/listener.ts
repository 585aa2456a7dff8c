import type { KillSwitch } from '../access/kill-switch.ts';
import type { AgentEvent, ConnectionEvent } from '../agent-event.ts';
import type { Log } from '../ports.ts';
import { beginAgentTurn, changeTurn, type TurnIds } from '../record/inbox.ts';
import { type Leftover, setRuntime } from '../record/offers.ts';
import type { Ending, OpenTurn } from '../record/thread-record.ts';
import { sayCause, sayError } from '../turn/causes.ts';
import { foldTurn, type TurnState } from '../turn/fold.ts';
import type { ThreadApprovals } from './approvals/approvals.ts';
import type { ThreadBackground } from './background.ts';
import { type Held, HeldEvents } from './held-events.ts';
import type { ThreadLink } from './link.ts';
import type { Mailbox } from './mailbox.ts';
import type { ThreadOffers } from './offers.ts';
import type { ThreadSettings } from './settings.ts';
import type { ThreadState } from './state.ts';
import type { TurnEndings } from './turn-endings.ts';
import type { TurnInput } from './turn-input.ts';
import { END_OVERDUE_MS, type TurnLookup, type Verdict } from './turn-lookup.ts';
import type { TurnSilence } from './turn-silence.ts';
import { STOP_OVERDUE_MS, type TurnStop } from './turn-stop.ts';

export interface ListenerParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  approvals: ThreadApprovals;
  offers: ThreadOffers;
  settings: ThreadSettings;
  background: ThreadBackground;
  silence: TurnSilence;
  lookup: TurnLookup;
  endings: TurnEndings;
  stopping: TurnStop;
  input: TurnInput;
  killSwitch: KillSwitch;
  log: Log;
  turnIds(): TurnIds;
  openTurn(turn: OpenTurn): void;
  /** The open turn called a tool, or heard of one. */
  toolsChanged(): void;
  advance(): void;
  end(ending: Ending, leftover?: Leftover | null): void;
  fail(says: string, leftover: Leftover | null): void;
  /** Closes the turn to further events; {@link finish} shows its last view. */
  leave(): void;
  finish(ending: Ending, leftover: Leftover | null): void;
}

/** Letta names running background tasks soon after a link is ready; after this long without a word there are none. */
const BACKGROUND_TOLD_MS = 5_000;
/** Errors that no retry fixes, but a new conversation does. */
const GONE: ReadonlySet<string> = new Set(['agent_not_found', 'conversation_not_found', 'no_environment']);

/** Hears what Letta says to a thread, and decides whether it belongs to the open turn, ends it, or begins another. */
export class ThreadListener {
  readonly #parts: ListenerParts;
  readonly #held = new HeldEvents();
  #wasBackgroundTold = false;
  /** Whether we may have missed events of the open turn: then the history is read before the turn is closed. */
  #mayHaveMissedEvents = false;
  /** Whether the link was lost since the open turn was submitted. */
  #wasLinkLost = false;
  /** Whether the thread shows that we cannot tell yet if Letta got the input. */
  #showsDoubt = false;
  /** The replay that has started a look into the history already, and must not start another. */
  #reconciledReplay: (ConnectionEvent & { type: 'ready' }) | null = null;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
  }

  /** What the link says, and what the agent says through it. */
  hear(event: AgentEvent | ConnectionEvent): void {
    if (this.#parts.silence.heard(event) && this.#parts.link.ready) {
      this.#parts.state.hold = null;
      this.#parts.state.isViewOutdated = true;
    }
    switch (event.type) {
      case 'ready':
        this.#onReady(event);
        return;
      case 'lost':
        this.#linkLost();
        this.#held.linkLost();
        this.#parts.lookup.forget();
        this.#parts.offers.lost();
        this.#parts.input.forget();
        this.#parts.log.warn({ reason: event.reason }, 'lost the link to Letta');
        this.#wait('The connection was lost; I’m reconnecting.');
        return;
      case 'unavailable':
        this.#onUnavailable(event);
        return;
      default:
        this.#onAgentEvent(event);
        return;
    }
  }

  #linkLost(): void {
    const wasSubmitted = this.#parts.state.open?.state === 'submitted';
    this.#wasLinkLost ||= wasSubmitted;
    if (wasSubmitted) this.#parts.state.isAllHeard = false;
    this.#parts.link.lost();
  }

  /** Events of the open turn may be missing: its end asks the history for what was said in them. */
  #noteMissedEvents(): void {
    this.#mayHaveMissedEvents = true;
    this.#parts.state.isAllHeard = false;
  }

  #wait(notice: string, device?: string): void {
    this.#showsDoubt = false;
    if (!this.#parts.state.open || this.#parts.state.isEnding) return;
    this.#parts.state.hold = { kind: 'waiting_for_letta', notice, ...(device !== undefined && { device }) };
    this.#parts.state.isViewOutdated = true;
  }

  /** We know now whether Letta got the input, so the notice of doubt goes. */
  #sure(): void {
    if (!this.#showsDoubt) return;
    this.#showsDoubt = false;
    this.#parts.state.hold = null;
    this.#parts.state.isViewOutdated = true;
  }

  #onUnavailable(event: ConnectionEvent & { type: 'unavailable' }): void {
    this.#parts.log.warn(
      { code: event.code, notice: event.notice, retryInMs: event.retryInMs },
      'Letta is unavailable',
    );
    this.#linkLost();
    if (event.retryInMs !== null) {
      this.#parts.offers.lost();
      this.#wait(sayError(event.code, event.notice), event.device);
      return;
    }
    // No retry fixes this, so the turn fails where people see it, and the next message dials anew.
    const isGone = GONE.has(event.code) && this.#parts.state.record?.runtime !== null;
    const { endings } = this.#parts;
    const leftover = isGone ? endings.withoutConversation() : endings.leftover();
    this.#parts.link.disconnect();
    this.#parts.offers.givenUp();
    // The error's own words are for the turn's details.
    const message = `${event.code}: ${event.notice}`;
    this.#parts.state.turn = foldTurn(this.#parts.state.turn, { type: 'error', message, terminal: true });
    this.#parts.fail(sayError(event.code, event.notice), leftover);
    // Only after the turn has ended: this advances the thread, which would dial the lost conversation for an open turn.
    this.#parts.background.told([]);
  }

  #onReady(event: ConnectionEvent & { type: 'ready' }): void {
    this.#parts.link.opened(event);
    this.#parts.input.forget();
    this.#showsDoubt = false;
    this.#parts.state.hold = null;
    this.#parts.state.isViewOutdated = true;
    const { runtime } = event;
    const stored = this.#parts.state.record?.runtime;
    const same =
      stored?.agentId === runtime.agentId &&
      stored.conversationId === runtime.conversationId &&
      stored.deviceId === runtime.deviceId;
    if (!same) this.#parts.state.change((record) => setRuntime(record, runtime));
    this.#askBackground();
    this.#parts.background.forget();
    this.#parts.settings.confirm();
    if (event.replacedAgent !== undefined) this.#parts.settings.agentReplaced(event.replacedAgent, runtime.agentId);
    this.#parts.offers.reached();
    this.#takeUp(event);
  }

  /** Compares a new link's replay with the open turn: that goes on, or its end is looked up, or Letta began another. */
  #takeUp(event: ConnectionEvent & { type: 'ready' }): void {
    if (!this.#parts.link.ready) return;
    if (this.#parts.state.isEnding) {
      this.#held.pushReady(event);
      return;
    }
    const before = this.#parts.state.open;
    if (before?.state === 'submitted' && this.#reconciledReplay !== event && this.#parts.link.runsAnother(before)) {
      // Letta runs another input, so the history must tell what became of ours before the replay is taken up.
      this.#reconciledReplay = event;
      // The replay names every request that is open: none of the lost link may be taken for one of the next turn.
      const requestIds = event.approvals.map(({ requestId }) => requestId);
      this.#parts.state.turn = foldTurn(this.#parts.state.turn, { type: 'approvals-open', requestIds });
      this.#held.pushReady(event);
      this.#parts.lookup.look();
      return;
    }
    const isIdle = this.#parts.link.loop === 'idle' && event.approvals.length === 0;
    const ours = this.#parts.state.open?.state === 'submitted';
    if (!ours && !isIdle) this.#openAgentTurn();
    const turn = this.#parts.state.open;
    if (turn?.state === 'submitted') {
      this.#parts.approvals.joined();
      const open = event.approvals.map((request) => request.requestId);
      this.#parts.state.turn = foldTurn(this.#parts.state.turn, { type: 'approvals-open', requestIds: open });
      this.#parts.approvals.close(open, 'link_lost');
      for (const request of event.approvals) this.#parts.approvals.asked(request);
      if (open.length > 0) this.#parts.lookup.recall();
      // Letta is idle, so only the history knows what became of the input (docs/letta-protocol.md, Loss and restart).
      if (isIdle) {
        this.#parts.lookup.look();
        return;
      }
      this.#noteMissedEvents();
      if (turn.stoppedBy) this.#parts.stopping.abort();
    }
    this.release();
    this.#parts.advance();
  }

  /** Letta reports background tasks when their number changes, counting from none, so a silent new link means none. */
  #askBackground(): void {
    this.#wasBackgroundTold = false;
    const connection = this.#parts.link.ready;
    this.#parts.mailbox.later(BACKGROUND_TOLD_MS, () =>
      this.#wasBackgroundTold || this.#parts.link.ready !== connection ? undefined : this.#parts.background.told([]),
    );
  }

  // ---- a turn whose end was not seen -----------------------------------------------------------

  verdict(found: Verdict): void {
    switch (found.verdict) {
      case 'over': {
        this.#keepForNext();
        const ending = this.#parts.endings.unseen(
          found.answered,
          !this.#wasLinkLost && !this.#parts.state.wasSubmittedBefore,
        );
        this.#parts.end(ending, ending.outcome === 'interrupted' ? this.#parts.endings.cutOff() : null);
        return;
      }
      case 'begins':
        this.#noteMissedEvents();
        this.#parts.state.isViewOutdated = true;
        this.release();
        return;
      case 'not_there_yet':
        if (this.#parts.link.loop === 'idle') {
          this.#wait('I can’t tell yet whether your message arrived; I’m asking again.');
          this.#showsDoubt = true;
        }
        this.release();
        return;
      case 'never_arrived':
        if (this.#parts.state.open?.stoppedBy) {
          this.#parts.end(this.#parts.endings.unseen(false));
          return;
        }
        this.#parts.log.info({ turn: this.#parts.state.open?.id }, 'the input never arrived; sending it again');
        this.#sure();
        this.#parts.state.change((record) => changeTurn(record, { state: 'prepared' }));
        this.#parts.state.textUnknown = false;
        this.#parts.link.unsubmitted();
        this.#parts.offers.neverArrived();
        this.release();
        this.#parts.advance();
        return;
      case 'unreadable': {
        const leftover = this.#parts.endings.leftover();
        this.#parts.end(this.#parts.endings.unseen(false, false, leftover), leftover);
        return;
      }
      default:
        found satisfies never;
    }
  }

  // ---- what the agent says ---------------------------------------------------------------------

  #onAgentEvent(event: AgentEvent): void {
    if (event.type === 'loop') {
      this.#onLoop(event);
      return;
    }
    if (event.type === 'background') {
      this.#wasBackgroundTold = true;
      this.#parts.background.told(event.tasks);
      return;
    }
    if (event.type === 'device') {
      const moved = this.#parts.link.workingDirectory !== event.workingDirectory;
      this.#parts.link.workingDirectory = event.workingDirectory;
      if (moved) this.#parts.approvals.directoryMoved();
      return;
    }
    if (this.#parts.state.isEnding || this.#parts.lookup.looking) {
      this.#held.push(event);
      return;
    }
    const turn = this.#parts.state.open;
    if (turn?.state === 'submitted') {
      if (!isOfRun(event) || !this.#parts.link.isForeign(turn, event.runId)) this.#onTurnEvent(event);
      return;
    }
    if (!startsTurn(event)) return;
    const input = event.type === 'user-message' ? event.clientMessageId : null;
    this.#openAgentTurn(input);
    this.#onTurnEvent(event);
  }

  #openAgentTurn(input: string | null = null): void {
    const had = this.#parts.state.open?.id;
    const ids = this.#parts.turnIds();
    this.#parts.state.change((record) => beginAgentTurn(record, ids, input));
    const turn = this.#parts.state.open;
    if (turn && turn.id !== had) this.#parts.openTurn(turn);
    this.#parts.state.isViewOutdated = true;
    // The agent is paused, or reports on background tasks that somebody ended: it must not act on that.
    const by = this.#parts.killSwitch.paused?.by ?? this.#parts.background.silencedBy;
    if (by !== null) this.#parts.stopping.stop(by);
    // Letta is idle already, so we may have missed this turn's end.
    if (this.#parts.link.loop === 'idle') this.#parts.lookup.expectEnd(END_OVERDUE_MS);
  }

  #onTurnEvent(event: AgentEvent): void {
    this.#sure();
    if (event.type === 'approval-asked') {
      this.#parts.approvals.asked(event.request);
      this.#parts.lookup.recall();
      return;
    }
    if (event.type === 'turn-ended') {
      this.#onTurnEnded(event);
      return;
    }
    if (this.#parts.lookup.belongsToPreviousTurn(event)) return;
    if ((event.type === 'text' || event.type === 'text-repaired') && this.#isFromBefore()) {
      // Letta sent this text after the request, but the agent said it before: the history tells its place at the end.
      this.#noteMissedEvents();
      return;
    }
    if (event.type === 'text' && this.#parts.lookup.knows(event)) {
      // We have this message from the history already; what was missing there then is read when the turn ends.
      this.#noteMissedEvents();
      return;
    }
    if (event.type === 'text' && this.#parts.state.turn.parts.length === 0)
      this.#parts.log.debug({}, 'the agent started its answer');
    const next = foldTurn(this.#parts.state.turn, event);
    if (next !== this.#parts.state.turn) {
      const hasNewTools = next.tools !== this.#parts.state.turn.tools;
      this.#parts.state.turn = next;
      this.#parts.state.isViewOutdated = true;
      if (hasNewTools) this.#parts.toolsChanged();
    }
    if (event.type !== 'approvals-open') return;
    // After a Stop, Letta empties its list of requests before it ends the turn: that is no answer from elsewhere.
    const why = this.#parts.state.open?.stoppedBy ? 'turn_over' : 'answered_elsewhere';
    this.#parts.approvals.close(event.requestIds, why);
  }

  #onTurnEnded(event: AgentEvent & { type: 'turn-ended' }): void {
    const turn = this.#parts.state.open;
    if (!turn) return;
    const id = turn.clientMessageId;
    if (id !== null && event.runId !== null && !this.#parts.link.claims(turn, event.runId)) {
      this.#parts.log.info({ turn: turn.id, run: event.runId }, 'another client’s turn ended first');
      return;
    }
    if (id === null && this.#isOfOurs(turn, event.runId)) {
      this.#parts.log.info({ turn: turn.id, run: event.runId }, 'ignored the late end of an earlier turn');
      return;
    }
    const isCancelled = event.runId === null && event.stopReason === 'cancelled';
    if (id !== null && isCancelled && !this.#parts.link.begun && isUnheard(this.#parts.state.turn)) {
      this.#parts.log.info(
        { turn: turn.id },
        'ignored the late end of an earlier turn that was stopped before it said anything',
      );
      return;
    }
    if (event.gone && turn.items.length > 0 && isUnheard(this.#parts.state.turn)) {
      this.#withoutConversation(turn);
      return;
    }
    if (this.#mayHaveMissedEvents) this.#keepForNext();
    this.#parts.state.turn = foldTurn(this.#parts.state.turn, event);
    const { endings, lookup } = this.#parts;
    if (!this.#mayHaveMissedEvents) {
      this.#parts.end(endings.now(), endings.wayOn());
      return;
    }
    // We missed events, and what the agent said in them is only in the history.
    this.#parts.leave();
    lookup.fillGap((whole) => {
      const ending = whole ? endings.now() : endings.unseen(false);
      const leftover = ending.outcome === 'interrupted' ? endings.cutOff() : endings.wayOn();
      this.#parts.finish(ending, leftover);
    });
  }

  /** The agent or conversation was deleted while the link was up, so the turn fails and the next message dials anew. */
  #withoutConversation(turn: OpenTurn): void {
    this.#parts.log.warn(
      { turn: turn.id, runtime: this.#parts.state.record?.runtime },
      'the conversation no longer exists at Letta',
    );
    this.#parts.link.disconnect();
    this.#parts.offers.givenUp();
    const leftover: Leftover | null = turn.stoppedBy ? null : { offer: 'start_new', certain: true };
    this.#parts.fail(sayCause({ name: 'conversation_gone' }), leftover);
  }

  /** If Letta waits for a decision when we learn late of this turn's end, the open requests belong to the next turn. */
  #keepForNext(): void {
    if (this.#parts.link.loop !== 'waiting_on_approval') return;
    const { openApprovals, approvals } = this.#parts.state.turn;
    const open = approvals.filter(({ requestId }) => openApprovals.includes(requestId));
    this.#held.putFirst(open.map((request) => ({ type: 'approval-asked', request })));
  }

  #onLoop(event: AgentEvent & { type: 'loop' }): void {
    const was = this.#parts.link.loop;
    this.#parts.link.looped(event);
    const turn = this.#parts.state.open;
    if (event.status !== 'idle') {
      this.#sure();
      this.#parts.lookup.notDue();
      // Letta had begun our input and now runs another, so we missed the end of our turn.
      if (turn?.clientMessageId && this.#parts.link.knows(turn.clientMessageId) && this.#parts.link.runsAnother(turn)) {
        if (!this.#parts.lookup.looking) this.#parts.lookup.look();
        return;
      }
      // Somebody clicked Stop before Letta had begun, when there was nothing to abort yet.
      if (was === 'idle' && turn?.stoppedBy && turn.state === 'submitted' && !this.#parts.state.isEnding)
        this.#parts.stopping.abort();
      return;
    }
    if (turn?.state !== 'submitted' || this.#parts.state.isEnding) {
      this.#parts.advance();
      return;
    }
    if (was !== 'idle') this.#parts.lookup.expectEnd(turn.stoppedBy ? STOP_OVERDUE_MS : END_OVERDUE_MS);
  }

  /** The turn is closed. Held events of it are dropped, because the history that told its end has them already. */
  turnOver(): void {
    const { state, lookup, link } = this.#parts;
    const { open } = state;
    const isOurs = (event: AgentEvent) => lookup.knows(event) || (open !== null && this.#isOf(open, event));
    if (open) this.#held.forgetThrough(isOurs, link.loop === 'waiting_on_approval');
    this.#mayHaveMissedEvents = false;
    this.#wasLinkLost = false;
  }

  /** Handles the held events, in order. */
  release(): void {
    this.#parts.lookup.listened();
    for (const event of this.#held.take()) {
      if (event.type === 'ready') this.#takeUp(event);
      else this.#onHeld(event);
    }
  }

  #onHeld(event: Exclude<Held, { type: 'ready' }>): void {
    if (event.type !== 'cut') {
      this.#onAgentEvent(event);
      return;
    }
    if (this.#parts.state.isEnding || this.#parts.lookup.looking) {
      this.#held.push(event);
      return;
    }
    this.#noteMissedEvents();
  }

  /** The agent says nothing while a request is open, so text that comes then after a restart was said before it. */
  #isFromBefore(): boolean {
    const { textUnknown, turn } = this.#parts.state;
    return textUnknown && turn.openApprovals.length > 0;
  }

  /** Whether a run, not heard in this turn of Letta's own, certainly answers an input of ours. */
  #isOfOurs(turn: OpenTurn, runId: string | null): boolean {
    return runId !== null && !this.#parts.state.turn.runs.includes(runId) && this.#parts.link.isForeign(turn, runId);
  }

  #isOf(turn: OpenTurn, event: AgentEvent): boolean {
    return 'runId' in event && event.runId !== null && this.#parts.link.claims(turn, event.runId);
  }
}

function isUnheard({ runs, input, approvals }: TurnState): boolean {
  return runs.length === 0 && input === null && approvals.length === 0;
}

/** Whether the event is a piece of a run; `turn-ended` is not, because its handler decides whose turn it ends. */
function isOfRun(event: AgentEvent): event is AgentEvent & { runId: string } {
  return event.type !== 'turn-ended' && 'runId' in event && event.runId !== null;
}

/** Whether only a running turn sends such an event; a terminal error or a status may follow a turn's end. */
function startsTurn(event: AgentEvent): boolean {
  switch (event.type) {
    case 'text':
    case 'reasoning':
    case 'tool-called':
    case 'tool-started':
    case 'approval-asked':
      return true;
    case 'user-message':
      return event.automatic;
    default:
      return false;
  }
}
