import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelEntry, ModelInUse } from '../../../src/bridge/agent-event.ts';
import { readModelWish } from '../../../src/bridge/commands/model-wish.ts';
import { groupModels } from '../../../src/bridge/view/model-dialog.ts';
import { MODELS_LISTED, modelListText } from '../../../src/bridge/words/models.ts';

const entry = (handle: string, effort: string | null = null): ModelEntry => ({
  id: effort === null ? handle.replace('/', '-') : `${handle.replace('/', '-')}-${effort}`,
  handle,
  effort,
});
const entries = [
  entry('anthropic/sonnet', 'low'),
  entry('anthropic/sonnet', 'high'),
  entry('anthropic/opus', 'high'),
  entry('local/plain'),
];
const using = (handle: string, effort: string | null): ModelInUse => ({ handle, effort, contextWindow: null });
const wish = (words: string, current: ModelInUse | null = null) => readModelWish(words, { entries, current });

describe('the words after !model', () => {
  it('take a model by its exact name or id alone', () => {
    expect(wish('anthropic/sonnet high')).toEqual({ kind: 'take', entry: entries[1] });
    expect(wish('`anthropic/sonnet` HIGH')).toEqual({ kind: 'take', entry: entries[1] });
    expect(wish('anthropic-sonnet-low')).toEqual({ kind: 'take', entry: entries[0] });
    expect(wish('local/plain')).toEqual({ kind: 'take', entry: entries[3] });
    expect(wish('anthropic/opus')).toEqual({ kind: 'take', entry: entries[2] });
    expect(wish('sonnet')).toMatchObject({
      kind: 'show',
      groups: [{ handle: 'anthropic/sonnet', efforts: ['low', 'high'] }],
    });
  });

  it('keep the effort in use, or ask for one', () => {
    expect(wish('anthropic/sonnet', using('anthropic/opus', 'high'))).toEqual({ kind: 'take', entry: entries[1] });
    expect(wish('anthropic/sonnet', using('local/plain', null))).toMatchObject({ kind: 'effort' });
    expect(wish('anthropic/opus low')).toMatchObject({ kind: 'effort', group: { efforts: ['high'] } });
    expect(wish('local/plain high')).toMatchObject({ kind: 'effort', group: { efforts: [] } });
  });

  it('find nothing where no model has them in its name', () => {
    expect(wish('nope/none')).toEqual({ kind: 'show', filter: 'nope/none', groups: [] });
    expect(modelListText([], 'nope/none', '!model').join('\n')).toContain('No model has `nope/none` in its name');
  });

  it('take only models of the list, however they are written', () => {
    const words = fc.oneof(
      fc.string(),
      fc.constantFrom(...entries.map(({ handle }) => handle)).map((name) => `${name} x`),
    );
    fc.assert(
      fc.property(words, (text) => {
        const asked = wish(text);
        if (asked.kind === 'take') expect(entries).toContain(asked.entry);
      }),
    );
  });
});

describe('a list of models', () => {
  it('of 500 fits into a message, and a word makes it shorter', () => {
    const many = Array.from({ length: 500 }, (_, at) => entry(`provider-${at % 10}/${'m'.repeat(90)}-${at}`));
    const shown = modelListText(groupModels(many), '', '!model').join('\n');
    expect(shown.length).toBeLessThan(3_000);
    expect(shown).toContain(`… and ${500 - MODELS_LISTED} more`);
    const found = readModelWish('provider-3 -13', { entries: many, current: null });
    expect(found).toMatchObject({ kind: 'show' });
    expect(found.kind === 'show' && found.groups.length).toBe(2);
  });

  it('shows foreign names as code, which can mention no one', () => {
    const [, line] = modelListText([{ handle: 'a`<!channel>', efforts: ['*high*'] }], '', '!model');
    expect(line).not.toMatch(/[^`]<!channel>[^`]/);
    expect(line).toContain('· high');
  });
});
