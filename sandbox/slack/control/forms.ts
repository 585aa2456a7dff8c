import { type Found, readChoice } from '../interactions.ts';
import { isObject, type JsonObject, type StoredView } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { elementsOf } from '../validate/blocks.ts';
import { closeViews, makeView, replaceView, STACK_MAX } from '../views.ts';
import type { World } from '../world.ts';
import { ControlError, type SubmitResult } from './api.ts';

export function setValue(view: StoredView, { block, element }: Found, choice: JsonObject): void {
  const id = String(block.block_id);
  view.values[id] = { ...view.values[id], [String(element.action_id)]: { type: element.type, ...choice } };
}

/** Fills the form; returns the errors that Slack's client itself would show. */
export function fillForm(view: StoredView, values: Record<string, string | string[]>): Record<string, string> {
  const inputs = view.blocks.flatMap((block) => elementsOf(block).map((element) => ({ block, element })));
  const label = (block: JsonObject) => (isObject(block.label) ? String(block.label.text) : undefined);
  for (const [key, value] of Object.entries(values)) {
    const found =
      inputs.find(({ block }) => block.block_id === key) ??
      inputs.find(({ block, element }) => label(block) === key || element.action_id === key);
    if (!found) throw new ControlError(404, `no input "${key}" in this modal`);
    const choice = readChoice(found.element, Array.isArray(value) ? { option: value } : { value });
    if (typeof choice === 'string') throw new ControlError(400, choice);
    setValue(view, found, choice);
  }
  const errors: Record<string, string> = {};
  for (const { block, element } of inputs) {
    if (block.type !== 'input') continue;
    const state = view.values[String(block.block_id)]?.[String(element.action_id)];
    const problem = problemOf(block, element, isObject(state) ? state : {});
    if (problem !== null) errors[String(block.block_id)] = problem;
  }
  return errors;
}

function problemOf(block: JsonObject, element: JsonObject, state: JsonObject): string | null {
  const { type: _type, ...rest } = state;
  const value = Object.values(rest)[0];
  const empty = value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
  if (empty) return block.optional === true ? null : 'Please complete this required field.';
  if (typeof value !== 'string') return null;
  const max = typeof element.max_length === 'number' ? element.max_length : 3000;
  if (value.length > max) return `Must be at most ${max} characters.`;
  if (typeof element.min_length === 'number' && value.length < element.min_length) {
    return `Must be at least ${element.min_length} characters.`;
  }
  return null;
}

function stringMap(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

/** What the ack of a submission does to the stack (docs/slack.md, Interactivity). */
export function applyResponse(
  world: World,
  view: StoredView,
  payload: unknown,
): Pick<SubmitResult, 'response_action' | 'errors' | 'closed'> {
  const { stacks } = world.workspace;
  const stack = stacks.get(view.user) ?? [];
  const action = isObject(payload) ? payload.response_action : undefined;
  try {
    switch (isObject(payload) ? action : undefined) {
      case 'errors':
        return { response_action: 'errors', errors: stringMap(isObject(payload) && payload.errors), closed: false };
      case 'update':
        replaceView(world, view, isObject(payload) ? payload.view : undefined);
        return { response_action: 'update', closed: false };
      case 'push': {
        if (stack.length >= STACK_MAX) throw new ControlError(502, 'the app pushed a fourth view');
        const next = makeView(world, isObject(payload) ? payload.view : undefined, 'modal');
        Object.assign(next, { user: view.user, rootId: view.rootId, previousId: view.id });
        stacks.set(view.user, [...stack, next]);
        return { response_action: 'push', closed: false };
      }
      case 'clear':
        closeViews(world, view.user);
        return { response_action: 'clear', closed: true };
      default: {
        const rest = stack.filter((other) => other !== view);
        if (rest.length > 0) stacks.set(view.user, rest);
        else closeViews(world, view.user);
        return { closed: true };
      }
    }
  } catch (error) {
    if (error instanceof Refusal)
      throw new ControlError(502, `the app answered with a bad view: ${JSON.stringify(error.body)}`);
    throw error;
  }
}
