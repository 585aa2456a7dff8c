import type { InputBlock, SectionBlock } from '@slack/types';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Token } from '../../src/bridge/ids.ts';
import { modalView, submissionAck, submittedTexts } from '../../src/slack/modals.ts';

const token = 'token1' as Token;

function sectionText(block: object): string {
  return (block as SectionBlock).text?.text ?? '';
}

function shownText(text: string): string {
  const { blocks } = modalView({ kind: 'view_full', title: 'Bash', text });
  return blocks.map(sectionText).join('');
}

describe('view full', () => {
  test('shows all of the text in sections that Slack takes', () => {
    const piece = fc.string({ unit: fc.oneof(fc.constantFrom('\n', '😀', 'x'), fc.string({ unit: 'grapheme' })) });
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1 }), fc.integer({ min: 1, max: 4_000 }), (pieces, repeat) => {
        const text = pieces.join('').repeat(repeat).slice(0, 40_000);
        fc.pre(text.isWellFormed());
        const { blocks } = modalView({ kind: 'view_full', title: 'Bash', text });
        for (const block of blocks) {
          const shown = sectionText(block);
          expect(block).toMatchObject({ type: 'section', text: { type: 'plain_text', emoji: false } });
          expect(shown.length).toBeGreaterThan(0);
          expect(shown.length).toBeLessThanOrEqual(3_000);
          expect(shown.isWellFormed()).toBe(true);
        }
        expect(shownText(text)).toBe(text === '' ? '(empty)' : text);
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ['long', 'a line of text\n'.repeat(40_000)],
    ['long and without a line end', 'x'.repeat(1_000_000)],
    ['long in bytes', '漢'.repeat(290_000)],
  ])('says what it left out of a text that is %s', (_name, text) => {
    const view = modalView({ kind: 'view_full', title: 'Bash', text });
    expect(view.blocks.length).toBeLessThanOrEqual(100);
    expect(Buffer.byteLength(JSON.stringify(view))).toBeLessThan(250_000);
    const shown = shownText(text);
    const [, left] = /… cut here: (\d+) of \d+ characters are not shown\.$/.exec(shown) ?? [];
    const kept = shown.slice(0, shown.indexOf('… cut here'));
    expect(text.startsWith(kept)).toBe(true);
    expect(Number(left)).toBe(text.length - kept.length);
  });

  test('a title longer than Slack takes is shortened', () => {
    const view = modalView({ kind: 'view_full', title: 'mcp__a_server_with_a_long_name__tool', text: 'x' });
    expect(view.title.text).toHaveLength(24);
    expect(view.submit).toBeUndefined();
  });
});

test('the modals that are submitted carry the token and have one input for each question', () => {
  const deny = modalView({ kind: 'deny_with_reason', token, tool: 'x'.repeat(5_000) });
  expect(deny).toMatchObject({ callback_id: 'bridge_deny_with_reason', private_metadata: token });
  expect(deny.submit).toBeDefined();
  const answer = modalView({ kind: 'answer_in_words', token, questions: ['A?', 'q'.repeat(5_000)] });
  expect(answer).toMatchObject({ callback_id: 'bridge_answer_in_words', private_metadata: token });
  expect(answer.blocks.map((block) => block.block_id)).toEqual(['bridge_input_0', 'bridge_input_1']);
  for (const block of [...deny.blocks, ...answer.blocks]) {
    const { label, element } = block as InputBlock;
    expect(label.text.length).toBeLessThanOrEqual(2_000);
    expect(element).toMatchObject({ type: 'plain_text_input', max_length: 3_000 });
  }
});

test('texts come back in the order of the inputs, whatever else is in the modal', () => {
  const values = {
    bridge_input_1: { bridge_text: { value: 'second' } },
    other: { x: { value: 'not ours' } },
    bridge_input_0: { bridge_text: { value: null } },
  };
  expect(submittedTexts(values)).toEqual(['', 'second']);
  expect(submittedTexts({})).toEqual([]);
});

test('a submission is answered with what became of it', () => {
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
