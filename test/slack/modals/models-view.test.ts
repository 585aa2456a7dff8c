import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { validateView } from '../../../sandbox/slack/validate/view.ts';
import type { ModelEntry } from '../../../src/bridge/agent-event.ts';
import {
  chosenIn,
  MODELS_IN_DIALOG,
  type ModelDialog,
  modelKey,
  modelMenu,
} from '../../../src/bridge/view/model-dialog.ts';
import { chosenInDialog, modelsView } from '../../../src/slack/modals/models-view.ts';

const EFFORTS = ['none', 'low', 'high'];
const entriesOf = (handles: readonly string[], efforts: readonly (string | null)[] = EFFORTS): ModelEntry[] =>
  handles.flatMap((handle) => efforts.map((effort) => ({ id: `${handle}-${effort}`, handle, effort })));

function dialog(entries: ModelEntry[], key: string | null, change: Partial<ModelDialog> = {}): ModelDialog {
  const seen = { entries, current: null };
  const menu = modelMenu(entries, null);
  const toolsets = { chosen: 'auto', options: [{ id: 'auto', name: 'Auto' }] };
  return {
    place: 'T1:C1:1.1',
    now: 'Now.',
    ...menu,
    chosen: chosenIn(seen, key),
    toolsets,
    scopes: ['conversation', 'channel'],
    ...change,
  };
}

describe('the window of models', () => {
  it('500 models of one provider: Slack takes it, and all are there', () => {
    const handles = Array.from({ length: 500 }, (_, n) => `openrouter/${'m'.repeat(60)}/${n}`);
    const view = modelsView(dialog(entriesOf(handles), modelKey(handles[499] ?? '')));
    expect(() => validateView(view, 'modal')).not.toThrow();
    for (const handle of handles) expect(JSON.stringify(view)).toContain(modelKey(handle));
    expect(JSON.stringify(view)).not.toContain('are not listed here');
  });

  it('more than it can list: says how to find the others', () => {
    const handles = Array.from({ length: 700 }, (_, n) => `p${n % 150}/model-${n}`);
    const menu = modelMenu(entriesOf(handles, [null]), 'p0/model-600');
    const view = modelsView(dialog([], null, menu));
    expect(() => validateView(view, 'modal')).not.toThrow();
    const listed = menu.providers.reduce((sum, { models }) => sum + models.length, 0);
    expect(listed + menu.more).toBe(700);
    expect(JSON.stringify(view)).toContain(`${menu.more} more models are not listed here`);
    expect(JSON.stringify(view)).toContain(modelKey('p0/model-600'));
  });

  it('any names: Slack takes it, and what is chosen is found again', () => {
    const name = fc.string({ minLength: 1, maxLength: 120, unit: 'grapheme' });
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { minLength: 1, maxLength: 40 }),
        fc.array(name, { maxLength: 5 }),
        (names, efforts) => {
          const entries = entriesOf(names, efforts.length === 0 ? [null] : [...new Set(efforts)]);
          const [handle = ''] = names;
          const view = modelsView(dialog(entries, modelKey(handle)));
          expect(() => validateView(view, 'modal')).not.toThrow();
          expect(chosenIn({ entries, current: null }, modelKey(handle))?.key).toBe(modelKey(handle));
          expect(entries.length).toBeLessThan(MODELS_IN_DIALOG);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('has the efforts of the chosen model, under its own block', () => {
    const [a, b] = ['a/one', 'a/two'];
    const blockOf = (key: string) => JSON.stringify(modelsView(dialog(entriesOf([a, b]), key)).blocks[2]);
    expect(blockOf(modelKey(a))).toContain(`bridge_effort:${modelKey(a)}`);
    expect(blockOf(modelKey(b))).toContain(`bridge_effort:${modelKey(b)}`);
    expect(modelsView(dialog(entriesOf([a], [null]), modelKey(a))).blocks.length).toBe(
      modelsView(dialog(entriesOf([a]), modelKey(a))).blocks.length - 1,
    );
  });

  it('a submission is read by block', () => {
    const option = (value: string) => ({ any: { selected_option: { value } } });
    expect(
      chosenInDialog({ bridge_model: option('k'), 'bridge_effort:k': option('high'), bridge_toolset: { x: {} } }),
    ).toEqual({ model: 'k', effort: 'high', toolset: null, scope: null });
  });
});
