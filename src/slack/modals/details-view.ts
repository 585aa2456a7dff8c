import type { KnownBlock, ModalView } from '@slack/types';
import type { Token } from '../../bridge/ids.ts';
import type { DetailsStep, TodoItem, TurnDetails } from '../../bridge/turn/steps.ts';
import { CALLBACK_IDS, makeDetailsPageId } from '../render/action-ids.ts';
import {
  actions,
  button,
  clip,
  context,
  mrkdwn,
  plain,
  preformatted,
  richLine,
  richText,
  section,
} from '../render/blocks.ts';
import { neutralizePlain } from '../render/neutralize.ts';
import { DETAILS, listHeadText, pageText, stepsNotKeptText, usedText } from '../words/dialogs.ts';
import { piecesOf } from './pieces.ts';

/**
 * Steps on one page. Even if every text has its greatest length, a page stays far below a view's 250 KB and 100 blocks
 * (docs/slack.md, Size limits).
 */
const STEPS = 10;
const TEXT_MAX = 3_000;
const LIST_MAX = 8_000;
const TODO_MARKS = { pending: '◦', in_progress: '▸', completed: '✓' } as const;
const MARKS = { called: '◦', running: '▸', ok: '✓', failed: '✗' } as const;

/**
 * One page of what a turn did. All text is foreign, so it stands in code boxes and plain text, where Slack parses
 * nothing.
 */
export function detailsView({ token, details, page }: { token: Token; details: TurnDetails; page: number }): ModalView {
  const { steps, earlier, todo } = details;
  const last = Math.max(0, Math.ceil(steps.length / STEPS) - 1);
  const at = Math.min(Math.max(0, page), last);
  const first = at * STEPS;
  const blocks: KnownBlock[] = [];
  if (todo && at === 0) blocks.push(todoBlock(todo));
  if (details.used && at === 0) blocks.push(context(plain(usedText(details.used))));
  // Not foreign text: the bridge makes the address, and encodes the ids in it.
  if (details.page && at === 0) blocks.push(context(mrkdwn(`<${details.page}|${DETAILS.inLetta}>`)));
  if (earlier > 0 && at === 0) blocks.push(context(plain(stepsNotKeptText(earlier))));
  steps.slice(first, first + STEPS).forEach((step, index) => {
    blocks.push(stepBlock(step, earlier + first + index + 1));
  });
  if (last > 0) {
    blocks.push(context(plain(pageText(at + 1, last + 1))));
    const pageButton = (to: number, label: string) =>
      button({ actionId: makeDetailsPageId(to), token, label, says: `${label} of the details` });
    blocks.push(
      actions(
        ...(at > 0 ? [pageButton(at - 1, DETAILS.earlierPage)] : []),
        ...(at < last ? [pageButton(at + 1, DETAILS.laterPage)] : []),
      ),
    );
  }
  blocks.push(context(plain(`${details.turn} · ${new Date(details.endedAt).toISOString()}`)));
  return modal(blocks);
}

/** Shown while the details are loaded. */
export function waitingView(): ModalView {
  return modal([section(DETAILS.wait)]);
}

/** Shown when there are no details. @param notice one line of ours */
export function noDetailsView(notice: string): ModalView {
  return modal([{ type: 'section', text: plain(notice) }]);
}

function modal(blocks: KnownBlock[]): ModalView {
  const title = { type: 'plain_text', text: DETAILS.title } as const;
  const close = { type: 'plain_text', text: 'Close' } as const;
  return { type: 'modal', callback_id: CALLBACK_IDS.details, title, close, blocks };
}

/** The agent's own list, whole. */
function todoBlock(items: readonly TodoItem[]): KnownBlock {
  const done = items.filter(({ status }) => status === 'completed').length;
  const each = Math.floor(LIST_MAX / items.length);
  const lines = items.map(({ text, status }) => `${TODO_MARKS[status]} ${makeVisible(text, each)}`);
  return richText(richLine(listHeadText(done, items.length), { bold: true }), preformatted(lines.join('\n')));
}

function stepBlock(step: DetailsStep, number: number): KnownBlock {
  if (step.kind === 'error') {
    return richText(
      richLine(DETAILS.failure, { bold: true }),
      preformatted(step.text === '' ? DETAILS.notKept : makeVisible(step.text, TEXT_MAX)),
    );
  }
  if (step.kind === 'summary') return context(plain(`${number}. ${DETAILS.summary}`));
  if (step.kind === 'thought') {
    const words = step.text === '' ? DETAILS.notKept : makeVisible(step.text, TEXT_MAX);
    return richText(richLine(`${number}. ${DETAILS.thought}`, { bold: true }), {
      type: 'rich_text_quote',
      elements: [{ type: 'text', text: words }],
    });
  }
  const { tool, input, output, status } = step;
  const outcome = status === 'failed' ? ' · failed' : status === 'ok' ? '' : ' · no result';
  return richText(
    richLine(`${number}. ${MARKS[status]} ${makeVisible(tool, 200)}${outcome}`, { bold: true }),
    ...(input === '' ? [] : piecesOf(input, TEXT_MAX)).map((piece) => preformatted(makeVisible(piece, TEXT_MAX))),
    ...(output === '' ? [] : [richLine(DETAILS.result), preformatted(makeVisible(output, TEXT_MAX))]),
  );
}

/** Cuts the text and shows invisible characters as codes. */
function makeVisible(text: string, max: number): string {
  return clip(neutralizePlain(clip(text, max)), max);
}
