import { isDirect, type TurnId, type UserId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type { Log, Surface } from '../ports.ts';
import { changeTurn } from '../record/inbox.ts';
import type { InboxItem, OpenTurn } from '../record/thread-record.ts';
import { asCode } from '../text/as-code.ts';
import { messageLine } from '../turn/prompt.ts';
import type { TurnView } from '../view/turn.ts';
import type { Mailbox } from './mailbox.ts';
import type { ThreadState } from './state.ts';

export interface HeldUpParts {
  state: ThreadState;
  mailbox: Mailbox;
  surface: Surface;
  botUser: UserId;
  log: Log;
}

/** How many authors of queued messages get a direct message about one thread. */
const MOST_AUTHORS = 20;

/**
 * Tells people in direct messages what the bot cannot say in their thread, because it was removed, the channel is
 * archived, or the thread's first message was deleted.
 */
export class HeldUpThread {
  readonly #parts: HeldUpParts;
  /** The authors who were told that their messages wait. */
  readonly #toldAuthors = new Set<UserId>();
  /** The turn whose answer is being sent to its requester, so that it is not sent twice at once. */
  #copying: TurnId | null = null;

  constructor(parts: HeldUpParts) {
    this.#parts = parts;
  }

  /** The end of the turn waits until Slack lets us write there again. */
  end(turn: OpenTurn, reason: string, view: TurnView): void {
    const { address, inbox } = this.#record();
    const why = whyText(reason, address);
    this.#tellAnswer(turn, `${why}, so I can’t post my answer there. I’ll keep trying for 12 hours. Here it is:`, view);
    for (const [author, items] of byAuthor(inbox)) {
      if (author === turn.requester || this.#toldAuthors.has(author)) continue;
      this.#toldAuthors.add(author);
      this.#tell(author, `${why}, so what you wrote there waits until I can answer:\n${this.#lines(items)}`);
    }
  }

  /** A card cannot be posted, so its requester is told that a request waits. */
  card(turn: OpenTurn, reason: string): void {
    const { address } = this.#record();
    const text = `${whyText(reason, address)}, so I can’t show there what the agent asks. It waits until I can write there again, for at most 12 hours.`;
    this.#tell(turn.requester, text);
  }

  /** The bot gives up on the thread, which it cannot write to. @param dropped messages that will not run */
  givenUp(turn: OpenTurn, reason: string, view: TurnView, dropped: readonly InboxItem[]): void {
    const why = whyText(reason, this.#record().address);
    this.#tellAnswer(turn, `${why}, so here is my answer:`, view);
    for (const [author, items] of byAuthor(dropped)) {
      this.#tell(author, `${why}, so I did not run what you wrote there:\n${this.#lines(items)}`);
    }
    this.#toldAuthors.clear();
  }

  /** The thread can be written to again. */
  over(): void {
    this.#toldAuthors.clear();
  }

  #tellAnswer(turn: OpenTurn, text: string, view: TurnView): void {
    const { state } = this.#parts;
    if (turn.told || state.open?.told || this.#copying === turn.id) return;
    this.#copying = turn.id;
    this.#tell(turn.requester, text, { turn: turn.id, view });
  }

  /** Notes in the record that the requester has the answer, if the direct message was delivered. */
  #copied(turn: TurnId, delivered: boolean): void {
    if (this.#copying === turn) this.#copying = null;
    if (!delivered) return;
    this.#parts.state.change((record) => (record.turn?.id === turn ? changeTurn(record, { told: true }) : record));
  }

  #tell(user: UserId, text: string, copy: { turn: TurnId; view: TurnView } | null = null): void {
    const { surface, mailbox, log } = this.#parts;
    const { address } = this.#record();
    // A direct message is itself the thread that cannot be written to, and bots read no direct messages.
    const tell = surface.sendDirectMessage?.bind(surface);
    if (!tell || !/^[UW]/.test(user) || isDirect(address.channel)) return;
    mailbox.away(
      () => tell(user, address.team, text, copy),
      (delivery) => {
        const { delivered } = delivery;
        const reason = delivered ? null : delivery.reason;
        if (!delivered) log.warn({ user, reason }, 'could not tell a person what their thread does not show');
        return copy ? this.#copied(copy.turn, delivered) : undefined;
      },
      (error) => {
        log.warn({ user, err: error }, 'could not tell a person what their thread does not show');
        return copy ? this.#copied(copy.turn, false) : undefined;
      },
    );
  }

  #lines(items: readonly InboxItem[]): string {
    return items.map(({ spans }) => `- ${messageLine(spans, this.#parts.botUser)}`).join('\n');
  }

  #record() {
    const { state } = this.#parts;
    return { address: state.address, inbox: state.record?.inbox ?? [] };
  }
}

function byAuthor(items: readonly InboxItem[]): [UserId, InboxItem[]][] {
  const authors = [...new Set(items.map(({ user }) => user))].slice(0, MOST_AUTHORS);
  return authors.map((author) => [author, items.filter(({ user }) => user === author)]);
}

/** Slack's error code as the beginning of a sentence for people. */
function whyText(reason: string, { channel }: ThreadAddress): string {
  const place = `<#${channel}>`;
  switch (reason) {
    case 'not_in_channel':
    case 'channel_not_found':
      return `I am no longer in ${place}`;
    case 'is_archived':
    case 'is_inactive':
      return `${place} is archived`;
    case 'thread_gone':
      return `The first message of your thread in ${place} was deleted`;
    default:
      return `Slack does not let me write in ${place} (${asCode(reason)})`;
  }
}
