import type { KnownBlock, ModalView } from '@slack/types';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { validateView } from '../../../sandbox/slack/validate/view.ts';
import type { Question } from '../../../src/bridge/agent-event.ts';
import type { Token } from '../../../src/bridge/ids.ts';
import type { ModalRequest } from '../../../src/bridge/inbound.ts';
import { modalView, submissionAck, submittedChoices, submittedTexts } from '../../../src/slack/modals/modals.ts';
import { makePageActionId, parseCallbackId } from '../../../src/slack/render/action-ids.ts';
import { neutralizePlain } from '../../../src/slack/render/neutralize.ts';
import { runs } from '../../support/runs.ts';

const token = 'token1' as Token;
const asking = (change: Partial<Question>): Question => ({
  question: 'Which?',
  header: '',
  multiSelect: false,
  options: [],
  ...change,
});
const options = (count: number) => Array.from({ length: count }, (_, at) => ({ label: `o${at}`, description: '' }));
type FullView = Extract<ModalRequest, { kind: 'view_full' }>;

function viewOf(text: string, change: Partial<FullView> = {}): ModalView {
  const page = { page: 0, approves: false, redacted: false };
  return modalView({ kind: 'view_full', token, title: 'Bash', text, ...page, ...change });
}

function textOf({ blocks }: ModalView): string {
  const pieces = (blocks as KnownBlock[]).flatMap((block) => (block.type === 'rich_text' ? block.elements : []));
  return pieces.map((piece) => (piece.elements[0] as { text: string }).text).join('');
}

function pageButtons({ blocks }: ModalView): string[] {
  const elements = (blocks as KnownBlock[]).flatMap((block) => (block.type === 'actions' ? block.elements : []));
  return elements.map((element) => ('action_id' in element ? (element.action_id ?? '') : ''));
}

/** All pages, turned one after another from the first. */
function pagesOf(text: string, change: Partial<FullView> = {}): ModalView[] {
  const pages = [viewOf(text, change)];
  for (;;) {
    const next = pageButtons(pages.at(-1) as ModalView).find((id) => id === makePageActionId(pages.length));
    if (next === undefined) return pages;
    pages.push(viewOf(text, { ...change, page: pages.length }));
  }
}

describe('the full view', () => {
  const piece = fc.string({
    unit: fc.oneof(fc.constantFrom('\n', '😀', 'x', '\u202E'), fc.string({ unit: 'grapheme' })),
  });

  test('shows the whole text over pages that Slack accepts', () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1 }), fc.integer({ min: 1, max: 8_000 }), (pieces, repeat) => {
        const text = pieces.join('').repeat(repeat).slice(0, 150_000);
        fc.pre(text.isWellFormed());
        const pages = pagesOf(text);
        for (const view of pages) {
          expect(view.blocks.length).toBeLessThanOrEqual(100);
          expect(Buffer.byteLength(JSON.stringify(view))).toBeLessThan(240_000);
          expect(textOf(view).isWellFormed()).toBe(true);
        }
        expect(pages.map(textOf).join('')).toBe(text === '' ? '(empty)' : neutralizePlain(text));
      }),
      { numRuns: runs(15) },
    );
  });

  test.each([
    ['of many lines', 'a line of text\n'.repeat(70_000)],
    ['without a line end', 'x'.repeat(1_000_000)],
    ['of wide characters', '漢'.repeat(350_000)],
  ])('shows a megabyte %s whole', (_name, text) => {
    const pages = pagesOf(text);
    expect(pages.length).toBeGreaterThan(3);
    expect(pages.map(textOf).join('')).toBe(text);
  });

  test('has its Approve button on the last page only', () => {
    const pages = pagesOf('a line of text\n'.repeat(70_000), { approves: true });
    expect(pages.map((view) => view.submit?.text ?? null)).toEqual([...pages.slice(1).map(() => null), 'Approve']);
    for (const view of pages)
      expect(view).toMatchObject({ callback_id: 'bridge_approve_full', private_metadata: token });
    expect(viewOf('short', { approves: true }).submit).toBeDefined();
    expect(viewOf('short').submit).toBeUndefined();
  });

  test('clamps a page number that does not exist', () => {
    expect(textOf(viewOf('short', { page: 99 }))).toBe('short');
    expect(textOf(viewOf('short', { page: -1 }))).toBe('short');
  });

  test('says when a secret was hidden, and only then', () => {
    expect(JSON.stringify(viewOf('x', { redacted: true }).blocks)).toContain('Secrets are hidden');
    expect(JSON.stringify(viewOf('x').blocks)).not.toContain('secret');
  });

  test('cuts its title to Slack’s limit', () => {
    expect(viewOf('x', { title: 'mcp__a_server_with_a_long_name__tool' }).title.text).toHaveLength(24);
  });
});

describe('a modal for input', () => {
  test('carries the token and passes Slack’s validation, whatever it asks for', () => {
    const long = 'x'.repeat(5_000);
    const questions = [asking({ question: 'A?' }), asking({ options: options(3), multiSelect: true })];
    const requests: ModalRequest[] = [
      { kind: 'deny_with_reason', token, tool: long },
      { kind: 'edit_command', token, command: 'touch x' },
      { kind: 'save_rule', token, rule: long, directory: `/${long}`, device: null },
      { kind: 'answer_in_words', token, questions: [...questions, asking({ options: options(30) })] },
      {
        kind: 'answer_in_words',
        token,
        questions: [asking({ options: options(150), multiSelect: true, question: long })],
      },
    ];
    for (const request of requests) {
      const view = modalView(request);
      expect(parseCallbackId(view.callback_id ?? '')).toBe(request.kind);
      expect(view.private_metadata).toBe(token);
      expect(view.submit).toBeDefined();
      validateView(view as never, 'modal');
    }
  });

  test('for a rule names the command, directory, device and reach', () => {
    const view = modalView({ kind: 'save_rule', token, rule: 'all cat', directory: '/work/app', device: 'studio' });
    const said = JSON.stringify(view.blocks);
    for (const words of ['all cat', '/work/app on studio', 'every thread and every agent'])
      expect(said).toContain(words);
  });

  test('for questions has checkboxes, menus and text inputs as each needs', () => {
    const questions = [
      asking({ options: options(3), multiSelect: true }),
      asking({ options: options(3) }),
      asking({ options: options(12), multiSelect: true }),
      asking({}),
    ];
    const view = modalView({ kind: 'answer_in_words', token, questions });
    const inputs = (view.blocks as unknown as StoredBlock[]).filter(({ block_id }) => block_id !== undefined);
    expect(inputs.map(({ block_id, ...rest }) => [block_id, typeIn(rest)])).toEqual([
      ['bridge_choice_0', 'checkboxes'],
      ['bridge_input_0', 'plain_text_input'],
      ['bridge_choice_1', 'radio_buttons'],
      ['bridge_input_1', 'plain_text_input'],
      ['bridge_choice_2', 'multi_static_select'],
      ['bridge_input_2', 'plain_text_input'],
      ['bridge_input_3', 'plain_text_input'],
    ]);
    // One of the two fields is needed: Slack must not call both optional.
    expect(inputs.filter(({ block_id, optional }) => /choice/.test(block_id) && optional)).toEqual([]);
    expect(JSON.stringify(view.blocks)).toContain('Choose one, or write your own.');
  });
});

interface StoredBlock {
  block_id: string;
  optional?: boolean;
  element?: { type: string };
  accessory?: { type: string };
  elements?: { type: string }[];
}

const typeIn = ({ element, accessory, elements }: Omit<StoredBlock, 'block_id'>) =>
  (element ?? accessory ?? elements?.[0])?.type;

describe('a submitted modal', () => {
  test('returns choices by question, and -1 for an invalid option', () => {
    const values = {
      bridge_choice_2: { bridge_choice: { selected_options: [{ value: '0' }, { value: '11' }] } },
      bridge_choice_0: { bridge_choice: { selected_option: { value: 'evil' } } },
      bridge_choice_1: { bridge_choice: { selected_option: null } },
    };
    expect(submittedChoices(values)).toEqual([[-1], [], [0, 11]]);
    expect(submittedChoices({})).toEqual([]);
  });

  test('returns texts by the number of their input, ignoring other inputs', () => {
    const values = {
      bridge_input_1: { bridge_text: { value: 'second' } },
      other: { x: { value: 'not ours' } },
      bridge_input_0: { bridge_text: { value: null } },
    };
    expect(submittedTexts(values)).toEqual(['', 'second']);
    expect(submittedTexts({})).toEqual([]);
  });

  test('is answered with nothing, field errors, or a notice', () => {
    expect(submissionAck({ result: 'decided' })).toBeUndefined();
    expect(submissionAck({ result: 'invalid', errors: [{ input: 1, text: 'Say more.' }] })).toEqual({
      response_action: 'errors',
      errors: { bridge_input_1: 'Say more.' },
    });
    expect(submissionAck({ result: 'refused', why: 'expired', notice: 'It is over.' })).toMatchObject({
      response_action: 'update',
      view: { type: 'modal', blocks: [{ text: { text: 'It is over.' } }] },
    });
  });
});
