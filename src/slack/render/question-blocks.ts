import type { Button, KnownBlock, RichTextBlockElement } from '@slack/types';
import type { Question } from '../../bridge/agent-event.ts';
import type { QuestionCard } from '../../bridge/turn-view.ts';
import { ACTION_IDS, makeAnswerActionId } from '../action-ids.ts';
import type { RenderedCard } from './approval-blocks.ts';
import { actions, button, clip, mention, richLine, richText, section } from './blocks.ts';
import { decisionLine } from './decision-line.ts';
import { LIMITS } from './limits.ts';
import { neutralizePlain } from './neutralize.ts';

/** More questions than that are named by number only; Letta's tool asks four at most. */
const MAX_QUESTIONS = 12;

/**
 * Questions of the agent. One question with one answer has a button for each option; where several choices must be put
 * together, buttons can not hold them between clicks, so the answer is typed.
 */
export function questionCard(card: QuestionCard): RenderedCard {
  const decided = decisionLine(card.state, card.title);
  if (decided) return { blocks: [decided.block], words: decided.words };

  const [first] = card.questions;
  const single = card.questions.length === 1 && first && !first.multiSelect ? first : null;
  const asks = card.asks.slice(0, 20).map(mention).join(' ');
  const blocks: KnownBlock[] = [
    section(`${asks} *The agent asks:*`.trim()),
    ...questionTexts(card.questions.length > 0 ? card.questions : [untitled(card.title)]),
    actions(...(single ? optionButtons(card, single) : []), words(card, single ? 'Other…' : 'Answer…')),
  ];
  return { blocks, words: `Question: ${first?.question || card.title}` };
}

function untitled(title: string): Question {
  return { question: title, header: '', multiSelect: false, options: [] };
}

function optionButtons({ token }: QuestionCard, { options }: Question): Button[] {
  return options.slice(0, LIMITS.actions - 1).map((option, index) =>
    button({
      actionId: makeAnswerActionId(0, index),
      token,
      label: option.label.trim() || `Option ${index + 1}`,
      says: `Answer: ${option.label}`,
    }),
  );
}

function words({ token, title }: QuestionCard, label: string): Button {
  return button({ actionId: ACTION_IDS.answer_in_words, token, label, says: `Answer in your own words: ${title}` });
}

function questionTexts(questions: readonly Question[]): KnownBlock[] {
  const shown = questions.slice(0, MAX_QUESTIONS);
  const each = Math.floor(LIMITS.questions / shown.length);
  const blocks: KnownBlock[] = shown.map((question) => questionText(question, each));
  const more = questions.length - shown.length;
  return more > 0 ? [...blocks, section(`… and ${more} more questions`)] : blocks;
}

function questionText({ question, header, multiSelect, options }: Question, room: number): KnownBlock {
  const head = [header, question].filter((text) => text !== '').join(': ');
  const elements: RichTextBlockElement[] = [
    richLine(visible(multiSelect ? `${head} (several answers are possible)` : head, Math.floor(room / 2)), {
      bold: true,
    }),
  ];
  const listed = options.slice(0, LIMITS.actions - 1);
  const each = listed.length === 0 ? 0 : Math.floor(room / 2 / listed.length);
  if (listed.length > 0) {
    elements.push({
      type: 'rich_text_list',
      style: 'bullet',
      elements: listed.map(({ label, description }) => ({
        type: 'rich_text_section',
        elements: [
          { type: 'text', text: visible(label, Math.floor(each / 2)), style: { bold: true } },
          ...(description === ''
            ? []
            : [{ type: 'text' as const, text: visible(` — ${description}`, Math.floor(each / 2)) }]),
        ],
      })),
    });
  }
  if (options.length > listed.length) elements.push(richLine(`… and ${options.length - listed.length} more options`));
  return richText(...elements);
}

const visible = (text: string, max: number) => clip(neutralizePlain(clip(text, max)), max) || ' ';
