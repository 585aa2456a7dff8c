import type { KnownBlock, ModalView } from '@slack/types';
import type { ModalRequest } from '../../bridge/inbound.ts';
import { CALLBACK_IDS, makePageActionId } from '../render/action-ids.ts';
import { button, context, plain, preformatted, richText } from '../render/blocks.ts';
import { neutralizePlain } from '../render/neutralize.ts';
import { FULL } from '../words/dialogs.ts';
import { modalText, modalTitle } from './modal-text.ts';
import { piecesOf } from './pieces.ts';

/** Characters in one code box. We chose it, because Slack publishes no limit for `rich_text`. */
const PIECE = 3_000;
/**
 * A view holds 100 blocks and 250 KB (docs/slack.md, Size limits). These limits are lower, because the lines around the
 * text, and what Slack adds, count too.
 */
const PAGE_PIECES = 60;
const PAGE_BYTES = 180_000;

/**
 * The complete input of a request, in pages. If it can be approved here, only the last page has the button, so that
 * nobody approves without having paged through all of it.
 */
export function fullView(request: Extract<ModalRequest, { kind: 'view_full' }>): ModalView {
  const { token, approves } = request;
  const pages = pagesOf(neutralizePlain(request.text));
  const last = pages.length - 1;
  const page = Math.min(Math.max(0, request.page), last);
  const pageButtons = [
    ...(page > 0 ? [pageButton(token, page - 1, FULL.previous)] : []),
    ...(page < last ? [pageButton(token, page + 1, FULL.next)] : []),
  ];
  const more = approves && page < last ? ` ${FULL.approveAtEnd}` : '';
  const where = last === 0 ? '' : `Page ${page + 1} of ${last + 1}.${more} `;
  const hidden = [...(request.redacted ? [FULL.isRedacted] : []), ...(request.own ? [FULL.onlyYou] : [])].join(' ');
  const blocks: KnownBlock[] = (pages[page] ?? []).map((piece) => richText(preformatted(piece)));
  if (where + hidden !== '') blocks.unshift(context(plain((where + hidden).trim())));
  if (pageButtons.length > 0) blocks.push({ type: 'actions', elements: pageButtons });
  return {
    type: 'modal',
    callback_id: approves ? CALLBACK_IDS.approve : CALLBACK_IDS.view_full,
    private_metadata: token,
    title: modalTitle(request.title),
    ...(approves && page === last ? { submit: modalText('Approve', 24) } : {}),
    close: modalText('Close', 24),
    blocks,
  };
}

function pageButton(token: ModalToken, page: number, label: string) {
  return button({ actionId: makePageActionId(page), token, label, says: label });
}

type ModalToken = Extract<ModalRequest, { kind: 'view_full' }>['token'];

/** Splits `text` into pages of pieces, which joined give `text` again. At least one page with one piece. */
function pagesOf(text: string): string[][] {
  const pages: string[][] = [[]];
  let bytes = 0;
  for (const piece of piecesOf(text === '' ? '(empty)' : text, PIECE)) {
    const size = Buffer.byteLength(JSON.stringify(piece)) + 120;
    const page = pages.at(-1) ?? [];
    if (page.length > 0 && (page.length === PAGE_PIECES || bytes + size > PAGE_BYTES)) {
      pages.push([piece]);
      bytes = size;
    } else {
      page.push(piece);
      bytes += size;
    }
  }
  return pages;
}
