import type { Log, Metrics } from '../../bridge/ports.ts';
import type { SlackPost } from '../render/post.ts';
import { plainPosts, renameParts } from './plain.ts';

/**
 * The same content in simpler posts, for one that Slack refused: first cut smaller, then without what only newer clients
 * know. Empty where a post has no such form.
 */
export type Fallback = (post: SlackPost, form: 'smaller' | 'mrkdwn') => SlackPost[];

/** In which form each part is sent: as rendered, or simpler once Slack refused it. */
export interface Forms {
  applyForms(posts: readonly SlackPost[]): SlackPost[];
  /** This post was refused; false when there is no simpler form left. */
  simplify(post: SlackPost): boolean;
  /** What was refused half-written as rendered again; what was whole keeps its form. */
  resetLive(): void;
  /** Slack took no form at all: all are tried anew. */
  resetAll(): void;
  /** Slack has taken all posts as they are now: each simpler form that it took is counted, once. */
  settled(): void;
}

const FORMS = ['rendered', 'smaller', 'mrkdwn', 'plain'] as const;
type Form = (typeof FORMS)[number];

export function createForms(fallback: Fallback, log: Log, metrics?: Metrics): Forms {
  /** By kind and part; a turn has few. A card may come to stand where a text was. */
  const forms = new Map<string, { form: Form; live: boolean; counted: boolean }>();
  let lastPosts: readonly SlackPost[] = [];

  function inForm(post: SlackPost, form: Form): SlackPost[] {
    if (form === 'rendered') return [post];
    if (form === 'plain') return plainPosts(post);
    try {
      return renameParts(post, fallback(post, form));
    } catch (error) {
      log.error({ err: error }, 'could not make a simpler form of a post');
      return [];
    }
  }

  function formOf(post: SlackPost): SlackPost[] {
    const from = FORMS.indexOf(forms.get(keyOf(post))?.form ?? 'rendered');
    for (const form of FORMS.slice(from)) {
      const posts = inForm(post, form);
      if (posts.length > 0) return posts;
    }
    return plainPosts(post);
  }

  return {
    applyForms(posts) {
      lastPosts = posts;
      return posts.flatMap(formOf);
    },
    simplify(refused) {
      const key = keyOf(refused);
      const post = lastPosts.find((one) => keyOf(one) === key);
      const from = FORMS.indexOf(forms.get(key)?.form ?? 'rendered');
      const next = FORMS.slice(from + 1).find((form) => !post || inForm(post, form).length > 0);
      if (next === undefined) {
        metrics?.count('refused_posts', { form: 'none' });
        return false;
      }
      forms.set(key, { form: next, live: post?.live ?? false, counted: false });
      return true;
    },
    resetLive() {
      for (const [key, { live }] of forms) if (live) forms.delete(key);
    },
    resetAll: () => forms.clear(),
    settled() {
      for (const entry of forms.values()) {
        if (!entry.counted) metrics?.count('refused_posts', { form: entry.form });
        entry.counted = true;
      }
    },
  };
}

/** Pieces of a simpler form are named after the post. */
function keyOf({ kind, part }: SlackPost): string {
  return `${kind} ${part.split('~')[0] ?? part}`;
}
