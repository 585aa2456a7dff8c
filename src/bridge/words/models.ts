import { asCode } from '../text/as-code.ts';
import { oneLine } from '../text/one-line.ts';
import { plainName } from '../text/plain-name.ts';

export const MODELS = {
  noConversation: 'A model belongs to a conversation. Write me a message here first, then `!model`.',
  busy: 'I’m still asking Letta about models. Try again in a moment.',
  none: 'Letta names no model that can be used now. Check the providers on the agent’s machine.',
  notKnown: 'Letta doesn’t tell me which model this conversation uses.',
  nothingTaken: 'Nothing was changed.',
  same: 'This conversation uses that already. Nothing was changed.',
  vanished: 'Letta no longer lists that model, so nothing was changed. Choose another one.',
  pickOne: 'Choose a model for this conversation.',
  pickEffort: 'Choose an effort for this model.',
  notThere: 'There is nothing to choose here.',
  newOnly: 'It holds for conversations that begin from now on.',
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

/**
 * What is used now.
 * @param current of the conversation @param ofChannel whether it is about new conversations of the channel, too
 * @param bound what an admin chose for these
 */
export function modelNowText(current: Named | null, ofChannel: boolean, bound: Named | null): string {
  const isThread = current !== null || !ofChannel;
  const here = current === null ? MODELS.notKnown : `This conversation uses ${modelText(current)}.`;
  const fresh = bound === null ? 'the agent’s own model' : modelText(bound);
  return [...(isThread ? [here] : []), ...(ofChannel ? [`New conversations in this channel use ${fresh}.`] : [])].join(
    ' ',
  );
}

/** Letta's toolsets, for a thread whose device has not told them yet (docs/letta-protocol.md, Toolsets). */
export const TOOLSETS = [
  { id: 'auto', name: 'Auto' },
  { id: 'default', name: 'Claude' },
  { id: 'codex', name: 'Codex' },
  { id: 'letta', name: 'Letta' },
  { id: 'none', name: 'None' },
] as const;

/** How the command is written where its answer is read: outside of threads, `!model` would be ignored. */
export type ModelCommand = '!model' | '/agent model';

/**
 * The models that have the word in their names, {@link MODELS_LISTED} at most.
 * @param filter the words; empty: all models
 */
export function modelListText(
  groups: readonly { handle: string; efforts: readonly string[] }[],
  filter: string,
  command: ModelCommand,
): string[] {
  if (groups.length === 0) {
    return [filter === '' ? MODELS.none : `No model has ${asCode(filter)} in its name. \`${command}\` lists all.`];
  }
  const lines = groups.slice(0, MODELS_LISTED).map(({ handle, efforts }) => {
    const which = efforts.length === 0 ? '' : ` · ${efforts.slice(0, 10).map(plainName).join(', ')}`;
    return `- ${asCode(oneLine(handle, 100))}${which}`;
  });
  const more = groups.length - lines.length;
  const rest = more === 0 ? [] : [`… and ${more} more. To see fewer, add a word of the name: \`${command} sonnet\`.`];
  return [
    `To change it, write \`${command}\`, one of these names and, where there are several, an effort:`,
    ...lines,
    ...rest,
  ];
}

export function whichEffortText(handle: string, efforts: readonly string[], command: ModelCommand): string {
  const name = asCode(oneLine(handle, 100));
  if (efforts.length === 0) return `${name} has no efforts. Write the name alone.`;
  const some = efforts.slice(0, 10).map(plainName).join(', ');
  return `With which effort? Write \`${command}\`, ${name} and one of ${some}.`;
}

/** Says in the thread what Letta made of a choice. @param name of the person, no mention: it notifies no one */
export function modelChangedText(name: string, model: Named, appliedTo: 'conversation' | 'agent'): string {
  const whose = appliedTo === 'agent' ? 'for all conversations of the agent' : 'from the next answer on';
  return `— ${plainName(name) || 'Someone'} chose the model ${modelText(model)}: ${whose} —`;
}

/** Says in the thread what Letta made of a choice of tools. @param label its name @param current what `auto` is now; both foreign text */
export function toolsetChangedText(name: string, label: string, current: string): string {
  const isAuto = plainName(label).toLowerCase() === 'auto';
  const now = isAuto ? ` (now ${plainName(current)})` : '';
  return `— ${plainName(name) || 'Someone'} chose the toolset ${plainName(label)}${now}: from the next answer on —`;
}

/** A toolset by its name. @param id and names are foreign text */
export function toolsetText(id: string, options: readonly { id: string; name: string }[] = TOOLSETS): string {
  return `toolset ${plainName(options.find((each) => each.id === id)?.name ?? id)}`;
}

/** For a status line; nothing while Letta chooses, or when it is not known. Foreign text. */
export function toolsetTexts(
  toolsets: { chosen: string; options: readonly { id: string; name: string }[] } | null,
): string[] {
  if (!toolsets || toolsets.chosen === 'auto') return [];
  return [toolsetText(toolsets.chosen, toolsets.options)];
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
