import type { ModalView } from '@slack/types';
import { asBridgeError } from '../../errors.ts';
import { notOpenedText } from '../words/dialogs.ts';
import { type ListenerContext, whisper } from './context.ts';

/**
 * A trigger expires after 3 s (docs/slack.md, Interactivity): if the content takes longer than this, the window opens
 * without it.
 */
const OPEN_WITHIN_MS = 1_000;

export interface LateView<Outcome> {
  triggerId: string;
  /** Never rejects. */
  answer: Promise<Outcome>;
  /** What {@link within} gave, if that was asked; `null`: it takes longer. */
  quick?: { outcome: Outcome } | null;
  waiting(): ModalView;
  contentOf(outcome: Outcome): ModalView;
  /** Where somebody is told that Slack did not open the window; `null`: nowhere. */
  at: { channel: string; user: string; threadTs: string | null } | null;
}

/** Opens a window, with its content or, if that takes longer, for the content to come. */
export async function openLateView<Outcome>(context: ListenerContext, late: LateView<Outcome>): Promise<void> {
  const { triggerId, answer, waiting, contentOf, at } = late;
  const quick = late.quick === undefined ? await within(context, answer) : late.quick;
  const view = quick ? contentOf(quick.outcome) : waiting();
  const opened = await callViews(context, 'views.open', { trigger_id: triggerId, view });
  if (!opened) return at ? whisper(context, { ...at, text: notOpenedText('click') }) : undefined;
  if (quick) return;
  const { id } = (opened.view ?? {}) as { id?: unknown };
  await callViews(context, 'views.update', { view_id: id, view: contentOf(await answer) });
}

/** `null`: Slack refused, which the log has. */
export async function callViews(context: ListenerContext, method: string, args: Record<string, unknown>) {
  try {
    return await context.api.call(method, args, { client: 'live' });
  } catch (error) {
    context.log.warn({ error: asBridgeError(error).message, method }, 'could not show a window');
    return null;
  }
}

/** `null`: it takes longer. */
export function within<Outcome>(
  { clock }: ListenerContext,
  answer: Promise<Outcome>,
): Promise<{ outcome: Outcome } | null> {
  return new Promise((resolve) => {
    const timer = clock.after(OPEN_WITHIN_MS, () => resolve(null));
    void answer.then((outcome) => {
      timer.cancel();
      resolve({ outcome });
    });
  });
}
