import type { Delivered } from '../delivery.ts';
import {
  deliverInteraction,
  type Found,
  findElements,
  messageAction,
  messageState,
  readChoice,
  viewAction,
} from '../interactions.ts';
import type { JsonObject } from '../model.ts';
import type { World } from '../world.ts';
import { type AckResult, ControlError, type InteractInput } from './api.ts';
import { setValue } from './forms.ts';
import { channelOf, memberOf, personOf } from './people.ts';

export function ackResult({ acked, ackMs, ackPayload }: Delivered): AckResult {
  return { acked, ackMs, response: ackPayload ?? null };
}

function onlyOne(found: Found[], action: string): Found {
  const [first] = found;
  if (!first) throw new ControlError(404, `no button or menu "${action}" there`);
  if (found.length > 1) throw new ControlError(409, `"${action}" is there ${found.length} times: give its value`);
  return first;
}

function choiceOf({ element, option }: Found, input: InteractInput): JsonObject {
  if (element.type === 'button') return {};
  if (option) return { selected_option: option };
  const choice = readChoice(element, input);
  if (typeof choice === 'string') throw new ControlError(400, choice);
  return choice;
}

function isChoice(element: JsonObject): boolean {
  return element.type !== 'button' && element.type !== 'overflow';
}

export async function clickMessage(world: World, input: InteractInput): Promise<AckResult> {
  const channel = channelOf(world, input.channel ?? '');
  const user = memberOf(world, channel, input.user);
  const message = channel.messages.find((candidate) => candidate.ts === input.messageTs);
  if (!message || message.isTombstone || (message.ephemeralFor !== undefined && message.ephemeralFor !== user)) {
    throw new ControlError(404, `no message ${input.messageTs} that ${user} sees in ${channel.id}`);
  }
  const found = onlyOne(findElements(message.blocks, input.action, input.value), input.action);
  const choice = choiceOf(found, input);
  const values = messageState(message.blocks, found, choice);
  const { payload } = messageAction(world, message, user, found, choice, values);
  return ackResult(await deliverInteraction(world, payload));
}

export async function clickView(world: World, input: InteractInput): Promise<AckResult> {
  const user = personOf(world, input.user);
  const stack = world.workspace.stacks.get(user);
  const view = input.view === 'home' ? world.workspace.homes.get(user) : stack?.at(-1);
  if (!view) throw new ControlError(404, `${user} has no open ${input.view ?? 'view'}`);
  const found = onlyOne(findElements(view.blocks, input.action, input.value), input.action);
  const choice = choiceOf(found, input);
  if (isChoice(found.element)) setValue(view, found, choice);
  return ackResult(await deliverInteraction(world, viewAction(world, view, user, found, choice)));
}
