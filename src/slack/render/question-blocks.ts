import type { Button, KnownBlock, RichTextBlockElement, StaticSelect } from '@slack/types';
import type { Question } from '../../bridge/agent-event.ts';
import type { QuestionCard } from '../../bridge/view/turn.ts';
import { ACTION_IDS, ANSWER_MENU, makeAnswerActionId, makeMenuValue } from './action-ids.ts';
import { deadline, mentionsOf, type RenderedCard } from './approval-blocks.ts';
import { actions, button, clip, context, mrkdwn, plain, richLine, richText, section } from './blocks.ts';
import { decisionLine } from './decision-line.ts';
import { LIMITS } from './limits.ts';
import { neutralizeWords } from './neutralize.ts';

/** More questions are only counted; Letta's tool asks four at most. */
const MAX_QUESTIONS = 12;
/** Up to so many options get buttons; more get a menu. */
const BUTTONS = 5;

/**
 * A card with the agent's questions. One question with one answer is answered on the card, by buttons or a menu;
 * several questions or several choices are answered in a form.
 */
export function questionCard(card: QuestionCard): RenderedCard {
  const decided = decisionLine(card.state, card.title);
  if (decided) return { blocks: [decided.block], words: decided.words, mentions: '' };

  const asks = mentionsOf(card.asks);
  if (!card.questions) return { blocks: [], words: `Question: ${card.title}`, mentions: asks };
  const [first] = card.questions;
  const single = card.questions.length === 1 && first && !first.multiSelect ? first : null;
  const until = card.expiresAt === null ? '' : ` Expires ${deadline(card.expiresAt)}.`;
  const blocks: KnownBlock[] = [
    section(`${asks} *The agent asks:*`.trim()),
    ...questionTexts(card.questions.length > 0 ? card.questions : [untitled(card.title)]),
    actions(...(single ? choiceElements(card, single) : []), wordsButton(card, single ? 'Other…' : 'Answer…')),
    context(mrkdwn(`Or just reply in this thread.${until}`)),
  ];
  return { blocks, words: `Question: ${first?.question || card.title}`, mentions: asks };
}

function untitled(title: string): Question {
  return { question: title, header: '', multiSelect: false, options: [] };
}

function choiceElements(card: QuestionCard, question: Question): (Button | StaticSelect)[] {
  if (question.options.length === 0) return [];
  return question.options.length <= BUTTONS ? optionButtons(card, question) : [optionMenu(card, question)];
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
    placeholder: plain('Choose an answer', 150),
    options: options.slice(0, LIMITS.menu).map(({ label, description }, index) => ({
      text: plain(labelOf(label, index), LIMITS.option),
      value: makeMenuValue(token, index),
      ...(description.trim() === '' ? {} : { description: plain(description, LIMITS.option) }),
    })),
  };
}

function wordsButton({ token, title }: QuestionCard, label: string): Button {
  return button({ actionId: ACTION_IDS.answer_in_words, token, label, says: `Answer in a form: ${title}` });
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
    richLine(makeVisible(multiSelect ? `${head} (choose one or more)` : head, Math.floor(room / 2)), {
      bold: true,
    }),
  ];
  const listed = options.slice(0, LIMITS.menu);
  const each = listed.length === 0 ? 0 : Math.floor(room / 2 / listed.length);
  if (listed.length > 0) {
    elements.push({
      type: 'rich_text_list',
      style: 'bullet',
      elements: listed.map(({ label, description }) => ({
        type: 'rich_text_section',
        elements: [
          { type: 'text', text: makeVisible(label, Math.floor(each / 2)), style: { bold: true } },
          ...(description === ''
            ? []
            : [{ type: 'text' as const, text: makeVisible(` — ${description}`, Math.floor(each / 2)) }]),
        ],
      })),
    });
  }
  if (options.length > listed.length) elements.push(richLine(`… and ${options.length - listed.length} more options`));
  return richText(...elements);
}

const makeVisible = (text: string, max: number) => clip(neutralizeWords(clip(text, max)), max) || ' ';
