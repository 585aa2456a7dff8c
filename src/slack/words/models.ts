/** The dialog in which people choose a model. */
export const MODEL_DIALOG = {
  title: 'Model and tools',
  submit: 'Use it',
  wait: '⏳ Asking Letta which models there are…',
  model: 'Model',
  pick: 'Choose a model',
  usual: 'As usual',
  ownModel: 'The agent’s own model',
  effort: 'Effort',
  pickEffort: 'Choose an effort',
  toolset: 'Toolset',
  asItIs: 'As it is',
  toolsetHint: 'Which of its own tools the agent gets. Auto: Letta chooses by the model.',
  scope: 'For',
  conversation: 'This conversation, from the next answer on',
  channel: 'New conversations in this channel',
  unnamed: 'Models',
} as const;

/** @param name of a provider; foreign text, empty: none */
export function providerText(name: string): string {
  return name === '' ? MODEL_DIALOG.unnamed : name;
}

export function moreModelsText(more: number): string {
  return `${more} more models are not listed here. To find one, write \`!model\` and a part of its name.`;
}
