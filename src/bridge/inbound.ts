import type { Question } from './agent-event.ts';
import type { ChannelId, MessageKey, ModelsPlace, SlackTs, TeamId, Token, UserId } from './ids.ts';
import type { TurnDetails } from './turn/steps.ts';
import type { ModelDialog, ModelScope } from './view/model-dialog.ts';

/** Where a conversation takes place in Slack: where answers are posted. */
export interface ThreadAddress {
  team: TeamId;
  channel: ChannelId;
  /** `null` only for the rolling conversation of a direct message, which is answered at top level. */
  threadTs: SlackTs | null;
  /** Set in a group direct message, which its id does not tell. */
  kind?: 'mpim' | undefined;
}

export type ChannelKind = 'channel' | 'group' | 'im' | 'mpim';

/**
 * A piece of what a person wrote. References are spans of their own, so that text which only looks like a reference is
 * not taken for one. Entities are decoded, links are readable text, code is verbatim.
 */
export type Span =
  | { kind: 'text'; text: string }
  | { kind: 'user'; id: UserId }
  | { kind: 'channel'; id: ChannelId; name: string | null }
  | { kind: 'group'; id: string; name: string | null }
  | { kind: 'broadcast'; range: 'here' | 'channel' | 'everyone' };

/** A file of a message, as its event describes it: a reference only; nothing is fetched. */
export interface FileRef {
  id: string;
  /** As its owner named it; its id when the event does not tell. */
  name: string;
  mimetype: string | null;
  /** bytes */
  size: number | null;
  /** Why Slack has no content for anybody: deleted, too old for the workspace’s plan, or kept by another service. */
  withheld?: 'deleted' | 'too_old' | 'external' | undefined;
  /** Recorded with Slack’s own recorder. */
  clip?: 'audio' | 'video' | undefined;
  /** The beginning of what is said in a clip, as Slack understood it. */
  transcript?: string | undefined;
  /** It belongs to a message that the author forwarded. */
  forwarded?: true | undefined;
}

/** One message of a person, whichever event delivered it. */
export interface InboundMessage {
  key: MessageKey;
  team: TeamId;
  channel: ChannelId;
  channelKind: ChannelKind;
  /** Set when the event does not say the kind: it may be a group direct message. */
  isKindGuessed?: true | undefined;
  ts: SlackTs;
  /** The thread's root; `null` when the message is at top level. */
  threadTs: SlackTs | null;
  /** Of a bot or a workflow: its bot id, `B…`; of an app without one its app id, `A…`. */
  user: UserId;
  /**
   * Set when a bot, an app or a workflow wrote it. `user`: as whom; a person, when it posts with that person's token.
   */
  bot?: { user: UserId | null; name: string | null } | undefined;
  /** The author's own team where the event names one: differs from `team` for external people. */
  userTeam: TeamId | null;
  /**
   * Whether the channel is shared with another organisation (`is_ext_shared_channel`); `null`: the event does not say.
   */
  external: boolean | null;
  spans: Span[];
  /** Set when `spans` says nothing although it has attachments or blocks: none of them could be read. */
  unread?: true;
  files: FileRef[];
  /**
   * Set when it was typed into a dialog or comes of a reaction, so that Slack has no such message. `to`: the message that
   * it is about. `about`: what that one says, which goes along as context. `startsThread`: whether `threadTs` is a message
   * without replies yet. `emoji`: of the reaction.
   */
  asked?: { to: SlackTs; about: InboundMessage | null; startsThread: boolean; emoji?: string } | undefined;
  /** Whether its own words mention the bot, outside quotes and code; event types are not trusted for this. */
  mentionsBot: boolean;
  /** Set when it begins with `!now`: it is for the running turn. Its spans come without that word. */
  now?: true | undefined;
}

/** Who did something with a button, modal or command. `team` is the person's team as Slack says it. */
export interface Actor {
  user: UserId;
  team: TeamId | null;
}

/** What the buttons of an offer do. */
export type OfferAction =
  | 'run_now'
  | 'drop'
  | 'send_again'
  | 'start_new'
  | 'continue'
  | 'ask_again'
  | 'deny_with_this'
  | 'keep_queued'
  | 'make_schedule'
  | 'drop_schedule';

/** What a person thinks of an answer. */
export type FeedbackAction = 'feedback_good' | 'feedback_bad';

/** What else a reader of a finished answer may do with it. `share`: show it in the channel, too. */
export type AnswerAction = FeedbackAction | 'share';

export type ActionName =
  | 'approve'
  | 'deny'
  | 'deny_with_reason'
  | 'edit_command'
  /** This exact command, until the turn ends. */
  | 'allow_command'
  /** All edits in the working directory, until the turn ends. */
  | 'allow_edits'
  /** Letta's own rule, which outlives the turn: for admins. */
  | 'save_rule'
  | 'view_full'
  /** Another page of the full view. */
  | 'view_page'
  | 'answer'
  | 'answer_in_words'
  | 'stop'
  /** Hands one's waiting messages to the running turn. */
  | 'send_now'
  | 'details'
  | OfferAction;

/** A click. A button carries only the token; the store knows everything else about it. */
export interface InboundAction {
  name: ActionName;
  token: Token;
  /** For `answer`: which option of which question, as numbers in the order shown. */
  choice: { question: number; options: number[] } | null;
  /** For `details` and `view_page`: which page, from 0; left out: the first. */
  page?: number;
  actor: Actor;
  team: TeamId;
  /** Empty for a click inside a modal, as `messageTs` is. */
  channel: ChannelId;
  messageTs: SlackTs;
  threadTs: SlackTs | null;
}

/** A click on any of our buttons and menus. */
export interface InboundClick extends Omit<InboundAction, 'name'> {
  name: ActionName | AnswerAction;
}

/** `approve`: from the full view, which shows the whole request. */
export type SubmissionName = 'approve' | 'deny_with_reason' | 'edit_command' | 'save_rule' | 'answer_in_words';

/** A submitted modal that an action opened. */
export interface InboundSubmission {
  name: SubmissionName;
  token: Token;
  /** The texts typed, in the order of the inputs. */
  texts: string[];
  /** For `answer_in_words`: which options were chosen, by question; none where nothing was. */
  choices?: number[][] | undefined;
  actor: Actor;
  team: TeamId;
}

/** Any of our submitted modals. `feedback`: what was wrong with an answer. */
export interface InboundForm extends Omit<InboundSubmission, 'name'> {
  name: SubmissionName | 'feedback';
}

/** A click on the Stop button that Slack shows while a session is at work (docs/slack.md, Agent sessions). */
export interface InboundSessionStop {
  team: TeamId;
  channel: ChannelId;
  threadTs: SlackTs;
  user: UserId;
}

/** `/agent …`: everything after the command's name. */
export interface InboundCommand {
  text: string;
  actor: Actor;
  team: TeamId;
  channel: ChannelId;
  channelKind: ChannelKind;
}

/** A person edited or deleted a message of theirs. */
export type InboundRevision =
  /** `hasAddedFiles`: whether it has files that it did not have before. */
  | { kind: 'edited'; message: InboundMessage; mentionedBefore: boolean; hasAddedFiles?: boolean }
  | ({ kind: 'deleted' } & Pick<
      InboundMessage,
      'key' | 'team' | 'channel' | 'channelKind' | 'ts' | 'threadTs' | 'user' | 'mentionsBot'
    >);

/**
 * Slack gave a channel another id and does not know the old one any more (docs/slack.md, Slack Connect and Enterprise).
 */
export interface InboundChannelChange {
  team: TeamId;
  from: ChannelId;
  to: ChannelId;
}

/** Somebody chose "Ask the agent about this" in a message's menu. */
export interface InboundAsk {
  team: TeamId;
  channel: ChannelId;
  channelKind: ChannelKind;
  ts: SlackTs;
  /** The root of the message's thread; `null`: it is in none yet. */
  threadTs: SlackTs | null;
  /** What it says; `null`: the bridge reads no messages of this kind. */
  message: InboundMessage | null;
  actor: Actor;
}

/** What somebody wants to know about a message, typed into the dialog of {@link InboundAsk}. */
export interface InboundQuestion extends Omit<InboundAsk, 'message'> {
  /** The time that the question counts as: it is no message of Slack's. */
  askedTs: SlackTs;
  text: string;
}

/** Somebody reacted to a message with an emoji, or took the reaction back. */
export interface InboundReaction {
  kind: 'added' | 'removed';
  team: TeamId;
  channel: ChannelId;
  /** As far as the channel's id tells: it may be a group direct message. */
  channelKind: ChannelKind;
  /** As of an {@link InboundMessage}. */
  external: boolean | null;
  /** Of the message that they reacted to. */
  ts: SlackTs;
  /** Whether that message is the bridge's own. */
  isOurs: boolean;
  /** Without colons and skin tone, the same for all names that Slack has for it. */
  emoji: string;
  user: UserId;
  /** When they did it, by Slack's clock. */
  at: SlackTs;
}

/** What became of a reaction. `noted`, `taken_back`: as feedback on an answer; otherwise as of a message. */
export type ReactionOutcome = MessageOutcome | { outcome: 'noted' | 'taken_back' | 'withdrawn' };

/** The bot joined a channel. */
export interface InboundJoin {
  team: TeamId;
  channel: ChannelId;
  channelKind: ChannelKind;
  /** Who invited it; `null`: Slack names no one. */
  inviter: UserId | null;
}

/** What a person should be shown in a modal after a click. */
export type ModalRequest =
  | { kind: 'deny_with_reason'; token: Token; tool: string }
  /** `asksAnother`: the edited command needs the approval of another person before it runs. */
  | { kind: 'edit_command'; token: Token; command: string; asksAnother?: boolean }
  | { kind: 'save_rule'; token: Token; rule: string; directory: string | null; device: string | null }
  | { kind: 'answer_in_words'; token: Token; questions: Question[] }
  /**
   * `approves`: whether its last page has Approve. `redacted`: whether secrets in it are hidden. `own`: whether it shows
   * its reader possible secrets that other people do not see.
   */
  | {
      kind: 'view_full';
      token: Token;
      title: string;
      text: string;
      page: number;
      approves: boolean;
      redacted: boolean;
      own?: boolean;
    }
  | { kind: 'details'; token: Token; details: TurnDetails; page: number }
  | { kind: 'feedback'; token: Token }
  | { kind: 'models'; dialog: ModelDialog }
  /** `about`: what the message says, in one line. */
  | { kind: 'ask'; ask: InboundAsk; askedTs: SlackTs; about: string };

/** Somebody wants to choose a model, or chooses one in the dialog that is open. */
export interface InboundModels {
  about: ModelsPlace;
  actor: Actor;
  /** The model that is chosen in the open dialog, by its key, or the agent's own; `null`: the dialog opens. */
  model: string | null;
}

/** The submitted dialog of models. */
export interface ModelChoice {
  /** A key of the dialog's menu, or `OWN_MODEL`. */
  model: string;
  /** A key of the menu of efforts; `null`: there was none. */
  effort: string | null;
  /** A key of the menu of toolsets; `null`: as it is. */
  toolset: string | null;
  /** `null`: there was one, which was not asked for. */
  scope: ModelScope | null;
}

export interface InboundModelForm extends Omit<InboundModels, 'model'> {
  choice: ModelChoice;
}

/** `invalid`: what is shown at that field; the dialog stays open. `decided`: what Letta makes of it is told later. */
export type ModelOutcome =
  | { result: 'decided' }
  | { result: 'modal'; modal: ModalRequest & { kind: 'models' } }
  | { result: 'invalid'; field: 'model' | 'effort'; text: string }
  | Refused;

/** The outcome of a click; a `refused` one changed nothing. */
export type ActionOutcome = { result: 'decided' } | { result: 'modal'; modal: ModalRequest } | Refused;

/**
 * `unreachable`: nothing was decided because Letta cannot be reached; the card stays. `paused`: an admin paused the agent.
 */
export type RefusedWhy = 'already_decided' | 'not_allowed' | 'expired' | 'unreachable' | 'paused';

/** Nothing changed; `notice` is one line for the person, for their eyes only. */
export interface Refused {
  result: 'refused';
  why: RefusedWhy;
  notice: string;
  /** For the log and the audit, in one word: why somebody may not. */
  reason?: string;
}

export function refused(why: RefusedWhy, notice: string, reason?: string): Refused {
  return { result: 'refused', why, notice, ...(reason !== undefined && { reason }) };
}

/** `errors` are shown at the modal's input of that number; the modal stays open. */
export type SubmissionOutcome =
  | { result: 'decided' }
  | { result: 'invalid'; errors: { input: number; text: string }[] }
  | Refused;

/** What became of an inbound message; the log has it for each. */
export type MessageOutcome =
  | { outcome: 'accepted' }
  | { outcome: 'context' }
  /** It answered a question of the agent, or said yes to a request, which approves nothing: that needs a click. */
  | { outcome: 'answered' | 'yes_needs_click' }
  | { outcome: 'command'; name: string }
  | { outcome: 'helped' }
  | { outcome: 'repeated' }
  | { outcome: 'ignored'; reason: string }
  | { outcome: 'refused'; reason: string };

/** What became of an edit or deletion. `asked`: its turn runs, so the author was offered to stop it. */
export type RevisionOutcome =
  | { outcome: 'changed' | 'withdrawn' | 'asked' }
  | { outcome: 'ignored'; reason: string }
  | { outcome: 'refused'; reason: string }
  /** The message itself was handled only now: the edit made it one for the agent, or arrived before the message. */
  | { outcome: 'began'; as: MessageOutcome['outcome'] };

/** The kind of an inbound event, for the log and the metrics. */
export type InboundKind =
  | 'message'
  | 'reaction'
  | 'revision'
  | 'click'
  | 'modal'
  | 'command'
  | 'home'
  | 'channel'
  | 'event';

/** The thread in which public answers to a message are posted. */
export function addressOf({ team, channel, channelKind, ts, threadTs }: InboundMessage): ThreadAddress {
  const kind = channelKind === 'mpim' && { kind: channelKind };
  return { team, channel, threadTs: threadTs ?? (channelKind === 'im' ? null : ts), ...kind };
}

/** Where an ephemeral message to the author is visible: in a thread that does not exist yet, it is not. */
export function placeOf({
  team,
  channel,
  threadTs,
  asked,
}: Pick<InboundMessage, 'team' | 'channel' | 'threadTs'> & Partial<Pick<InboundMessage, 'asked'>>): ThreadAddress {
  return { team, channel, threadTs: asked?.startsThread ? null : threadTs };
}
