import type { ChannelId, SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { Clock, Delivery, Log, Metrics, Random, Surface, TurnSurface } from '../../bridge/ports.ts';
import type { Ending } from '../../bridge/record/thread-record.ts';
import type { OfferView } from '../../bridge/view/offer.ts';
import type { TurnView } from '../../bridge/view/turn.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';
import type { Uploader } from '../api/uploader.ts';
import type { SlackPost } from '../render/post.ts';
import type { Fallback } from './forms.ts';
import { createLoopTurns, type Letters } from './loop-turns.ts';
import { plainView } from './plain.ts';
import { type Content, createPublication, type Publication, type PublicationOptions } from './publication.ts';
import { createScheduler } from './scheduler.ts';
import { createSessionLine } from './session-line.ts';
import { createStatusLine, type StatusLatch, type StatusLine } from './status.ts';
import { createWhispers } from './whisper.ts';

export interface TurnRenderer {
  (view: TurnView, files: boolean): SlackPost[];
  /** Renders some of it ahead, as long as there are letters; false where more is left to do. */
  prepare?(view: TurnView, files: boolean, letters: Letters): boolean;
}

export interface SurfaceOptions {
  /** Of one workspace: all that goes through it shares one budget. */
  api: SlackApi;
  /** One for each turn, so that it may remember what it rendered before. Pure otherwise. */
  renderer(): TurnRenderer;
  fallback: Fallback;
  /** Whether the app may be declared as an agent: it is tried, and let be once Slack says no. */
  agent?: boolean;
  /** Markdown of ours as posts. */
  notice(markdown: string): SlackPost[];
  /** A line of ours with buttons. */
  offer(view: OfferView): SlackPost[];
  /** Left out, long texts are posted whole. */
  send?: Uploader | undefined;
  clock: Clock;
  random: Random;
  log: Log;
  metrics?: Metrics;
}

/** A live message exists at the latest after this, if the turn has shown anything (docs/design.md, Slack side). */
const SIGN_OF_LIFE_MS = 2_000;
/** How long a shutdown waits for a slot to clear a status. */
const CLOSING_MS = 2_000;
/** How long the end of a turn waits for its session's end. */
const SESSION_END_MS = 5_000;
const GIVE_UP_TURN_MS = 12 * 3_600_000;
const GIVE_UP_NOTICE_MS = 10 * 60_000;
/** Lines of ours on their way; more than that is a storm that Slack should not see. */
const MAX_NOTICES = 200;
const CLOSED: Delivery = { delivered: false, reason: 'closed' };
const UNKNOWN_END: Ending = { outcome: 'done', by: null, line: null, tools: 0, durationMs: 0 };

export interface SlackSurface extends Surface {
  /** Something happened in this channel, or (`null`) Slack takes our token again: what it refused is tried soon. */
  knock(channel: ChannelId | null): void;
  /** Somebody deleted a message, perhaps one of ours. */
  messageDeleted(channel: ChannelId, ts: SlackTs): void;
  close(): Promise<void>;
}

/**
 * Where turns are shown in Slack. `close` makes no further call and waits for those on their way to be stored;
 * a `finish` that is still open then never resolves: the turn is not settled, the next start goes on with it.
 */
export function createSurface(options: SurfaceOptions): SlackSurface {
  const { api, renderer, fallback, notice, offer: renderOffer, send = null, clock, random, log } = options;
  const scheduler = createScheduler({ api, clock, random, log });
  const whispers = createWhispers({ scheduler, clock, log });
  const latch: StatusLatch = { off: false, agent: options.agent ?? false };
  const uploadLatch = { off: false };
  const loopTurns = createLoopTurns(clock);
  const parts = { scheduler, clock, random, log, metrics: options.metrics, fallback, send, uploadLatch, loopTurns };
  const open = new Map<Publication, ChannelId>();
  const lines = new Set<StatusLine>();
  let notices = 0;
  let closed = false;

  function publish(publication: PublicationOptions): Publication {
    const created = createPublication(parts, publication);
    open.set(created, publication.address.channel);
    void created.done.then(() => open.delete(created));
    if (closed) void created.close();
    return created;
  }

  /** A message of ours that no record keeps: it is lost with the process. */
  async function deliver(address: ThreadAddress, content: Content, owner?: string): Promise<Delivery> {
    if (closed) return CLOSED;
    if (notices >= MAX_NOTICES) return { delivered: false, reason: 'too_many_notices' };
    notices += 1;
    const publication = publish({
      owner: owner ?? random.id(),
      address,
      posts: [],
      // Under a name of its own an earlier process may have begun with it.
      resumed: owner !== undefined,
      save: async () => {},
      posted: () => {},
      hold: 0,
      giveUpAfterMs: GIVE_UP_NOTICE_MS,
      whenClosed: CLOSED,
    });
    publication.want(content);
    try {
      return await publication.done;
    } finally {
      notices -= 1;
    }
  }

  return {
    turn({ turn, address, posts, resumed = false, onPosts, onText, onCardRefused, onHeldUp }): TurnSurface {
      const render = renderer();
      let status: StatusLine | null = null;
      let settled: Promise<Delivery> | null = null;
      const publication = publish({
        owner: turn,
        address,
        posts,
        resumed,
        save: onPosts,
        ...(onText && { beforeText: onText }),
        cardRefused: (reason, parts) => onCardRefused?.(reason, parts.map(tokenOfPart)),
        heldUp(held, scope) {
          // Nobody is at work any more where only the end is left to be shown.
          if (held.what === 'end') void status?.over(CLOSING_MS);
          // With a token that is refused nobody can be told anything.
          if (scope !== 'workspace') onHeldUp?.(held);
        },
        posted: (found) => status?.posted(found),
        hold: clock.monotonic() + SIGN_OF_LIFE_MS,
        giveUpAfterMs: GIVE_UP_TURN_MS,
        whenClosed: null,
      });
      const session = latch.agent && address.threadTs !== null;
      if (!closed && (session || posts.length === 0)) {
        const parts = { scheduler, clock, log, latch, refused: publication.release };
        const plain = () => createStatusLine(parts, address);
        const line = session ? createSessionLine(parts, address, () => (posts.length === 0 ? plain() : null)) : plain();
        status = line;
        lines.add(line);
        const over = async () => {
          await line.over(session ? SESSION_END_MS : undefined);
          lines.delete(line);
        };
        const ended = publication.done.then(over);
        // A session does not end by itself: the turn stays on disk until Slack knows.
        if (session) settled = publication.done.then((delivery) => ended.then(() => delivery));
      }
      return {
        show(view) {
          status?.waits(view.live?.activity.kind === 'waiting_for_people');
          publication.want(contentOf(view, render, false));
        },
        finish(view, endedAt) {
          publication.want(contentOf(view, render, true, endedAt));
          return settled ?? publication.done;
        },
        pause: (view) => publication.part({ ...contentOf(view, render, false), parting: true }),
        recheck: publication.recheck,
        async leave() {
          open.delete(publication);
          await publication.close();
          if (!status) return;
          await status.over(CLOSING_MS);
          lines.delete(status);
        },
      };
    },

    offer({ view, address, posts, resumed, onPosts }) {
      const publication = publish({
        owner: view.token,
        address,
        posts,
        resumed,
        save: onPosts,
        posted: () => {},
        hold: 0,
        giveUpAfterMs: GIVE_UP_TURN_MS,
        whenClosed: null,
      });
      publication.want(offerContent(view, renderOffer));
      return publication.done;
    },

    async atRest({ channel, threadTs }) {
      const ask = { method: 'agents.sessions.setStatus', channel, urgency: 'must' } as const;
      if (closed || !latch.agent || threadTs === null || scheduler.whenAllowed(ask) > clock.monotonic()) return;
      const args = { channel_id: channel, thread_ts: threadTs, status: 'active' };
      try {
        await scheduler.call(ask, { method: ask.method, args }, 'live');
      } catch (error) {
        const why = error instanceof SlackError ? { error: error.error } : { err: error };
        log.warn({ channel, ...why }, 'a session could not be ended');
      }
    },

    say: (address, text) => deliver(address, noticeContent(text, notice)),

    knock(channel) {
      scheduler.knock(channel);
      for (const [publication, at] of open) if (channel === null || at === channel) publication.knock();
    },

    messageDeleted(channel, ts) {
      for (const [publication, at] of open) if (at === channel) publication.deleted(ts);
    },

    tell(user, team, text, copy) {
      const render = renderer();
      const words = copy === null ? null : wordsOf(copy.view);
      const content = noticeContent(text, (markdown) => [
        ...notice(markdown).map((post, index) => ({ ...post, part: `tell.${index}` })),
        ...(words === null ? [] : render(words, false)),
      ]);
      const prepare: Content['prepare'] = (_, letters) =>
        words === null || (render.prepare?.(words, false, letters) ?? true);
      const owner = copy === null ? undefined : `copy-${copy.turn}`;
      return deliver({ team, channel: user, threadTs: null }, { ...content, prepare }, owner);
    },

    async whisper(address, user, text, stop) {
      const posts = stop === undefined ? notice(text) : renderOffer({ token: stop, text, buttons: ['stop'] });
      await whispers.send(address, user, posts);
    },

    async close() {
      if (closed) return;
      closed = true;
      whispers.close();
      const publications = [...open.keys()];
      open.clear();
      await Promise.all(publications.map((publication) => publication.close()));
      await Promise.all([...lines].map((line) => line.over(CLOSING_MS)));
      await scheduler.close();
    },
  };
}

function contentOf(view: TurnView, render: TurnRenderer, final: boolean, owedSince?: number): Content {
  const cards = view.items.flatMap((item) =>
    item.kind === 'card' ? [`${item.card.token} ${item.card.state.state}`] : [],
  );
  return {
    prepare: (files, letters) => render.prepare?.(view, files, letters) ?? true,
    render: (files) => render(view, files),
    lastResort: () => plainView(view),
    cards: cards.join('\n'),
    textUnknown: view.textUnknown === true,
    // Asked for only until the first text is shown: to look into a long text costs as much as it is long.
    get hasText() {
      return view.items.some((item) => item.kind === 'text' && /\S/.test(item.markdown));
    },
    bare: view.items.length === 0 && view.live?.activity.kind !== 'tool',
    final,
    owedSince,
  };
}

/** The letters of a card's token, as its part names them. */
const tokenOfPart = (part: string) => part.replace(/^card-|~.*$/g, '');

/** What the agent said, and how it ended, for somebody who does not see the thread. */
function wordsOf(view: TurnView): TurnView {
  const { details: _, notify: __, ...ending } = view.ending ?? UNKNOWN_END;
  const items = view.items.filter(({ kind }) => kind === 'text');
  const { textUnknown: _unknown, over: _over, ...known } = view;
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
    textUnknown: false,
    bare: false,
    final: true,
  };
}

/** @param render makes the text, and what belongs to it, into posts */
function noticeContent(text: string, render: (markdown: string) => SlackPost[]): Content {
  const lastResort = (): SlackPost[] => [
    { part: '0.0', kind: 'text', blocks: [], text: text.slice(0, 3_800), live: false },
  ];
  return {
    render: () => render(text),
    lastResort,
    cards: '',
    hasText: true,
    textUnknown: false,
    bare: false,
    final: true,
  };
}
