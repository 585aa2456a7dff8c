import { isObject, type JsonObject, objects } from './model.ts';
import type { World } from './world.ts';

function withDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withDefaults);
  if (!isObject(value)) return value;
  const inner = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withDefaults(item)]));
  if (typeof value.text === 'string') {
    if (value.type === 'plain_text') return { ...inner, emoji: value.emoji ?? true };
    if (value.type === 'mrkdwn') return { ...inner, verbatim: value.verbatim ?? false };
  }
  return inner;
}

/** A value with the defaults that Slack writes into its text objects. */
export function storedText(value: unknown): unknown {
  return withDefaults(value);
}

function withActionIds(world: World, block: JsonObject): JsonObject {
  const named = (element: unknown) =>
    isObject(element) && element.type !== 'image' && element.action_id === undefined
      ? { ...element, action_id: world.workspace.nextBlockId() }
      : element;
  switch (block.type) {
    case 'input':
      return { optional: false, dispatch_action: false, ...block, element: named(block.element) };
    case 'actions':
    case 'context_actions':
      return { ...block, elements: objects(block.elements).map(named) };
    case 'section':
      return block.accessory === undefined ? block : { ...block, accessory: named(block.accessory) };
    default:
      return block;
  }
}

/** Blocks as Slack stores them: every block and element has an id, every text object its defaults. */
export function storedBlocks(world: World, blocks: JsonObject[]): JsonObject[] {
  return blocks.map((block) => {
    const { type, block_id: given, ...rest } = block;
    // A markdown block's own id is ignored (docs/slack.md, Markdown blocks).
    const id = (type === 'markdown' ? undefined : given) ?? world.workspace.nextBlockId();
    const kept = type === 'rich_text' ? rest : objects([withDefaults(rest)])[0];
    return withActionIds(world, { type, block_id: id, ...kept });
  });
}
