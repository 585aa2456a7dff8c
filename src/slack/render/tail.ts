import type { KnownBlock } from '@slack/types';
import type { Ending } from '../../bridge/record/thread-record.ts';
import type { ToolLine, TurnView } from '../../bridge/view/turn.ts';
import { ACTION_IDS } from './action-ids.ts';
import { actions, button, clip, context, mention, mrkdwn, plain, section } from './blocks.ts';
import { activityLine, durationWords, summaryLine } from './doing.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import type { SlackPost } from './post.ts';
import { todoBlocks } from './todo.ts';

/** What is shown below the text of a turn's last message. */
export interface Tail {
  blocks: KnownBlock[];
  /** The same without blocks, for notifications. Foreign text in it is not neutralised. */
  words: string;
  /** Whether it will change. */
  isLive: boolean;
}

/** What the agent does, while the turn runs, or how the turn ended. */
export function tailOf(view: TurnView): Tail {
  const blocks: KnownBlock[] = view.tools ? [context(plain(toolText(view.tools), LIMITS.text))] : [];
  if (view.todo) blocks.push(...todoBlocks(view.todo, view.live !== null));
  if (view.live) {
    const { activity, queued, stop } = view.live;
    blocks.push(context(plain(activityLine(activity)), ...(queued > 0 ? [plain(`queued (${queued})`)] : [])));
    if (stop !== null) {
      const label = { actionId: ACTION_IDS.stop, token: stop, label: 'Stop', says: 'Stop the agent' };
      blocks.push(actions(button({ ...label, style: 'danger' })));
    }
    const words = activity.kind === 'paused' ? 'Paused while the bridge restarts.' : 'The agent is working.';
    return { blocks, words, isLive: true };
  }
  const isQuiet = view.verbosity === 'quiet';
  const { mentioned, words } = addSilence(view, summaryLine(view.ending ?? NO_ENDING, { figures: !isQuiet }));
  const isSilent = view.items.length === 0;
  if (words !== '') {
    const fits = mentioned.length <= LIMITS.text;
    blocks.push(context(mrkdwn(fits ? mentioned : clip(neutralizeMrkdwn(words.slice(0, 500)), LIMITS.text))));
  } else if (isSilent) blocks.push(context(plain(DONE)));
  const token = view.ending?.details;
  if (token !== undefined && !isQuiet) {
    blocks.push(actions(button({ actionId: ACTION_IDS.details, token, label: 'Details', says: 'Show what it did' })));
  }
  return { blocks, words: words === '' ? DONE : words, isLive: false };
}

/**
 * A message of its own that tells somebody that the turn is over, because edits do not notify (docs/slack.md, Editing).
 */
export function notePosts({ ending }: TurnView): SlackPost[] {
  if (ending?.notify === undefined) return [];
  const words = `${NOTES[ending.outcome]} · ${durationWords(ending.durationMs)}`;
  const blocks = [section(`${mention(ending.notify)} ${words}`)];
  return [{ part: 'end.0', kind: 'note', blocks, text: words, live: false }];
}

const NOTES: Readonly<Record<Ending['outcome'], string>> = {
  done: '✅ Done',
  stopped: '🛑 Stopped',
  failed: '⚠️ Failed',
  interrupted: '⚡ Interrupted',
};

/** If the turn ended well without text, says so, because figures alone would not look like an answer. */
function addSilence(view: TurnView, line: { mentioned: string; words: string }): { mentioned: string; words: string } {
  const { outcome, line: said } = view.ending ?? NO_ENDING;
  const hasText = view.items.some((item) => item.kind === 'text' && /\S/.test(item.markdown));
  // After a restart we may not know whether there was text.
  if (hasText || outcome !== 'done' || said !== null || view.textUnknown) return line;
  const joined = (rest: string) => (rest === '' ? SILENT : `${SILENT} · ${rest}`);
  return { mentioned: joined(line.mentioned), words: joined(line.words) };
}

const SILENT = 'The agent had nothing to say';

/** Shown when a turn ended well and there is nothing else to show. */
const DONE = '✅ Done';

/** Used for a view that has neither `live` nor `ending`. */
const NO_ENDING: Ending = { outcome: 'done', by: null, line: null, tools: 0, durationMs: 0 };

const MARKS: Readonly<Record<ToolLine['status'], string>> = { called: '◦', running: '▸', ok: '✓', failed: '✗' };
const TOOL_LINE = 160;

function toolText({ lines, earlier }: NonNullable<TurnView['tools']>): string {
  const shown = lines.map(({ tool, detail, status }) => {
    return clip(`${MARKS[status]} ${detail === '' ? tool : `${tool}: ${detail}`}`, TOOL_LINE);
  });
  return [...(earlier > 0 ? [`… ${earlier} earlier`] : []), ...shown].join('\n');
}
