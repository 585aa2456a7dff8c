import type { Token, UserId } from '../ids.ts';
import type { OfferAction } from '../inbound.ts';
import type { InboxItem, Offer } from '../record/thread-record.ts';
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

/** What should be seen of an offer. */
export function offerView(offer: Offer, botUser: UserId): OfferView {
  const { token } = offer;
  const who = `<@${offer.for}>`;
  const what = offer.count === 1 ? 'this message' : `these ${offer.count} messages`;
  const messages = offer.count === 1 ? 'the message' : `the ${offer.count} messages`;
  if (offer.state.state === 'lapsed') return { token, text: lapsedText(offer, messages), buttons: [] };
  if (offer.state.state === 'decided') {
    const text = {
      run: `${who} had ${messages} from earlier run.`,
      dropped: `${who} dropped ${messages} from earlier.`,
      sent: `${who} sent ${messages} again.`,
      started: `${who} started a new conversation with ${messages}.`,
      continued: `${who} let the agent continue.`,
      asked: `${who} let the agent ask again.`,
      denied: `${who} denied the request with a message as the reason.`,
      kept: `${who} kept the message for later.`,
    }[offer.state.choice];
    return { token, text, buttons: [] };
  }
  const list = (lead: string) => [lead, ...listed(offer.items, botUser)].join('\n');
  switch (offer.kind) {
    case 'run_held':
      return {
        token,
        text: list(lateText(offer, who, what)),
        buttons: ['run_now', 'drop'],
      };
    case 'send_again': {
      const lead = offer.certain
        ? `${who}, ${what} did not reach the agent:`
        : `${who}, nobody can say whether ${what} reached the agent. Sent again, it may be done twice:`;
      return { token, text: list(lead), buttons: ['send_again'] };
    }
    case 'start_new': {
      const lead = offer.certain
        ? `${who}, ${what} did not run, because the agent’s side of this thread is gone.`
        : `${who}, the agent’s side of this thread is gone, and nobody can say whether ${what} ran before. Sent again, it may be done twice.`;
      return {
        token,
        text: list(`${lead} A new conversation knows nothing of what was said here before:`),
        buttons: ['start_new'],
      };
    }
    case 'ask_again': {
      const text = `${who}, what the agent asked was lost with the connection, and nothing of it ran.`;
      return { token, text, buttons: ['ask_again'] };
    }
    case 'deny_or_keep': {
      const text = `${who}, a request waits for you above. Your message does not decide it: it waits until the agent is done.`;
      return { token, text, buttons: ['deny_with_this', 'keep_queued'] };
    }
    case 'background':
      return {
        token,
        text: ['Still running in the background:', ...(offer.lines ?? [])].join('\n'),
        buttons: ['stop'],
      };
    case 'continue':
      return { token, text: `${who}, the agent was cut off. It can go on from here.`, buttons: ['continue'] };
    default:
      return offer.kind satisfies never;
  }
}

function lateText({ clockAheadMs, count }: Offer, who: string, what: string): string {
  if (clockAheadMs === undefined) return `${who}, ${what} came too late to be run without asking:`;
  const late = count === 1 ? 'looks late' : 'look late';
  const by =
    clockAheadMs < 120_000 ? `${Math.round(clockAheadMs / 1_000)} s` : `${Math.round(clockAheadMs / 60_000)} min`;
  return `${who}, ${what} ${late}, but the clock of the bridge’s machine is wrong: it is ${by} ahead of Slack’s. Somebody should set it. Run ${count === 1 ? 'it' : 'them'} now?`;
}

function lapsedText(offer: Offer, messages: string): string {
  if (offer.kind === 'background')
    return ['This ran in the background and has ended:', ...(offer.lines ?? [])].join('\n');
  if (offer.kind === 'deny_or_keep') return 'A message waited here for a decision; it is settled.';
  if (offer.kind === 'continue' || offer.kind === 'ask_again')
    return 'The agent was cut off; the conversation went on.';
  if (offer.kind === 'start_new')
    return `Too late to start a new conversation with ${messages} of <@${offer.for}>: write again.`;
  const verb = offer.kind === 'run_held' ? 'have run' : 'send again';
  return `Too late to ${verb} ${messages} of <@${offer.for}>: write again.`;
}

function listed(items: readonly InboxItem[], botUser: UserId): string[] {
  const lines = items.slice(0, LISTED).map(({ spans }) => `- ${messageLine(spans, botUser)}`);
  return items.length > LISTED ? [...lines, `- and ${items.length - LISTED} more`] : lines;
}
