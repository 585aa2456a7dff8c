import type { Button, KnownBlock, RichTextBlockElement, RichTextElement, StaticSelect } from '@slack/types';
import type { Question } from '../../bridge/agent-event.ts';
import type { QuestionCard } from '../../bridge/view/turn.ts';
import { BUTTONS, CARD, type CardButton } from '../words/cards.ts';
import { ACTION_IDS, ANSWER_MENU, makeAnswerActionId, makeMenuValue } from './action-ids.ts';
import { deadlineBlocks, mentionsOf, type RenderedCard } from './approval-blocks.ts';
import {
  actions,
  button,
  clip,
  context,
  mrkdwn,
  plain,
  richLine,
  richMentions,
  richText,
  richTextLine,
  section,
} from './blocks.ts';
import { decisionLine } from './decision-line.ts';
import { LIMITS } from './limits.ts';
import { moreMenu, stopOption } from './more-menu.ts';
import { neutralizeWords } from './neutralize.ts';

/** More questions are only counted; Letta's tool asks four at most. */
const MAX_QUESTIONS = 12;
/** Up to so many options get buttons; more get a menu. */
const MOST_BUTTONS = 5;

/**
 * A card with the agent's questions. One question with one answer is answered on the card, by buttons or a menu;
 * several questions or several choices are answered in a form.
 */
export function questionCard(card: QuestionCard): RenderedCard {
  const decided = decisionLine(card.state, { tool: 'AskUserQuestion', title: card.title });
  if (decided) return { blocks: [decided.block], words: decided.words, mentions: '' };

  const asks = mentionsOf(card.asks);
  if (!card.questions) return { blocks: [], words: card.title, mentions: asks };
  const [first] = card.questions;
  const single = card.questions.length === 1 && first && !first.multiSelect ? first : null;
  const questions = card.questions.length > 0 ? card.questions : [untitled(card.title)];
  const more = moreMenu(stopOption(card.stop));
  const blocks: KnownBlock[] = [
    ...questionTexts(questions, card.asks),
    actions(
      ...(single ? choiceElements(card, single) : []),
      wordsButton(card, single ? BUTTONS.other : BUTTONS.answer),
      ...more,
    ),
    context(mrkdwn(CARD.orReply)),
    ...deadlineBlocks(card.expiresAt, CARD.goesOnUnanswered),
  ];
  return { blocks, words: first?.question || card.title, mentions: asks };
}

function untitled(title: string): Question {
  return { question: title, header: '', multiSelect: false, options: [] };
}

function choiceElements(card: QuestionCard, question: Question): (Button | StaticSelect)[] {
  if (question.options.length === 0) return [];
  return question.options.length <= MOST_BUTTONS ? optionButtons(card, question) : [optionMenu(card, question)];
}

function labelOf(label: string, index: number): string {
  return label.trim() || `Option ${index + 1}`;
}

function optionButtons({ token }: QuestionCard, { options }: Question): Button[] {
  return options.map((option, index) =>
    button({
      actionId: makeAnswerActionId(0, index),
      token,
      label: labelOf(option.label, index),
      says: `Answer: ${option.label}`,
    }),
  );
}

function optionMenu({ token }: QuestionCard, { options }: Question): StaticSelect {
  return {
    type: 'static_select',
    action_id: ANSWER_MENU,
    placeholder: plain(CARD.chooseAnswer, 150),
    options: options.slice(0, LIMITS.menu).map(({ label, description }, index) => ({
      text: plain(labelOf(label, index), LIMITS.option),
      value: makeMenuValue(token, index),
      ...(isEcho({ label, description }) ? {} : { description: plain(description, LIMITS.option) }),
    })),
  };
}

function wordsButton({ token, title }: QuestionCard, { label, says }: CardButton): Button {
  return button({ actionId: ACTION_IDS.answer_in_words, token, label, says: `${says}: ${title}` });
}

/** The questions; a single one is the card's head. */
function questionTexts(questions: readonly Question[], asks: readonly string[]): KnownBlock[] {
  const shown = questions.slice(0, MAX_QUESTIONS);
  const each = Math.floor(LIMITS.questions / shown.length);
  const mentions = richMentions(asks.slice(0, LIMITS.asked));
  const [first] = shown;
  if (first && questions.length === 1) return [questionText(first, each, { mentions, isOnly: true })];
  const more = questions.length - shown.length;
  return [
    richTextLine(...mentions, { type: 'text', text: `${questions.length} questions`, style: { bold: true } }),
    ...shown.map((question) => questionText(question, each, { mentions: [], isOnly: false })),
    ...(more > 0 ? [section(`… and ${more} more questions`)] : []),
  ];
}

interface Place {
  mentions: RichTextElement[];
  /** Whether it is the only question of its card: then it needs no header. */
  isOnly: boolean;
}

function questionText({ question, header, multiSelect, options }: Question, room: number, place: Place): KnownBlock {
  const { mentions, isOnly } = place;
  const head = [...(isOnly && question !== '' ? [] : [header]), question].filter((text) => text !== '').join(': ');
  const words = makeVisible(multiSelect ? `${head} (choose one or more)` : head, Math.floor(room / 2));
  const elements: RichTextBlockElement[] = [
    { type: 'rich_text_section', elements: [...mentions, { type: 'text', text: words, style: { bold: true } }] },
  ];
  const listed = isOnly && !multiSelect && options.length <= MOST_BUTTONS && options.every(saysItsLabel) ? [] : options;
  const shown = listed.slice(0, LIMITS.menu);
  const each = shown.length === 0 ? 0 : Math.floor(room / 2 / shown.length);
  if (shown.length > 0) {
    elements.push({
      type: 'rich_text_list',
      style: 'bullet',
      elements: shown.map((option) => ({ type: 'rich_text_section', elements: optionText(option, each) })),
    });
  }
  if (listed.length > shown.length) elements.push(richLine(`… and ${listed.length - shown.length} more options`));
  return richText(...elements);
}

type Option = Question['options'][number];

function optionText(option: Option, room: number): RichTextElement[] {
  const { label, description } = option;
  const half = Math.floor(room / 2);
  const words: RichTextElement = { type: 'text', text: makeVisible(label, half), style: { bold: true } };
  if (isEcho(option)) return [words];
  return [words, { type: 'text', text: makeVisible(` — ${description}`, half) }];
}

/** Whether a button with its label says all of it. */
function saysItsLabel(option: Option): boolean {
  return isEcho(option) && option.label.length <= LIMITS.buttonText;
}

/** Whether the description adds nothing to the label: "pick Staging" for "Staging". */
function isEcho({ label, description }: Option): boolean {
  const bare = (text: string) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, ' ')
      .trim();
  const said = bare(description).replace(/^(?:pick|choose|select|use|take) /, '');
  return description.trim() === '' || (said !== '' && said === bare(label));
}

const makeVisible = (text: string, max: number) => clip(neutralizeWords(clip(text, max)), max) || ' ';
