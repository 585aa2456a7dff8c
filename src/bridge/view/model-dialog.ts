import { createHash } from 'node:crypto';
import type { ModelEntry, ModelName, ModelsSeen, ToolsetsSeen } from '../agent-event.ts';

/** What somebody may choose a model for. */
export type ModelScope = 'conversation' | 'channel';

/** A model with its efforts, in Letta's order. */
export interface ModelGroup {
  handle: string;
  efforts: readonly string[];
}

/** The dialog in which people choose a model and tools: values only. Names are foreign text. */
export interface ModelDialog {
  /** What it is about, as `makeModelsPlace` writes it. */
  place: string;
  /** What is used now, Markdown-free words of ours; `null`: not known. */
  now: string | null;
  /** Models by provider. */
  providers: readonly { name: string; models: readonly { key: string; handle: string }[] }[];
  /** How many models there are besides. */
  more: number;
  /** Of the model that is chosen in the dialog; `null`: none, or the agent's own. */
  chosen: { key: string; efforts: readonly string[]; effort: string | null } | null;
  /** `null`: not known. */
  toolsets: ToolsetsSeen | null;
  /** What it may be chosen for; where there is one, nobody is asked. */
  scopes: readonly ModelScope[];
}

/** Instead of a model's key: the agent's own, whichever that is. */
export const OWN_MODEL = 'own';

/** How many models a dialog lists: a menu has room for many more, a window for 250 KB (docs/slack.md, Size limits). */
export const MODELS_IN_DIALOG = 500;
/** A menu has at most 100 groups of at most 100 options. */
const IN_GROUP = 100;
/** One group is for the agent's own model. */
const GROUPS = 99;

export function groupModels(entries: readonly ModelEntry[]): ModelGroup[] {
  const groups = new Map<string, string[]>();
  for (const { handle, effort } of entries) {
    const efforts = groups.get(handle) ?? [];
    groups.set(handle, efforts);
    if (effort !== null && !efforts.includes(effort)) efforts.push(effort);
  }
  return [...groups].map(([handle, efforts]) => ({ handle, efforts }));
}

/** Names a model in a menu, whatever its handle: 32 letters and digits. */
export function modelKey(handle: string): string {
  return createHash('sha256').update(handle).digest('hex').slice(0, 32);
}

/** Names an effort or a toolset in a menu: itself, if an option's value has room for it (docs/slack.md, Size limits). */
export function menuKey(name: string): string {
  return name.length <= 75 ? name : modelKey(name);
}

/** The model of the list that a menu's option names, with its efforts; `null`: the list has none of that name. */
export function findModel(entries: readonly ModelEntry[], key: string): ModelGroup | null {
  return groupModels(entries).find(({ handle }) => modelKey(handle) === key) ?? null;
}

/** The entry for a model with an effort; `null`: the list has none. */
export function findEntry(entries: readonly ModelEntry[], { handle, effort }: ModelName): ModelEntry | null {
  return entries.find((entry) => entry.handle === handle && entry.effort === effort) ?? null;
}

/**
 * The menu of models: what is used now first, then by provider in Letta's order. A provider with more models than a group
 * of options may have is in several groups.
 */
export function modelMenu(
  entries: readonly ModelEntry[],
  first: string | null,
): Pick<ModelDialog, 'providers' | 'more'> {
  const all = groupModels(entries).map(({ handle }) => handle);
  const used = all.filter((handle) => handle === first);
  const shown = [...used, ...all.filter((handle) => handle !== first)].slice(0, MODELS_IN_DIALOG);
  const byProvider = new Map<string, string[]>();
  for (const handle of shown) {
    const provider = handle.includes('/') ? handle.slice(0, handle.indexOf('/')) : '';
    byProvider.set(provider, [...(byProvider.get(provider) ?? []), handle]);
  }
  const providers = [...byProvider].flatMap(([name, handles]) =>
    Array.from({ length: Math.ceil(handles.length / IN_GROUP) }, (_, at) => ({
      name,
      models: handles.slice(at * IN_GROUP, (at + 1) * IN_GROUP).map((handle) => ({ key: modelKey(handle), handle })),
    })),
  );
  const listed = providers.slice(0, GROUPS);
  const count = listed.reduce((sum, { models }) => sum + models.length, 0);
  return { providers: listed, more: all.length - count };
}

/** The efforts of the model that is chosen in the dialog, and which one is proposed: the only one, or the one used now. */
export function chosenIn({ entries, current }: ModelsSeen, key: string | null): ModelDialog['chosen'] {
  const handle = key === null ? (current?.handle ?? null) : null;
  const group = key === null ? groupModels(entries).find((each) => each.handle === handle) : findModel(entries, key);
  if (!group) return null;
  const { efforts } = group;
  const effort = efforts.find((each) => efforts.length === 1 || each === current?.effort) ?? null;
  return { key: modelKey(group.handle), efforts, effort };
}
