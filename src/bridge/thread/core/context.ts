import type { TurnUse } from '../../turn/steps.ts';
import { COMPACTED, contextFullText } from '../../words/models.ts';
import type { Link, Live } from './thread.ts';
import { change, say, setLink, type Work } from './work.ts';

/* How full the model's context is, that Letta made room in it, and what turns use. */

/** From so many percent on, people are told. */
const NEARLY_FULL = 85;

/** How full the context is, in percent; `null`: Letta has not told both figures over this link. */
export function contextPercent({ contextTokens, model }: Pick<Link, 'contextTokens' | 'model'>): number | null {
  const most = model?.contextWindow ?? null;
  if (contextTokens === null || most === null || most <= 0) return null;
  return Math.min(100, Math.round((100 * contextTokens) / most));
}

/** Says once that the context is nearly full, and again only when there was room in between. */
export function onContextUsed(work: Work, tokens: number): void {
  setLink(work, { contextTokens: tokens });
  const percent = contextPercent(work.thread.link);
  const { record } = work.thread;
  if (percent === null || !record) return;
  if (percent < NEARLY_FULL) haveRoom(work);
  if (percent < NEARLY_FULL || record.contextTold) return;
  change(work, (now) => ({ ...now, contextTold: true }));
  say(work, contextFullText(percent));
}

export function onCompacted(work: Work, tokens: number | null): void {
  setLink(work, { contextTokens: tokens });
  haveRoom(work);
  say(work, COMPACTED);
}

/** The context is not nearly full any more. */
export function haveRoom(work: Work): void {
  if (work.thread.record?.contextTold) change(work, ({ contextTold: _, ...now }) => now);
}

/** What the turn has used so far; `null`: Letta told nothing of it. */
export function useOf({ thread: { link } }: Pick<Work, 'thread'>, live: Live): TurnUse | null {
  const { fold, wasLinkLost, isResumed } = live;
  if (!fold.tokens) return null;
  return {
    ...fold.tokens,
    isAll: !wasLinkLost && !isResumed,
    model: link.model?.handle ?? null,
    context: contextPercent(link),
  };
}
