import { isObject, type JsonObject } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { checkBlocks } from './blocks.ts';
import { checkText } from './objects.ts';
import { checkKeys, checkString, Problems } from './problems.ts';

const MODAL_KEYS = [
  'type',
  'title',
  'blocks',
  'close',
  'submit',
  'private_metadata',
  'callback_id',
  'clear_on_close',
  'notify_on_close',
  'external_id',
  'submit_disabled',
];
const HOME_KEYS = ['type', 'blocks', 'private_metadata', 'callback_id', 'external_id'];
const VIEW_BYTES = 250_000;

/** Refuses a view that Slack refuses (docs/slack.md, Size limits; Interactivity). */
export function validateView(view: unknown, type: 'modal' | 'home'): { view: JsonObject; blocks: unknown[] } {
  if (!isObject(view)) throw new Refusal('invalid_arguments', { messages: ['[ERROR] missing required field: view'] });
  if (JSON.stringify(view).length > VIEW_BYTES) throw new Refusal('view_too_large');
  const problems = new Problems();
  if (view.type !== type) problems.addProblem(`must be one of: ${type}`, '/view/type');
  checkKeys(view, type === 'modal' ? MODAL_KEYS : HOME_KEYS, '/view', problems);
  checkString(view, 'private_metadata', { max: 3000 }, '/view', problems);
  checkString(view, 'callback_id', { max: 255 }, '/view', problems);
  checkString(view, 'external_id', { max: 255 }, '/view', problems);
  const blocks = Array.isArray(view.blocks) ? view.blocks : [];
  if (!Array.isArray(view.blocks)) problems.addProblem('missing required field: blocks', '/view');
  if (blocks.length > 100) problems.addProblem('no more than 100 items allowed', '/view/blocks');
  if (type === 'modal') {
    const short = { max: 24, types: ['plain_text'] as const };
    checkText(view, 'title', { ...short, required: true }, '/view', problems);
    checkText(view, 'submit', short, '/view', problems);
    checkText(view, 'close', short, '/view', problems);
    if (blocks.some((block) => isObject(block) && block.type === 'input') && view.submit === undefined) {
      problems.addProblem('missing required field: submit', '/view');
    }
  }
  checkBlocks(blocks, type, '/view/blocks', problems);
  if (problems.hasAny) throw new Refusal('invalid_arguments', { messages: problems.list.map((p) => `[ERROR] ${p}`) });
  return { view, blocks };
}
