import type { Delivered } from './delivery.ts';
import { isObject, type JsonObject, objects, type StoredMessage, type StoredView } from './model.ts';
import { APP_ID } from './state.ts';
import { elementsOf } from './validate/blocks.ts';
import { initialValues } from './views.ts';
import { messageWire, viewWire } from './wire.ts';
import type { World } from './world.ts';

export interface Found {
  block: JsonObject;
  element: JsonObject;
  /** The option of an overflow menu that was found by its label. */
  option?: JsonObject | undefined;
}

/** An icon has no words, so a person who cannot see it knows it by its accessibility label. */
export function labelOf(element: JsonObject): string {
  const text = isObject(element.text) ? String(element.text.text) : '';
  return /[\p{L}\p{N}]/u.test(text) ? text : String(element.accessibility_label ?? text);
}

/**
 * Elements whose action_id or label is `action`, or overflow menus with an option of that label; narrowed by the button's
 * value if that is given.
 */
export function findElements(blocks: JsonObject[], action: string, value: string | undefined): Found[] {
  const all = blocks.flatMap((block) => elementsOf(block).map((element): Found => ({ block, element })));
  const byId = all.filter(({ element }) => element.action_id === action);
  const byLabel = all.flatMap((found) => {
    if (labelOf(found.element) === action) return [found];
    const options = found.element.type === 'overflow' ? objects(found.element.options) : [];
    return options.filter((option) => labelOf(option) === action).map((option) => ({ ...found, option }));
  });
  const found = byId.length > 0 ? byId : byLabel;
  const buttons = found.filter(
    ({ element }) => element.type !== 'button' || value === undefined || element.value === value,
  );
  return found.length > 1 ? buttons : found;
}

function optionOf(element: JsonObject, wanted: string): JsonObject | undefined {
  const groups = objects(element.option_groups).flatMap((group) => objects(group.options));
  const options = [...objects(element.options), ...groups];
  return options.find((option) => option.value === wanted) ?? options.find((option) => labelOf(option) === wanted);
}

export interface Choice {
  /** Value or label of the option(s). */
  option?: string | string[] | undefined;
  value?: string | undefined;
}

const SINGLE = ['static_select', 'radio_buttons', 'overflow'];
const MULTIPLE = ['checkboxes', 'multi_static_select'];
const PICKED: Record<string, string> = {
  users_select: 'selected_user',
  conversations_select: 'selected_conversation',
  channels_select: 'selected_channel',
  datepicker: 'selected_date',
  timepicker: 'selected_time',
};

/** The state that a person's choice gives an element; a string says why the choice is invalid. */
export function readChoice(element: JsonObject, { option, value }: Choice): JsonObject | string {
  const type = String(element.type);
  const wanted = (Array.isArray(option) ? option : [option ?? value]).filter((item) => item !== undefined);
  if (SINGLE.includes(type)) {
    const found = wanted[0] === undefined ? undefined : optionOf(element, wanted[0]);
    return found ? { selected_option: found } : `no such option: ${wanted[0] ?? '(none given)'}`;
  }
  if (MULTIPLE.includes(type)) {
    const found = wanted.map((item) => optionOf(element, item));
    const missing = wanted.find((_item, index) => found[index] === undefined);
    return missing === undefined ? { selected_options: found } : `no such option: ${missing}`;
  }
  const picked = PICKED[type];
  if (picked !== undefined) return wanted[0] === undefined ? 'a value is needed' : { [picked]: wanted[0] };
  if (type.endsWith('_input')) return { value: wanted[0] ?? null };
  return {};
}

function userPayload(world: World, userId: string): JsonObject {
  const user = world.workspace.users.get(userId);
  return {
    id: userId,
    username: user?.name ?? userId,
    name: user?.name ?? userId,
    team_id: user?.team ?? world.workspace.team.id,
  };
}

/** The action as Slack describes it: the element's own keys and what was chosen. */
function actionPayload(world: World, { block, element }: Found, choice: JsonObject): JsonObject {
  const { type, options: _options, option_groups: _groups, accessibility_label: _label, ...rest } = element;
  const action_ts = world.workspace.nextTs('actions');
  if (type === 'button') return { ...rest, block_id: block.block_id, type, ...choice, action_ts };
  return { type, ...rest, block_id: block.block_id, ...choice, action_ts };
}

function commonPayload(world: World, user: string): JsonObject {
  return {
    type: 'block_actions',
    user: userPayload(world, user),
    api_app_id: APP_ID,
    token: 'verification-token',
  };
}

/** Whose interaction it is. Of an org-wide installation it names the organisation, and no team. */
function teamPayload({ workspace: { team }, installedAs }: World): JsonObject {
  const isForAll = installedAs?.startsWith('E') ?? false;
  return {
    team: isForAll ? null : { id: team.id, domain: team.domain },
    enterprise: team.enterprise,
    is_enterprise_install: isForAll,
  };
}

/** `block_actions` of a message, as recorded (docs/slack.md, Interactivity). */
export function messageAction(
  world: World,
  message: StoredMessage,
  user: string,
  found: Found,
  choice: JsonObject,
  values: Record<string, JsonObject>,
): { payload: JsonObject; triggerId: string } {
  const channel = world.workspace.findChannel(message.channel);
  const ephemeral = message.ephemeralFor !== undefined;
  const thread = message.threadTs === undefined ? {} : { thread_ts: message.threadTs };
  const trigger_id = world.triggers.makeTrigger({ user, viewId: null });
  const payload = {
    ...commonPayload(world, user),
    container: {
      type: 'message',
      message_ts: message.ts,
      channel_id: message.channel,
      is_ephemeral: ephemeral,
      ...thread,
    },
    trigger_id,
    ...teamPayload(world),
    channel: { id: message.channel, name: channel?.kind === 'im' ? 'directmessage' : (channel?.name ?? '') },
    ...(!ephemeral && { message: messageWire(world, message, { profile: false }) }),
    state: { values },
    response_url: world.responseUrls.makeUrl({
      kind: 'actions',
      channel: message.channel,
      user,
      messageTs: message.ts,
      ...(message.threadTs !== undefined && { threadTs: message.threadTs }),
    }),
    actions: [actionPayload(world, found, choice)],
  };
  return { payload, triggerId: trigger_id };
}

/** A shortcut in a message's menu (docs.slack.dev/interactivity/implementing-shortcuts). */
export function messageShortcut(world: World, message: StoredMessage, user: string, callbackId: string): JsonObject {
  const channel = world.workspace.findChannel(message.channel);
  return {
    type: 'message_action',
    token: 'verification-token',
    action_ts: world.workspace.nextTs('actions'),
    ...teamPayload(world),
    user: userPayload(world, user),
    channel: { id: message.channel, name: channel?.kind === 'im' ? 'directmessage' : (channel?.name ?? '') },
    callback_id: callbackId,
    trigger_id: world.triggers.makeTrigger({ user, viewId: null }),
    response_url: world.responseUrls.makeUrl({ kind: 'actions', channel: message.channel, user }),
    message_ts: message.ts,
    message: messageWire(world, message, { profile: false }),
  };
}

export function viewAction(world: World, view: StoredView, user: string, found: Found, choice: JsonObject): JsonObject {
  return {
    ...commonPayload(world, user),
    container: { type: 'view', view_id: view.id },
    trigger_id: world.triggers.makeTrigger({ user, viewId: view.type === 'modal' ? view.id : null }),
    ...teamPayload(world),
    view: viewWire(world, view),
    actions: [actionPayload(world, found, choice)],
  };
}

export function viewSubmission(world: World, view: StoredView, user: string): JsonObject {
  return {
    type: 'view_submission',
    ...teamPayload(world),
    user: userPayload(world, user),
    api_app_id: APP_ID,
    token: 'verification-token',
    trigger_id: world.triggers.makeTrigger({ user, viewId: view.id }),
    view: viewWire(world, view),
    response_urls: [],
  };
}

export function viewClosed(world: World, view: StoredView, user: string, cleared: boolean): JsonObject {
  return {
    type: 'view_closed',
    ...teamPayload(world),
    user: userPayload(world, user),
    api_app_id: APP_ID,
    token: 'verification-token',
    view: viewWire(world, view),
    is_cleared: cleared,
  };
}

export function slashCommand(
  world: World,
  input: { channel: string; user: string; command: string; text: string },
): JsonObject {
  const channel = world.workspace.findChannel(input.channel);
  const { team } = world.workspace;
  return {
    token: 'verification-token',
    team_id: team.id,
    team_domain: team.domain,
    ...(team.enterprise && { enterprise_id: team.enterprise.id, enterprise_name: team.enterprise.name }),
    channel_id: input.channel,
    channel_name:
      channel?.kind === 'im' ? 'directmessage' : channel?.kind === 'private' ? 'privategroup' : (channel?.name ?? ''),
    user_id: input.user,
    user_name: world.workspace.users.get(input.user)?.name ?? input.user,
    command: input.command,
    text: input.text,
    api_app_id: APP_ID,
    is_enterprise_install: String(world.installedAs?.startsWith('E') ?? false),
    response_url: world.responseUrls.makeUrl({ kind: 'commands', channel: input.channel, user: input.user }),
    trigger_id: world.triggers.makeTrigger({ user: input.user, viewId: null }),
  };
}

/** `state.values` of a message's inputs, with the choice just made. */
export function messageState(blocks: JsonObject[], found: Found, choice: JsonObject): Record<string, JsonObject> {
  const values = initialValues(blocks);
  const { block, element } = found;
  if (element.type === 'button' || element.type === 'overflow') return values;
  const id = String(block.block_id);
  values[id] = { ...values[id], [String(element.action_id)]: { type: element.type, ...choice } };
  return values;
}

export function deliverInteraction(world: World, payload: JsonObject): Promise<Delivered> {
  return world.deliveries.deliver({ kind: 'interactive', payload });
}
