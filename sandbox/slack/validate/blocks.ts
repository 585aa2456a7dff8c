import { isObject, type JsonObject, objects } from '../model.ts';
import { ACTION_ELEMENTS, checkElement, checkText, checkTextObject, INPUT_ELEMENTS } from './objects.ts';
import { checkItems, checkKeys, checkString, type Problems } from './problems.ts';
import { checkTable } from './tables.ts';

export type BlockSurface = 'message' | 'modal' | 'home';

const EVERYWHERE = ['section', 'divider', 'header', 'context', 'actions', 'image', 'input', 'rich_text', 'video'];
const MESSAGES_ONLY = [
  'markdown',
  'table',
  'data_table',
  'data_visualization',
  'file',
  'context_actions',
  'alert',
  'card',
  'carousel',
  'container',
  'task_card',
  'plan',
];

const ANY_TEXT = ['plain_text', 'mrkdwn'] as const;
const PLAIN = ['plain_text'] as const;

function checkSection(block: JsonObject, at: string, problems: Problems): void {
  checkKeys(block, ['type', 'block_id', 'text', 'fields', 'accessory', 'expand'], at, problems);
  if (block.text === undefined && block.fields === undefined) {
    problems.addProblem('must define either `text` or `fields`', at);
  }
  checkText(block, 'text', { max: 3000, types: ANY_TEXT }, at, problems);
  checkItems(block, 'fields', { min: 1, max: 10 }, at, problems).forEach((field, index) => {
    checkTextObject(field, { max: 2000, types: ANY_TEXT }, `${at}/fields/${index}`, problems);
  });
  if (block.accessory === undefined) return;
  if (!isObject(block.accessory)) {
    problems.addProblem('must be an object', `${at}/accessory`);
    return;
  }
  if (block.accessory.type === 'image') {
    checkImage(block.accessory, `${at}/accessory`, problems);
    return;
  }
  checkElement(block.accessory, ACTION_ELEMENTS, `${at}/accessory`, problems);
}

function checkImage(block: JsonObject, at: string, problems: Problems): void {
  checkString(block, 'alt_text', { max: 2000, required: true }, at, problems);
  checkText(block, 'title', { max: 2000, types: PLAIN }, at, problems);
  if (block.image_url === undefined && block.slack_file === undefined) {
    problems.addProblem('must define either `image_url` or `slack_file`', at);
  }
}

function checkContext(block: JsonObject, at: string, problems: Problems): void {
  checkKeys(block, ['type', 'block_id', 'elements'], at, problems);
  checkItems(block, 'elements', { min: 1, max: 10, required: true }, at, problems).forEach((element, index) => {
    const inside = `${at}/elements/${index}`;
    if (element.type === 'image') checkImage(element, inside, problems);
    else checkTextObject(element, { max: 3000, types: ANY_TEXT }, inside, problems);
  });
}

function checkActions(block: JsonObject, max: number, at: string, problems: Problems): void {
  checkKeys(block, ['type', 'block_id', 'elements'], at, problems);
  const seen = new Set<unknown>();
  checkItems(block, 'elements', { min: 1, max, required: true }, at, problems).forEach((element, index) => {
    checkElement(element, ACTION_ELEMENTS, `${at}/elements/${index}`, problems);
    const id = element.action_id;
    if (id !== undefined && seen.has(id)) {
      problems.addProblem(`action_id \`${String(id)}\` already exists`, `${at}/elements/${index}/action_id`);
    }
    seen.add(id);
  });
}

function checkInput(block: JsonObject, at: string, problems: Problems): void {
  checkKeys(block, ['type', 'block_id', 'label', 'element', 'dispatch_action', 'hint', 'optional'], at, problems);
  checkText(block, 'label', { max: 2000, types: PLAIN, required: true }, at, problems);
  checkText(block, 'hint', { max: 2000, types: PLAIN }, at, problems);
  if (!isObject(block.element)) {
    problems.addProblem('missing required field: element', at);
    return;
  }
  checkElement(block.element, INPUT_ELEMENTS, `${at}/element`, problems);
}

const RICH_TEXT_PARTS = ['rich_text_section', 'rich_text_list', 'rich_text_quote', 'rich_text_preformatted'];

function checkRichText(block: JsonObject, at: string, problems: Problems): void {
  checkItems(block, 'elements', { max: 1000, required: true }, at, problems).forEach((element, index) => {
    if (typeof element.type !== 'string' || !RICH_TEXT_PARTS.includes(element.type)) {
      problems.addProblem(`unsupported type: ${String(element.type)}`, `${at}/elements/${index}/type`);
    } else if (!Array.isArray(element.elements)) {
      problems.addProblem('missing required field: elements', `${at}/elements/${index}`);
    }
  });
}

const TASK_STATES = ['pending', 'in_progress', 'complete', 'error'];

function checkTask(task: JsonObject, at: string, problems: Problems): void {
  checkKeys(task, ['type', 'block_id', 'task_id', 'title', 'details', 'output', 'sources', 'status'], at, problems);
  checkString(task, 'task_id', { min: 1, max: 255, required: true }, at, problems);
  checkString(task, 'title', { min: 1, max: 256, required: true }, at, problems);
  if (task.status !== undefined && !TASK_STATES.includes(String(task.status))) {
    problems.addProblem(`must be one of ${TASK_STATES.join(', ')}`, `${at}/status`);
  }
}

function checkPlan(block: JsonObject, at: string, problems: Problems): void {
  checkKeys(block, ['type', 'block_id', 'title', 'tasks'], at, problems);
  checkString(block, 'title', { min: 1, max: 256, required: true }, at, problems);
  const ids = new Set<unknown>();
  checkItems(block, 'tasks', { max: 50 }, at, problems).forEach((task, index) => {
    checkTask(task, `${at}/tasks/${index}`, problems);
    if (ids.has(task.task_id)) problems.addProblem('task_id already exists', `${at}/tasks/${index}/task_id`);
    ids.add(task.task_id);
  });
}

function checkBlock(block: JsonObject, at: string, problems: Problems): void {
  switch (block.type) {
    case 'section':
      checkSection(block, at, problems);
      break;
    case 'divider':
      checkKeys(block, ['type', 'block_id'], at, problems);
      break;
    case 'header':
      checkKeys(block, ['type', 'block_id', 'text', 'level'], at, problems);
      checkText(block, 'text', { max: 150, types: PLAIN, required: true }, at, problems);
      break;
    case 'context':
      checkContext(block, at, problems);
      break;
    case 'actions':
      checkActions(block, 25, at, problems);
      break;
    case 'context_actions':
      checkActions(block, 5, at, problems);
      break;
    case 'image':
      checkImage(block, at, problems);
      break;
    case 'input':
      checkInput(block, at, problems);
      break;
    case 'markdown':
      checkKeys(block, ['type', 'block_id', 'text'], at, problems);
      checkString(block, 'text', { min: 1, max: 12_000, required: true }, at, problems);
      break;
    case 'rich_text':
      checkRichText(block, at, problems);
      break;
    case 'table':
      checkTable(block, at, problems);
      break;
    case 'data_table':
      checkString(block, 'caption', { min: 1, max: 2000, required: true }, at, problems);
      break;
    case 'plan':
      checkPlan(block, at, problems);
      break;
    case 'task_card':
      checkTask(block, at, problems);
      break;
    case 'alert':
      checkText(block, 'text', { max: 200, types: ANY_TEXT, required: true }, at, problems);
      break;
    default:
      break;
  }
}

/** Shapes, sizes and doubled ids of blocks on one surface; what concerns the message as a whole is in `message.ts`. */
export function checkBlocks(blocks: unknown[], surface: BlockSurface, pointer: string, problems: Problems): void {
  const allowed = surface === 'message' ? [...EVERYWHERE, ...MESSAGES_ONLY] : EVERYWHERE;
  const blockIds = new Set<unknown>();
  for (const [index, block] of blocks.entries()) {
    checkBlockAt(block, allowed, `${pointer}/${index}`, blockIds, problems);
  }
}

function checkBlockAt(
  block: unknown,
  allowed: readonly string[],
  at: string,
  blockIds: Set<unknown>,
  problems: Problems,
): void {
  if (!isObject(block)) problems.addProblem('must be an object', at);
  else if (typeof block.type !== 'string') problems.addProblem('missing required field: type', at);
  else if (!allowed.includes(block.type)) problems.addProblem(`unsupported type: ${block.type}`, `${at}/type`);
  else {
    const { block_id: id, type } = block;
    checkString(block, 'block_id', { min: 1, max: 255 }, at, problems);
    if (id !== undefined && type !== 'markdown' && blockIds.has(id)) {
      problems.addProblem(`block_id \`${String(id)}\` already exists`, `${at}/block_id`);
    }
    blockIds.add(id);
    checkBlock(block, at, problems);
  }
}

/** Interactive elements of a block, in reading order. */
export function elementsOf(block: JsonObject): JsonObject[] {
  if (block.type === 'section') return objects([block.accessory]);
  if (block.type === 'input') return objects([block.element]);
  if (block.type === 'actions' || block.type === 'context_actions') return objects(block.elements);
  return [];
}
