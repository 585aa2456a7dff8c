import type { KnownBlock } from '@slack/types';
import type { Ending } from '../../bridge/record/thread-record.ts';
import type { ToolLine, TurnView } from '../../bridge/view/turn.ts';
import { activityWords, answeringWords } from '../words/activity.ts';
import { ANSWER_MENU, ANSWER_NOTES, joiningText, TOOK, waitingText } from '../words/answer.ts';
import { BUTTONS } from '../words/cards.ts';
import { ACTION_IDS } from './action-ids.ts';
import { actions, button, clip, context, mention, mrkdwn, plain, section } from './blocks.ts';
import { durationWords, summaryLine } from './doing.ts';
import { LIMITS } from './limits.ts';
import { answerMenu } from './more-menu.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import { decidedLine, offerButtons } from './offer.ts';
import { ownMrkdwn } from './own-mrkdwn.ts';
import type { SlackPost } from './post.ts';
import { wordsOf } from './readable.ts';
import type { NameOf } from './slack-markup.ts';
import { todoBlocks } from './todo.ts';

/** What is shown below the text of a turn's last message. */
export interface Tail {
  blocks: KnownBlock[];
  /** The same without blocks, for notifications. Foreign text in it is not neutralised. */
  words: string;
  /** Whether it will change. */
  isLive: boolean;
}

/** What the agent does, while the turn runs, or how the turn ended. */
export function tailOf(view: TurnView, nameOf?: NameOf): Tail {
  const blocks: KnownBlock[] = view.tools ? [context(plain(toolText(view.tools), LIMITS.text))] : [];
  if (view.todo) blocks.push(...todoBlocks(view.todo, view.live !== null));
  if (view.live) {
    const { activity, stop, steering } = view.live;
    const { line, notification } = activityWords(activity, whoDecides(view, nameOf));
    blocks.push(context(plain(line), ...waitingLines(view.live).map((words) => plain(words))));
    if (stop !== null) {
      const label = { actionId: ACTION_IDS.stop, token: stop, ...BUTTONS.stop };
      const now = { actionId: ACTION_IDS.send_now, token: stop, ...BUTTONS.sendNow };
      blocks.push(actions(button({ ...label, style: 'danger' }), ...(steering?.isOffered ? [button(now)] : [])));
    }
    return { blocks, words: notification ?? answeringWords(view.answers), isLive: true };
  }
  const isQuiet = view.verbosity === 'quiet';
  const { mentioned, words } = addSilence(view, summaryLine(view.ending ?? NO_ENDING, { figures: !isQuiet }));
  const fits = mentioned.length <= LIMITS.text;
  const line = fits ? mentioned : clip(neutralizeMrkdwn(words.slice(0, 500)), LIMITS.text);
  const token = isQuiet ? undefined : view.ending?.details;
  const detailsButton =
    token === undefined
      ? []
      : [button({ actionId: ACTION_IDS.details, token, label: ANSWER_MENU.details, says: ANSWER_MENU.details })];
  const menu = token === undefined || view.offer ? null : answerMenu(token);
  if (menu && line !== '') blocks.push({ ...section(line), accessory: menu });
  else if (line !== '') blocks.push(context(mrkdwn(line)));
  else if (view.items.length === 0) blocks.push(context(plain(ANSWER_NOTES.done)));
  if (view.offer) {
    if (view.offer.text !== '') blocks.push(decidedLine(view.offer));
    const buttons = [...offerButtons(view.offer), ...detailsButton];
    if (buttons.length > 0) blocks.push(actions(...buttons));
  }
  if (view.headsUp !== undefined) blocks.push(context(mrkdwn(ownMrkdwn(view.headsUp))));
  return { blocks, words: words === '' ? ANSWER_NOTES.done : words, isLive: false };
}

/** What is said of the messages that wait: those that join the running turn apart from the others. */
function waitingLines({ queued, steering }: NonNullable<TurnView['live']>): string[] {
  const { handedOver = 0, sent = 0 } = steering ?? {};
  const others = queued - handedOver;
  return [
    ...(others > 0 ? [waitingText(others)] : []),
    ...(handedOver > 0 ? [joiningText(handedOver, false)] : []),
    ...(sent > 0 ? [joiningText(sent, true)] : []),
  ];
}

/** The name of the person whose decision the turn waits for, if it is known. */
function whoDecides({ items }: TurnView, nameOf?: NameOf): string | undefined {
  const open = items.find((item) => item.kind === 'card' && item.card.state.state === 'open');
  const [first] = open?.kind === 'card' ? open.card.asks : [];
  return first === undefined ? undefined : nameOf?.(first);
}

/** What an open card says of its turn, if that is more than that it waits for people: then nothing is below the card. */
export function footOf({ live }: TurnView): KnownBlock[] {
  if (!live) return [];
  const { activity, steering, stop } = live;
  const words = [
    ...(activity.kind === 'waiting_for_people' ? [] : [activityWords(activity).line]),
    ...waitingLines(live),
  ];
  const now = { actionId: ACTION_IDS.send_now, ...BUTTONS.sendNow };
  return [
    ...(words.length === 0 ? [] : [context(...words.map((line) => plain(line)))]),
    ...(steering?.isOffered && stop !== null ? [actions(button({ ...now, token: stop }))] : []),
  ];
}

/**
 * A message of its own that tells somebody that the turn is over, because edits do not notify (docs/slack.md, Editing).
 */
export function notePosts({ ending, conclusion }: TurnView): SlackPost[] {
  if (ending?.notify === undefined) return [];
  const took = `${TOOK[ending.outcome]} ${durationWords(ending.durationMs)}`;
  const said = neutralizeMrkdwn(clip(wordsOf(conclusion ?? ''), CONCLUSION));
  const words = said === '' ? took : `${took}: ${said}`;
  const blocks = [section(`${mention(ending.notify)} ${words}`)];
  return [{ part: 'end.0', kind: 'note', blocks, text: words, live: false }];
}

/** How much of the answer a note repeats. */
const CONCLUSION = 80;

/** If the turn ended well without text, says so, because figures alone would not look like an answer. */
function addSilence(view: TurnView, line: { mentioned: string; words: string }): { mentioned: string; words: string } {
  const { outcome, line: said } = view.ending ?? NO_ENDING;
  const hasText = view.items.some((item) => item.kind === 'text' && /\S/.test(item.markdown));
  // After a restart we may not know whether there was text.
  if (hasText || outcome !== 'done' || said !== null || view.textUnknown) return line;
  const joined = (rest: string) => (rest === '' ? ANSWER_NOTES.silent : `${ANSWER_NOTES.silent} · ${rest}`);
  return { mentioned: joined(line.mentioned), words: joined(line.words) };
}

/** Used for a view that has neither `live` nor `ending`. */
const NO_ENDING: Ending = { outcome: 'done', by: null, line: null, tools: 0, durationMs: 0 };

const MARKS: Readonly<Record<ToolLine['status'], string>> = { called: '◦', running: '▸', ok: '✓', failed: '✗' };
const TOOL_LINE = 160;

function toolText({ lines, earlier }: NonNullable<TurnView['tools']>): string {
  const shown = lines.map(({ tool, detail, status }) => {
    return clip(`${MARKS[status]} ${detail === '' ? tool : `${tool}: ${detail}`}`, TOOL_LINE);
  });
  return [...(earlier > 0 ? [`… ${earlier} earlier`] : []), ...shown].join('\n');
}
