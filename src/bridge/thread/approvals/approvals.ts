import type { Door } from '../../access/door.ts';
import type { PolicyBook } from '../../access/policy.ts';
import type { ApprovalRequest } from '../../agent-event.ts';
import {
  answerWithForm,
  answerWithOption,
  approve,
  approveChanged,
  approveShown,
  approveWithRule,
  type Decided,
  deny,
  editableCommand,
  ruleOf,
} from '../../approvals/answers.ts';
import { grantFor } from '../../approvals/auto-approval/grants.ts';
import { shortId } from '../../approvals/short-id.ts';
import { fullText, shownRequest } from '../../approvals/shown.ts';
import type { TurnId, UserId } from '../../ids.ts';
import {
  type ActionOutcome,
  type InboundAction,
  type InboundSubmission,
  type OfferAction,
  refused,
  type SubmissionName,
  type SubmissionOutcome,
} from '../../inbound.ts';
import type { Person } from '../../person.ts';
import type { Audit, Clock, Log, Random, Surface } from '../../ports.ts';
import type { ApprovalRecord, GrantKind } from '../../record/thread-record.ts';
import type { ThreadLink } from '../link.ts';
import type { Mailbox } from '../mailbox.ts';
import { say } from '../say.ts';
import type { ThreadState } from '../state.ts';
import { ThreadAudit } from './audit.ts';
import { ApprovalDeadlines } from './deadlines.ts';
import { ApprovalDecisions, type Found, type Wish } from './decide.ts';
import { RefusedClicks } from './refused-clicks.ts';
import { ApprovalTyping, type Typed } from './replies.ts';
import { ApprovalRequests } from './requests.ts';

export interface ApprovalParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  surface: Surface;
  policies: PolicyBook;
  /** Judges again whether a person may decide, when their decision takes effect. */
  door: Pick<Door, 'judgeAgain'>;
  audit: Audit;
  clock: Clock;
  random: Random;
  botUser: UserId;
  log: Log;
  /** ms after which a request that nobody decided is denied; left out: never. */
  timeoutMs?: number | undefined;
  /** ms after which a decision that Letta did not get is no longer sent; left out: no limit. */
  staleAfterMs?: number | undefined;
  /** Does what is due in the thread, which may be to rest once the audit is written. */
  advance(): void;
  /** Checks that Slack still shows the cards of the turn. */
  recheckCards(): void;
}

export type ApprovalAction = Exclude<InboundAction['name'], OfferAction | 'stop' | 'details'>;

const NO_QUESTION = 'This is not a question.';
const A_QUESTION = 'This is a question: choose an answer.';

/** The requests of a thread's turn: shows them, lets those who may decide each once, and tells Letta. */
export class ThreadApprovals {
  readonly #parts: ApprovalParts;
  readonly #audit: ThreadAudit;
  readonly #decisions: ApprovalDecisions;
  readonly #deadlines: ApprovalDeadlines;
  readonly #requests: ApprovalRequests;
  readonly #typing: ApprovalTyping;
  readonly #refused: RefusedClicks;

  constructor(parts: ApprovalParts) {
    this.#parts = parts;
    const onChange = () => this.resume();
    this.#audit = new ThreadAudit(parts);
    this.#refused = new RefusedClicks(parts);
    this.#decisions = new ApprovalDecisions({ ...parts, onChange, tooLate: (author) => this.#tooLate(author) });
    this.#deadlines = new ApprovalDeadlines({ ...parts, decisions: this.#decisions });
    this.#requests = new ApprovalRequests({
      ...parts,
      decisions: this.#decisions,
      audit: this.#audit,
      say: (text) => say(parts, text),
      onChange,
    });
    this.#typing = new ApprovalTyping({ ...parts, decisions: this.#decisions });
  }

  /** Does what the record says is due: sets deadlines and writes the audit. Doing it twice is fine. */
  resume(): void {
    this.#deadlines.arm();
    this.#audit.settle();
  }

  asked(request: ApprovalRequest): void {
    this.#requests.asked(request);
  }

  /** A new link joined the turn while it runs. */
  joined(): void {
    this.#requests.joined();
  }

  /** The device reported another working directory. */
  directoryMoved(): void {
    this.#requests.directoryMoved();
  }

  close(...args: Parameters<ApprovalRequests['close']>): void {
    this.#requests.close(...args);
  }

  /** The turn is over, so no decision of it has to be sent to Letta again. */
  forget(): void {
    this.#decisions.forget();
    this.resume();
  }

  /** Before a message is stored: whether it answers a request that waits for its author. */
  typed(...args: Parameters<ApprovalTyping['typed']>): Typed {
    return this.#typing.typed(...args);
  }

  /** After the message is stored: asks its author whether it is the reason for a no. */
  askAbout(...args: Parameters<ApprovalTyping['ask']>): void {
    this.#typing.ask(...args);
  }

  denyWithMessage(action: InboundAction, person: Person): ActionOutcome {
    return this.#typing.deny(action, person);
  }

  /**
   * Handles `!approve id` and `!deny id reason`, which decide cards that Slack does not show; `id` is the first letters
   * of the card's token. @returns a line for the one who asked
   */
  byCommand(verb: 'approve' | 'deny', args: string, person: Person): string {
    const [id = '', ...words] = args.trim().split(/\s+/);
    const open = (this.#parts.state.record?.approvals ?? []).filter(({ state }) => state.state === 'open');
    const record = open.find(({ token }) => id.length >= shortId(token).length && token.startsWith(id));
    if (!record)
      return open.length === 0
        ? 'No request is waiting for a decision here.'
        : 'No request with that id is waiting here.';
    const found = this.#decisions.find(record.token, person, verb === 'deny' ? 'deny' : 'decide');
    if ('result' in found) {
      const { why, reason = why } = found;
      const click = {
        thread: this.#parts.state.key,
        token: record.token,
        user: person.id,
        reason,
        via: 'command',
      } as const;
      if (why === 'not_allowed') this.#refused.note(click, this.#parts.state.record);
      return found.notice;
    }
    const { request } = found;
    if (verb === 'approve' && request.questions) return A_QUESTION;
    if (verb === 'approve' && shownRequest(request).isPartlyShown) {
      return 'I can’t show all of this as text to everyone here, so you can only deny it.';
    }
    const yes = approveShown(request, found.record);
    const decided = verb === 'approve' ? yes : deny(person.name, words.join(' ') || null);
    const outcome = this.#decisions.decide(found, decided, person, { via: 'command' });
    return outcome.result === 'refused' ? outcome.notice : verb === 'approve' ? 'Approved.' : 'Denied.';
  }

  /**
   * Slack refused cards in every form for half a day, or no longer has the thread. Their requests are denied, because
   * people cannot see what they would decide, and the thread is told.
   * @param cards the first letters of their tokens; left out: all open ones of the turn
   */
  notShown(turn: TurnId, reason: string, cards?: readonly string[]): void {
    const { state, log } = this.#parts;
    const isUnseen = ({ token }: ApprovalRecord) => cards?.some((letters) => token.startsWith(letters)) ?? true;
    const open = (state.record?.approvals ?? []).filter(
      (each) => each.turn === turn && each.state.state === 'open' && isUnseen(each),
    );
    if (open.length === 0) return;
    log.warn({ turn, reason, requests: open.length }, 'could not show cards');
    for (const record of open) this.#decisions.denyUndecided(record, 'not_shown');
    say(this.#parts, 'I could not show here what the agent asked for, so I denied it.');
  }

  #tooLate(author: UserId): void {
    say(
      this.#parts,
      `<@${author}>, your message came after the request was over, so the agent has not read it. Send it again if it still matters.`,
    );
  }

  /** The thread closes. */
  end(): void {
    this.#deadlines.end();
  }

  act(action: InboundAction & { name: ApprovalAction }, person: Person): ActionOutcome {
    const { name } = action;
    const found = this.#decisions.find(action.token, person, wishOf(name));
    if ('result' in found) return found;
    const { record, request } = found;
    const { token, tool } = record;
    if (request.questions && APPROVES.has(name)) return refused('expired', A_QUESTION);
    switch (name) {
      case 'view_full':
      case 'view_page':
        return this.#fullView(found, person, action.page ?? 0);
      case 'approve':
        // A card that cuts text off opens all of it first, because nobody may approve what they could not read.
        if (shownRequest(request).isPartlyShown) return this.#fullView(found, person, 0);
        return this.#decide(found, approveShown(request, record), person);
      case 'deny':
        return this.#decide(found, deny(person.name, null), person);
      case 'deny_with_reason':
        return { result: 'modal', modal: { kind: 'deny_with_reason', token, tool } };
      case 'edit_command': {
        const command = editableCommand(request);
        if (command === null) return refused('expired', 'You can’t change this here.');
        const alone = this.#decisions.nobodyElse(record, person);
        if (alone !== null) return refused('not_allowed', alone);
        const asksAnother = this.#decisions.mustAskAnother();
        return { result: 'modal', modal: { kind: 'edit_command', token, command, asksAnother } };
      }
      case 'allow_command':
        return this.#grant(found, 'command', person);
      case 'allow_edits':
        return this.#grant(found, 'edits', person);
      case 'save_rule': {
        const rule = ruleOf(request);
        if (!rule || shownRequest(request).isPartlyShown) return refused('expired', 'There is no rule to save.');
        const { workingDirectory: directory, device } = this.#parts.link;
        return { result: 'modal', modal: { kind: 'save_rule', token, rule: rule.text, directory, device } };
      }
      case 'answer_in_words':
        if (!request.questions?.length) return refused('expired', NO_QUESTION);
        return { result: 'modal', modal: { kind: 'answer_in_words', token, questions: request.questions } };
      case 'answer': {
        const decided = answerWithOption(request, action.choice);
        return decided ? this.#decide(found, decided, person) : refused('expired', 'That option no longer exists.');
      }
      default:
        return name satisfies never;
    }
  }

  submission(submission: InboundSubmission, person: Person): SubmissionOutcome {
    const { name, texts } = submission;
    const found = this.#decisions.find(submission.token, person, wishOf(name));
    if ('result' in found) return found;
    const { request } = found;
    if (request.questions && APPROVES.has(name)) return refused('expired', A_QUESTION);
    const typed = (texts[0] ?? '').trim();
    const submit = (decided: Decided) => this.#decisions.decide(found, decided, person, { via: 'modal' });
    switch (name) {
      case 'approve':
        if (shownRequest(request).refusal !== null) return refused('expired', 'I can’t show this to anyone.');
        return submit(approveShown(request, found.record));
      case 'deny_with_reason':
        return submit(deny(person.name, typed || null));
      case 'edit_command': {
        return this.#edit(found, texts[0] ?? '', person);
      }
      case 'save_rule': {
        const decided = approveWithRule(request);
        return decided ? submit(decided) : refused('expired', 'There is no rule to save.');
      }
      case 'answer_in_words': {
        if (!request.questions?.length) return refused('expired', NO_QUESTION);
        const answer = answerWithForm(request, { choices: submission.choices ?? [], texts });
        return 'wrong' in answer ? { result: 'invalid', errors: answer.wrong } : submit(answer);
      }
      default:
        return name satisfies never;
    }
  }

  /**
   * An edited command counts as the editor's own, so where people may not approve their own, another person is asked.
   */
  #edit(found: Found, text: string, person: Person): SubmissionOutcome | SubmissionOutcome {
    const { record, request } = found;
    const decided = approveChanged(request, text);
    if (!decided) return invalid('Write the command to run.');
    const { send } = decided;
    const command = send.behavior === 'allow' ? send.updatedInput?.command : undefined;
    if (typeof command !== 'string') {
      // The text is unchanged, so this is an approval of what the card shows, by somebody who may approve that.
      const again = this.#decisions.find(record.token, person, 'decide');
      if ('result' in again) return again;
      return this.#decisions.decide(again, approveShown(request, record), person, { via: 'modal' });
    }
    if (!this.#decisions.mustAskAnother()) return this.#decisions.decide(found, decided, person, { via: 'modal' });
    const alone = this.#decisions.nobodyElse(record, person);
    return alone === null ? this.#decisions.askEdited(found, command, person) : invalid(alone);
  }

  #decide(found: Found, decided: Decided, person: Person): ActionOutcome {
    return this.#decisions.decide(found, decided, person, { via: 'click' });
  }

  #grant(found: Found, grant: GrantKind, person: Person): ActionOutcome {
    const { request } = found;
    if (found.record.edit || grantFor(request) !== grant || shownRequest(request).isPartlyShown) {
      return refused('expired', 'You can’t approve this for the whole turn.');
    }
    const words =
      grant === 'command' ? 'and the same command again during this turn' : 'and all edits during this turn';
    return this.#decisions.decide(found, { ...approve(), words }, person, { via: 'click', grant });
  }

  /** Opens the whole request; if its card cut text off, with a button to approve for those who may. */
  #fullView({ record, request }: Found, person: Person, page: number): ActionOutcome {
    const { token, tool: title } = record;
    const folder = this.#parts.link.workingDirectory;
    const may = this.#decisions.mayDecide(record, person);
    const { isPartlyShown, isWithheld } = shownRequest(request, folder);
    const eyes = may ? 'own' : 'all';
    const { isRedacted } = shownRequest(request, folder, eyes);
    const text = fullText(request, folder, eyes);
    const view = {
      kind: 'view_full',
      token,
      title,
      text,
      page,
      approves: isPartlyShown && may,
      redacted: isRedacted,
    } as const;
    return { result: 'modal', modal: { ...view, ...(isWithheld && may && { own: true }) } };
  }
}

/** Actions refused for questions, because a bare allow would leave them open (docs/letta-protocol.md, Approvals). */
const APPROVES: ReadonlySet<string> = new Set(['approve', 'edit_command', 'allow_command', 'allow_edits', 'save_rule']);

function wishOf(name: ApprovalAction | SubmissionName): Wish {
  if (name === 'view_full' || name === 'view_page') return 'look';
  if (name === 'deny' || name === 'deny_with_reason') return 'deny';
  if (name === 'edit_command') return 'edit';
  return name === 'save_rule' ? 'save' : 'decide';
}

function invalid(text: string): SubmissionOutcome {
  return { result: 'invalid', errors: [{ input: 0, text }] };
}
