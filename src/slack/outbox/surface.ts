import type { OfferView } from '../../bridge/offer-view.ts';
import type { Clock, Delivery, Log, Random, Surface, TurnSurface } from '../../bridge/ports.ts';
import type { TurnView } from '../../bridge/turn-view.ts';
import type { SlackPost } from '../post.ts';
import { type SlackApi, SlackError } from '../slack-api.ts';
import type { Uploader } from '../uploader.ts';
import type { Fallback } from './forms.ts';
import { plainView } from './plain.ts';
import { type Content, createPublication, type Publication, type PublicationOptions } from './publication.ts';
import { createScheduler } from './scheduler.ts';
import { createSessionLine } from './session-line.ts';
import { createStatusLine, type StatusLatch, type StatusLine } from './status.ts';
import { createWhispers } from './whisper.ts';

export interface SurfaceOptions {
  /** Of one workspace: all that goes through it shares one budget. */
  api: SlackApi;
  /** One for each turn, so that it may remember what it rendered before. Pure otherwise. */
  renderer(): (view: TurnView, files: boolean) => SlackPost[];
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
}

/** A live message exists at the latest after this, if the turn has shown anything (DESIGN.md 5). */
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

/**
 * Where turns are shown in Slack. `close` makes no further call and waits for those on their way to be stored;
 * a `finish` that is still open then never resolves: the turn is not settled, the next start goes on with it.
 */
export function createSurface(options: SurfaceOptions): Surface & { close(): Promise<void> } {
  const { api, renderer, fallback, notice, offer: renderOffer, send = null, clock, random, log } = options;
  const scheduler = createScheduler({ api, clock, random, log });
  const whispers = createWhispers({ scheduler, clock, log });
  const latch: StatusLatch = { off: false, agent: options.agent ?? false };
  const uploadLatch = { off: false };
  const open = new Set<Publication>();
  const lines = new Set<StatusLine>();
  let notices = 0;
  let closed = false;

  function publish(publication: PublicationOptions): Publication {
    const created = createPublication({ scheduler, clock, random, log, fallback, send, uploadLatch }, publication);
    open.add(created);
    void created.done.then(() => open.delete(created));
    if (closed) void created.close();
    return created;
  }

  return {
    turn({ turn, address, posts, resumed = false, onPosts, onCardRefused }): TurnSurface {
      const render = renderer();
      let status: StatusLine | null = null;
      let settled: Promise<Delivery> | null = null;
      const publication = publish({
        owner: turn,
        address,
        posts,
        resumed,
        save: onPosts,
        ...(onCardRefused && { cardRefused: onCardRefused }),
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
        finish(view) {
          publication.want(contentOf(view, render, true));
          return settled ?? publication.done;
        },
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

    async say(address, text) {
      if (closed) return CLOSED;
      if (notices >= MAX_NOTICES) return { delivered: false, reason: 'too_many_notices' };
      notices += 1;
      const publication = publish({
        owner: random.id(),
        address,
        posts: [],
        resumed: false,
        save: async () => {},
        posted: () => {},
        hold: 0,
        giveUpAfterMs: GIVE_UP_NOTICE_MS,
        whenClosed: CLOSED,
      });
      publication.want(noticeContent(text, notice));
      try {
        return await publication.done;
      } finally {
        notices -= 1;
      }
    },

    async whisper(address, user, text, stop) {
      const posts = stop === undefined ? notice(text) : renderOffer({ token: stop, text, buttons: ['stop'] });
      await whispers.send(address, user, posts);
    },

    async close() {
      if (closed) return;
      closed = true;
      whispers.close();
      const publications = [...open];
      open.clear();
      await Promise.all(publications.map((publication) => publication.close()));
      await Promise.all([...lines].map((line) => line.over(CLOSING_MS)));
      await scheduler.close();
    },
  };
}

function contentOf(view: TurnView, render: (view: TurnView, files: boolean) => SlackPost[], final: boolean): Content {
  const cards = view.items.flatMap((item) =>
    item.kind === 'card' ? [`${item.card.token} ${item.card.state.state}`] : [],
  );
  return {
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
  };
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

function noticeContent(text: string, notice: (markdown: string) => SlackPost[]): Content {
  const render = () => notice(text);
  const lastResort = (): SlackPost[] => [
    { part: '0.0', kind: 'text', blocks: [], text: text.slice(0, 3_800), live: false },
  ];
  return { render, lastResort, cards: '', hasText: true, textUnknown: false, bare: false, final: true };
}
