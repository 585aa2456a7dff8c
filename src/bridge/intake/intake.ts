import { asBridgeError } from '../../errors.ts';
import type { Bindings } from '../access/bindings.ts';
import type { Verdict } from '../access/can.ts';
import { type Asked, Door } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import type { PolicyBook } from '../access/policy.ts';
import { DecisionLog } from '../commands/decision-log.ts';
import { CommandDesk } from '../commands/desk.ts';
import { HomeDesk, type HomeParts } from '../commands/home.ts';
import { type ParsedCommand, parseSlash } from '../commands/table.ts';
import {
  type MessageKey,
  makeMessageKey,
  makeThreadKey,
  ROLLING,
  type TeamId,
  type ThreadKey,
  type UserId,
} from '../ids.ts';
import {
  type ActionOutcome,
  type InboundAction,
  type InboundChannelChange,
  type InboundCommand,
  type InboundMessage,
  type InboundRevision,
  type InboundSessionStop,
  type InboundSubmission,
  type MessageOutcome,
  type Refused,
  type RevisionOutcome,
  refused,
  type SubmissionOutcome,
  type ThreadAddress,
} from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Audit, Clock, Intake, Log, Metrics, People, Random, Surface, Threads, UserGroups } from '../ports.ts';
import { tasksOf } from '../record/tasks.ts';
import { RefusedClicks } from '../thread/approvals/refused-clicks.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import type { HomeView } from '../view/home.ts';
import { within } from '../within.ts';
import type { ChannelMoves } from './channel-moves.ts';
import { threadOfRevision } from './edits.ts';
import { InboundNotes, type Noted } from './event-notes.ts';
import { MessageIntake } from './messages.ts';
import { Notices } from './notices.ts';
import type { RecentKeys } from './recent-keys.ts';
import { Retakes } from './retakes.ts';

export interface IntakeParts extends Pick<HomeParts, 'checks' | 'agents'> {
  /** Only looked at: what changes a thread goes through its worker. */
  threads: Pick<Threads, 'load' | 'byToken'>;
  workers: ThreadWorkers;
  surface: Surface;
  people: People;
  /** Left out: user groups have nobody in them. */
  groups?: UserGroups | undefined;
  audit: Audit;
  clock: Clock;
  log: Log;
  metrics?: Metrics | undefined;
  policies: PolicyBook;
  botUser: UserId;
  killSwitch: KillSwitch;
  bindings: Bindings;
  channels?: ChannelMoves;
  /** How many messages may wait; beyond it one is refused in the open, never dropped in silence. */
  queue?: { perThread: number; total: number };
  random: Random;
  /** ms after which a message that was found late is not run unasked; left out: it always is. */
  staleAfterMs?: number | undefined;
  /** ms by which our wall clock is ahead of Slack's; left out: nobody knows. */
  clockAheadMs?: (() => number) | undefined;
  /** Told of each message that could not be stored: Slack delivers it again, but not for ever. */
  onMissed?: ((message: InboundMessage) => void) | undefined;
  /** Told of each thread in which somebody speaks to the agent. */
  onSpoken?: ((key: ThreadKey) => void) | undefined;
  /** Messages that were handled and that no thread remembers, so that looking back does not take them. */
  handled?: RecentKeys<MessageKey> | undefined;
}

/**
 * Everything that Slack hands in passes here: messages go to their own intake, the rest to whose it is, if they may.
 */
export class BridgeIntake implements Intake {
  readonly #parts: IntakeParts;
  readonly #door: Door;
  readonly #desk: CommandDesk;
  readonly #notes: InboundNotes;
  readonly #messages: MessageIntake;
  readonly #retakes: Retakes;
  readonly #notices: Notices;
  readonly #home: HomeDesk;
  readonly #decisions: DecisionLog;
  readonly #refusedClicks: RefusedClicks;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#decisions = new DecisionLog(parts.clock.now());
    this.#refusedClicks = new RefusedClicks(parts);
    this.#door = new Door(parts);
    this.#desk = new CommandDesk({ ...parts, decisions: this.#decisions });
    this.#notes = new InboundNotes(parts);
    this.#home = new HomeDesk(parts);
    this.#notices = new Notices(parts);
    this.#retakes = new Retakes(parts.clock, (message) => this.message(message));
    this.#messages = new MessageIntake({
      ...parts,
      inPlace: (message) => this.#inPlace(message),
      door: this.#door,
      desk: this.#desk,
      notices: this.#notices,
    });
  }

  async message(message: InboundMessage, how = { caughtUp: false }): Promise<MessageOutcome> {
    const placed = this.#inPlace(message);
    const taken = this.#messages.take(placed, how.caughtUp);
    const about = { message: message.key, user: message.user, ...(how.caughtUp && { caughtUp: true }) };
    const outcome = await this.#notes.of('message', about, taken, notedOf).catch((error: unknown) => {
      if (!how.caughtUp) {
        this.#parts.onMissed?.(message);
        this.#retakes.failed(message, error);
      }
      throw error;
    });
    this.#note(placed.key, placed.user, outcome);
    return outcome;
  }

  passedOver(key: MessageKey, reason: string): void {
    this.#note(key, null, { outcome: 'ignored', reason });
  }

  #note(key: MessageKey, user: UserId | null, outcome: { outcome: string; reason?: string }): void {
    this.#decisions.note({
      key,
      user,
      at: this.#parts.clock.now(),
      outcome: outcome.outcome,
      reason: outcome.reason ?? null,
    });
  }

  async revision(revision: InboundRevision): Promise<RevisionOutcome> {
    const placed = this.#revisionInPlace(revision);
    const key = threadOfRevision(placed);
    const taken = this.#messages.revise(placed);
    const outcome = await this.#notes.of('revision', { thread: key, revision: revision.kind }, taken, notedOf);
    if (placed.kind === 'edited') {
      const { message, mentionedBefore } = placed;
      const refused = outcome.outcome === 'refused' && message.mentionsBot && !mentionedBefore;
      if (outcome.outcome === 'began') this.#note(message.key, message.user, { outcome: outcome.as });
      if (refused) this.#note(message.key, message.user, outcome);
    }
    return outcome;
  }

  async channelChanged(change: InboundChannelChange): Promise<void> {
    const moved = Promise.resolve(this.#parts.channels?.changed(change));
    await this.#notes.of('channel', change, moved, () => ({ outcome: 'moved' }));
  }

  /** The message in its channel's present id: it may have been written, or delivered first, under an older one. */
  #inPlace(message: InboundMessage): InboundMessage {
    const { team, ts } = message;
    const channel = this.#parts.channels?.current(team, message.channel) ?? message.channel;
    return channel === message.channel ? message : { ...message, channel, key: makeMessageKey({ team, channel, ts }) };
  }

  #revisionInPlace(revision: InboundRevision): InboundRevision {
    if (revision.kind === 'edited') return { ...revision, message: this.#inPlace(revision.message) };
    const { team, ts } = revision;
    const channel = this.#parts.channels?.current(team, revision.channel) ?? revision.channel;
    return { ...revision, channel, key: makeMessageKey({ team, channel, ts }) };
  }

  async action(action: InboundAction): Promise<ActionOutcome> {
    const about: About = { action: action.name, user: action.actor.user };
    const done = this.#withThread(action.token, about, 'click', (key, person) => {
      return this.#parts.workers.get(key).desk.act(action, person);
    });
    return this.#notes.of('click', about, done, decided);
  }

  /**
   * Slack changes nothing by itself after such a click (docs/slack.md, Agent sessions): what runs is stopped, what does
   * not is said to rest.
   */
  async sessionStopped({ team, channel, threadTs, user }: InboundSessionStop): Promise<void> {
    const key = makeThreadKey({
      team,
      channel: this.#parts.channels?.current(team, channel) ?? channel,
      root: threadTs,
    });
    const done = this.#stopSession(key, { team, channel, threadTs }, user);
    await this.#notes.of('click', { action: 'session_stop', user }, done, (outcome) => ({ outcome }));
  }

  async #stopSession(key: ThreadKey, address: ThreadAddress, user: UserId): Promise<string> {
    const { threads, workers, surface, log } = this.#parts;
    const asked = await this.#inTime(this.#door.thread(key, user, { do: 'stop' }));
    if (asked === null) {
      this.#notices.whisper(address, user, UNKNOWN_PERSON);
      return 'refused';
    }
    const { verdict } = asked;
    if (!verdict.allowed) {
      this.#notices.whisper(address, user, verdict.notice);
      return 'refused';
    }
    const record = await threads.load(key);
    if (record?.turn || tasksOf(record).length > 0) {
      await workers.get(key).desk.stop(user);
      return 'decided';
    }
    surface.atRest?.(address).catch((error: unknown) => log.warn({ err: error }, 'a session could not be ended'));
    return 'nothing_runs';
  }

  async submission(submission: InboundSubmission): Promise<SubmissionOutcome> {
    const about: About = { modal: submission.name, user: submission.actor.user };
    const done = this.#withThread(submission.token, about, 'modal', (key, person) => {
      return this.#parts.workers.get(key).desk.submission(submission, person);
    });
    return this.#notes.of('modal', about, done, decided);
  }

  /** @param about is told the thread, and of what is refused the request and the reason */
  async #withThread<T extends ActionOutcome | SubmissionOutcome>(
    token: string,
    about: About,
    via: 'click' | 'modal',
    work: (key: ThreadKey, person: Person) => Promise<T>,
  ): Promise<T | Refused> {
    const outcome = await this.#judged(token, about, work);
    if (outcome.result !== 'refused' || about.thread === undefined) return outcome;
    const { why, reason = why } = outcome;
    about.because = reason;
    if (why !== 'not_allowed') return outcome;
    const { thread, user } = about;
    const record = await this.#parts.threads.load(thread).catch(() => null);
    const request = this.#refusedClicks.note({ thread, token, user, reason, via }, record);
    if (request !== null) about.request = request;
    return outcome;
  }

  async #judged<T>(
    token: string,
    about: About,
    work: (key: ThreadKey, person: Person) => Promise<T>,
  ): Promise<T | Refused> {
    const key = await this.#parts.threads.byToken(token);
    if (!key) return refused('expired', 'This is over, so the button no longer does anything.');
    about.thread = key;
    const asked = await this.#inTime(this.#door.thread(key, about.user, { do: 'look' }));
    if (asked === null) return refused('unreachable', UNKNOWN_PERSON);
    if (!asked.verdict.allowed) return refused('not_allowed', asked.verdict.notice, asked.verdict.reason);
    // Its channel may have got another id meanwhile.
    return work((await this.#parts.threads.byToken(token)) ?? key, asked.person);
  }

  /** Slack waits 3 s for an answer to a click (docs/slack.md, Interactivity). `null`: Slack does not tell who it is. */
  async #inTime(asked: Promise<Asked>): Promise<Asked | null> {
    const { clock, log } = this.#parts;
    try {
      const answer = await within(clock, WHO_WITHIN_MS, asked);
      return answer === 'late' ? null : answer;
    } catch (error) {
      log.warn({ err: error }, 'nobody knows who clicked');
      return null;
    }
  }

  async command(command: InboundCommand): Promise<string> {
    const parsed = parseSlash(command.text);
    const about = { command: parsed.kind === 'command' ? parsed.name : 'unknown', user: command.actor.user };
    const answered = this.#command(command, parsed);
    return (await this.#notes.of('command', about, answered, ({ noted }) => noted)).text;
  }

  async #command(command: InboundCommand, parsed: ParsedCommand): Promise<Answered> {
    const { person, place, verdict } = await this.#door.command(command);
    if (!verdict.allowed) return refusal(verdict);
    const { team, channel, channelKind } = command;
    const thread = channelKind === 'im' ? makeThreadKey({ team, channel, root: ROLLING }) : null;
    const text = await this.#desk.give(parsed, { person, team, place, thread, mark: '' });
    return { text, noted: { outcome: 'command' } };
  }

  async home(user: UserId, team: TeamId): Promise<HomeView> {
    const view = this.#door.home(user, team).then(
      ({ person }) => this.#home.view(person),
      (error: unknown): HomeView => ({ kind: 'refused', notice: asBridgeError(error).notice }),
    );
    return this.#notes.of('home', { user }, view, ({ kind }) => ({ outcome: kind === 'open' ? 'shown' : 'refused' }));
  }
}

const WHO_WITHIN_MS = 2_000;
const UNKNOWN_PERSON = 'Slack can’t tell me right now who you are, so I did nothing. Try again in a minute.';

/** Fields of a line of the log about a click; it is filled while the click is worked on. */
interface About {
  action?: string;
  modal?: string;
  user: UserId;
  thread?: ThreadKey;
  /** Letta's id of the request, where one was refused. */
  request?: string;
  /** Why it was refused. */
  because?: string;
}

interface Answered {
  text: string;
  noted: Noted;
}

function refusal({ notice, reason }: Extract<Verdict, { allowed: false }>): Answered {
  return { text: notice, noted: { outcome: 'refused', reason } };
}

function notedOf(outcome: MessageOutcome | RevisionOutcome): Noted {
  return { outcome: outcome.outcome, ...('reason' in outcome && { reason: outcome.reason }) };
}

function decided(outcome: ActionOutcome | SubmissionOutcome): Noted {
  return { outcome: outcome.result, ...(outcome.result === 'refused' && { reason: outcome.why }) };
}
