import type { Token, UserId } from '../ids.ts';
import type { OfferAction } from '../inbound.ts';
import type { InboxItem, Offer, OfferChoice } from '../record/thread-record.ts';
import { messageLine } from '../turn/prompt.ts';

/** A line of the bridge with buttons: values only. */
export interface OfferView {
  token: Token;
  /** Markdown of ours. */
  text: string;
  /** In reading order; none once it is decided. */
  buttons: (OfferAction | 'stop')[];
}

const LISTED = 10;

/** What the last message of a turn shows of the turn's offer: buttons, or what became of them. `undefined`: nothing. */
export function tailOfferView(offer: Offer | undefined): OfferView | undefined {
  if (!offer) return undefined;
  const { token, state } = offer;
  if (state.state === 'open') return { token, text: '', buttons: buttonsOf(offer) };
  const messages = offer.count === 1 ? 'the message' : `the ${offer.count} messages`;
  const text = state.state === 'lapsed' ? lapsedText(offer, messages) : decidedText(offer, state.choice, messages);
  return { token, text, buttons: [] };
}

function buttonsOf({ kind }: Offer): OfferView['buttons'] {
  switch (kind) {
    case 'run_held':
      return ['run_now', 'drop'];
    case 'deny_or_keep':
      return ['deny_with_this', 'keep_queued'];
    case 'background':
      return ['stop'];
    default:
      return [kind];
  }
}

function decidedText(offer: Offer, choice: OfferChoice, messages: string): string {
  const who = `<@${offer.for}>`;
  return {
    run: `${who} ran ${messages} from earlier.`,
    dropped: `${who} discarded ${messages} from earlier.`,
    sent: offer.reached ? `${who} tried again.` : `${who} sent ${messages} again.`,
    started: `${who} started a new conversation with ${messages}.`,
    continued: `${who} let the agent continue.`,
    asked: `${who} let the agent ask again.`,
    denied: `${who} denied the request, with a message as the reason.`,
    kept: `${who} kept the message for later.`,
  }[choice];
}

/** What should be seen of an offer. */
export function offerView(offer: Offer, botUser: UserId): OfferView {
  const { token } = offer;
  const who = `<@${offer.for}>`;
  const what = offer.count === 1 ? 'this message' : `these ${offer.count} messages`;
  const it = offer.count === 1 ? 'it' : 'them';
  const messages = offer.count === 1 ? 'the message' : `the ${offer.count} messages`;
  if (offer.state.state === 'lapsed') return { token, text: lapsedText(offer, messages), buttons: [] };
  if (offer.state.state === 'decided') {
    const text = decidedText(offer, offer.state.choice, messages);
    return { token, text, buttons: [] };
  }
  const buttons = buttonsOf(offer);
  const list = (lead: string) => [lead, ...listLines(offer.items, botUser)].join('\n');
  switch (offer.kind) {
    case 'run_held':
      return {
        token,
        text: list(lateText(offer, who, what)),
        buttons,
      };
    case 'send_again': {
      if (offer.reached) return { token, text: list(`${who}, the turn with ${what} failed:`), buttons };
      const lead = offer.certain
        ? `${who}, ${what} did not reach the agent:`
        : `${who}, I can’t tell whether the agent got ${what}. Sending ${it} again may run ${it} twice:`;
      return { token, text: list(lead), buttons };
    }
    case 'start_new': {
      if (offer.reached) return { token, text: list(`${who}, ${what} can run in a new conversation:`), buttons };
      const lead = offer.certain
        ? `${who}, ${what} did not run, because this thread’s conversation no longer exists at Letta.`
        : `${who}, this thread’s conversation no longer exists at Letta, and I can’t tell whether ${what} ran. Sending ${it} again may run ${it} twice.`;
      return {
        token,
        text: list(`${lead} A new conversation won’t know what was said here before:`),
        buttons,
      };
    }
    case 'ask_again': {
      const text = `${who}, the agent’s request was lost with the connection, and nothing of it ran.`;
      return { token, text, buttons };
    }
    case 'deny_or_keep': {
      const text = `${who}, should I deny the request above with your message as the reason? If not, your message waits until the agent is done.`;
      return { token, text, buttons };
    }
    case 'background':
      return {
        token,
        text: ['Still running in the background:', ...(offer.lines ?? [])].join('\n'),
        buttons,
      };
    case 'continue':
      return { token, text: `${who}, the agent was cut off. It can continue from here.`, buttons };
    default:
      return offer.kind satisfies never;
  }
}

function lateText({ clockAheadMs, count }: Offer, who: string, what: string): string {
  if (clockAheadMs === undefined)
    return `${who}, I could not run ${what} in time. Run ${count === 1 ? 'it' : 'them'} now?`;
  const late = count === 1 ? 'looks late' : 'look late';
  const by =
    clockAheadMs < 120_000 ? `${Math.round(clockAheadMs / 1_000)} s` : `${Math.round(clockAheadMs / 60_000)} min`;
  return `${who}, ${what} ${late}, but my machine’s clock is wrong: it is ${by} ahead of Slack’s. Someone should correct it. Run ${count === 1 ? 'it' : 'them'} now?`;
}

const CONTINUED = 'The conversation has continued.';

function lapsedText(offer: Offer, messages: string): string {
  if (offer.kind === 'background') return ['Ended in the background:', ...(offer.lines ?? [])].join('\n');
  if (offer.kind === 'deny_or_keep') return 'A message was waiting here for your choice, which is no longer needed.';
  if (offer.kind === 'continue' || offer.kind === 'ask_again')
    return offer.tail ? CONTINUED : `The agent was cut off here. ${CONTINUED}`;
  if (offer.reached) return CONTINUED;
  if (offer.kind === 'start_new')
    return `It is too late to start a new conversation with ${messages} from <@${offer.for}>. Please write again.`;
  const verb = offer.kind === 'run_held' ? 'run' : 'send again';
  return `It is too late to ${verb} ${messages} from <@${offer.for}>. Please write again.`;
}

function listLines(items: readonly InboxItem[], botUser: UserId): string[] {
  const lines = items.slice(0, LISTED).map(({ spans }) => `- ${messageLine(spans, botUser)}`);
  return items.length > LISTED ? [...lines, `- and ${items.length - LISTED} more`] : lines;
}
