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
  /** The way to Slack of the bridge's present life. */
  readonly surface: SlackSurface;
  /** The messages of the thread, in reading order. */
  messages(): FakeMessage[];
  /** All that can be read in a message, and the labels of its buttons. */
  read(message: FakeMessage | undefined): string;
}

const never = new Promise<never>(() => {});

/** The middle between a Letta that is played by hand and the small Slack of the outbox, through renderer and outbox. */
export function createShown(options: MiddleOptions = {}): Shown {
  let slack: FakeSlack | null = null;
  let surface: SlackSurface | null = null;
  let life = 0;
  /** A process that is gone neither calls nor hears. */
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
      surface = createSurface({
        api: endWithLife(slack),
        createRenderer: () => createRenderer(),
        fallback: simplerPosts,
        renderNotice: noticePosts,
        renderOffer: offerPosts,
        clock,
        random: countingRandom(),
        log: silentLog,
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
