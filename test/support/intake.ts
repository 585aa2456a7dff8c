import type {
  ActionOutcome,
  InboundAsk,
  InboundChannelChange,
  InboundClick,
  InboundCommand,
  InboundForm,
  InboundJoin,
  InboundMessage,
  InboundModelForm,
  InboundModels,
  InboundQuestion,
  InboundReaction,
  InboundRevision,
  InboundSessionStop,
  MessageOutcome,
  ModelOutcome,
  ReactionOutcome,
  RevisionOutcome,
  SubmissionOutcome,
} from '../../src/bridge/inbound.ts';
import type { Intake } from '../../src/bridge/ports.ts';
import type { HomeView } from '../../src/bridge/view/home.ts';

/** An intake that keeps what it gets and returns what the test sets; `failing` makes the next calls reject. */
export class RecordingIntake implements Intake {
  /** Every delivery, also those that failed. */
  readonly deliveries: InboundMessage[] = [];
  /** What is "on disk", by key, so that a repeat is recognised. */
  readonly stored = new Map<string, InboundMessage>();
  readonly actions: InboundClick[] = [];
  readonly submissions: InboundForm[] = [];
  readonly commands: InboundCommand[] = [];
  failing = 0;
  actionOutcome: ActionOutcome = { result: 'decided' };
  submissionOutcome: SubmissionOutcome = { result: 'decided' };
  /** Commands and clicks wait for it before they answer. */
  gate: Promise<void> = Promise.resolve();

  #failIfAsked(): void {
    if (this.failing === 0) return;
    this.failing -= 1;
    throw new Error('disk full');
  }

  async handleMessage(message: InboundMessage): Promise<MessageOutcome> {
    this.deliveries.push(message);
    await this.gate;
    this.#failIfAsked();
    if (this.stored.has(message.key)) return { outcome: 'repeated' };
    this.stored.set(message.key, message);
    return { outcome: 'accepted' };
  }

  readonly ignored: string[] = [];

  noteIgnored(key: string, reason: string): void {
    this.ignored.push(`${key} ${reason}`);
  }

  readonly revisions: InboundRevision[] = [];

  async handleRevision(revision: InboundRevision): Promise<RevisionOutcome> {
    this.revisions.push(revision);
    this.#failIfAsked();
    return { outcome: 'changed' };
  }

  async handleAction(action: InboundClick): Promise<ActionOutcome> {
    this.actions.push(action);
    await this.gate;
    this.#failIfAsked();
    return this.actionOutcome;
  }

  async handleSubmission(submission: InboundForm): Promise<SubmissionOutcome> {
    this.submissions.push(submission);
    this.#failIfAsked();
    return this.submissionOutcome;
  }

  async handleCommand(command: InboundCommand): Promise<string> {
    this.commands.push(command);
    await this.gate;
    this.#failIfAsked();
    return `**ok** ${command.text} <@U0BOT> a<b`;
  }

  readonly models: (InboundModels | InboundModelForm)[] = [];
  modelOutcome: ModelOutcome = { result: 'decided' };

  async handleModels(asked: InboundModels): Promise<ModelOutcome> {
    this.models.push(asked);
    await this.gate;
    this.#failIfAsked();
    return this.modelOutcome;
  }

  async handleModelForm(form: InboundModelForm): Promise<ModelOutcome> {
    this.models.push(form);
    this.#failIfAsked();
    return this.modelOutcome;
  }

  readonly sessionStops: InboundSessionStop[] = [];

  async handleSessionStop(stop: InboundSessionStop): Promise<void> {
    this.sessionStops.push(stop);
    this.#failIfAsked();
  }

  readonly channelChanges: InboundChannelChange[] = [];

  async handleChannelChange(change: InboundChannelChange): Promise<void> {
    this.channelChanges.push(change);
    this.#failIfAsked();
  }

  readonly reactions: InboundReaction[] = [];

  async handleReaction(reaction: InboundReaction): Promise<ReactionOutcome> {
    this.reactions.push(reaction);
    this.#failIfAsked();
    return { outcome: 'accepted' };
  }

  readonly asks: InboundAsk[] = [];
  readonly questions: InboundQuestion[] = [];

  async handleAsk(ask: InboundAsk): Promise<ActionOutcome> {
    this.asks.push(ask);
    this.#failIfAsked();
    return this.actionOutcome;
  }

  async handleFork(ask: InboundAsk): Promise<string> {
    this.asks.push(ask);
    this.#failIfAsked();
    return 'The link comes here.';
  }

  async handleQuestion(question: InboundQuestion): Promise<SubmissionOutcome> {
    this.questions.push(question);
    this.#failIfAsked();
    return this.submissionOutcome;
  }

  readonly joins: InboundJoin[] = [];

  async handleJoin(join: InboundJoin): Promise<void> {
    this.joins.push(join);
    this.#failIfAsked();
  }

  readonly notifyTimes: { user: string; ms: number | null }[] = [];

  async chooseNotifyTime(user: string, _team: string, ms: number | null): Promise<void> {
    this.notifyTimes.push({ user, ms });
  }

  viewHome(user: string): Promise<HomeView> {
    return Promise.resolve({ kind: 'refused', notice: `Hello <@${user}>` });
  }
}
