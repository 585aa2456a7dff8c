import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';
import { plainName } from '../text/plain-name.ts';

export const MODELS = {
  noConversation: 'A model belongs to a conversation. Write me a message here first, then `!model`.',
  busy: 'I’m still asking Letta about models. Try again in a moment.',
  none: 'Letta names no model that can be used now. Check the providers on the agent’s machine.',
  notKnown: 'Letta doesn’t tell me which model this conversation uses.',
  nothingTaken: 'Nothing was changed.',
  unsure: 'I don’t know whether Letta took the model. `!model` shows which one is used.',
} as const;

/** How many models a list names. */
export const MODELS_LISTED = 20;

interface Named {
  handle: string;
  effort: string | null;
}

/** A model as code, with its effort. Both are foreign text. */
function modelText({ handle, effort }: Named): string {
  const name = asCode(oneLine(handle, 100));
  return effort === null ? name : `${name}, effort ${plainName(effort)}`;
}

/** What the conversation uses. */
export function currentModelText(model: Named | null): string {
  return model === null ? MODELS.notKnown : `This conversation uses ${modelText(model)}.`;
}

/**
 * The models that have the word in their names, {@link MODELS_LISTED} at most.
 * @param filter the words; empty: all models
 */
export function modelListText(
  groups: readonly { handle: string; efforts: readonly string[] }[],
  filter: string,
): string[] {
  if (groups.length === 0) {
    return [filter === '' ? MODELS.none : `No model has ${asCode(filter)} in its name. \`!model\` lists all.`];
  }
  const lines = groups.slice(0, MODELS_LISTED).map(({ handle, efforts }) => {
    const which = efforts.length === 0 ? '' : ` · ${efforts.slice(0, 10).map(plainName).join(', ')}`;
    return `- ${asCode(oneLine(handle, 100))}${which}`;
  });
  const more = groups.length - lines.length;
  const rest = more === 0 ? [] : [`… and ${more} more. To see fewer, add a word of the name: \`!model sonnet\`.`];
  return [
    'To change it, write `!model`, one of these names and, where there are several, an effort:',
    ...lines,
    ...rest,
  ];
}

export function whichEffortText(handle: string, efforts: readonly string[]): string {
  const name = asCode(oneLine(handle, 100));
  if (efforts.length === 0) return `${name} has no efforts. Write the name alone.`;
  return `With which effort? Write \`!model\`, ${name} and one of ${efforts.slice(0, 10).map(plainName).join(', ')}.`;
}

/** Says in the thread what Letta made of a choice. @param name of the person, no mention: it notifies no one */
export function modelChangedText(name: string, model: Named, appliedTo: 'conversation' | 'agent'): string {
  const whose = appliedTo === 'agent' ? 'for all conversations of the agent' : 'from the next answer on';
  return `— ${plainName(name) || 'Someone'} chose the model ${modelText(model)}: ${whose} —`;
}

/** For a status line; nothing when it is not known. */
export function modelTexts(model: Named | null): string[] {
  return model === null ? [] : [`model ${modelText(model)}`];
}

/** For a status line; nothing when it is not known. @param percent of the model's context */
export function contextTexts(percent: number | null): string[] {
  return percent === null ? [] : [`context ${percent} %`];
}

/** @param percent of the model's context */
export function contextFullText(percent: number): string {
  return `This conversation fills ${percent} % of the model’s context. When it is full, Letta summarises the earlier messages. To start a new one, write \`!new\`.`;
}

export const COMPACTED =
  'Letta summarised the earlier messages of this conversation, because the model’s context was full.';
