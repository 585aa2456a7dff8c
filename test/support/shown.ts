import type { SlackApi } from '../../src/slack/api/slack-api.ts';
import { createSurface, type SlackSurface } from '../../src/slack/outbox/surface.ts';
import { noticePosts } from '../../src/slack/render/notice.ts';
import { offerPosts } from '../../src/slack/render/offer.ts';
import { createRenderer } from '../../src/slack/render/posts.ts';
import { simplerPosts } from '../../src/slack/render/simpler.ts';
import { createFakeSlack, type FakeMessage, type FakeSlack } from '../slack/outbox/fake-slack.ts';
import { countingRandom, createMiddle, type Middle, type MiddleOptions, ROOT, silentLog } from './middle.ts';

export interface Shown {
  middle: Middle;
  slack: FakeSlack;
  /** The surface of the bridge's current start. */
  readonly surface: SlackSurface;
  /** The messages of the thread, in reading order. */
  messages(): FakeMessage[];
  /** All text of a message, including the labels of its buttons. */
  read(message: FakeMessage | undefined): string;
}

const never = new Promise<never>(() => {});

/** The middle with the real renderer and outbox, between a Letta played by hand and the outbox's small Slack. */
export function createShown({ isAgent = false, ...options }: MiddleOptions & { isAgent?: boolean } = {}): Shown {
  let slack: FakeSlack | null = null;
  let surface: SlackSurface | null = null;
  let life = 0;
  /** After a restart, calls of the process before never reach Slack and never return. */
  const endWithLife = (api: SlackApi): SlackApi => {
    life += 1;
    const mine = life;
    return {
      async call(...call) {
        if (mine !== life) return never;
        const answer = await api.call(...call).catch((error) => (mine === life ? Promise.reject(error) : never));
        return mine === life ? answer : never;
      },
    };
  };
  const middle = createMiddle({
    turnsDieWithLink: false,
    ...options,
    surface(clock) {
      slack ??= createFakeSlack(clock);
      slack.isAgent = isAgent;
      surface = createSurface({
        api: endWithLife(slack),
        createRenderer: () => createRenderer(),
        fallback: simplerPosts,
        renderNotice: noticePosts,
        renderOffer: offerPosts,
        clock,
        random: countingRandom(),
        log: silentLog,
        mayBeAgent: isAgent,
      });
      return surface;
    },
  });
  if (slack === null) throw new Error('nothing was built');
  const there: FakeSlack = slack;
  return {
    middle,
    slack: there,
    get surface() {
      if (surface === null) throw new Error('nothing was built');
      return surface;
    },
    messages: () => there.messages('C01GEN', ROOT),
    read: (message) => (message ? wordsOf(message.blocks.length > 0 ? message.blocks : message.text) : ''),
  };
}

function wordsOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(wordsOf).join(' ');
  if (typeof value !== 'object' || value === null) return '';
  const { text, elements } = value as { text?: unknown; elements?: unknown };
  return [wordsOf(text), wordsOf(elements)].filter((words) => words !== '').join(' ');
}
