import { isObject, type JsonObject, objects, type StoredView } from './model.ts';
import { Refusal } from './refusal.ts';
import { storedBlocks, storedText } from './stored-blocks.ts';
import { elementsOf } from './validate/blocks.ts';
import { validateView } from './validate/view.ts';
import type { World } from './world.ts';

export const STACK_MAX = 3;

function initialState(element: JsonObject): JsonObject | undefined {
  const { type } = element;
  if (type === 'plain_text_input') return { type, value: element.initial_value ?? null };
  if (type === 'static_select' || type === 'radio_buttons') {
    return { type, selected_option: element.initial_option ?? null };
  }
  if (type === 'checkboxes' || type === 'multi_static_select') {
    return { type, selected_options: element.initial_options ?? [] };
  }
  return undefined;
}

/** The state a form starts with: block_id → action_id → value. */
export function initialValues(blocks: JsonObject[]): Record<string, JsonObject> {
  const values: Record<string, JsonObject> = {};
  for (const block of blocks) {
    for (const element of elementsOf(block)) {
      const state = initialState(element);
      if (!state) continue;
      const id = String(block.block_id);
      values[id] = { ...values[id], [String(element.action_id)]: state };
    }
  }
  return values;
}

function newHash(world: World): string {
  return `${Math.floor(world.now() / 1000)}.${world.workspace.nextBlockId().replace('/', 'x')}`;
}

function claimExternalId(world: World, externalId: string, self: StoredView | undefined): void {
  if (externalId === '') return;
  const taken = [...world.workspace.stacks.values()].flat().some((v) => v.externalId === externalId && v !== self);
  if (taken) throw new Refusal('duplicate_external_id');
}

function withTitles(source: JsonObject): JsonObject {
  const { title, submit, close } = source;
  return {
    ...source,
    ...(title !== undefined && { title: storedText(title) }),
    ...(submit !== undefined && { submit: storedText(submit) }),
    ...(close !== undefined && { close: storedText(close) }),
  };
}

/** Makes a view from what the app sent; the caller sets its user and its place in the stack. */
export function makeView(world: World, given: unknown, type: 'modal' | 'home'): StoredView {
  const { view: source, blocks } = validateView(given, type);
  const id = world.workspace.nextId('V');
  const content = storedBlocks(world, objects(blocks));
  const externalId = typeof source.external_id === 'string' ? source.external_id : '';
  claimExternalId(world, externalId, undefined);
  return {
    id,
    type,
    user: '',
    source: withTitles(source),
    blocks: content,
    hash: newHash(world),
    externalId,
    rootId: id,
    previousId: null,
    values: initialValues(content),
  };
}

/** `views.update` and `response_action: update`; what people typed in blocks that keep their ids stays. */
export function replaceView(world: World, view: StoredView, given: unknown): void {
  const { view: source, blocks } = validateView(given, view.type);
  const externalId = typeof source.external_id === 'string' ? source.external_id : '';
  claimExternalId(world, externalId, view);
  view.source = withTitles(source);
  view.externalId = externalId;
  view.blocks = storedBlocks(world, objects(blocks));
  const fresh = initialValues(view.blocks);
  for (const [blockId, actions] of Object.entries(fresh)) {
    for (const actionId of Object.keys(actions)) {
      const old = view.values[blockId]?.[actionId];
      if (isObject(old)) actions[actionId] = old;
    }
  }
  view.values = fresh;
  view.hash = newHash(world);
}

/** Closes a person's whole stack. */
export function closeViews(world: World, user: string): void {
  world.workspace.stacks.delete(user);
}
