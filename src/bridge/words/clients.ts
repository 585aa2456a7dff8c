import { asCode } from '../text/as-code.ts';
import { FROM_HISTORY } from './thread.ts';

/* What people read of other clients of Letta. Markdown of ours. */

/**
 * Above the answer of a turn that another client began.
 * @param asked foreign text; left out: it is not known
 * @param late set when the thread shows it only now; `earlier`: so many before it are not shown
 */
export function askedElsewhereText({
  asked,
  late,
}: {
  asked?: string | undefined;
  late?: { earlier: number } | undefined;
}): string {
  const words = asCode(asked ?? '');
  if (words === '' && !late) return '**Not asked in Slack:** another client began this.';
  const lead = `**Asked from another client${late ? ' earlier' : ''}:** ${words}`.trim();
  if (!late) return lead;
  const { earlier } = late;
  const more = earlier === 0 ? '' : ` ${earlier} earlier ${earlier === 1 ? 'turn is' : 'turns are'} not shown.`;
  return `${lead}\n${FROM_HISTORY}${more}`;
}

/** Above the answer of a turn that another client's message joined. @param asked as {@link askedElsewhereText} */
export function joinedText(asked?: string): string {
  const words = asCode(asked ?? '');
  return words === '' ? 'A message from another client joined this.' : `**Also asked from another client:** ${words}`;
}

/** @param mode as Letta names it. @param wanted the one that holds here */
export function modeChangedText(mode: string, wanted: string): string {
  return `Another client changed what the agent may do here without asking (${asCode(mode)}). I am setting it back to ${asCode(wanted)}.`;
}

/** In the status of a thread, while nothing of its own runs. @param mode as {@link modeChangedText} */
export function otherModeText(mode: string): string {
  return `Another client set the permission mode ${asCode(mode)}; I set it back before the next message here runs.`;
}

/** For whom the agent works when no one in Slack asked. */
export const ANOTHER_CLIENT = 'another client';
