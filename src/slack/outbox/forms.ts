import type { Log, Metrics } from '../../bridge/ports.ts';
import type { SlackPost } from '../render/post.ts';
import { plainPosts, renameParts } from './plain.ts';

/**
 * The content of a post that Slack refused in simpler posts: `unplanned` has lines instead of a checklist, `smaller` cuts
 * it into more messages, `mrkdwn` uses older blocks. Empty if the post has no such form.
 */
export type Fallback = (post: SlackPost, form: 'unplanned' | 'smaller' | 'mrkdwn') => SlackPost[];

/** Set once Slack took a post only without its checklist: from then on no workspace's post has one. */
export interface PlanLatch {
  isOff: boolean;
}

/** Remembers for each part in which form it is sent: as rendered, or simpler after Slack refused it. */
export interface Forms {
  applyForms(posts: readonly SlackPost[]): SlackPost[];
  /** Chooses the next simpler form for a post that Slack refused; false when there is none. */
  simplify(post: SlackPost): boolean;
  /** Tries parts as rendered again if they were half-written when Slack refused them; the others keep their form. */
  resetLive(): void;
  /** Tries all parts as rendered again, after Slack refused every form. */
  resetAll(): void;
  /** Slack has taken all posts as they are now: each simpler form that it took is counted, once. */
  noteShown(): void;
}

const FORMS = ['rendered', 'unplanned', 'smaller', 'mrkdwn', 'plain'] as const;
type Form = (typeof FORMS)[number];

export function createForms(fallback: Fallback, plans: PlanLatch, log: Log, metrics?: Metrics): Forms {
  /** By kind and part, because a card may take the part of an earlier text. */
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

  /** Where Slack takes no checklists, a post that has one is never tried with it. */
  function currentForm(post: SlackPost): Form {
    const form = forms.get(keyOf(post))?.form ?? 'rendered';
    return form === 'rendered' && plans.isOff && inForm(post, 'unplanned').length > 0 ? 'unplanned' : form;
  }

  function formOf(post: SlackPost): SlackPost[] {
    for (const form of FORMS.slice(FORMS.indexOf(currentForm(post)))) {
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
      const from = FORMS.indexOf(post ? currentForm(post) : (forms.get(key)?.form ?? 'rendered'));
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
    noteShown() {
      for (const entry of forms.values()) {
        if (!entry.counted) metrics?.count('refused_posts', { form: entry.form });
        if (entry.form === 'unplanned') plans.isOff = true;
        entry.counted = true;
      }
    },
  };
}

/** Pieces of a simpler form (`part~1`) share the key of their post. */
function keyOf({ kind, part }: SlackPost): string {
  return `${kind} ${part.split('~')[0] ?? part}`;
}
