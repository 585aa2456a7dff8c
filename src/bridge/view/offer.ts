import type { Token, UserId } from '../ids.ts';
import type { OfferAction } from '../inbound.ts';
import type { InboxItem, Offer } from '../record/thread-record.ts';
import { messageLine } from '../turn/prompt.ts';
import {
  askAgainText,
  BACKGROUND,
  continueText,
  denyOrKeepText,
  LAPSED,
  lateText,
  offerChoices,
  offeredMessages,
  type Reached,
  sendAgainText,
  startNewText,
  tooLateText,
} from '../words/offers.ts';
import { askScheduleText, notScheduledText, scheduledText, scheduleLapsedText } from '../words/schedules.ts';

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
  const { token } = offer;
  if (offer.state.state === 'open') return { token, text: '', buttons: buttonsOf(offer) };
  return { token, text: overText(offer, offer.state), buttons: [] };
}

/** What became of an offer that is no longer open. */
function overText(offer: Offer, state: Exclude<Offer['state'], { state: 'open' }>): string {
  if (state.state === 'lapsed') return lapsedText(offer);
  const { draft } = offer;
  if (state.choice === 'scheduled') return draft ? scheduledText(draft) : '';
  if (state.choice === 'not_scheduled') return notScheduledText(offer.for);
  const { messages } = offeredMessages(offer.count);
  return offerChoices(`<@${offer.for}>`, messages, offer.reached ?? false)[state.choice];
}

function buttonsOf({ kind }: Offer): OfferView['buttons'] {
  switch (kind) {
    case 'run_held':
      return ['run_now', 'drop'];
    case 'deny_or_keep':
      return ['deny_with_this', 'keep_queued'];
    case 'background':
      return ['stop'];
    case 'schedule':
      return ['make_schedule', 'drop_schedule'];
    default:
      return [kind];
  }
}

/** What should be seen of an offer. */
export function offerView(offer: Offer, botUser: UserId): OfferView {
  const { token, count } = offer;
  if (offer.state.state !== 'open') return { token, text: overText(offer, offer.state), buttons: [] };
  const who = `<@${offer.for}>`;
  const list = (lead: string) => [lead, ...listLines(offer.items, botUser)].join('\n');
  const text = () => {
    switch (offer.kind) {
      case 'run_held':
        return list(lateText(who, count, offer.clockAheadMs));
      case 'send_again':
        return list(sendAgainText(who, count, reachOf(offer)));
      case 'start_new':
        return list(startNewText(who, count, reachOf(offer)));
      case 'ask_again':
        return askAgainText(who);
      case 'deny_or_keep':
        return denyOrKeepText(who);
      case 'background':
        return [BACKGROUND.runs, ...(offer.lines ?? [])].join('\n');
      case 'continue':
        return continueText(who);
      case 'schedule':
        return offer.draft ? askScheduleText(offer.draft, offer.madeAt) : '';
      default:
        return offer.kind satisfies never;
    }
  };
  return { token, text: text(), buttons: buttonsOf(offer) };
}

function lapsedText(offer: Offer): string {
  const { messages } = offeredMessages(offer.count);
  if (offer.kind === 'background') return [BACKGROUND.ended, ...(offer.lines ?? [])].join('\n');
  if (offer.kind === 'schedule') return scheduleLapsedText(offer.for);
  if (offer.kind === 'deny_or_keep') return LAPSED.denyOrKeep;
  if (offer.kind === 'continue' || offer.kind === 'ask_again')
    return offer.tail ? LAPSED.continued : `${LAPSED.cutOff} ${LAPSED.continued}`;
  if (offer.reached) return LAPSED.continued;
  if (offer.kind === 'start_new') return tooLateText('start a new conversation with', messages, offer.for);
  return tooLateText(offer.kind === 'run_held' ? 'run' : 'send again', messages, offer.for);
}

function reachOf({ reached, certain }: Offer): Reached {
  return reached ? 'yes' : certain ? 'no' : 'unknown';
}

function listLines(items: readonly InboxItem[], botUser: UserId): string[] {
  const lines = items.slice(0, LISTED).map(({ spans }) => `- ${messageLine(spans, botUser)}`);
  return items.length > LISTED ? [...lines, `- and ${items.length - LISTED} more`] : lines;
}
