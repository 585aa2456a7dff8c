import { asBridgeError } from '../../errors.ts';
import type { Bindings } from '../access/bindings.ts';
import type { Verdict } from '../access/can.ts';
import { Door, type Judgement } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import type { PolicyBook } from '../access/policy.ts';
import { AttachDesk, type AttachDeskParts } from '../commands/attach-desk.ts';
import { type CommandParts, CommandRunner } from '../commands/command-runner.ts';
import type { FeedbackBook } from '../commands/feedback.ts';
import { type HomeParts, HomeTab } from '../commands/home.ts';
import { ModelDesk, type ModelsAsked } from '../commands/model-desk.ts';
import { OutcomeLog } from '../commands/outcome-log.ts';
import { type ParsedCommand, parseSlash } from '../commands/table.ts';
import {
  type ChannelId,
  type MessageKey,
  type ModelsPlace,
  makeMessageKey,
  makeThreadKey,
  parseThreadKey,
  ROLLING,
  type TeamId,
  type ThreadKey,
  type UserId,
} from '../ids.ts';
import {
  type ActionOutcome,
  type InboundAsk,
  type InboundChannelChange,
  type InboundClick,
  type InboundCommand,
  type InboundForm,
  type InboundJoin,
  type InboundMessage,
  type InboundModelForm,
  type InboundModels,
  type InboundQuestion,
  type InboundReaction,
  type InboundRevision,
  type InboundSessionStop,
  type MessageOutcome,
  type ModelOutcome,
  type ReactionOutcome,
  type Refused,
  type RevisionOutcome,
  refused,
  type SubmissionOutcome,
  type ThreadAddress,
} from '../inbound.ts';
import type { Person } from '../person.ts';
import type {
  Audit,
  Clock,
  Conversations,
  Intake,
  Log,
  MessageReader,
  Metrics,
  Models,
  People,
  Random,
  Surface,
  ThreadOwners,
  Threads,
  UserGroups,
} from '../ports.ts';
import { tasksOf } from '../record/tasks.ts';
import { RefusedClicks } from '../thread/refused-clicks.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import type { HomeView } from '../view/home.ts';
import { within } from '../within.ts';
import { MODELS } from '../words/models.ts';
import { NOT_DECIDED } from '../words/requests.ts';
import { Asks } from './asks.ts';
import type { ChannelMoves } from './channel-moves.ts';
import { threadOfRevision } from './edits.ts';
import { FeedbackDesk } from './feedback-desk.ts';
import { ForkDesk } from './fork-desk.ts';
import { InboundLog, type LoggedOutcome } from './inbound-log.ts';
import { MessageIntake } from './messages.ts';
import { Notices } from './notices.ts';
import { Reactions } from './reactions.ts';
import type { RecentKeys } from './recent-keys.ts';
import { MessageRetries } from './retries.ts';
import { ShareDesk } from './share-desk.ts';
import { Welcomes } from './welcomes.ts';

export interface IntakeParts
  extends Pick<CommandParts, 'usage'>,
    Pick<AttachDeskParts, 'linkTo'>,
    Pick<HomeParts, 'checks' | 'agents' | 'machines' | 'notifyTimes'> {
  /** Left out: models are not told. */
  models?: Models | undefined;
  /** Left out, either: no conversation can be attached. */
  conversations?: Conversations | undefined;
  owners?: ThreadOwners | undefined;
  /** Read only: changes of a thread go through its worker. */
  threads: Pick<Threads, 'findByToken' | 'load' | 'loadWaiting'>;
  workers: ThreadWorkers;
  surface: Surface;
  people: People;
  /** Left out: user groups have no members. */
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
  /** How many messages may wait; one more is refused with a notice, never dropped silently. */
  queue?: { perThread: number; total: number };
  random: Random;
  /** ms after which a late message is offered to its author instead of being run; left out: it always runs. */
  staleAfterMs?: number | undefined;
  /** ms by which our wall clock is ahead of Slack's; left out: not known. */
  clockAheadMs?: (() => number) | undefined;
  /** Called for each message that could not be stored: Slack delivers it again three times only. */
  onMissed?: ((message: InboundMessage) => void) | undefined;
  /** Called for each thread in which a person writes to the agent. */
  onSpoken?: ((key: ThreadKey) => void) | undefined;
  /** Handled messages that no thread's record remembers, so that catch-up does not handle them again. */
  handled?: RecentKeys<MessageKey> | undefined;
  /** What people think of answers; left out: it is not noted. */
  feedback?: FeedbackBook | undefined;
  /** Finds the thread of a message that somebody reacts to; left out: reactions do nothing. */
  reader?: MessageReader | undefined;
  /** The channels that were welcomed; left out: none is. */
  welcomed?: RecentKeys<ChannelId> | undefined;
}

/**
 * Every inbound event passes here: messages go to the message intake; clicks, modals and commands go to their thread or to
 * the command runner once the door has let their actor in.
 */
export class BridgeIntake implements Intake {
  readonly #parts: IntakeParts;
  readonly #door: Door;
  readonly #commands: CommandRunner;
  readonly #log: InboundLog;
  readonly #messages: MessageIntake;
  readonly #retries: MessageRetries;
  readonly #notices: Notices;
  readonly #home: HomeTab;
  readonly #models: ModelDesk | null;
  readonly #welcomes: Welcomes | null;
  readonly #asks: Asks;
  readonly #feedback: FeedbackDesk;
  readonly #forks: ForkDesk;
  readonly #reactions: Reactions;
  readonly #sharing: ShareDesk;
  readonly #outcomes: OutcomeLog;
  readonly #refusedClicks: RefusedClicks;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#outcomes = new OutcomeLog(parts.clock.now());
    this.#refusedClicks = new RefusedClicks(parts);
    this.#door = new Door(parts);
    this.#log = new InboundLog(parts);
    this.#home = new HomeTab(parts);
    this.#notices = new Notices(parts);
    this.#sharing = new ShareDesk({ ...parts, door: this.#door, notices: this.#notices });
    this.#models = parts.models ? new ModelDesk({ ...parts, models: parts.models }) : null;
    const { conversations, owners } = parts;
    this.#commands = new CommandRunner({
      ...parts,
      attachDesk: conversations && owners && new AttachDesk({ ...parts, conversations, owners, door: this.#door }),
      modelDesk: this.#models ?? undefined,
      outcomes: this.#outcomes,
      shareAnswer: (key, user) => this.#sharing.command(key, user),
    });
    const { welcomed } = parts;
    this.#welcomes = welcomed ? new Welcomes({ ...parts, welcomed, door: this.#door, notices: this.#notices }) : null;
    this.#retries = new MessageRetries(parts.clock, (message) => this.handleMessage(message));
    this.#messages = new MessageIntake({
      ...parts,
      inCurrentChannel: (message) => this.#inCurrentChannel(message),
      door: this.#door,
      commands: this.#commands,
      notices: this.#notices,
    });
    this.#feedback = new FeedbackDesk({ ...parts, book: parts.feedback, notices: this.#notices });
    this.#reactions = new Reactions({
      ...parts,
      door: this.#door,
      notices: this.#notices,
      feedback: this.#feedback,
      handleMessage: (message) => this.#messages.handleMessage(message, false),
      takeBack: (key, mark, message) => this.#messages.takeBackReaction(key, mark, message),
    });
    this.#forks = new ForkDesk({ ...parts, door: this.#door });
    this.#asks = new Asks({
      ...parts,
      notices: this.#notices,
      door: this.#door,
      handleMessage: (message) => this.#messages.handleAsked(message),
    });
  }

  /** Ends what would handle a message by itself later. Call it when nothing more comes in. */
  close(): void {
    this.#retries.close();
  }

  async handleMessage(message: InboundMessage, how = { caughtUp: false }): Promise<MessageOutcome> {
    const placed = this.#inCurrentChannel(message);
    const taken = this.#messages.handleMessage(placed, how.caughtUp);
    const about = { message: message.key, user: message.user, ...(how.caughtUp && { caughtUp: true }) };
    const outcome = await this.#log.logOutcome('message', about, taken, messageLogged).catch((error: unknown) => {
      if (!how.caughtUp) {
        this.#parts.onMissed?.(message);
        this.#retries.retryIfSlackFailed(message, error);
      }
      throw error;
    });
    this.#noteOutcome(placed.key, placed.user, outcome);
    return outcome;
  }

  noteIgnored(key: MessageKey, reason: string): void {
    this.#noteOutcome(key, null, { outcome: 'ignored', reason });
  }

  #noteOutcome(key: MessageKey, user: UserId | null, outcome: { outcome: string; reason?: string }): void {
    this.#outcomes.noteOutcome({
      key,
      user,
      at: this.#parts.clock.now(),
      outcome: outcome.outcome,
      reason: outcome.reason ?? null,
    });
  }

  async handleRevision(revision: InboundRevision): Promise<RevisionOutcome> {
    const placed = this.#revisionInCurrentChannel(revision);
    const key = threadOfRevision(placed);
    const taken = this.#messages.handleRevision(placed);
    const outcome = await this.#log.logOutcome(
      'revision',
      { thread: key, revision: revision.kind },
      taken,
      messageLogged,
    );
    if (placed.kind === 'edited') {
      const { message, mentionedBefore } = placed;
      const refused = outcome.outcome === 'refused' && message.mentionsBot && !mentionedBefore;
      if (outcome.outcome === 'began') this.#noteOutcome(message.key, message.user, { outcome: outcome.as });
      if (refused) this.#noteOutcome(message.key, message.user, outcome);
    }
    return outcome;
  }

  async handleAsk(ask: InboundAsk): Promise<ActionOutcome> {
    const about = { action: 'ask', user: ask.actor.user, channel: ask.channel };
    return this.#log.logOutcome('click', about, this.#asks.openDialog(ask), clickLogged);
  }

  async handleFork(asked: InboundAsk): Promise<string> {
    const { team } = asked;
    const channel = this.#parts.channels?.currentChannel(team, asked.channel) ?? asked.channel;
    const done = this.#forks.begin({ ...asked, channel });
    const about = { action: 'fork', user: asked.actor.user, channel };
    await this.#log.logOutcome(
      'click',
      about,
      done.then(({ outcome }) => outcome),
      clickLogged,
    );
    return (await done).text;
  }

  async handleQuestion(question: InboundQuestion): Promise<SubmissionOutcome> {
    const about = { modal: 'ask', user: question.actor.user, channel: question.channel };
    return this.#log.logOutcome('modal', about, this.#asks.takeQuestion(question), clickLogged);
  }

  async handleReaction(reaction: InboundReaction): Promise<ReactionOutcome> {
    const { team, user, emoji } = reaction;
    const channel = this.#parts.channels?.currentChannel(team, reaction.channel) ?? reaction.channel;
    const done = this.#reactions.handleReaction({ ...reaction, channel });
    const about = { message: makeMessageKey({ team, channel, ts: reaction.ts }), user, emoji, change: reaction.kind };
    return this.#log.logOutcome('reaction', about, done, messageLogged);
  }

  async handleJoin(join: InboundJoin): Promise<void> {
    const { team, channel } = join;
    const placed = { ...join, channel: this.#parts.channels?.currentChannel(team, channel) ?? channel };
    const welcomed = this.#welcomes?.welcomeChannel(placed) ?? Promise.resolve('ignored');
    const about = { channel: placed.channel, inviter: join.inviter };
    await this.#log.logOutcome('channel', about, welcomed, (outcome) => ({ outcome }));
  }

  async handleChannelChange(change: InboundChannelChange): Promise<void> {
    const moved = Promise.resolve(this.#parts.channels?.moveThreads(change));
    await this.#log.logOutcome('channel', change, moved, () => ({ outcome: 'moved' }));
  }

  /** The message with its channel's current id: it may have been delivered under an older one. */
  #inCurrentChannel(message: InboundMessage): InboundMessage {
    const { team, ts } = message;
    const channel = this.#parts.channels?.currentChannel(team, message.channel) ?? message.channel;
    return channel === message.channel ? message : { ...message, channel, key: makeMessageKey({ team, channel, ts }) };
  }

  #revisionInCurrentChannel(revision: InboundRevision): InboundRevision {
    if (revision.kind === 'edited') return { ...revision, message: this.#inCurrentChannel(revision.message) };
    const { team, ts } = revision;
    const channel = this.#parts.channels?.currentChannel(team, revision.channel) ?? revision.channel;
    return { ...revision, channel, key: makeMessageKey({ team, channel, ts }) };
  }

  async handleAction(action: InboundClick): Promise<ActionOutcome> {
    const about: ClickFields = { action: action.name, user: action.actor.user };
    const done = this.#runInThreadOf(action.token, about, 'click', (key, person): Promise<ActionOutcome> => {
      const { name } = action;
      if (name === 'feedback_good' || name === 'feedback_bad') return this.#feedback.act(key, action);
      if (name === 'share') return this.#sharing.act(key, action);
      return this.#parts.workers.get(key).click({ ...action, name }, person);
    });
    return this.#log.logOutcome('click', about, done, clickLogged);
  }

  /**
   * Slack itself changes nothing after a click on its Stop (docs/slack.md, Agent sessions): stops what runs, or clears the
   * working status when nothing does.
   */
  async handleSessionStop({ team, channel, threadTs, user }: InboundSessionStop): Promise<void> {
    const key = makeThreadKey({
      team,
      channel: this.#parts.channels?.currentChannel(team, channel) ?? channel,
      root: threadTs,
    });
    const done = this.#stopSession(key, { team, channel, threadTs }, user);
    await this.#log.logOutcome('click', { action: 'session_stop', user }, done, (outcome) => ({ outcome }));
  }

  async #stopSession(key: ThreadKey, address: ThreadAddress, user: UserId): Promise<string> {
    const { threads, workers, surface, log } = this.#parts;
    const asked = await this.#judgeInTime(this.#door.judgeClick(key, user, { do: 'stop' }));
    if (asked === null) {
      this.#notices.whisper(address, user, NOT_DECIDED.unknownPerson);
      return 'refused';
    }
    const { verdict } = asked;
    if (!verdict.allowed) {
      this.#notices.whisper(address, user, verdict.notice);
      return 'refused';
    }
    const record = await threads.load(key);
    if (record?.turn || tasksOf(record).length > 0) {
      await workers.get(key).command({ name: 'stop', by: user });
      return 'decided';
    }
    surface
      .clearWorkingStatus?.(address)
      .catch((error: unknown) => log.warn({ err: error }, 'could not end a session'));
    return 'nothing_runs';
  }

  async handleSubmission(submission: InboundForm): Promise<SubmissionOutcome> {
    const about: ClickFields = { modal: submission.name, user: submission.actor.user };
    const done = this.#runInThreadOf(submission.token, about, 'modal', (key, person): Promise<SubmissionOutcome> => {
      const { name } = submission;
      if (name === 'feedback') return this.#feedback.submit(key, submission);
      return this.#parts.workers.get(key).submission({ ...submission, name }, person);
    });
    return this.#log.logOutcome('modal', about, done, clickLogged);
  }

  /** @param about log fields, filled with the thread and, when refused, with the request and the reason */
  async #runInThreadOf<T extends ActionOutcome | SubmissionOutcome>(
    token: string,
    about: ClickFields,
    via: 'click' | 'modal',
    work: (key: ThreadKey, person: Person) => Promise<T>,
  ): Promise<T | Refused> {
    const outcome = await this.#judgeAndRun(token, about, work);
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

  async #judgeAndRun<T>(
    token: string,
    about: ClickFields,
    work: (key: ThreadKey, person: Person) => Promise<T>,
  ): Promise<T | Refused> {
    const key = await this.#parts.threads.findByToken(token);
    if (!key) return refused('expired', NOT_DECIDED.over);
    about.thread = key;
    const asked = await this.#judgeInTime(this.#door.judgeClick(key, about.user, { do: 'look' }));
    if (asked === null) return refused('unreachable', NOT_DECIDED.unknownPerson);
    if (!asked.verdict.allowed) return refused('not_allowed', asked.verdict.notice, asked.verdict.reason);
    // Looked up again, because Slack may have changed the channel's id meanwhile.
    return work((await this.#parts.threads.findByToken(token)) ?? key, asked.person);
  }

  /**
   * `null` when Slack does not say in time who clicked: it waits only 3 s for our answer (docs/slack.md, Interactivity).
   */
  async #judgeInTime(asked: Promise<Judgement>): Promise<Judgement | null> {
    const { clock, log } = this.#parts;
    try {
      const answer = await within(clock, JUDGE_WITHIN_MS, asked);
      return answer === 'late' ? null : answer;
    } catch (error) {
      log.warn({ err: error }, 'Slack does not tell who clicked');
      return null;
    }
  }

  async handleCommand(command: InboundCommand): Promise<string> {
    const parsed = parseSlash(command.text);
    const about = { command: parsed.kind === 'command' ? parsed.name : 'unknown', user: command.actor.user };
    const answered = this.#answerCommand(command, parsed);
    return (await this.#log.logOutcome('command', about, answered, ({ noted }) => noted)).text;
  }

  async #answerCommand(command: InboundCommand, parsed: ParsedCommand): Promise<Answered> {
    const { person, place, verdict } = await this.#door.judgeCommand(command);
    if (!verdict.allowed) return refusal(verdict);
    const { team, channel, channelKind } = command;
    const thread = channelKind === 'im' ? makeThreadKey({ team, channel, root: ROLLING }) : null;
    const text = await this.#commands.runCommand(parsed, { person, team, place, thread, mark: '' });
    return { text, noted: { outcome: 'command' } };
  }

  async handleModels({ about, actor, model }: InboundModels): Promise<ModelOutcome> {
    const done = this.#askModels(about, actor.user, (desk, asked) => desk.dialog(asked, model));
    return this.#log.logOutcome('click', { action: 'models', user: actor.user }, done, modelsLogged);
  }

  async handleModelForm({ about, actor, choice }: InboundModelForm): Promise<ModelOutcome> {
    const done = this.#askModels(about, actor.user, (desk, asked) => desk.choose(asked, choice));
    return this.#log.logOutcome('modal', { modal: 'models', user: actor.user }, done, modelsLogged);
  }

  async #askModels(
    about: ModelsPlace,
    user: UserId,
    ask: (desk: ModelDesk, asked: ModelsAsked) => Promise<ModelOutcome>,
  ): Promise<ModelOutcome> {
    if (!this.#models) return refused('expired', MODELS.notKnown);
    const { team } = about;
    const channel = this.#parts.channels?.currentChannel(team, about.channel) ?? about.channel;
    const thread = about.thread && makeThreadKey({ ...parseThreadKey(about.thread), channel });
    const asked = await this.#judgeInTime(this.#door.judgeActor(team, channel, user, { do: 'command' }));
    if (!asked?.place) return refused('unreachable', NOT_DECIDED.unknownPerson);
    const { verdict, person, place } = asked;
    if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
    return ask(this.#models, { about: { team, channel, thread }, person, place });
  }

  async viewHome(user: UserId, team: TeamId, why: 'opened' | 'changed' = 'opened'): Promise<HomeView> {
    const view = this.#door.judgeHome(user, team).then(
      ({ person }) => this.#home.viewHome(person),
      (error: unknown): HomeView => ({ kind: 'refused', notice: asBridgeError(error).notice }),
    );
    if (why === 'changed') return view;
    return this.#log.logOutcome('home', { user }, view, ({ kind }) => ({
      outcome: kind === 'open' ? 'shown' : 'refused',
    }));
  }

  async chooseNotifyTime(user: UserId, team: TeamId, ms: number | null): Promise<void> {
    const chosen = this.#door.judgeHome(user, team).then(({ person }) => this.#home.chooseNotifyTime(person, ms));
    await this.#log.logOutcome('home', { user, notifyAfterMs: ms }, chosen, () => ({ outcome: 'decided' }));
  }
}

const JUDGE_WITHIN_MS = 2_000;

function modelsLogged(outcome: ModelOutcome): LoggedOutcome {
  return outcome.result === 'refused'
    ? { outcome: 'refused', reason: outcome.reason ?? outcome.why }
    : { outcome: outcome.result };
}

/** Log fields of a click or modal, filled while it is handled. */
interface ClickFields {
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
  noted: LoggedOutcome;
}

function refusal({ notice, reason }: Extract<Verdict, { allowed: false }>): Answered {
  return { text: notice, noted: { outcome: 'refused', reason } };
}

function messageLogged(outcome: MessageOutcome | RevisionOutcome | ReactionOutcome): LoggedOutcome {
  return { outcome: outcome.outcome, ...('reason' in outcome && { reason: outcome.reason }) };
}

function clickLogged(outcome: ActionOutcome | SubmissionOutcome): LoggedOutcome {
  return { outcome: outcome.result, ...(outcome.result === 'refused' && { reason: outcome.why }) };
}
