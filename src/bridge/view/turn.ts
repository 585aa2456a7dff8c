import type { Verbosity } from '../access/policy.ts';
import type { Token, TurnId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type { ApprovalRecord, Ending, InboxItem, OpenTurn, SteeredInput } from '../record/thread-record.ts';
import { oneLine } from '../text/one-line.ts';
import { redact, redactCommand } from '../text/redact.ts';
import type { TurnState } from '../turn/fold.ts';
import { countLookingAtEnd, isLookingAround, type TodoItem, type ToolCall } from '../turn/steps.ts';
import { isTodoTool } from '../turn/todo.ts';
import { askedElsewhereText, joinedText } from '../words/clients.ts';
import { begunByCommandText } from '../words/device-commands.ts';
import { firedText } from '../words/schedules.ts';
import { ENDED } from '../words/thread.ts';
import { type Card, cardOf, type Where } from './card.ts';
import { cardPlaces, joinedPlaces } from './card-places.ts';
import type { OfferView } from './offer.ts';

/** What the agent is doing now. `detail` is the model's or tool's text: data, one short line. */
export type Activity =
  /** `place`: so many starts go before it and its own; left out: none. */
  | { kind: 'starting'; place?: number }
  | { kind: 'waiting_for_letta'; notice: string; device?: string }
  | { kind: 'thinking' }
  | { kind: 'writing' }
  | { kind: 'tool'; tool: string; detail: string }
  /** Several steps that only read: one line for all of them. */
  | { kind: 'looking'; steps: number; detail: string }
  | { kind: 'waiting_for_people' }
  | { kind: 'retrying'; attempt: number; maxAttempts: number }
  | { kind: 'stopping' }
  /** The bridge is about to end; its next start goes on with the turn. */
  | { kind: 'paused' };

/** A tool call as one line. `detail` is data. */
export interface ToolLine {
  tool: string;
  detail: string;
  status: ToolCall['status'];
}

export type { ApprovalCard, Card, QuestionCard } from './card.ts';

/** What a reader should see, in reading order. `markdown` is the agent's own text, untouched. */
export type ViewItem =
  | { kind: 'text'; markdown: string }
  | { kind: 'card'; card: Card }
  /** Messages joined the turn there: what they say, a short line each without secrets: data. Text goes on below. */
  | { kind: 'joined'; messages: string[] };

/** Waiting messages of the requester and the running turn. */
export interface Steering {
  /** Whether some can be handed to it. */
  isOffered: boolean;
  /** How many join after the next tool, and how many Letta has already: they join after this one. */
  handedOver: number;
  sent: number;
}

/** All that a reader should see of one turn now: values only, so two equal views are the same view. */
export interface TurnView {
  turn: TurnId;
  address: ThreadAddress;
  /** What was not handed to the agent; shown once, at the top. */
  notPassedOn: string[];
  /** In how many other threads the agent changes things in the same directory; said once in a thread, at the top. */
  alongside?: number;
  /** What began it, if no message of the thread did, and what other clients added; Markdown of ours, above its first text. */
  begunBy?: string[];
  items: ViewItem[];
  /** The question that it answers, in one short line: data. Empty: without words. Left out: Letta began the turn. */
  answers?: string;
  /** Once it ended: how the agent's last message begins; Markdown, as the agent wrote it. */
  conclusion?: string;
  /** Set while `items` lacks what the agent said before a restart: messages in Slack that show it stay as they are. */
  textUnknown?: true;
  /** Set when the turn ended before a restart and the bridge is still finding out how. */
  over?: true;
  /** Set when Letta began the turn by itself, and it ended well without saying or doing anything: nothing is shown. */
  isVoid?: true;
  /** Left out: `compact`. */
  verbosity?: Verbosity;
  /** The last tools, where each has a line, and how many came before them. */
  tools?: { lines: ToolLine[]; earlier: number };
  /** The agent's own list, without secrets; left out: it has none, or is not shown. */
  todo?: TodoItem[];
  /**
   * While the turn runs. `stop` is `null` once stopping has begun; `queued`: messages that wait for their turn. `steering`:
   * set where the requester can hand waiting messages to the turn, or has done so.
   */
  live: { activity: Activity; stop: Token | null; queued: number; steering?: Steering } | null;
  /** What people must know of the agent once, below its first answer; Markdown of ours. */
  headsUp?: string;
  /** What is left to decide about it, in its last message; once decided, who decided what. */
  offer?: OfferView;
  /** Once it ended. Exactly one of `live` and `ending` is set. */
  ending: Ending | null;
}

/** How much of a text is searched for secrets: more than one line, so that none is cut in half. */
const LOOKED_AT = 2_000;

/** The one line about a tool call that people can judge at a glance: the command, the path, the first short argument. */
function toolDetail(input: Record<string, unknown>): string {
  const line = (value: string) => oneLine(redactCommand(value.slice(0, LOOKED_AT)).text);
  for (const name of ['command', 'cmd', 'file_path', 'path', 'pattern', 'query', 'url', 'description']) {
    const value = input[name];
    if (typeof value === 'string' && value !== '') return line(value);
  }
  for (const value of Object.values(input)) if (typeof value === 'string' && value !== '') return line(value);
  return '';
}

function activityOf(state: TurnState, verbosity: Verbosity): Activity {
  if (state.retrying) return { kind: 'retrying', ...state.retrying };
  if (verbosity === 'quiet') return state.phase === 'writing' ? { kind: 'writing' } : { kind: 'thinking' };
  const running = state.tools.findLast(
    ({ tool, status }) => (status === 'running' || status === 'called') && !isTodoTool(tool),
  );
  if (running) {
    const detail = toolDetail(running.input);
    const steps = isLookingAround(running.tool) ? countLookingAtEnd(state.tools) : 1;
    return steps > 1 ? { kind: 'looking', steps, detail } : { kind: 'tool', tool: running.tool, detail };
  }
  return state.phase === 'writing' ? { kind: 'writing' } : { kind: 'thinking' };
}

const TOOL_LINES = 12;

/** The agent's own list as people may see it. */
function todoItems(list: readonly TodoItem[]): TodoItem[] {
  return list.map(({ text, status }) => ({ text: oneLine(redact(text).text, 200), status }));
}

function toolLines({ tools }: TurnState): { lines: ToolLine[]; earlier: number } {
  const shown = tools.slice(-TOOL_LINES);
  const lines = shown.map(({ tool, input, status }) => ({ tool, detail: toolDetail(input), status }));
  return { lines, earlier: tools.length - shown.length };
}

export interface ViewContext {
  address: ThreadAddress;
  turn: OpenTurn;
  /** The cards of this turn, whatever their state. */
  approvals: readonly ApprovalRecord[];
  /** What the agent said before a restart is not known here. */
  textUnknown?: boolean | undefined;
  /** Open cards that must not be posted or edited until the text above them is reloaded. */
  frozenCards?: ReadonlySet<Token> | undefined;
  /** Where the agent works. */
  where: Where;
  /** ms since 1970 */
  now: number;
  /** How many messages wait behind it. */
  queued: number;
  /** Of messages that may join it; left out: none. */
  steering?: Steering | undefined;
  /** What the turn waits for outside the agent; shown instead of what the turn itself is doing. */
  hold: Activity | null;
  /** What is left to decide about the turn, once it ended. */
  offer?: OfferView | undefined;
  /** Said once it ended. */
  headsUp?: string;
  ending: Ending | null;
  /** Left out: `compact`. */
  verbosity?: Verbosity | undefined;
}

/** What people should see of a turn: each card where the agent asked, later text below it. */
export function turnView(state: TurnState, context: ViewContext): TurnView {
  const { turn, approvals, ending, textUnknown, frozenCards, where, verbosity = 'compact' } = context;
  const items: ViewItem[] = [];
  const places = cardPlaces(state, approvals);
  const asked = approvals.map(({ askedAt }, index) => ({ place: places[index] ?? 0, askedAt }));
  const joins = joinedPlaces(state, turn, asked);
  const addJoined = (input: SteeredInput | undefined) => {
    const messages = (input?.items ?? []).map(wordsOf);
    const last = items.at(-1);
    if (last?.kind === 'joined') last.messages.push(...messages);
    else items.push({ kind: 'joined', messages });
  };
  const placeCards = (place: number) => {
    const here = joins.filter((join) => join.place === place);
    approvals.forEach((record, index) => {
      if (places[index] !== place) return;
      // A tool that was asked about before the messages came stands above them.
      while (here[0] && here[0].at < record.askedAt) addJoined(here.shift()?.input);
      const isFrozen = frozenCards?.has(record.token) === true && record.state.state === 'open';
      items.push({ kind: 'card', card: cardOf(record, state, turn, { where, isFrozen, now: context.now }) });
    });
    for (const { input } of here) addJoined(input);
  };
  state.parts.forEach((part, index) => {
    placeCards(index);
    if (part.kind !== 'text' || part.text === '') return;
    const last = items.at(-1);
    if (last?.kind === 'text')
      last.markdown = joinParagraphs(last.markdown, part.text, hasGapBefore(state.parts, index));
    else items.push({ kind: 'text', markdown: part.text });
  });
  placeCards(state.parts.length);
  const waiting = approvals.some((approval) => approval.state.state === 'open');
  const activity: Activity = turn.stoppedBy
    ? { kind: 'stopping' }
    : (context.hold ?? (waiting ? { kind: 'waiting_for_people' } : activityOf(state, verbosity)));
  return {
    turn: turn.id,
    address: context.address,
    notPassedOn: [...turn.notPassedOn, ...(turn.missingFiles ?? [])],
    ...begunBy(turn),
    ...(turn.alongside !== undefined && { alongside: turn.alongside }),
    items,
    ...answersOf(turn),
    ...(ending && !textUnknown && conclusionOf(state)),
    ...(textUnknown && { textUnknown }),
    ...(turn.ended && !ending && { over: true as const }),
    ...(ending && items.length === 0 && isVoid(turn, ending, textUnknown) && { isVoid: true as const }),
    verbosity,
    ...(verbosity === 'verbose' && state.tools.length > 0 && { tools: toolLines(state) }),
    ...(verbosity !== 'quiet' && state.todo.length > 0 && { todo: todoItems(state.todo) }),
    ...(ending && context.headsUp !== undefined && { headsUp: context.headsUp }),
    ...(ending && context.offer && { offer: context.offer }),
    live: ending ? null : liveOf(context, activity),
    ending,
  };
}

/** What people are told of a turn's beginning above its text. */
function begunBy({ schedule, client, command, joined = [], items }: OpenTurn): { begunBy?: string[] } {
  const lines = [
    ...(schedule ? [firedText(schedule)] : []),
    ...(items.some(({ goesOn }) => goesOn) ? [ENDED.wentOn] : []),
    ...(client ? [askedElsewhereText(client)] : []),
    ...(command === undefined ? [] : [begunByCommandText(command)]),
    ...joined.map(({ asked }) => joinedText(asked)),
  ];
  return lines.length === 0 ? {} : { begunBy: lines };
}

function liveOf({ turn, queued, steering }: ViewContext, activity: Activity): NonNullable<TurnView['live']> {
  const stop = turn.stoppedBy ? null : turn.stopToken;
  return { activity, stop, queued, ...(steering && stop !== null && { steering }) };
}

const JOINED = 100;

/** What messages that joined turns say: looking for secrets takes long. */
const joinedWords = new WeakMap<InboxItem, string>();

/** What a message says, in one short line. Names are not known here. */
function wordsOf(item: InboxItem): string {
  const known = joinedWords.get(item);
  if (known !== undefined) return known;
  const words = item.spans.map((span) => (span.kind === 'text' ? span.text : '…')).join('');
  const line = oneLine(redact(words.slice(0, LOOKED_AT)).text.replace(/^[\s…:,]+/, ''), JOINED);
  joinedWords.set(item, line);
  return line;
}

const ANSWERS = 60;

/** What turns answer, by their messages: looking for secrets takes long, and a view is made for each piece of text. */
const answers = new WeakMap<OpenTurn['items'], { answers?: string }>();

function answersOf({ items }: OpenTurn): { answers?: string } {
  const known = answers.get(items) ?? findAnswered(items);
  answers.set(items, known);
  return known;
}

/** The first message of the turn that has words. */
function findAnswered(items: OpenTurn['items']): { answers?: string } {
  for (const { spans } of items) {
    // Names are not known here.
    const words = spans.map((span) => (span.kind === 'text' ? span.text : '…')).join('');
    const line = oneLine(redact(words.slice(0, LOOKED_AT)).text.replace(/^[\s…:,]+/, ''), ANSWERS);
    if (line !== '') return { answers: line };
  }
  return items.length > 0 ? { answers: '' } : {};
}

const CONCLUSION = 300;

/** What the agent said last. */
function conclusionOf({ parts }: TurnState): { conclusion?: string } {
  const last = parts.findLast((part) => part.kind === 'text' && part.text.trim() !== '');
  return last?.kind === 'text' ? { conclusion: last.text.slice(0, CONCLUSION) } : {};
}

/** A reconnect may find Letta at the last moments of a turn of its own, of which only the end is left to hear. */
function isVoid(turn: OpenTurn, ending: Ending, textUnknown = false): boolean {
  const isQuietEnd = ending.outcome === 'done' && ending.line === null && ending.notify === undefined;
  const didNothing = ending.tools === 0 && (ending.thoughts ?? 0) === 0 && turn.items.length === 0;
  return (
    turn.origin === 'agent' &&
    turn.command === undefined &&
    isQuietEnd &&
    didNothing &&
    !textUnknown &&
    turn.notPassedOn.length === 0
  );
}

/** Whether text of the same message is missing before this part, because the bridge was not connected then. */
function hasGapBefore(parts: TurnState['parts'], at: number): boolean {
  const [before, part] = [parts[at - 1], parts[at]];
  if (before?.kind !== 'text' || part?.kind !== 'text') return false;
  return before.earlier === true && before.messageId === part.messageId;
}

/** Joins the texts of two messages as paragraphs, without changing either. */
function joinParagraphs(before: string, after: string, hasGap: boolean): string {
  if (hasGap) return `${before}\n\n…\n\n${after}`;
  if (before.endsWith('\n\n') || after.startsWith('\n\n')) return before + after;
  return before.endsWith('\n') || after.startsWith('\n') ? `${before}\n${after}` : `${before}\n\n${after}`;
}
