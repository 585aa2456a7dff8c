import type { ModelEntry, ModelsSeen } from '../agent-event.ts';
import { oneLine } from '../text/one-line.ts';
import { groupModels, type ModelGroup } from '../view/model-dialog.ts';

/**
 * What the words after `!model` ask for.
 * - `show`: no words, or words that some models have in their names (`filter`, in lower case).
 * - `effort`: a model that is there with several efforts, or not with the one that was named.
 */
export type ModelWish =
  | { kind: 'take'; entry: ModelEntry }
  | { kind: 'effort'; group: ModelGroup }
  | { kind: 'show'; filter: string; groups: readonly ModelGroup[] };

/** Nothing is guessed: only an exact handle or id takes a model; a handle without an effort keeps the effort that is used. */
export function readModelWish(words: string, { entries, current }: ModelsSeen): ModelWish {
  const asked = oneLine(words.replaceAll('`', ' '), 200).trim();
  const [name = '', effort, ...rest] = asked.split(/\s+/);
  if (rest.length === 0) {
    const byId = entries.find(({ id }) => id === name);
    if (byId && effort === undefined) return { kind: 'take', entry: byId };
    const named = entries.filter(({ handle }) => handle === name);
    const [only] = named;
    if (effort === undefined && named.length === 1 && only) return { kind: 'take', entry: only };
    const wanted = effort?.toLowerCase() ?? current?.effort ?? null;
    const entry = named.find((each) => each.effort === wanted);
    if (entry) return { kind: 'take', entry };
    const [group] = groupModels(named);
    if (group) return { kind: 'effort', group };
  }
  const filter = asked.toLowerCase();
  const parts = filter.split(' ').filter((part) => part !== '');
  const groups = groupModels(entries).filter(({ handle }) =>
    parts.every((part) => handle.toLowerCase().includes(part)),
  );
  return { kind: 'show', filter, groups };
}
