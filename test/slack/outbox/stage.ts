import type { Token, TurnId } from '../../../src/bridge/ids.ts';
import type { ThreadAddress } from '../../../src/bridge/inbound.ts';
import type { HeldUp, Log, Random } from '../../../src/bridge/ports.ts';
import type { Ending, PostRecord } from '../../../src/bridge/record/thread-record.ts';
import type { Activity, Card, TurnView, ViewItem } from '../../../src/bridge/view/turn.ts';
import { createMemoryMetrics } from '../../../src/ops/metrics.ts';
import type { SlackApi } from '../../../src/slack/api/slack-api.ts';
import type { Uploader } from '../../../src/slack/api/uploader.ts';
import { createSurface } from '../../../src/slack/outbox/surface.ts';
import type { AppendableText, Seams, SlackPost } from '../../../src/slack/render/post.ts';
import { createFakeClock } from '../../support/clock.ts';
import { BOT_USER, createFakeSlack } from './fake-slack.ts';

/** How many characters the tiny renderer puts into one message. */
export const PART_MAX = 40;

export const address: ThreadAddress = { team: 'T01', channel: 'C01', threadTs: '1700000000.000001' };

function textPost(part: string, text: string, live: boolean): SlackPost {
  return { part, kind: 'text', blocks: [{ type: 'markdown', text }], text: 'Answer', live };
}

/** The ends of the parts of a text: at each seam, and when a part is full. */
function partEnds(length: number, seams: readonly number[]): number[] {
  const ends: number[] = [];
  for (let from = 0; from < length; from = ends.at(-1) ?? length) {
    const seam = seams.find((at) => at > from) ?? length;
    ends.push(Math.min(from + PART_MAX, seam, length));
  }
  return ends;
}

/** Renders texts in parts of 40 characters and whole cards; while the turn runs, adds what it does. */
export function renderTiny(view: TurnView, _files: boolean, seams: Seams): SlackPost[] {
  const posts: SlackPost[] = [];
  const doing = view.live ? `[${view.live.activity.kind}]` : '';
  view.items.forEach((item, index) => {
    if (item.kind === 'card') {
      const text = `card ${item.card.token} ${item.card.state.state}`;
      posts.push({ part: `${index}.0`, kind: 'card', blocks: [{ type: 'markdown', text }], text, live: false });
      return;
    }
    if (item.kind === 'joined') return;
    const last = index === view.items.length - 1;
    const ends = partEnds(item.markdown.length, seams.get(index) ?? []);
    ends.forEach((end, n) => {
      const live = view.live !== null && last && n === ends.length - 1;
      const text = item.markdown.slice(ends[n - 1] ?? 0, end);
      const source = { source: text, prefix: '', suffix: '', dedent: 0, first: null, following: null };
      posts.push({ ...textPost(`${index}.${n}`, live ? text + doing : text, live), source, upTo: end });
    });
  });
  if (view.live && view.items.at(-1)?.kind !== 'text') posts.push(textPost(`${view.items.length}.0`, doing, true));
  if (view.ending?.notify) {
    const text = `told ${view.ending.notify}`;
    posts.push({ part: 'end.0', kind: 'note', blocks: [{ type: 'markdown', text }], text, live: false });
  }
  if (view.ending?.line) posts.push({ ...textPost(`${view.items.length}.0`, view.ending.line, false), ends: true });
  if (view.textUnknown) return posts.map((post) => (post.kind === 'text' ? { ...post, part: `+${post.part}` } : post));
  return posts;
}

const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

function seededRandom(seed = 1): Random {
  let state = seed >>> 0;
  let ids = 0;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const id = () => {
    ids += 1;
    return `id${ids}`;
  };
  return { next, id };
}

export interface Turn {
  /** The posts that `onPosts` got last, with which a restart would begin. */
  stored: PostRecord[];
  show(view: Partial<ViewParts>): void;
  /** Its text grew: `look` is called when it is shown, or now. */
  grow(look: () => Partial<ViewParts>): void;
  finish(view: Partial<ViewParts>, endedAt?: number): void;
  recheck(): void;
  /** Shows that the turn is paused until the next start. */
  pause(view: Partial<ViewParts>): Promise<void>;
  delivery: { delivered: boolean; reason?: string } | null;
}

interface ViewParts {
  items: ViewItem[];
  textUnknown: true;
  activity: Activity;
  line: string | null;
  notify: string;
}

export const text = (markdown: string): ViewItem => ({ kind: 'text', markdown });

export function card(token: string, state: 'open' | 'decided' = 'open'): ViewItem {
  const decided = { state: 'decided', decision: 'approved', by: 'U1', at: 1, words: null } as const;
  const shown: Card = {
    kind: 'approval',
    token: token as Token,
    tool: 'Bash',
    title: 'ls',
    shown: null,
    asks: ['U1'],
    workingDirectory: null,
    device: null,
    startsAgent: null,
    offers: { edit: false, grant: null, rule: false },
    stop: null,
    expiresAt: null,
    state: state === 'open' ? { state: 'open' } : decided,
  };
  return { kind: 'card', card: shown };
}

export interface StageOptions {
  render?: (view: TurnView, files: boolean, seams: Seams) => SlackPost[];
  /** How much a text shows; left out: enough to be posted at once. */
  substance?: (markdown: string) => 'words' | 'readable';
  /** Whether files can be uploaded. */
  canUpload?: boolean;
  mayBeAgent?: boolean;
  /** Whether direct messages are streamed natively. */
  nativeStreams?: boolean;
  /** How much of a text that is being written a native stream may show; left out: all of it. */
  stable?: (markdown: string) => number;
  fallback?: (post: SlackPost) => SlackPost[];
}

/** A surface on a small Slack, with a clock that only the test advances. */
export function createStage(options: StageOptions = {}) {
  const clock = createFakeClock();
  const slack = createFakeSlack(clock);
  const metrics = createMemoryMetrics();
  const render = options.render ?? renderTiny;
  const substanceOf = ({ items, live }: TurnView) => {
    const last = items.at(-1);
    if (last?.kind === 'text') return options.substance?.(last.markdown) ?? 'readable';
    return live?.activity.kind === 'waiting_for_letta' ? 'waiting' : 'activity';
  };
  const statusOf = ({ live }: TurnView) => (live?.activity.kind === 'tool' ? 'is using a tool…' : 'is thinking…');
  /** What the posts of {@link renderTiny} show of the last text, without what the agent does. */
  const tinyAppendable = (view: TurnView): AppendableText | null => {
    const post = renderTiny(view, false, lastSeams).findLast(({ live, source }) => live && source !== undefined);
    if (!post?.source || post.upTo === undefined) return null;
    const { source } = post.source;
    const from = post.upTo - source.length;
    const last = view.items.at(-1);
    const most = last?.kind === 'text' ? (options.stable?.(last.markdown) ?? post.upTo) : 0;
    const shown = source.slice(0, Math.max(0, most - from));
    return { part: post.part, markdown: shown, upTo: from + shown.length };
  };
  let lastSeams: Seams = new Map();
  let rendered = 0;
  let life = 0;
  const newSurface = () =>
    createSurface({
      api: endWithLife(slack),
      createRenderer: () => {
        const counted = (view: TurnView, files: boolean, seams: Seams) => {
          rendered += 1;
          lastSeams = seams;
          return render(view, files, seams);
        };
        return Object.assign(counted, {
          substanceOf,
          statusOf,
          appendableOf: (view: TurnView) => tinyAppendable(view),
        });
      },
      // The stage's posts have no checklist.
      fallback: (post, form) => (form === 'unplanned' ? [] : (options.fallback?.(post) ?? [post])),
      renderNotice: (markdown) => [textPost('0.0', markdown, false)],
      uploadFile: options.canUpload ? createUpload() : undefined,
      renderOffer: ({ text, buttons }) => [textPost('0.0', [text, ...buttons].join(' | '), false)],
      mayBeAgent: options.mayBeAgent ?? false,
      nativeStreams: options.nativeStreams ?? false,
      botUser: BOT_USER,
      workspace: 'https://team.slack.com/',
      clock,
      random: seededRandom(),
      log: silentLog,
      metrics,
    });
  let surface = newSurface();

  /** Slack's API for one life of the process: after its end nothing is sent, and no answer arrives. */
  function endWithLife(api: SlackApi): SlackApi {
    life += 1;
    const mine = life;
    const never = new Promise<never>(() => {});
    return {
      async call(...call) {
        if (mine !== life) return never;
        try {
          const answer = await api.call(...call);
          return mine === life ? answer : never;
        } catch (error) {
          if (mine !== life) return never;
          throw error;
        }
      },
    };
  }

  function createUpload(): Uploader {
    const mine = life;
    const never = new Promise<never>(() => {});
    return async (url, bytes) => {
      if (mine !== life) return never;
      await slack.upload(url, bytes);
      if (mine !== life) return never;
    };
  }

  function turn(at: ThreadAddress = address, posts: PostRecord[] = [], id = 'turn-1', resumed = false): Turn {
    const target = surface.openTurn({
      turn: id as TurnId,
      address: at,
      posts,
      resumed,
      async onPosts(next) {
        await stage.storing();
        made.stored = next;
      },
      onText() {
        stage.textsStored += 1;
        return stage.storingText();
      },
      onCardRefused: (reason, cards = []) => void stage.cardsRefused.push([reason, ...cards].join(' ')),
      onHeldUp: (held) => void stage.heldUp.push(held),
    });
    const view = (parts: Partial<ViewParts>, ending: Ending | null): TurnView => ({
      turn: id as TurnId,
      address: at,
      notPassedOn: [],
      items: parts.items ?? [],
      ...(parts.textUnknown && { textUnknown: true as const }),
      live: ending ? null : { activity: parts.activity ?? { kind: 'thinking' }, stop: 'stop' as Token, queued: 0 },
      ending,
    });
    const made: Turn = {
      stored: posts,
      delivery: null,
      show: (parts) => target.show(view(parts, null)),
      grow(look) {
        if (!target.showGrown?.(() => view(look(), null))) target.show(view(look(), null));
      },
      recheck: () => target.recheckCards?.(),
      pause: async (parts) => target.pause?.(view({ ...parts, activity: { kind: 'paused' } }, null)),
      finish(parts, endedAt) {
        const { line = null, notify } = parts;
        const ending: Ending = { outcome: 'done', line, notify, by: null, tools: 0, durationMs: 0 };
        void target.finish(view(parts, ending), endedAt).then((delivery) => {
          made.delivery = delivery;
        });
      },
    };
    return made;
  }

  const stage = {
    metrics,
    clock,
    slack,
    turn,
    /** Each reason why cards could not be shown, and which cards. */
    cardsRefused: [] as string[],
    /** What `onHeldUp` was called with. */
    heldUp: [] as HeldUp[],
    /** Awaited when the ledger is stored; may reject. */
    storing: async () => {},
    /** How often a text was stored before it was shown. */
    textsStored: 0,
    /** What storing a text takes; `undefined`: nothing has to be stored. */
    storingText: (): Promise<void> | undefined => undefined,
    get surface() {
      return surface;
    },
    get rendered() {
      return rendered;
    },
    /** The process dies and starts again: only Slack's messages and what was stored are left. */
    crash() {
      surface = newSurface();
    },
  };
  return stage;
}
