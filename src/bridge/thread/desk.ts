import { can } from '../access/can.ts';
import type { PolicyBook } from '../access/policy.ts';
import type { UserId } from '../ids.ts';
import {
  type ActionOutcome,
  type InboundAction,
  type InboundSubmission,
  refused,
  type SubmissionOutcome,
} from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Log, Surface } from '../ports.ts';
import { forgetConversation } from '../record/inbox.ts';
import { findBackgroundOffer } from '../record/offers.ts';
import { describeTasks } from '../record/tasks.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import { plainName } from '../text/plain-name.ts';
import type { ThreadApprovals } from './approvals/approvals.ts';
import type { Typed } from './approvals/replies.ts';
import type { ThreadBackground } from './background.ts';
import type { ThreadDetails } from './details.ts';
import type { ThreadLink } from './link.ts';
import type { Mailbox } from './mailbox.ts';
import { isOfferAction, type ThreadOffers } from './offers.ts';
import { say } from './say.ts';
import type { ThreadSettings } from './settings.ts';
import type { ThreadState } from './state.ts';
import { queueText, statusText } from './status.ts';
import type { TurnStop } from './turn-stop.ts';

export interface ThreadDeskParts {
  state: ThreadState;
  link: ThreadLink;
  mailbox: Mailbox;
  approvals: ThreadApprovals;
  offers: ThreadOffers;
  details: ThreadDetails;
  stopping: TurnStop;
  background: ThreadBackground;
  settings: ThreadSettings;
  policies: PolicyBook;
  surface: Surface;
  botUser: UserId;
  log: Log;
  /** Runs `work` as a mail of the thread, then does what is due. */
  ask<T>(work: () => T | Promise<T>): Promise<T>;
}

/** A change that must be on disk together with what is asked. */
type Change = (record: ThreadRecord) => ThreadRecord;
const same: Change = (record) => record;

const MUTED = 'Muted: here I answer only messages that mention me. To unmute me, write `!unmute` or mention me here.';

/** Handles the clicks, modals and commands of people whom the door has let in. */
export class ThreadDesk {
  readonly #parts: ThreadDeskParts;

  constructor(parts: ThreadDeskParts) {
    this.#parts = parts;
  }

  /** Handles a click of somebody who may write here. Resolves when its effect is on disk. */
  act(action: InboundAction, person: Person): Promise<ActionOutcome> {
    const { name } = action;
    return this.#parts.ask(() => {
      if (name === 'deny_with_this') return this.#parts.approvals.denyWithMessage(action, person);
      if (isOfferAction(name)) return this.#parts.offers.act({ ...action, name }, person);
      if (name === 'details') return this.#parts.details.act(action, person);
      if (name !== 'stop') return this.#parts.approvals.act({ ...action, name }, person);
      const { state, background } = this.#parts;
      const isTurn = state.open?.stopToken === action.token;
      const isBackground = state.record ? findBackgroundOffer(state.record)?.token === action.token : false;
      if (!isTurn && !isBackground) return refused('expired', 'That turn has already ended.');
      const verdict = can(this.#parts.policies.current(), person, { do: 'stop' }, this.#parts.state.place);
      if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
      if (state.open && !this.#parts.state.isEnding) this.#parts.stopping.stop(person.id);
      background.stop(person.id, { anew: true });
      return { result: 'decided' };
    });
  }

  /** Before a message is stored: if a request waits for its author, it may be the answer. */
  typed(item: Pick<InboxItem, 'key' | 'ts' | 'spans'>, person: Person): Promise<Typed> {
    return this.#parts.ask(() => this.#parts.approvals.typed(item, person));
  }

  /** After the message is stored: if a request still waits for its author, asks whether it is the reason for a no. */
  askAbout(item: Pick<InboxItem, 'key' | 'ts'>, person: Person): Promise<void> {
    return this.#parts.ask(() => this.#parts.approvals.askAbout(item, person));
  }

  /** Decides a request by `!approve` or `!deny`. Resolves with a line for the one who asked. */
  decideByCommand(verb: 'approve' | 'deny', args: string, person: Person): Promise<string> {
    return this.#parts.ask(() => this.#parts.approvals.byCommand(verb, args, person));
  }

  /** Handles a submitted modal. Resolves when its effect is on disk. */
  submission(submission: InboundSubmission, person: Person): Promise<SubmissionOutcome> {
    return this.#parts.ask(() => this.#parts.approvals.submission(submission, person));
  }

  /** Stops the turn and background tasks, and drops queued messages. Resolves with a line for the one who asked. */
  stop(by: UserId, also?: Change): Promise<string> {
    return this.#parts.ask(() => {
      const { state, background, stopping } = this.#parts;
      const { tasks } = background;
      if (!state.open && tasks.length === 0) return 'Nothing is running here.';
      const said = state.open ? ['Stopping.'] : [];
      if (state.open && !state.isEnding) stopping.stop(by, also);
      if (tasks.length > 0) {
        said.push(
          `I’m ending the background tasks: ${describeTasks(tasks)}. I’ll tell you if something keeps running.`,
        );
        background.stop(by, { anew: true, also });
      }
      return said.join(' ');
    });
  }

  /** Lets the next message begin a new conversation, and says so in the thread. Resolves with a line for the one who asked. */
  startOver(by: Person, also: Change = same): Promise<string> {
    return this.#parts.ask(() => {
      const { record } = this.#parts.state;
      if (record?.turn || record?.inbox.length) return 'I’m working here. Write `!stop` first.';
      const { tasks } = this.#parts.background;
      if (tasks.length > 0 && record?.endTasks?.step !== 'told')
        return `Still running in the background: ${describeTasks(tasks)}. Write \`!stop\` first.`;
      const had = record?.runtime ?? null;
      this.#parts.state.change(({ tasks: _, endTasks: __, ...now }) => also(forgetConversation(now)));
      this.#parts.mailbox.after(() => {
        this.#parts.link.disconnect();
        this.#parts.offers.givenUp();
        if (had !== null) this.#sayAloud(by, 'started a new conversation');
      });
      return 'The next message here starts a new conversation.';
    });
  }

  /** The channel's settings have changed. Resolves with a line for the one who changed them. */
  settingsChanged(by: UserId): Promise<string> {
    return this.#parts.ask(() => {
      if (!this.#parts.state.record?.runtime) return 'The conversation here will start with these settings.';
      this.#parts.settings.changedBy(by);
      return this.#parts.state.open
        ? 'Here it applies when the running turn has ended.'
        : 'I’ll say so in the thread when Letta has confirmed it.';
    });
  }

  /**
   * Mutes or unmutes the thread, and says so there; muted, it answers only messages that mention the bot. Resolves with a
   * line for the one who asked.
   */
  mute(by: Person, isMuted: boolean, also: Change = same): Promise<string> {
    return this.#parts.ask(() => {
      if (!this.#parts.state.record) return 'There is no conversation here yet.';
      if (this.#parts.state.direct) return 'You can’t mute me in direct messages.';
      const was = this.#parts.state.record.muted ?? false;
      this.#parts.state.change((now) => also({ ...now, muted: isMuted, mutedBy: isMuted ? by.id : undefined }));
      const deed = isMuted ? 'muted the agent: it answers only mentions' : 'unmuted the agent';
      this.#parts.mailbox.after(() => {
        if (was !== isMuted) this.#sayAloud(by, deed);
      });
      return isMuted ? MUTED : 'Unmuted: I answer replies here again.';
    });
  }

  /** Says in the thread what somebody did that changes it for everybody. The name is no mention: nobody is notified. */
  #sayAloud({ name }: Person, deed: string): void {
    say(this.#parts, `— ${plainName(name) || 'Somebody'} ${deed} —`);
  }

  /** Lists the queued messages, in Markdown for people. */
  queue(): Promise<string> {
    return this.#parts.ask(() => queueText(this.#parts.state.record?.inbox ?? [], this.#parts.botUser));
  }

  /** Says what the thread is doing, in Markdown for people. */
  status(): Promise<string> {
    return this.#parts.ask(() =>
      statusText(this.#parts.state, this.#parts.link, this.#parts.state.settings.permissions),
    );
  }
}
