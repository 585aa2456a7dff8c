import { BridgeError } from '../../errors.ts';
import type { AgentEvent, ConnectionEvent, RuntimeRef } from '../agent-event.ts';
import type { AgentConnection, AgentGateway, Clock, ConnectOptions, Timer } from '../ports.ts';
import { WAITS } from '../words/thread.ts';

type Told = AgentEvent | ConnectionEvent;

/** How long a link that another thread wants must have been quiet, in ms: what follows the end of a turn is over by then. */
const QUIET_MS = 2_000;
/** As long as a thread may prepare its input: whoever gets the link keeps it until then, or each took it from the other. */
const PREPARES_MS = 150_000;
const LOOK_EVERY_MS = 1_000;
/** After a start the thread whose turn runs asks for the link within this time; else nobody's does. */
const CLAIMED_MS = 10_000;

/** A thread's way to a conversation. It has a link while it is the thread's turn to use the conversation. */
interface Member {
  options: ConnectOptions;
  onEvent(event: Told): void;
  /** `null`: it waits for the link, or is closed. */
  inner: AgentConnection | null;
  isReady: boolean;
  /** A turn runs, or an input is on its way. */
  isBusy: boolean;
  /** It has had a turn since it got the link. */
  hadTurn: boolean;
  /** Something runs in the background, which reports here. */
  hasTasks: boolean;
  /** Letta runs schedules for it, so it must hear whatever begins there. */
  keepsLink: boolean;
  /** Since when it leaves a turn that it found at Letta to another thread, by the monotonic clock; `null`: it does not. */
  leavesSince: number | null;
  /** When it last did or heard anything, by the monotonic clock. */
  activeAt: number;
}

const IDLE = { isReady: false, isBusy: false, hadTurn: false, hasTasks: false };

/** A conversation with the member that has its link, and those that wait for it, first come first. */
interface Conversation {
  holder: Member | null;
  waiting: Member[];
  timer: Timer | null;
}

/**
 * Several threads may belong to one conversation (docs/architecture.md, Threads of one conversation): only one of them is
 * linked to it at a time, so that each turn is heard in its own thread alone. A thread that wants the link gets it as soon
 * as the one that has it is quiet. A conversation of one thread is not touched.
 */
export function takeTurns(gateway: AgentGateway, clock: Clock): AgentGateway {
  /** Those that somebody is linked to, or wants to be. */
  const conversations = new Map<string, Conversation>();

  function conversationOf(runtime: RuntimeRef): Conversation {
    const key = `${runtime.agentId} ${runtime.conversationId}`;
    const known = conversations.get(key);
    if (known) return known;
    const made: Conversation = { holder: null, waiting: [], timer: null };
    conversations.set(key, made);
    return made;
  }

  function open(member: Member): void {
    Object.assign(member, IDLE);
    member.activeAt = clock.monotonic();
    // What the thread has under way at Letta is its own, whatever the link tells first.
    member.isBusy = member.options.hasWork === true;
    const inner = gateway.connect(member.options, (event) => {
      if (member.inner === inner) hear(member, event);
    });
    member.inner = inner;
  }

  function hear(member: Member, event: Told): void {
    member.activeAt = clock.monotonic();
    if (event.type === 'ready') {
      const isAtWork = event.loop !== 'idle' || event.approvals.length > 0;
      member.options = { ...member.options, runtime: event.runtime };
      const conversation = conversationOf(event.runtime);
      conversation.holder ??= member;
      // Another thread's turn, of which this process does not know yet: that thread must hear it.
      const isOthers = isAtWork && member.options.isShared && !member.options.hasWork && !member.isReady;
      if (isOthers && !isUnclaimed(conversation, member)) {
        stepBack(conversation, member);
        return;
      }
      member.leavesSince = null;
      member.isReady = true;
      member.isBusy = isAtWork;
      if (isOthers) {
        member.onEvent({ ...event, isUnclaimed: true });
        return;
      }
    }
    if (event.type === 'loop') member.isBusy = event.status !== 'idle';
    if (event.type === 'background') member.hasTasks = event.tasks.length > 0;
    if (event.type === 'turn-ended') {
      member.isBusy = false;
      member.hadTurn = true;
    }
    member.onEvent(event);
  }

  /** Whether no thread has asked for what runs: Letta began it by itself, or the thread that did has given it up. */
  function isUnclaimed({ waiting }: Conversation, member: Member): boolean {
    if (waiting.some(({ options }) => options.hasWork)) return false;
    member.leavesSince ??= clock.monotonic();
    return clock.monotonic() - member.leavesSince >= CLAIMED_MS;
  }

  function stepBack(conversation: Conversation, member: Member): void {
    drop(member);
    conversation.holder = null;
    conversation.waiting.push(member);
    tellBusy(member);
    look(conversation);
  }

  function drop(member: Member): void {
    const { inner } = member;
    member.inner = null;
    member.isReady = false;
    inner?.close();
  }

  function tellBusy({ onEvent }: Member): void {
    queueMicrotask(() =>
      onEvent({ type: 'unavailable', code: 'conversation_busy', notice: WAITS.elsewhere, retryInMs: LOOK_EVERY_MS }),
    );
  }

  /** Whether the link may be taken from its holder: it is not in the middle of anything. */
  function mayPass({ isBusy, hasTasks, hadTurn, activeAt }: Member): boolean {
    return !isBusy && !hasTasks && clock.monotonic() - activeAt >= (hadTurn ? QUIET_MS : PREPARES_MS);
  }

  /** Passes the link on when it may be, and looks again later while somebody waits. */
  function pass(conversation: Conversation): void {
    conversation.timer = null;
    if (conversation.holder?.keepsLink) {
      refuse(conversation);
      return;
    }
    // Whoever has work under way there comes first.
    const next = conversation.waiting.find(({ options }) => options.hasWork) ?? conversation.waiting[0];
    if (!next) return;
    const { holder } = conversation;
    if (holder === null || mayPass(holder)) {
      conversation.waiting = conversation.waiting.filter((member) => member !== next);
      conversation.holder = next;
      if (holder) {
        drop(holder);
        conversation.waiting.push(holder);
        holder.onEvent({ type: 'released' });
      }
      open(next);
    }
    look(conversation);
  }

  /** The conversation belongs to the thread that has schedules there; only a new one helps. */
  function refuse(conversation: Conversation): void {
    for (const { onEvent } of conversation.waiting.splice(0)) {
      const notice = WAITS.kept;
      queueMicrotask(() => onEvent({ type: 'unavailable', code: 'conversation_kept', notice, retryInMs: null }));
    }
  }

  function look(conversation: Conversation): void {
    if (conversation.waiting.length === 0 || conversation.timer) return;
    conversation.timer = clock.after(LOOK_EVERY_MS, () => pass(conversation));
  }

  function leave(member: Member): void {
    drop(member);
    const { runtime } = member.options;
    if (runtime === null) return;
    const conversation = conversationOf(runtime);
    conversation.waiting = conversation.waiting.filter((each) => each !== member);
    if (conversation.holder === member) conversation.holder = null;
    if (conversation.holder === null && conversation.waiting.length > 0) {
      conversation.timer?.cancel();
      pass(conversation);
    }
    if (conversation.holder === null && conversation.waiting.length === 0) {
      conversation.timer?.cancel();
      conversations.delete(`${runtime.agentId} ${runtime.conversationId}`);
    }
  }

  return {
    connect(options, onEvent) {
      const member: Member = {
        options,
        onEvent,
        inner: null,
        ...IDLE,
        keepsLink: false,
        leavesSince: null,
        activeAt: 0,
      };
      const conversation = options.runtime === null ? null : conversationOf(options.runtime);
      if (conversation?.holder) {
        conversation.waiting.push(member);
        if (conversation.holder.keepsLink) refuse(conversation);
        else if (mayPass(conversation.holder)) {
          conversation.timer?.cancel();
          pass(conversation);
        } else {
          tellBusy(member);
          look(conversation);
        }
      } else {
        if (conversation) conversation.holder = member;
        open(member);
      }
      return connectionOf(member, () => leave(member), clock);
    },
  };
}

/** The connection that a thread has: over the member's link, while it has one. */
function connectionOf(member: Member, leave: () => void, clock: Clock): AgentConnection {
  const none = (): Promise<never> => Promise.reject(notLinked());
  return new Proxy({} as AgentConnection, {
    get(_, name: keyof AgentConnection | 'then') {
      // Whoever awaits it gets it: it is no promise.
      if (name === 'then') return undefined;
      if (name === 'close') return leave;
      const { inner } = member;
      // These tell at once, and not by a promise, whether there is a link, or nothing.
      if (inner === null) return name === 'answerCall' ? () => false : name === 'restoreMode' ? () => {} : none;
      const method: unknown = Reflect.get(inner, name, inner);
      if (typeof method !== 'function') return method;
      return (...given: unknown[]) => {
        member.activeAt = clock.monotonic();
        const done: unknown = method.apply(inner, given);
        if (name === 'alignSchedules') member.keepsLink = (given[0] as readonly unknown[]).length > 0;
        if (name === 'submit') noteSubmitted(member, done as Promise<void>);
        return done;
      };
    },
  });
}

/** From now on its turn runs, unless Letta certainly did not get the input. */
function noteSubmitted(member: Member, sent: Promise<void>): void {
  member.isBusy = true;
  member.hadTurn = true;
  sent.catch((error: unknown) => {
    if (error instanceof BridgeError && error.certain) member.isBusy = false;
  });
}

function notLinked(): BridgeError {
  return new BridgeError('link_lost', 'another thread of the conversation has its link', {
    notice: WAITS.elsewhere,
    certain: true,
    retry: true,
  });
}
