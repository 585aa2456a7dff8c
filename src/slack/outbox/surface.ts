import type { ChannelId, ModelsPlace, SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Delivery, Log, Metrics, Random, Surface, TurnSurface } from '../../bridge/ports.ts';
import type { Ending, PostRecord } from '../../bridge/record/thread-record.ts';
import type { OfferView } from '../../bridge/view/offer.ts';
import type { Card, TurnView } from '../../bridge/view/turn.ts';
import type { CallMeter } from '../api/call-meter.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';
import type { Uploader } from '../api/uploader.ts';
import { actions } from '../render/blocks.ts';
import { tailOfferPosts, writeTail } from '../render/offer.ts';
import { openButton, permalink } from '../render/permalink.ts';
import type { AppendableText, Seams, SlackPost } from '../render/post.ts';
import type { Substance } from '../render/readable.ts';
import type { Content } from './content.ts';
import type { Fallback } from './forms.ts';
import { createLoopTurns, type Letters } from './loop-turns.ts';
import type { StreamLatch } from './native-stream.ts';
import { plainView } from './plain.ts';
import { createPublication, type Publication, type PublicationOptions } from './publication.ts';
import { createScheduler } from './scheduler.ts';
import { createSessionLine } from './session-line.ts';
import { createStatusLine, type StatusLatch, type StatusLine } from './status.ts';
import { createWhispers } from './whisper.ts';

export interface TurnRenderer {
  (view: TurnView, files: boolean, seams: Seams): SlackPost[];
  /** Renders a part ahead while there are letters; false: more is left to do. */
  prepare?(view: TurnView, mayUseFiles: boolean, letters: Letters, seams: Seams): boolean;
  /** What a native stream can show of a view that was just rendered. */
  appendableOf?(view: TurnView): AppendableText | null;
  /** How much the newest message of a live view would show. */
  substanceOf(view: TurnView): Substance;
  /** What the status line says meanwhile: "is thinking…". */
  statusOf(view: TurnView): string;
}

export interface SurfaceOptions {
  /** The API of one workspace: all calls share one budget. */
  api: SlackApi;
  /** Counts the calls of all parts of the bridge through `api`; left out: there are no others. */
  meter?: Pick<CallMeter, 'countRecent'>;
  /** Makes a renderer for one turn, which remembers what it has rendered. */
  createRenderer(): TurnRenderer;
  fallback: Fallback;
  /** Whether the app may be declared as an agent: sessions are tried until Slack refuses them. */
  mayBeAgent?: boolean;
  /** Renders the bridge's own Markdown. @param models adds a button that opens the dialog of models */
  renderNotice(markdown: string, models?: ModelsPlace): SlackPost[];
  /** Renders an offer: a line of ours with buttons. */
  renderOffer(view: OfferView): SlackPost[];
  /** Whether live text of direct messages is streamed natively, where Slack lets us. */
  nativeStreams?: boolean;
  /** Our bot's user id; left out: a native stream whose answer was lost is not looked for. */
  botUser?: string;
  /** The workspace's address, for buttons that open a message; left out: there are none. */
  workspace?: string | null | undefined;
  /** Left out: the rest of a long text is posted, not uploaded. */
  uploadFile?: Uploader | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  metrics?: Metrics;
}

/** How long it is waited for the budget to let a status be cleared whose turn nobody works on any more. */
const STATUS_END_MS = 2_000;
/**
 * The same while the process ends: another one waits for the workspace, and shows its own status. If none does, Slack
 * clears the status after two minutes; only a session is Slack's forever.
 */
const CLOSING_MS = { status: 250, session: 2_000 } as const;
/** How long the end of a turn waits for its session's end. */
const SESSION_END_MS = 5_000;
const GIVE_UP_TURN_MS = 12 * 3_600_000;
const GIVE_UP_NOTICE_MS = 10 * 60_000;
/** Most notices at once; further ones are dropped, because so many mean that something is wrong. */
const MAX_NOTICES = 200;
const CLOSED: Delivery = { delivered: false, reason: 'closed' };
const NO_SEAMS: Seams = new Map();
const UNKNOWN_END: Ending = { outcome: 'done', by: null, line: null, tools: 0, durationMs: 0 };

export interface SlackSurface extends Surface {
  /** Something happened in this channel, or (`null`) Slack accepts our token again: refused calls are tried soon. */
  retrySoon(channel: ChannelId | null): void;
  /** Notes that somebody deleted a message, perhaps one of ours. */
  noteDeleted(channel: ChannelId, ts: SlackTs): void;
  close(): Promise<void>;
}

/** What is being shown. `isStored`: a record keeps its messages, so that another process can go on with them. */
interface Shown {
  readonly address: ThreadAddress;
  readonly isStored: boolean;
  /** That somebody works on it; `null`: nothing tells so. */
  status: StatusLine | null;
}

/**
 * Shows turns in Slack. `close` makes no more calls and waits until the answers to those made are stored. A `finish`
 * that is still open then never resolves, so the turn stays in its record and the next start goes on with it.
 */
export function createSurface(options: SurfaceOptions): SlackSurface {
  const { api, createRenderer, fallback, renderNotice, renderOffer, uploadFile = null, clock, random, log } = options;
  const scheduler = createScheduler({ api, meter: options.meter, clock, random, log });
  const whispers = createWhispers({ scheduler, clock, log });
  const latch: StatusLatch = { isOff: false, mayBeAgent: options.mayBeAgent ?? false };
  const uploadLatch = { isOff: false };
  const plans = { isOff: false };
  const streams: StreamLatch | null = options.nativeStreams ? { offUntil: 0 } : null;
  const loopTurns = createLoopTurns(clock);
  const parts = {
    scheduler,
    clock,
    random,
    log,
    metrics: options.metrics,
    fallback,
    plans,
    streams,
    bot: options.botUser,
    uploadFile,
    uploadLatch,
    loopTurns,
  };
  const publications = new Map<Publication, Shown>();
  const statusLines = new Set<StatusLine>();
  let noticeCount = 0;
  let isClosed = false;

  function openPublication(publication: PublicationOptions): Publication {
    const created = createPublication(parts, publication);
    publications.set(created, {
      address: publication.address,
      isStored: publication.whenClosed === null,
      status: null,
    });
    void created.done.then(() => publications.delete(created));
    if (isClosed) void created.close();
    return created;
  }

  /** Sends a message that no record keeps, so it is lost if the process ends first. */
  async function deliverNotice(
    address: ThreadAddress,
    content: Content,
    { owner, giveUpAfterMs = GIVE_UP_NOTICE_MS, onPosts }: NoticeOptions = {},
  ): Promise<Delivery> {
    if (isClosed) return CLOSED;
    if (noticeCount >= MAX_NOTICES) return { delivered: false, reason: 'too_many_notices' };
    noticeCount += 1;
    const publication = openPublication({
      owner: owner ?? random.id(),
      address,
      posts: [],
      // With an owner an earlier process may have posted some of it.
      mayHaveUnknownPosts: owner !== undefined,
      savePosts: async (shown) => onPosts?.(shown),
      onFirstPost: () => {},
      sign: 'none',
      giveUpAfterMs,
      whenClosed: CLOSED,
    });
    publication.showContent(content);
    try {
      return await publication.done;
    } finally {
      noticeCount -= 1;
    }
  }

  return {
    openTurn({
      turn,
      address,
      posts,
      resumed = false,
      isLate = false,
      inChannel = false,
      onPosts,
      onText,
      onCardRefused,
      onHeldUp,
    }): TurnSurface {
      const render = createRenderer();
      let status: StatusLine | null = null;
      let settled: Promise<Delivery> | null = null;
      if (resumed) scheduler.noteEarlierLife();
      const publication = openPublication({
        owner: turn,
        address,
        posts,
        mayHaveUnknownPosts: resumed,
        inChannel,
        savePosts: onPosts,
        ...(onText && { beforeText: onText }),
        onCardRefused: (reason, parts) => onCardRefused?.(reason, parts.map(tokenOfPart)),
        onHeldUp(held, scope) {
          // The turn is over when its end cannot be shown, so nobody works any more.
          if (held.what === 'end') void status?.endLine(STATUS_END_MS);
          // When Slack refuses our token, we cannot tell anybody.
          if (scope !== 'workspace') onHeldUp?.(held);
        },
        onPosting: (isPosting) => status?.notePosting(isPosting),
        onFirstPost: (found) => status?.notePosted(found),
        session: () => status?.sessionState?.() ?? null,
        sign: 'asked',
        giveUpAfterMs: GIVE_UP_TURN_MS,
        whenClosed: null,
      });
      const hasSession = latch.mayBeAgent && address.threadTs !== null;
      if (!isClosed && !isLate && (hasSession || posts.length === 0)) {
        const parts = { scheduler, clock, log, latch, onSign: publication.noteSign };
        const createPlainLine = () => createStatusLine(parts, address);
        const line = hasSession
          ? createSessionLine(parts, address, () => (posts.length === 0 ? createPlainLine() : null))
          : createPlainLine();
        status = line;
        statusLines.add(line);
        const shown = publications.get(publication);
        if (shown) shown.status = line;
        const endLine = async () => {
          await line.endLine(hasSession ? SESSION_END_MS : undefined);
          statusLines.delete(line);
        };
        const ended = publication.done.then(endLine);
        // A session does not end by itself, so `finish` also waits until Slack has heard of its end.
        if (hasSession) settled = publication.done.then((delivery) => ended.then(() => delivery));
      }
      return {
        show(view) {
          status?.noteActivity(view.live?.activity.kind === 'waiting_for_people', render.statusOf(view));
          publication.showContent(contentOf(view, render, false));
        },
        showGrown: (look) =>
          publication.noteGrown(() => {
            const view = look();
            return view && contentOf(view, render, false);
          }),
        async finish(view, endedAt) {
          publication.showContent(contentOf(view, render, true, endedAt));
          const delivery = await (settled ?? publication.done);
          const last = view.offer && delivery.delivered ? publication.lastMessage() : null;
          return last ? { delivered: true, tail: { post: last.record, message: writeTail(last.post) } } : delivery;
        },
        pause: (view) =>
          publication.showParting({ ...contentOf(view, render, false), substance: 'whole', isParting: true }),
        recheckCards: publication.recheckCards,
      };
    },

    showOffer({ view, message, address, posts, resumed, onPosts }) {
      const publication = openPublication({
        owner: view.token,
        address,
        posts,
        mayHaveUnknownPosts: resumed,
        savePosts: onPosts,
        onFirstPost: () => {},
        sign: 'none',
        giveUpAfterMs: GIVE_UP_TURN_MS,
        whenClosed: null,
      });
      const render = message === undefined ? renderOffer : (now: OfferView) => tailOfferPosts(message, now);
      publication.showContent(offerContent(view, render));
      return publication.done;
    },

    async freeze({ channel, threadTs }) {
      const there = [...publications].filter(
        ([, { isStored, address }]) => isStored && address.channel === channel && address.threadTs === threadTs,
      );
      const freezing = there.map(async ([publication, { status }]) => {
        publications.delete(publication);
        await publication.close();
        if (!status) return;
        await status.endLine(STATUS_END_MS);
        statusLines.delete(status);
      });
      await Promise.all(freezing);
    },

    async clearWorkingStatus({ channel, threadTs }) {
      const ask = { method: 'agents.sessions.setStatus', channel, urgency: 'must' } as const;
      if (isClosed || !latch.mayBeAgent || threadTs === null || scheduler.whenAllowed(ask) > clock.monotonic()) return;
      const args = { channel_id: channel, thread_ts: threadTs, status: 'active' };
      try {
        await scheduler.call(ask, { method: ask.method, args }, 'live');
      } catch (error) {
        const why = error instanceof SlackError ? { error: error.error } : { err: error };
        log.warn({ channel, ...why }, 'could not end a session');
      }
    },

    say: (address, text, tries, owner) => {
      const giveUpAfterMs = tries === 'once' ? 0 : GIVE_UP_NOTICE_MS;
      return deliverNotice(address, noticeContent(text, renderNotice), { giveUpAfterMs, owner });
    },

    async beginThread(address, text, owner) {
      let first: SlackTs | null = null;
      const onPosts = (posts: readonly PostRecord[]) => {
        first ??= posts[0]?.ts ?? null;
      };
      const delivery = await deliverNotice(address, noticeContent(text, renderNotice), {
        giveUpAfterMs: 0,
        onPosts,
        owner,
      });
      return delivery.delivered ? first : null;
    },

    retrySoon(channel) {
      scheduler.retrySoon(channel);
      for (const [publication, { address }] of publications) {
        if (channel === null || address.channel === channel) publication.retrySoon();
      }
    },

    noteDeleted(channel, ts) {
      for (const [publication, { address }] of publications) {
        if (address.channel === channel) publication.noteDeleted(ts);
      }
    },

    sendDirectMessage(user, team, text, copy, open) {
      const render = createRenderer();
      const words = copy === null ? null : viewOfCopy(copy.view);
      const url = open === undefined ? null : permalink(open, options.workspace ?? null);
      const content = noticeContent(text, (markdown) => [
        ...addOpenButton(renderNotice(markdown), url).map((post, index) => ({ ...post, part: `tell.${index}` })),
        ...(words === null ? [] : render(words, false, NO_SEAMS)),
      ]);
      const prepare: Content['prepare'] = (_, letters) =>
        words === null || (render.prepare?.(words, false, letters, NO_SEAMS) ?? true);
      const owner = copy === null ? undefined : `copy-${copy.turn}`;
      return deliverNotice({ team, channel: user, threadTs: null }, { ...content, prepare }, { owner });
    },

    async broadcast({ channel, ts }) {
      try {
        // Without content: Slack refuses both at once (docs/slack.md, Editing).
        await api.call('chat.update', { channel, ts, reply_broadcast: true }, { client: 'control' });
        return { delivered: true };
      } catch (error) {
        return { delivered: false, reason: error instanceof SlackError ? error.error : 'unknown' };
      }
    },
    async whisper(address, user, text, { stop, models } = {}) {
      const posts =
        stop === undefined ? renderNotice(text, models) : renderOffer({ token: stop, text, buttons: ['stop'] });
      await whispers.send(address, user, posts);
    },

    async close() {
      if (isClosed) return;
      isClosed = true;
      whispers.close();
      const remaining = [...publications.keys()];
      publications.clear();
      await Promise.all(remaining.map((publication) => publication.close()));
      const endLine = (line: StatusLine) => line.endLine(CLOSING_MS[line.sessionState ? 'session' : 'status']);
      await Promise.all([...statusLines].map(endLine));
      await scheduler.close();
    },
  };
}

interface NoticeOptions {
  owner?: string | undefined;
  giveUpAfterMs?: number;
  onPosts?: (posts: readonly PostRecord[]) => void;
}

function contentOf(view: TurnView, render: TurnRenderer, isFinal: boolean, owedSince?: number): Content {
  const cards = view.items.flatMap((item) => (item.kind === 'card' ? [cardKey(item.card)] : []));
  let substance: Content['substance'] | null = null;
  let hasText: boolean | null = null;
  return {
    prepare: (files, letters, seams) => render.prepare?.(view, files, letters, seams) ?? true,
    render: (files, seams) => render(view, files, seams),
    appendable: () => render.appendableOf?.(view) ?? null,
    lastResort: () => plainView(view),
    cards: cards.join('\n'),
    isTextUnknown: view.textUnknown === true,
    // A getter, because searching a long text takes time: it is read only until the first text is shown.
    get hasText() {
      hasText ??= view.items.some((item) => item.kind === 'text' && /\S/.test(item.markdown));
      return hasText;
    },
    // The same, until the first message is posted.
    get substance() {
      substance ??= isFinal ? 'whole' : render.substanceOf(view);
      return substance;
    },
    isFinal,
    hasLastWords: isFinal && (view.offer !== undefined || view.ending?.outcome !== 'done' || view.ending.line !== null),
    owedSince,
  };
}

/** The posts with a button below the last one that opens a message; `null`: as they are. */
function addOpenButton(posts: SlackPost[], url: string | null): SlackPost[] {
  const last = posts.at(-1);
  if (!last || url === null) return posts;
  return posts.with(-1, { ...last, blocks: [...last.blocks, actions(openButton(url))] });
}

/** The letters of a card's token, from the part's name. */
const tokenOfPart = (part: string) => part.replace(/^card-|~.*$/g, '');

/** The view for somebody who does not see the thread: the agent's texts and how the turn ended. */
function viewOfCopy(view: TurnView): TurnView {
  const { details: _, notify: __, ...ending } = view.ending ?? UNKNOWN_END;
  const items = view.items.filter(({ kind }) => kind === 'text');
  const { textUnknown: _unknown, over: _over, offer: _offer, ...known } = view;
  return { ...known, items, notPassedOn: [], live: null, ending };
}

function offerContent(view: OfferView, render: (view: OfferView) => SlackPost[]): Content {
  const lastResort = (): SlackPost[] => [
    { part: '0.0', kind: 'card', blocks: [], text: view.text.slice(0, 3_800), live: false },
  ];
  return {
    render: () => render(view),
    lastResort,
    cards: view.token,
    hasText: true,
    isTextUnknown: false,
    substance: 'whole',
    isFinal: true,
  };
}

/** Also changes when a card can be rendered at last: people wait for it as for a new one. */
function cardKey(card: Card): string {
  const known = card.kind === 'question' ? card.questions : card.shown;
  return `${card.token} ${card.state.state}${known === null ? ' not known' : ''}`;
}

/** @param render renders the text and what belongs to it */
function noticeContent(text: string, render: (markdown: string) => SlackPost[]): Content {
  const lastResort = (): SlackPost[] => [
    { part: '0.0', kind: 'text', blocks: [], text: text.slice(0, 3_800), live: false },
  ];
  return {
    render: () => render(text),
    lastResort,
    cards: '',
    hasText: true,
    isTextUnknown: false,
    substance: 'whole',
    isFinal: true,
  };
}
