import type { Log } from '../../bridge/ports.ts';
import type { SlackPost } from '../post.ts';
import { plainPosts, renamed } from './plain.ts';

/** In which form each part is sent: as rendered, or simpler once Slack refused it. */
export interface Forms {
  apply(posts: readonly SlackPost[]): SlackPost[];
  /** This post was refused; false when there is no simpler form left. */
  simplify(post: SlackPost): boolean;
  /** Everything as rendered again. */
  reset(): void;
}

export function createForms(fallback: (post: SlackPost) => SlackPost[], log: Log): Forms {
  /** By kind and part; a turn has few. A card may come to stand where a text was. */
  const levels = new Map<string, 'simpler' | 'plain'>();

  function formOf(post: SlackPost): SlackPost[] {
    const level = levels.get(`${post.kind} ${post.part}`);
    if (level === undefined) return [post];
    if (level === 'plain') return plainPosts(post);
    try {
      const simpler = renamed(post, fallback(post));
      if (simpler.length > 0) return simpler;
    } catch (error) {
      log.error({ err: error }, 'a simpler form of a post could not be made');
    }
    return plainPosts(post);
  }

  return {
    apply: (posts) => posts.flatMap(formOf),
    simplify({ kind, part }) {
      const whole = `${kind} ${part.split('~')[0] ?? part}`;
      const level = levels.get(whole);
      if (level === 'plain') return false;
      levels.set(whole, level === undefined ? 'simpler' : 'plain');
      return true;
    },
    reset: () => levels.clear(),
  };
}
