import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { validateView } from '../../../sandbox/slack/validate/view.ts';
import { makeToken, makeTurnId } from '../../../src/bridge/ids.ts';
import type { DetailsStep, TurnDetails } from '../../../src/bridge/turn/steps.ts';
import { detailsView } from '../../../src/slack/modals/details-view.ts';
import { parseActionId } from '../../../src/slack/render/action-ids.ts';
import { runs } from '../../support/runs.ts';

const token = makeToken('details1');
const of = (steps: DetailsStep[], earlier = 0): TurnDetails => ({ turn: makeTurnId('a'), endedAt: 1, steps, earlier });
const step = (n: number, text = `text ${n}`): DetailsStep => {
  if (n % 5 === 4) return { kind: 'thought', text };
  return { kind: 'call', tool: `Tool${n}`, input: text, output: text, status: n % 2 === 0 ? 'ok' : 'failed' };
};
const page = (details: TurnDetails, at: number) => detailsView({ token, details, page: at });
const pagesOf = (details: TurnDetails, at: number) => {
  const ids = JSON.stringify(page(details, at)).matchAll(/"action_id":"([^"]+)"/g);
  return [...ids].map(([, id]) => parseActionId(id ?? '')?.page);
};

describe('the Details modal', () => {
  it('shows every step once, in order, on pages that Slack accepts', () => {
    const text = fc.oneof(fc.constant('漢'.repeat(2_900)), fc.string({ unit: 'grapheme', maxLength: 3_000 }));
    fc.assert(
      fc.property(fc.nat(40), text, fc.nat(9), (count, long, earlier) => {
        const details = of(
          Array.from({ length: count }, (_, n) => step(n, long)),
          earlier,
        );
        const numbers: string[] = [];
        for (let at: number | undefined = 0; at !== undefined; ) {
          const view = page(details, at);
          validateView(view, 'modal');
          for (const found of JSON.stringify(view.blocks).matchAll(/"text":"(\d+)\. (?:Thought"|[✓✗] Tool)/g))
            numbers.push(found[1] ?? '');
          const next: number = at + 1;
          at = pagesOf(details, at).find((to) => to === next);
        }
        expect(numbers).toEqual(details.steps.map((_, n) => `${n + 1 + earlier}`));
      }),
      { numRuns: runs(30) },
    );
  });

  it('links the conversation in Letta on its first page', () => {
    const link = 'https://chat.letta.com/chat/agent-1?conversation=conv-1';
    const details = { ...of(Array.from({ length: 25 }, (_, n) => step(n))), page: link };
    validateView(page(details, 0), 'modal');
    expect([0, 1].map((at) => JSON.stringify(page(details, at)).includes(link))).toEqual([true, false]);
    expect(JSON.stringify(page(of([step(0)]), 0))).not.toContain('in Letta');
  });

  it('shows a long input whole, in several boxes', () => {
    const input = Array.from({ length: 600 }, (_, n) => `line ${n} of the plan`).join('\n');
    const view = page(of([{ kind: 'call', tool: 'ExitPlanMode', input, output: '', status: 'ok' }]), 0);
    validateView(view, 'modal');
    const [{ elements = [] } = {}] = view.blocks as { elements?: { type: string; elements: { text: string }[] }[] }[];
    const boxes = elements.filter(({ type }) => type === 'rich_text_preformatted');
    expect(boxes.length).toBeGreaterThan(3);
    expect(boxes.map((box) => box.elements.map(({ text }) => text).join('')).join('')).toBe(input);
  });

  it('links neighbouring pages only, and clamps an impossible page number', () => {
    const details = of(Array.from({ length: 25 }, (_, n) => step(n)));
    expect(pagesOf(details, 0)).toEqual([1]);
    expect(pagesOf(details, 1)).toEqual([0, 2]);
    expect(pagesOf(details, 2)).toEqual([1]);
    expect(page(details, 999)).toEqual(page(details, 2));
    expect(pagesOf(of([step(0)]), 0)).toEqual([]);
  });

  it('shows mentions, links and marks of the steps as plain text', () => {
    const hostile = '<!channel> <@U02BOB> *bold* :boom: <https://evil.example|bank>';
    const { blocks } = page(of([step(0, hostile), { kind: 'thought', text: hostile }]), 0);
    expect(JSON.stringify(blocks)).not.toMatch(/mrkdwn|"type":"(user|link|broadcast|emoji)"/);
  });
});
