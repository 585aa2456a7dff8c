import { LIMITS } from '../../src/slack/render/limits.ts';
import type { SimDisk } from './disk.ts';
import type { SimLetta } from './letta.ts';
import type { TruthTurn } from './letta-turn.ts';
import type { Click, SimPeople, Written } from './people.ts';
import { BOT, type SimSlack, type SlackMessage, visibleText } from './slack.ts';
import { readRecord } from './stored-row.ts';
import type { Story } from './story.ts';
import { judgeCalls, type SimTools } from './tools.ts';

type Ending = 'done' | 'stopped' | 'failed' | 'interrupted' | 'live';

/** One turn of the bridge, as people see it. */
interface Shown {
  id: string;
  posts: SlackMessage[];
  ending: Ending;
}

/** An offer as it was on disk. */
export interface Offered {
  kind: string;
  for: string;
  items: Set<string>;
  /** The message that may become the reason for a no. */
  about: string | null;
}

/** What is judged of a world that has come to rest. */
export interface Judged {
  readonly story: Story;
  readonly slack: SimSlack;
  readonly letta: SimLetta;
  readonly disk: SimDisk;
  readonly people: SimPeople;
  readonly tools: SimTools;
  /** Which messages each turn of the bridge carried, and what became of each message on disk. */
  readonly items: ReadonlyMap<string, ReadonlySet<string>>;
  readonly stored: ReadonlyMap<string, 'speak' | 'context'>;
  /** Every offer there ever was, by token. */
  readonly offers: ReadonlyMap<string, Offered>;
  /** Whose every request was, and since when (ms since 1970), by what it was about. */
  readonly asked: ReadonlyMap<string, { of: string; at: number }>;
  /** The words that stood above each card, by its turn and part, when a process of the bridge ended. */
  readonly wordsAbove: ReadonlyMap<string, ReadonlySet<string>>;
  readonly staleAfterMs: number;
  readonly isSlackReliable: boolean;
  readonly lives: number;
}

/** What must hold when all has come to rest. */
export function judge(world: Judged): void {
  // Without rest, report only that: everything else follows from it and would hide it.
  if (world.story.violations.some((violation) => violation.startsWith('no rest'))) return;
  const shown = shownTurns(world);
  judgeLiveElements(world, shown);
  judgeCards(world);
  judgeAbove(world);
  judgeMessages(world, shown);
  judgeText(world, shown);
  judgeOrder(world);
  judgeApprovals(world);
  judgeOutcomes(world);
  judgeOffers(world);
  judgeStorage(world);
  judgeCalls(world.letta.calls, world.tools, world.story);
}

const DETAILS = 'bridge_details';
const LIVE = /^(⏳|🔧|⛔ Stopping)/u;

/** Whether a message says that work is going on. */
export function saysItWorks(message: SlackMessage): boolean {
  return message.blocks.some(
    (block) =>
      block.type === 'context' &&
      /^\s*(🔧|⏳ (Thinking|Writing|The model failed))/u.test(visibleText({ ...message, blocks: [block] })),
  );
}

/** Whether a block is the last line of a turn, with the icon of its details. */
const hasDetails = (block: SlackMessage['blocks'][number] | undefined) =>
  JSON.stringify(block)?.includes(`"action_id":"${DETAILS}"`) === true;

/** Whether a block says which messages joined the turn: answers go on below it, in the same message or the next. */
const isJoinedLine = (block: SlackMessage['blocks'][number]) =>
  /^\s*↪ Joined here/.test(visibleText({ blocks: [block], text: '' }));

function shownTurns({ slack }: Judged): Map<string, Shown> {
  const turns = new Map<string, Shown>();
  for (const message of [...slack.messages].sort((a, b) => (a.ts < b.ts ? -1 : 1))) {
    const id = message.metadata?.turn;
    if (message.user !== BOT || message.onlyFor !== null || !id?.startsWith('turn-')) continue;
    const turn = turns.get(id) ?? { id, posts: [], ending: 'live' };
    turns.set(id, turn);
    turn.posts.push(message);
    turn.ending = endingOf(message);
  }
  return turns;
}

/** The last block, not counting the buttons that stay below a finished turn: Details, and what is left to decide. */
function lastBlock({ blocks }: SlackMessage) {
  const stays = /"bridge_(?:details|send_again|start_new|continue|ask_again)"/;
  return blocks.findLast((block) => block.type !== 'actions' || !stays.test(JSON.stringify(block)));
}

/** How a turn ended, by its last message. */
function endingOf(message: SlackMessage): Ending {
  const last = lastBlock(message);
  // Below the line that says how it ended there may be one that says who decided what was left.
  const isLine = ({ type }: (typeof message.blocks)[number]) => type === 'context' || type === 'section';
  // What was not passed on is said above the answer, with the same sign; what the agent remembers, below the first one.
  const isNote = (block: object) =>
    /Not passed on to the agent: |changes may conflict|"Heads-up: /.test(JSON.stringify(block));
  const lines = message.blocks.filter((block) => isLine(block) && !isNote(block)).slice(-2);
  const line = (lines.length > 0 ? visibleText({ ...message, blocks: lines }) : message.text).trim();
  if (LIVE.test(line) || last?.type === 'actions') return 'live';
  if (/⚠️ Interrupted/.test(line)) return 'interrupted';
  if (/⛔ Stopped/.test(line)) return 'stopped';
  if (/⚠️(?! Not passed on)/u.test(line)) return 'failed';
  return 'done';
}

/** Offers that are open. They stay until somebody takes them, so their buttons are no leftovers. */
function openOffers({ disk }: Judged) {
  return [...disk.rowsOf('threads').values()].flatMap((row) =>
    readRecord(row).record.offers.filter((offer) => offer.state.state === 'open'),
  );
}

/** The line that a card becomes when nobody decided it here. */
const CLOSED =
  /Answered outside Slack|No longer needed|Lost with the connection|no one decided in time|could not show it/;

/** What a status says once a card is asked below it. */
const ASKED = 'The agent worked on it, then asked';

function judgeLiveElements(world: Judged, shown: Map<string, Shown>): void {
  const { slack, story } = world;
  const offers = openOffers(world);
  const left = slack
    .listButtons()
    // Whoever takes a reaction back is offered Stop in private: Slack lets nobody change that message later.
    .filter(({ message, actionId }) => !(message.onlyFor !== null && actionId === 'bridge_stop'))
    .filter(({ token, actionId }) => actionId !== DETAILS && !offers.some((offer) => offer.token === token));
  for (const button of left) story.addViolation(`${button.actionId} is left at ${button.message.ts}`);
  for (const { streamsSince, ts } of slack.messages)
    if (streamsSince !== undefined) story.addViolation(`the stream at ${ts} was never ended`);
  for (const turn of shown.values()) {
    if (turn.ending === 'live') story.addViolation(`${turn.id} looks alive`);
    // A turn that ended well, without tools and soon, has no last line.
    const isStatus = (post: SlackMessage) => visibleText(post).includes(ASKED);
    const last = turn.posts.filter((post) => !isStatus(post)).map(lastBlock);
    const endings = last.filter((block) => (block?.type === 'context' && !isJoinedLine(block)) || hasDetails(block));
    const simple = turn.posts.some((post) => post.blocks.length === 0);
    const least = turn.ending === 'done' ? 0 : 1;
    if (!simple && (endings.length > 1 || endings.length < least))
      story.addViolation(`${turn.id} has ${endings.length} last lines`);
  }
  const cards = new Map<string, string>();
  for (const message of slack.messages) {
    // A line that only reminds of a card has no turn.
    const isOfTurn = message.onlyFor === null && message.metadata?.turn.startsWith('turn-') === true;
    const text = isOfTurn ? visibleText(message) : '';
    const about = /perm\d+z/.exec(text)?.[0];
    // A card that was closed with its turn may be asked again by the next turn.
    if (!about || CLOSED.test(text) || text.includes('is waiting for a decision above')) continue;
    const before = cards.get(about);
    if (before) story.addViolation(`the card about ${about} is shown twice: ${before} and ${message.ts}`);
    cards.set(about, message.ts);
  }
}

/**
 * A restart neither moves a card nor posts it again, so that people keep the card that they look at and get no second
 * notification. Within one life a card may move, because a text above it that Slack refused may need more messages.
 */
function judgeCards({ slack, story }: Judged): void {
  const places = new Map<string, string>();
  for (const message of [...slack.deleted, ...slack.messages]) {
    const { turn = '', part = '' } = message.metadata ?? {};
    if (!/^card-[^~]+$/.test(part)) continue;
    const card = `${turn} ${part}`;
    const before = places.get(card);
    if (before) story.addViolation(`the card ${card} was shown at ${before}, then at ${message.ts}`);
    places.set(card, message.ts);
    if (slack.deleted.includes(message)) story.addViolation(`the card ${card} at ${message.ts} was deleted`);
  }
}

/** The note at the end of a long turn repeats how the answer begins. */
const isEndNote = ({ metadata }: SlackMessage) => metadata?.part === 'end.0';

/** The agent's words in the messages of a turn. */
function wordsIn(messages: readonly SlackMessage[]): string[] {
  const texts = messages.filter((message) => !isEndNote(message)).map(visibleText);
  return texts.flatMap((text) => [...text.matchAll(/t\d+w\d+z/g)].map(([word]) => word));
}

/** The words of the same turn above each card, by its turn and part. */
export function wordsAboveCards({ messages }: SimSlack): Map<string, Set<string>> {
  const cards = messages.filter(({ metadata }) => /^card-[^~]+$/.test(metadata?.part ?? ''));
  return new Map(
    cards.map(({ ts, metadata }) => {
      const above = messages.filter((other) => other.metadata?.turn === metadata?.turn && other.ts < ts);
      return [`${metadata?.turn} ${metadata?.part}`, new Set(wordsIn(above))];
    }),
  );
}

/** Most that a message of an answer holds, so that a longer text needs two. */
const MESSAGE_ROOM = LIMITS.markdown - LIMITS.markdownReserve;

/**
 * What people have read above a card stays there, whatever a restart knows of it. Only where words that Letta told
 * later need more messages than there are above the card, the last of the text goes below: the card keeps its message.
 */
function judgeAbove({ slack, story, wordsAbove }: Judged): void {
  for (const card of slack.messages) {
    const { turn = '', part = '' } = card.metadata ?? {};
    const above = wordsAbove.get(`${turn} ${part}`);
    if (!above) continue;
    const ofTurn = slack.messages.filter(({ metadata }) => metadata?.turn === turn);
    const below = ofTurn.filter(({ ts }) => ts > card.ts);
    const moved = wordsIn(below).find((word) => above.has(word));
    if (!moved) continue;
    const last = ofTurn.findLast((message) => message.ts < card.ts && wordsIn([message]).length > 0);
    const first = below.find((message) => wordsIn([message]).includes(moved));
    const isFull = last && first && visibleText(last).length + visibleText(first).length > MESSAGE_ROOM;
    if (!isFull) story.addViolation(`${moved} moves below the card ${turn} ${part}, above which people read it`);
  }
}

/** Clicks with that action on offers of this message, as far as they counted. */
function clicksOf({ people, offers }: Judged, key: string, action: string) {
  return people.clicks.filter(
    (click) => click.action === action && COUNTED.has(click.result) && offers.get(click.token)?.items.has(key) === true,
  );
}

/** A turn that Letta starts itself this soon after another one may look like the same turn. */
const TWINS_MS = 10_000;
/** The longest time from a click to its row on disk and to Letta. */
const CLICK_MS = 30_000;

/** Results of clicks that counted, or that got no answer and may have counted. */
const COUNTED: ReadonlySet<string> = new Set(['decided', 'given', 'failed']);

/** A reaction that was taken back and added again has several. */
export const keysOf = ({ message, reaction }: Written): readonly string[] => reaction?.keys ?? [message.key];

/** The bridge's turns that carried a message, and Letta's turns that got it. */
function fateOf(world: Judged, written: Written, shown: Map<string, Shown>) {
  const bridge = [...world.items].flatMap(([id, keys]) => (keysOf(written).some((key) => keys.has(key)) ? [id] : []));
  const letta = world.letta.truth.filter((turn) => turn.carried.includes(written.name));
  return { bridge: bridge.flatMap((id) => shown.get(id) ?? []), letta };
}

/** The line that says who asked with a reaction proves nothing of what became of it. */
function isNoticeOf({ reaction }: Written, post: SlackMessage): boolean {
  return reaction !== undefined && visibleText(post).includes(' asked about ');
}

function judgeMessages(world: Judged, shown: Map<string, Shown>): void {
  const { people, slack, story, stored, offers } = world;
  for (const written of people.written) {
    const { name, message } = written;
    const taken = keysOf(written).some((key) => stored.get(key) === 'speak');
    const { bridge, letta } = fateOf(world, written, shown);
    // Both offers say that the message may run twice.
    const isSentAgain = keysOf(written).some(
      (key) => clicksOf(world, key, 'send_again').length + clicksOf(world, key, 'start_new').length > 0,
    );
    if (letta.length > 1 && !isSentAgain)
      story.addViolation(`${name} ran in turns ${letta.map((turn) => turn.n).join(' and ')}`);
    const isAsked = keysOf(written).length;
    if (written.outcomes.filter((outcome) => outcome === 'accepted').length > isAsked)
      story.addViolation(`${name} was accepted twice`);
    if (written.outcomes.includes('accepted') && !taken) story.addViolation(`${name} was accepted and is on no disk`);
    judgeTurnedAway(world, written);
    if (!taken) {
      if (letta.length > 0) story.addViolation(`${name} ran though nobody took it`);
      continue;
    }
    if (letta.length > 0) {
      if (bridge.length === 0) story.addViolation(`${name} ran in turn ${letta[0]?.n}, and nothing of it is shown`);
      continue;
    }
    const says = (words: string | RegExp) =>
      slack.messages.some((post) => {
        if (isNoticeOf(written, post)) return false;
        if (post.user !== BOT || post.onlyFor !== null || post.channel !== message.channel) return false;
        return typeof words === 'string' ? visibleText(post).includes(words) : words.test(visibleText(post));
      });
    // A long list of dropped messages names only the first ones.
    const dropped = says(name) || says(/discarded by Stop: .* and \d+ more/);
    const ended = bridge.some((turn) => turn.ending !== 'done' && turn.ending !== 'live');
    const offered = openOffers(world).some((offer) => offer.items.some((item) => keysOf(written).includes(item.key)));
    const declined =
      keysOf(written).some((key) => clicksOf(world, key, 'drop').length > 0) &&
      says(/ discarded the .*messages? from earlier\./);
    // Its author chose it as the reason for a denial; the request may have ended by then.
    const isReason = people.clicks.some(
      ({ action, token, result }) =>
        action === 'deny_with_this' && COUNTED.has(result) && offers.get(token)?.about === message.key,
    );
    const denied = isReason && says(/ denied the request, with a message as the reason\./);
    const isWithdrawn = written.reaction?.isTakenBack === true;
    if (!dropped && !ended && !offered && !declined && !denied && !isWithdrawn)
      story.addViolation(`${name} is lost: it never ran and nobody was told`);
  }
}

/** Whether the turn says that its text may be incomplete. */
function isCut(shown: Shown | null): boolean {
  return shown?.ending === 'interrupted' || shown?.ending === 'stopped';
}

const isAbout = ({ reaction }: Written, { message }: Written) => reaction?.about === message.ts;

/** The longest time from a refusal until Slack shows it, after other posts in that channel. */
const TOLD_MS = 60_000;

/** A message that was refused because too many wait never runs, and people see that it was refused. */
function judgeTurnedAway({ people, slack, story, stored, isSlackReliable, lives }: Judged, written: Written): void {
  const { name, message, turnedAway } = written;
  // A reaction that was added again may be taken the second time.
  if (!turnedAway || keysOf(written).length > 1) return;
  // As context it goes along when a reaction asks about it.
  const isContext = stored.get(message.key) === 'context' && people.written.some((other) => isAbout(other, written));
  if (stored.has(message.key) && !isContext) story.addViolation(`${name} was turned away, and taken all the same`);
  const told = slack.messages.some(({ user, channel, onlyFor, ts, ...shown }) => {
    const at = Number(ts) * 1_000 - turnedAway.at;
    if (user !== BOT || channel !== message.channel || at < -TOLD_MS || at > TOLD_MS) return false;
    return (onlyFor === null || onlyFor === message.user) && visibleText(shown).includes('I did not queue this one');
  });
  if (!told && isSlackReliable && turnedAway.life === lives)
    story.addViolation(`${name} was turned away, and nobody was told`);
}

/** The turn whose answer this direct message copies, because Slack refused posts in the thread. */
function copyOf({ user, metadata }: SlackMessage): string | null {
  return user === BOT && metadata?.turn.startsWith('copy-') ? metadata.turn.slice('copy-'.length) : null;
}

/** A place of its own for a copy, because the thread shows the same words once Slack accepts posts there again. */
const copiedTo = (turn: string, { channel }: SlackMessage) => `the copy of ${turn} in ${channel}`;

function mayBeLate({ truth }: Judged['letta'], n: number): boolean {
  const turn = truth.find((known) => known.n === n);
  // A turn of Letta's own behind one of another client's may look like a part of that.
  const isByClient = truth.some(
    ({ conversation, origin }) => conversation === turn?.conversation && origin === 'client',
  );
  return turn?.firings !== undefined || (isByClient && turn?.origin !== 'people');
}

/** Whether another client's turn said something. */
function hasSaidForClient({ origin, pieces }: TruthTurn): boolean {
  return origin === 'client' && pieces.some((piece) => !piece.void && piece.words.length > 0);
}

/**
 * How many turns of other clients people are told of that are not shown: of more than three that it missed, the bridge
 * shows the latest three.
 */
function countToldAsNotShown(shown: ReadonlyMap<string, Shown>): number {
  const texts = [...shown.values()].map(({ posts }) => posts.map(visibleText).join('\n'));
  return texts.reduce((sum, text) => sum + Number(/(\d+) earlier turns? (?:is|are) not shown/.exec(text)?.[1] ?? 0), 0);
}

/** Whether the turn says that nobody heard how it ended. Letta keeps a text that was cut off like one that is whole. */
function leavesEndOpen({ posts }: Shown): boolean {
  return posts.some((post) => visibleText(post).includes('in Letta’s history, which may lack the end'));
}

/** Whether the turn says that it shows the beginning of one whose end is in an answer above. */
function isBeginning(shown: Shown): boolean {
  const text = shown.posts.map(visibleText).join('\n');
  return text.includes('Asked from another client earlier') && text.includes('the rest is in the answer above');
}

/**
 * What was said for another client before an input of people joined the turn is not a part of the answer for these people.
 * It is shown late, as what the client asked, and says that the rest is above, or that it was cut if the turn died then.
 */
function isOfClientAlone({ truth }: Judged['letta'], { turn, at, shown }: Word): boolean {
  const known = truth.find(({ n }) => n === turn);
  if (known?.origin !== 'client' || at >= known.wordsBefore) return false;
  return (known.end !== 'end_turn' && isCut(shown)) || (shown !== null && isBeginning(shown));
}

/**
 * Whether a turn answers people of several threads of one conversation, and this is not the first of these threads: an
 * input that left before another thread had the link joins that one's turn at Letta (docs/letta-protocol.md, Queue and
 * deduplication), so both threads get the answer.
 */
function answersHereAsWell({ letta, people }: Judged, n: number, place: string, owner: Shown | null): boolean {
  const turn = letta.truth.find((known) => known.n === n);
  const homes = (turn?.carried ?? []).map((name) => {
    const written = people.written.find((known) => known.name === name);
    return `${written?.message.channel}/${written?.root ?? 'top'}`;
  });
  // An input that ends background tasks carries no message: it is known by the turn that is in its id.
  const isOfInput = owner !== null && turn?.clientIds.some((client) => client.endsWith(`-${owner.id}`)) === true;
  return homes.length > 0 && homes[0] !== place && (homes.includes(place) || isOfInput);
}

interface Word {
  turn: number;
  at: number;
  shown: Shown | null;
}

function judgeText(world: Judged, shown: Map<string, Shown>): void {
  const { slack, story, letta } = world;
  const visible = new Map<number, Word[]>();
  const places = new Map<string, SlackMessage[]>();
  for (const message of [...slack.messages].sort((a, b) => (a.ts < b.ts ? -1 : 1))) {
    if (message.user !== BOT || isEndNote(message)) continue;
    const copy = copyOf(message);
    const place = copy === null ? `${message.channel}/${message.thread ?? 'top'}` : copiedTo(copy, message);
    places.set(place, [...(places.get(place) ?? []), message]);
  }
  const isUnknown = (piece: TruthTurn['pieces'][number]) => piece.void && !piece.wasVoidHeard;
  const takenBackUnheard = new Set(
    letta.truth.flatMap(({ pieces }) => pieces.flatMap((piece) => (isUnknown(piece) ? piece.words : []))),
  );
  for (const [place, messages] of places) {
    let latest = 0;
    const isCopy = messages.some((message) => copyOf(message) !== null);
    const copied = new Map<number, Word[]>();
    const asWell = new Map<number, Word[]>();
    for (const message of messages) {
      const owner = shown.get(message.metadata?.turn ?? '') ?? null;
      const sub = /\d+sub\d+z/.exec(visibleText(message));
      if (sub) story.addViolation(`${sub[0]} of a subagent is shown in ${place}`);
      for (const found of visibleText(message).matchAll(/t(\d+)w(\d+)z/g)) {
        const word = { turn: Number(found[1]), at: Number(found[2]), shown: owner };
        const known = isCopy ? copied : answersHereAsWell(world, word.turn, place, owner) ? asWell : visible;
        const words = known.get(word.turn) ?? [];
        known.set(word.turn, words);
        const before = words.at(-1)?.at ?? -1;
        if (words.some((other) => other.at === word.at)) story.addViolation(`${found[0]} is shown twice in ${place}`);
        // If the bridge missed a retry in a turn that was cut, it cannot know where the retried words belong.
        else if (word.at < before && !(isCut(owner) && takenBackUnheard.has(found[0])) && !isOfClientAlone(letta, word))
          story.addViolation(`${found[0]} stands below t${word.turn}w${before}z in ${place}`);
        // What a schedule or another client had the agent say while nobody listened is posted late.
        if (word.turn < latest && !mayBeLate(letta, word.turn))
          story.addViolation(`${found[0]} of an earlier turn stands below turn ${latest} in ${place}`);
        latest = Math.max(latest, word.turn);
        words.push(word);
      }
    }
  }
  for (const turn of letta.truth) judgeTurnText(world, turn, visible, shown);
}

function judgeTurnText(
  world: Judged,
  turn: TruthTurn,
  visible: ReadonlyMap<number, Word[]>,
  shown: Map<string, Shown>,
): void {
  const { story, people } = world;
  const words = visible.get(turn.n) ?? [];
  const said = turn.pieces.flatMap((piece) => (piece.void ? [] : piece.words));
  // After a successful turn the history shows what a retry made void; otherwise the bridge knows it only if it received
  // the retry.
  const isKnown = ({ wasVoidHeard }: TruthTurn['pieces'][number]) => wasVoidHeard || turn.end === 'end_turn';
  const taken = turn.pieces.flatMap((piece) => (piece.void && isKnown(piece) ? piece.words : []));
  const seen = words.map((word) => `t${word.turn}w${word.at}z`);
  const owners = new Set(words.flatMap((word) => (word.shown ? [word.shown] : [])));
  for (const name of turn.carried) {
    const written = people.written.find((known) => known.name === name);
    const { bridge, letta } = written ? fateOf(world, written, shown) : { bridge: [], letta: [] };
    // Each time the message was sent again it ran in another turn on both sides; the first ones may not have reached Letta.
    const own = bridge.at(letta.indexOf(turn) - letta.length);
    if (own) owners.add(own);
  }
  const voided = seen.filter((word) => taken.includes(word));
  // When Letta's process dies, the bridge may never receive its last retry.
  if (voided.length > 0 && turn.end !== 'lost')
    story.addViolation(`turn ${turn.n} took back ${voided[0]}, which is still shown`);
  // Text of a turn that Letta started itself may be shown in a turn of people that was sent meanwhile, whose end is
  // then another one.
  const isOfInput = ({ id }: Shown) => {
    const hasItems = (world.items.get(id)?.size ?? 0) > 0;
    return hasItems || world.letta.truth.some(({ clientIds }) => clientIds.some((client) => client.endsWith(`-${id}`)));
  };
  const own = (owner: Shown) => turn.origin === 'people' || !isOfInput(owner);
  // A bridge that heard all of it, and was started again only at the end, has shown it, or said that it did not.
  const isHeard = turn.wasEndHeard === true && turn.end === 'end_turn';
  const isMissing = (each: TruthTurn) => hasSaidForClient(each) && (visible.get(each.n) ?? []).length === 0;
  const isOneTooMany = () => world.letta.truth.filter(isMissing).length > countToldAsNotShown(shown);
  if (world.lives <= 2 && isHeard && isMissing(turn) && isOneTooMany())
    story.addViolation(`turn ${turn.n}, which another client began, is shown nowhere`);
  const done = [...owners].filter((owner) => owner.ending === 'done' && own(owner) && !isBeginning(owner));
  // If the bridge misses the end of one turn that Letta started itself, the next one looks like the same turn, because
  // Letta never names their inputs.
  const isShownWith = ({ n }: TruthTurn) => visible.get(n)?.some((word) => done.includes(word.shown as Shown)) ?? false;
  const isOneOfTwo =
    turn.origin !== 'people' &&
    !turn.wasEndHeard &&
    world.letta.truth.some(
      (next) =>
        next.origin !== 'people' &&
        next.conversation === turn.conversation &&
        next.n > turn.n &&
        (next.startedAt - (turn.endedAt ?? 0) < TWINS_MS || isShownWith(next)),
    );
  if (done.length === 0 || isOneOfTwo) return;
  const saysDone = done.find((owner) => !leavesEndOpen(owner));
  if (turn.end !== 'end_turn' && saysDone)
    story.addViolation(`turn ${turn.n} ended as ${turn.end}, ${saysDone.id} says done`);
  // Words from before the message joined the turn may be missing after a restart.
  const owed = said.filter((word) => Number(/w(\d+)z/.exec(word)?.[1]) >= turn.wordsBefore);
  const missing = owed.filter((word) => !seen.includes(word));
  if (missing.length > 0) {
    story.addViolation(
      `turn ${turn.n}: ${missing.length} of ${said.length} words are missing, first ${missing[0]}, and nothing says so`,
    );
  }
}

/** A message that was accepted before another one was written is never answered after it. */
function judgeOrder({ people, letta, stored, story, offers }: Judged): void {
  const waitedForAWord = (key: string) => [...offers.values()].some(({ items }) => items.has(key));
  const place = new Map<string, number>();
  for (const [at, name] of letta.truth.flatMap((turn) => turn.carried).entries()) place.set(name, at);
  const ran = people.written.filter(
    (written) =>
      !written.reaction?.isTakenBack && stored.get(written.message.key) === 'speak' && place.has(written.name),
  );
  for (const a of ran) {
    for (const b of ran) {
      const sameThread = a.root === b.root && a.message.channel === b.message.channel;
      if (!sameThread || b.isHurried || a.ackedAt === null || a.ackedAt >= b.at || waitedForAWord(a.message.key))
        continue;
      if ((place.get(a.name) ?? 0) > (place.get(b.name) ?? 0))
        story.addViolation(`${a.name} was answered after ${b.name}`);
    }
  }
}

/**
 * In a turn that ends background tasks the bridge itself decides: it allows what ends a named task and denies
 * everything else. A person may still be asked if the bridge could not store its decision.
 */
function answeredByBridge({ ends, behavior, words }: Judged['letta']['decisions'][number]): boolean {
  if (ends === true) return behavior === 'allow';
  return (
    ends === false && behavior === 'deny' && words.startsWith('In this turn you may only end the background tasks')
  );
}

function judgeApprovals({ people, letta, slack, story, staleAfterMs, asked }: Judged): void {
  const decided = new Map<string, Click>();
  const replaced = new Set<Click>();
  for (const click of people.clicks) {
    if (click.behavior === null || click.result !== 'decided') continue;
    if (!click.asks.includes(click.user))
      story.addViolation(`${click.user} decided ${click.about}, asked was ${click.asks}`);
    const before = decided.get(click.token);
    // After a restart the bridge asks again for an answer that Letta had not received, because its words are not
    // stored; and for a decision that became too old on the way, or whose author it could not judge again.
    const isHeard = letta.decisions.some(({ abouts, at }) => abouts.includes(click.about ?? '') && at <= click.at);
    const isStale = !isHeard && click.at - (before?.at ?? 0) > staleAfterMs;
    const isUnjudged = !isHeard && before !== undefined && slack.leftUntold(before.at, click.at);
    const asksAgain = isStale || isUnjudged || before?.behavior?.startsWith('answer');
    if (before && !asksAgain) story.addViolation(`${click.about} was decided twice`);
    if (before) replaced.add(before);
    decided.set(click.token, click);
  }
  const heard = new Set<string>();
  for (const decision of letta.decisions) {
    const { abouts, before, behavior, words, at } = decision;
    const about = abouts[0] ?? '';
    // Requests that end a task have no name.
    if (about !== '' && heard.has(about)) story.addViolation(`Letta was told twice about ${about}`);
    heard.add(about);
    if (answeredByBridge(decision)) continue;
    // A reply of the person who is asked may answer a question or deny a request; it never approves one.
    const reply = people.written.find(({ name }) => new RegExp(`\\b${name}\\b`).test(words));
    if (reply) {
      const isTheirs = abouts.some((each) => asked.get(each)?.of === reply.message.user);
      const last = abouts.map((each) => asked.get(each)?.at ?? 0);
      // A reply becomes a denial only by a click; as an answer it counts at once.
      if (behavior !== 'deny' && reply.at < Math.min(...last))
        story.addViolation(`${reply.name} answered about ${about} before it was asked`);
      if (!isTheirs || behavior === 'allow') story.addViolation(`${reply.name} decided ${behavior} about ${about}`);
      if (letta.truth.some((turn) => turn.carried.includes(reply.name)))
        story.addViolation(`${reply.name} decided about ${about}, and ran`);
      continue;
    }
    const isAbout = ({ about: clicked, at: then }: Click) => {
      if (before !== null && clicked === before.about && clicked !== about) return then <= before.until;
      return abouts.includes(clicked ?? '');
    };
    const backing = people.clicks.filter(
      (click) => isAbout(click) && click.behavior === behavior && click.asks.includes(click.user),
    );
    const given = backing.filter((click) => COUNTED.has(click.result));
    // A reply may answer a question, and a message may be the reason for a denial.
    const replied = people.written.some(({ name }) => behavior.includes(name));
    const turnedDown = people.clicks.some(({ action, result }) => action === 'deny_with_this' && COUNTED.has(result));
    if (replied || (behavior === 'deny' && turnedDown)) continue;
    if (given.length === 0)
      story.addViolation(`Letta heard ${behavior} about ${about}, which nobody who may had clicked`);
    const age = at - Math.max(...given.map((click) => click.at));
    if (given.length > 0 && age > staleAfterMs + CLICK_MS)
      story.addViolation(`Letta heard ${behavior} about ${about} ${Math.round(age / 1000)} s after the click`);
    const other = people.clicks.find(
      (click) =>
        abouts.length === 1 &&
        isAbout(click) &&
        click.result === 'decided' &&
        !replaced.has(click) &&
        click.behavior !== null &&
        !click.behavior.startsWith('answer') &&
        click.behavior !== behavior,
    );
    if (other) story.addViolation(`${other.user} decided ${other.behavior} about ${about}, Letta heard ${behavior}`);
  }
}

/** A card says what Letta heard. */
function judgeOutcomes({ slack, letta, story }: Judged): void {
  for (const message of slack.messages) {
    if (message.user !== BOT || !/^card-[^~]+$/.test(message.metadata?.part ?? '')) continue;
    const text = visibleText(message).trim();
    const about = /perm\d+z/.exec(text)?.[0];
    const says = text.startsWith('✅ Approved ') ? 'allow' : text.startsWith('⛔ Denied ') ? 'deny' : null;
    if (!about || says === null) continue;
    const heard = letta.decisions.findLast(({ abouts }) => abouts[0] === about);
    const isOther = heard && (heard.behavior === 'allow' || heard.behavior === 'deny') && heard.behavior !== says;
    if (isOther) story.addViolation(`the card about ${about} says ${says}, Letta heard ${heard.behavior}`);
  }
}

/** Each offer is decided once, by the person to whom it was made. */
function judgeOffers({ people, offers, story }: Judged): void {
  const decided = new Set<string>();
  for (const { token, user, action, result } of people.clicks) {
    const offer = offers.get(token);
    if (!offer || result !== 'decided') continue;
    // Everyone who may stop a turn may stop background tasks, also twice, because that concerns no one's message.
    if (offer.kind === 'background') continue;
    if (user !== offer.for) story.addViolation(`${user} clicked ${action} on what was offered to ${offer.for}`);
    if (decided.has(token)) story.addViolation(`an offer of ${offer.kind} was decided twice`);
    decided.add(token);
  }
}

function judgeStorage({ disk, story }: Judged): void {
  for (const key of disk.rowsOf('active').keys()) story.addViolation(`${key} is still marked as active`);
  const tokens = new Set<string>();
  for (const [key, value] of disk.rowsOf('threads')) {
    const { record } = readRecord(value);
    if (record.turn) story.addViolation(`${key} still has ${record.turn.id}`);
    if (record.inbox.length > 0) story.addViolation(`${key} still has ${record.inbox.length} messages waiting`);
    if (record.background) story.addViolation(`${key} still has something in the background`);
    for (const approval of record.approvals) {
      if (approval.state.state === 'open') story.addViolation(`${key} still has an open approval`);
      tokens.add(approval.token);
    }
    for (const { token } of record.details ?? []) tokens.add(token);
    for (const offer of record.offers) {
      if (offer.display !== 'shown') story.addViolation(`${key} still has an offer that nobody was shown`);
      tokens.add(offer.token);
    }
  }
  for (const token of disk.rowsOf('tokens').keys()) {
    if (!tokens.has(token)) story.addViolation(`a token of nothing is left: ${token}`);
  }
  for (const key of disk.rowsOf('items').keys()) story.addViolation(`a message is left: ${key}`);
}
