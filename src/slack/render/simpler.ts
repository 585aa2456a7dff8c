import type { KnownBlock, MarkdownBlock } from '@slack/types';
import { parseMarkdown } from './ast.ts';
import { markdown, mention, section } from './blocks.ts';
import { LIMITS, type RenderLimits } from './limits.ts';
import { completeMarkdown, renderMarkdown } from './markdown.ts';
import { escapeFormulas } from './math.ts';
import { mrkdwnPieces } from './mrkdwn.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import type { TextPart } from './part.ts';
import type { SlackPost } from './post.ts';
import { translateSlackMarkup } from './slack-markup.ts';
import { markdownOf, splitText } from './split.ts';
import { summary } from './summary.ts';
import { planAsLines } from './todo.ts';

/**
 * The forms that are tried when Slack refuses a post, best first:
 * - `unplanned`: a checklist as lines, in case Slack does not accept `plan`. The other forms have it so, too.
 * - `smaller`: the same blocks in more messages, in case Slack's limits are lower than we know.
 * - `mrkdwn`: section blocks instead of Markdown and rich text, in case Slack does not accept those.
 */
export type SimplerForm = 'unplanned' | 'smaller' | 'mrkdwn';

/** The post in that form; empty: it has no such form. The caller names the parts. */
export function simplerPosts(post: SlackPost, form: SimplerForm, limits: RenderLimits = LIMITS): SlackPost[] {
  const hasPlan = post.blocks.some(({ type }) => type === 'plan');
  const plain = hasPlan ? { ...post, blocks: post.blocks.map(withoutPlan) } : post;
  if (form === 'unplanned') return hasPlan ? [plain] : [];
  return form === 'smaller' ? smallerPosts(plain, limits) : sectionPosts(plain, limits);
}

const withoutPlan = (block: KnownBlock) => (block.type === 'plan' ? planAsLines(block) : block);

function smallerPosts(post: SlackPost, limits: RenderLimits): SlackPost[] {
  const at = post.blocks.findIndex(({ type }) => type === 'markdown');
  if (at < 0 || !post.source) return [];
  const markdownLimit = limits.smallerMarkdown;
  const sources = splitText(markdownOf(post.source), { ...limits, markdown: markdownLimit });
  const shown = sources.map((source, index) => ({
    source,
    ...renderMarkdown(source, post.live && index === sources.length - 1, markdownLimit),
  }));
  const pieces = shown.filter((piece) => piece.markdown.trim() !== '');
  if (pieces.length < 2) return [];
  return pieces.map((piece, index) => {
    const last = index === pieces.length - 1;
    return {
      ...post,
      source: piece.source,
      blocks: [
        ...(index === 0 ? post.blocks.slice(0, at) : []),
        markdown(piece.markdown),
        ...(last ? post.blocks.slice(at + 1) : []),
      ],
      text: summary(piece.summary) || post.text,
      live: post.live && last,
    };
  });
}

function sectionPosts(post: SlackPost, limits: RenderLimits): SlackPost[] {
  const blocks = post.blocks.flatMap((block) => simplerBlocks(block, post, limits));
  const groups: KnownBlock[][] = [];
  let room = 0;
  for (const block of blocks) {
    const size = JSON.stringify(block).length;
    const group = groups.at(-1);
    if (group && size <= room && group.length < limits.blocks - RESERVED) {
      group.push(block);
      room -= size;
    } else {
      groups.push([block]);
      room = limits.markdown - size;
    }
  }
  return groups.map((group, index) => ({ ...post, blocks: group, live: post.live && index === groups.length - 1 }));
}

/** Blocks kept free for what is not text. */
const RESERVED = 5;

function simplerBlocks(block: KnownBlock, post: SlackPost, limits: RenderLimits): KnownBlock[] {
  if (block.type === 'markdown') return toSections(block, post.source, post.live, limits);
  if (block.type !== 'rich_text') return [block];
  return block.elements.flatMap((element) => {
    const words = textsOf(element).replaceAll('```', '`\u2060`\u2060`');
    if (words.trim() === '') return [];
    const fence = element.type === 'rich_text_preformatted' ? '```' : '';
    const room = limits.text - 2 * fence.length;
    const pieces: KnownBlock[] = [];
    for (let rest = words; rest !== ''; ) {
      const piece = rest.slice(0, room).replace(/(?<=.)(?:&[a-z]{0,4}|<[^>]{0,40}|[\uD800-\uDBFF])$/s, '');
      pieces.push(section(`${fence}${piece}${fence}`));
      rest = rest.slice(piece.length);
    }
    return pieces;
  });
}

function toSections(
  block: MarkdownBlock,
  source: TextPart | undefined,
  isGrowing: boolean,
  limits: RenderLimits,
): KnownBlock[] {
  const written = source ? completeMarkdown(markdownOf(source), isGrowing).parsed : parseMarkdown(block.text);
  const parsed = translateSlackMarkup(written, undefined);
  return mrkdwnPieces(parseMarkdown(escapeFormulas(parsed)), limits.text).map((piece) => section(piece));
}

/** The words of rich text as mrkdwn: foreign ones made harmless, people and groups mentioned. */
function textsOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return '';
  const { type, text, user_id, usergroup_id, fallback, elements } = value as Record<string, unknown>;
  if (typeof text === 'string') return neutralizeMrkdwn(text);
  if (type === 'user') return mention(String(user_id));
  if (type === 'usergroup') return mention(String(usergroup_id));
  if (typeof fallback === 'string') return neutralizeMrkdwn(fallback);
  if (!Array.isArray(elements)) return '';
  return elements.map(textsOf).join(type === 'rich_text_list' ? '\n' : '');
}
