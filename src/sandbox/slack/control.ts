import type { Delivered } from './delivery.ts';
import { appHomeOpened, channelIdChanged, contextChanged, sessionStopped } from './events.ts';
import type { CallFault, SocketFault } from './faults.ts';
import { fileType } from './files.ts';
import type { HttpDelivery } from './http-delivery.ts';
import {
  chosen,
  type Found,
  findElements,
  interact,
  messageAction,
  messageState,
  slashCommand,
  viewAction,
  viewClosed,
  viewSubmission,
} from './interactions.ts';
import type { LogEntry } from './log.ts';
import { deleteMessage, editMessage, join, leave, postMessage, react } from './messages.ts';
import { type Channel, isObject, type JsonObject, type StoredMessage, type StoredView } from './model.ts';
import { Refusal } from './refusal.ts';
import { respond } from './response-urls.ts';
import { APP_ID, BOT, OTHER_BOT, TEAM } from './state.ts';
import { typed } from './text/tokens.ts';
import { elementsOf } from './validate/blocks.ts';
import { closeViews, makeView, replaceView, STACK_MAX } from './views.ts';
import { fileWire, viewWire } from './wire.ts';
import type { World } from './world.ts';

/** What a person can not do here, or what was asked wrongly. */
export class ControlError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ControlError';
    this.status = status;
  }
}

export interface MessageInput {
  channel: string;
  user: string;
  /** As a person types it: `@agent`, `@alice`, `@here`, `#general` become tokens, `&`, `<`, `>` are escaped. */
  text: string;
  thread_ts?: string | undefined;
  files?:
    | { name: string; content?: string | undefined; base64?: string | undefined; mimetype?: string | undefined }[]
    | undefined;
  /** `me_message`, `thread_broadcast`, `bot_message` (another app's bot), `channel_join`, …; `file_share` comes by itself. */
  subtype?: string | undefined;
}

export interface InteractInput {
  user: string;
  /** The element's action_id or a button's label. */
  action: string;
  channel?: string | undefined;
  messageTs?: string | undefined;
  /** Instead of a message: the person's top modal or Home tab. */
  view?: 'modal' | 'home' | undefined;
  option?: string | string[] | undefined;
  value?: string | undefined;
}

export interface AckResult {
  acked: boolean;
  /** ms until the ack; null when none came. */
  ackMs: number | null;
  /** The ack's own payload, if it had one. */
  response: unknown;
}

export interface SubmitResult extends AckResult {
  response_action?: string;
  errors?: Record<string, string>;
  /** True when the modal is gone afterwards. */
  closed: boolean;
}

/** A message as people see it. */
export interface SeenMessage {
  channel: string;
  ts: string;
  thread_ts: string | null;
  user: string | null;
  bot_id: string | null;
  name: string;
  subtype: string | null;
  text: string;
  blocks: JsonObject[];
  attachments: JsonObject[];
  files: JsonObject[];
  metadata: JsonObject | null;
  /** Whether "(edited)" shows. */
  edited: boolean;
  /** How often its content was written; 1 for a fresh message. */
  revisions: number;
  deleted: boolean;
  /** The only one who sees it. */
  ephemeral: string | null;
  /** Whom any revision of it would notify: user ids, user group ids, `here`, `channel`, `everyone`. */
  pings: string[];
  reactions: Record<string, string[]>;
  reply_count: number;
}

export interface SlackState {
  team: string;
  app: string;
  bot: string;
  now: number;
  users: { id: string; name: string; kind: string; team: string }[];
  channels: { id: string; name: string; kind: string; members: string[]; archived: boolean; messages: number }[];
  connections: { id: number; frozen: boolean }[];
  limits: 'on' | 'off';
  /** 429s per method. */
  ratelimited: Record<string, number>;
  statuses: { channel: string; thread_ts: string; status: string; loading_messages: string[]; age_ms: number }[];
  sessions: { channel: string; thread_ts: string; status: string; title: string }[];
  /** Payloads that are not acked yet or wait for a retry. */
  pending: number;
  faults: CallFault[];
}

/** What a person, or the world, does to the small Slack. `…Ts` and `ts` are message timestamps. */
export interface Control {
  message(input: MessageInput): Promise<{ channel: string; ts: string; thread_ts: string | null; text: string }>;
  interact(input: InteractInput): Promise<AckResult>;
  /** `values`: block_id or label → what was typed or chosen. */
  viewSubmit(input: { user: string; values?: Record<string, string | string[]> | undefined }): Promise<SubmitResult>;
  viewClose(input: { user: string }): Promise<{ closed: boolean }>;
  command(input: {
    channel: string;
    user: string;
    command: string;
    text?: string | undefined;
    thread_ts?: string | undefined;
  }): Promise<AckResult>;
  reaction(input: {
    channel: string;
    messageTs: string;
    user: string;
    name: string;
    remove?: boolean | undefined;
  }): Promise<{ changed: boolean }>;
  editMessage(input: { channel: string; messageTs: string; user: string; text: string }): Promise<{ ts: string }>;
  deleteMessage(input: { channel: string; messageTs: string; user?: string | undefined }): Promise<{ ts: string }>;
  openHome(input: { user: string; tab?: 'home' | 'messages' | undefined }): Promise<{ channel: string }>;
  member(input: {
    channel: string;
    user: string;
    joined: boolean;
    inviter?: string | undefined;
  }): Promise<{ changed: boolean }>;
  archive(input: { channel: string; archived?: boolean | undefined }): Promise<{ archived: boolean }>;
  changeChannelId(input: { channel: string; newId: string }): Promise<{ channel: string }>;
  stopSession(input: { channel: string; user: string; thread_ts: string }): Promise<Record<never, never>>;
  contextChanged(input: { user: string; channel: string }): Promise<Record<never, never>>;
  /** Deactivates or revives a person. */
  user(input: { user: string; deleted: boolean }): Promise<Record<never, never>>;
  /** Makes every Web API call fail with this word; null takes it back. */
  revoke(input: { error: string | null }): Promise<Record<never, never>>;
  verifyUrl(): Promise<{ verified: boolean }>;
  faults(input: CallFault | SocketFault | { kind: 'clear' }): Promise<Record<never, never>>;
  reset(): Promise<Record<never, never>>;
  /** Oldest first. `thread_ts`: that thread with its root. `user`: with the ephemeral messages of this person. */
  messages(channel: string, filter?: { thread_ts?: string | undefined; user?: string | undefined }): SeenMessage[];
  views(user: string): { modals: JsonObject[]; home: JsonObject | null };
  log(filter?: { type?: string | undefined; method?: string | undefined }): LogEntry[];
  state(): SlackState;
}

function channelOf(world: World, id: string): Channel {
  const channel = world.workspace.channel(id);
  if (!channel) throw new ControlError(404, `no such channel: ${id}`);
  return channel;
}

function personOf(world: World, id: string): string {
  const user = world.workspace.users.get(id);
  if (!user) throw new ControlError(404, `no such user: ${id}`);
  if (user.kind === 'bot') throw new ControlError(400, 'the bot acts through the Web API, not here');
  return id;
}

function memberOf(world: World, channel: Channel, id: string): string {
  personOf(world, id);
  if (!channel.members.has(id)) throw new ControlError(403, `${id} is not in ${channel.id}`);
  return id;
}

function names(world: World) {
  const { users, userGroups, channels } = world.workspace;
  return {
    mention(name: string): string | undefined {
      const lower = name.toLowerCase();
      if (['here', 'channel', 'everyone'].includes(lower)) return `<!${lower}>`;
      const user = [...users.values()].find((candidate) => candidate.name === lower);
      if (user) return `<@${user.id}>`;
      const group = [...userGroups.values()].find((candidate) => candidate.handle === lower);
      return group && `<!subteam^${group.id}>`;
    },
    channel(name: string): string | undefined {
      const channel = [...channels.values()].find((candidate) => candidate.name === name.toLowerCase());
      return channel && `<#${channel.id}>`;
    },
  };
}

function clientMsgId(world: World): string {
  const hex = () =>
    Math.floor(world.random() * 0x10000)
      .toString(16)
      .padStart(4, '0');
  return `${hex()}${hex()}-${hex()}-4${hex().slice(1)}-8${hex().slice(1)}-${hex()}${hex()}${hex()}`;
}

function seen(world: World, message: StoredMessage): SeenMessage {
  const own = message.user === BOT.userId;
  return {
    channel: message.channel,
    ts: message.ts,
    thread_ts: message.threadTs ?? null,
    user: message.user ?? null,
    bot_id: own ? BOT.botId : (message.botId ?? null),
    name: world.workspace.users.get(message.user ?? '')?.realName ?? message.username ?? OTHER_BOT.name,
    subtype: message.subtype ?? null,
    text: message.text,
    blocks: message.blocks,
    attachments: message.attachments,
    files: message.files.map((file) => fileWire(world, file)),
    metadata: message.metadata ?? null,
    edited: message.edited !== undefined,
    revisions: message.revisions,
    deleted: message.tombstone,
    ephemeral: message.ephemeralFor ?? null,
    pings: message.pings,
    reactions: Object.fromEntries(message.reactions),
    reply_count: world.workspace.replies(message.channel, message.ts).length,
  };
}

function ackResult({ acked, ackMs, ackPayload }: Delivered): AckResult {
  return { acked, ackMs, response: ackPayload ?? null };
}

function pick(found: Found[], action: string): Found {
  const [first] = found;
  if (!first) throw new ControlError(404, `no button or menu "${action}" there`);
  if (found.length > 1) throw new ControlError(409, `"${action}" is there ${found.length} times: give its value`);
  return first;
}

function choose(element: JsonObject, input: InteractInput): JsonObject {
  const choice = chosen(element, input);
  if (typeof choice === 'string') throw new ControlError(400, choice);
  return choice;
}

function isChoice(element: JsonObject): boolean {
  return element.type !== 'button' && element.type !== 'overflow';
}

async function clickMessage(world: World, input: InteractInput): Promise<AckResult> {
  const channel = channelOf(world, input.channel ?? '');
  const user = memberOf(world, channel, input.user);
  const message = channel.messages.find((candidate) => candidate.ts === input.messageTs);
  if (!message || message.tombstone || (message.ephemeralFor !== undefined && message.ephemeralFor !== user)) {
    throw new ControlError(404, `no message ${input.messageTs} that ${user} sees in ${channel.id}`);
  }
  const found = pick(findElements(message.blocks, input.action, input.value), input.action);
  const choice = found.element.type === 'button' ? {} : choose(found.element, input);
  const values = messageState(message.blocks, found, choice);
  const { payload } = messageAction(world, message, user, found, choice, values);
  return ackResult(await interact(world, payload));
}

async function clickView(world: World, input: InteractInput): Promise<AckResult> {
  const user = personOf(world, input.user);
  const stack = world.workspace.stacks.get(user);
  const view = input.view === 'home' ? world.workspace.homes.get(user) : stack?.at(-1);
  if (!view) throw new ControlError(404, `${user} has no open ${input.view ?? 'view'}`);
  const found = pick(findElements(view.blocks, input.action, input.value), input.action);
  const choice = found.element.type === 'button' ? {} : choose(found.element, input);
  if (isChoice(found.element)) setValue(view, found, choice);
  return ackResult(await interact(world, viewAction(world, view, user, found, choice)));
}

function setValue(view: StoredView, { block, element }: Found, choice: JsonObject): void {
  const id = String(block.block_id);
  view.values[id] = { ...view.values[id], [String(element.action_id)]: { type: element.type, ...choice } };
}

/** Fills the form; answers what the client itself would complain about. */
function fill(view: StoredView, values: Record<string, string | string[]>): Record<string, string> {
  const inputs = view.blocks.flatMap((block) => elementsOf(block).map((element) => ({ block, element })));
  const label = (block: JsonObject) => (isObject(block.label) ? String(block.label.text) : undefined);
  for (const [key, value] of Object.entries(values)) {
    const found =
      inputs.find(({ block }) => block.block_id === key) ??
      inputs.find(({ block, element }) => label(block) === key || element.action_id === key);
    if (!found) throw new ControlError(404, `no input "${key}" in this modal`);
    const choice = chosen(found.element, Array.isArray(value) ? { option: value } : { value });
    if (typeof choice === 'string') throw new ControlError(400, choice);
    setValue(view, found, choice);
  }
  const errors: Record<string, string> = {};
  for (const { block, element } of inputs) {
    if (block.type !== 'input') continue;
    const state = view.values[String(block.block_id)]?.[String(element.action_id)];
    const problem = complaint(block, element, isObject(state) ? state : {});
    if (problem !== null) errors[String(block.block_id)] = problem;
  }
  return errors;
}

function complaint(block: JsonObject, element: JsonObject, state: JsonObject): string | null {
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

/** What the ack of a submission does to the stack (PLATFORM.md 6). */
function applyResponse(
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

export function createControl(world: World, http: HttpDelivery | null): Control {
  const { workspace } = world;
  const foundMessage = (channelId: string, ts: string): { channel: Channel; message: StoredMessage } => {
    const channel = channelOf(world, channelId);
    const message = workspace.message(channelId, ts);
    if (!message || message.tombstone) throw new ControlError(404, `no message ${ts} in ${channelId}`);
    return { channel, message };
  };

  return {
    async message(input) {
      const channel = channelOf(world, input.channel);
      const bot = input.subtype === 'bot_message';
      const user = bot ? undefined : memberOf(world, channel, input.user);
      if (channel.archived) throw new ControlError(403, `${channel.id} is archived`);
      const root = input.thread_ts === undefined ? undefined : workspace.message(channel.id, input.thread_ts);
      if (input.thread_ts !== undefined && (!root || root.threadTs !== undefined)) {
        throw new ControlError(404, `no thread ${input.thread_ts} in ${channel.id}`);
      }
      const files = (input.files ?? []).map((file) => {
        const type = fileType(file.name);
        const content =
          file.base64 === undefined ? Buffer.from(file.content ?? '') : Buffer.from(file.base64, 'base64');
        const stored = {
          id: workspace.id('F'),
          name: file.name,
          title: file.name,
          ...type,
          ...(file.mimetype !== undefined && { mimetype: file.mimetype }),
          content,
          user: input.user,
          created: world.now(),
          shares: [],
        };
        workspace.files.set(stored.id, stored);
        return stored;
      });
      const subtype = input.subtype ?? (files.length > 0 ? 'file_share' : undefined);
      const message = postMessage(world, channel, {
        text: typed(input.text, names(world)),
        ...(user === undefined
          ? { botId: OTHER_BOT.botId, username: OTHER_BOT.name }
          : { user, clientMsgId: clientMsgId(world) }),
        ...(input.thread_ts !== undefined && { threadTs: input.thread_ts }),
        ...(subtype !== undefined && { subtype }),
        files,
      });
      return { channel: channel.id, ts: message.ts, thread_ts: message.threadTs ?? null, text: message.text };
    },

    interact: (input) => (input.view === undefined ? clickMessage(world, input) : clickView(world, input)),

    async viewSubmit({ user, values }) {
      const view = workspace.stacks.get(personOf(world, user))?.at(-1);
      if (!view) throw new ControlError(404, `${user} has no open modal`);
      const errors = fill(view, values ?? {});
      if (Object.keys(errors).length > 0) {
        return { acked: false, ackMs: null, response: null, response_action: 'errors', errors, closed: false };
      }
      const delivered = await interact(world, viewSubmission(world, view, user));
      const ack = ackResult(delivered);
      return delivered.acked
        ? { ...ack, ...applyResponse(world, view, delivered.ackPayload) }
        : { ...ack, closed: false };
    },

    async viewClose({ user }) {
      const stack = workspace.stacks.get(personOf(world, user)) ?? [];
      const view = stack.at(-1);
      if (!view) throw new ControlError(404, `${user} has no open modal`);
      const cleared = view.source.clear_on_close === true;
      const rest = cleared ? [] : stack.slice(0, -1);
      if (rest.length > 0) workspace.stacks.set(user, rest);
      else closeViews(world, user);
      if (view.source.notify_on_close === true) await interact(world, viewClosed(world, view, user, cleared));
      return { closed: true };
    },

    async command({ channel: id, user, command, text, thread_ts }) {
      const channel = channelOf(world, id);
      memberOf(world, channel, user);
      if (thread_ts !== undefined) throw new ControlError(400, `${command} is not supported in threads. Sorry!`);
      if (!world.commands.includes(command)) throw new ControlError(400, `${command} is not a valid command`);
      if (workspace.users.get(user)?.kind === 'external') {
        throw new ControlError(403, 'commands work only for members of the installing workspace');
      }
      const payload = slashCommand(world, { channel: id, user, command, text: text ?? '' });
      const delivered = await world.deliveries.deliver({ kind: 'slash_commands', payload });
      const { ackPayload } = delivered;
      const body = typeof ackPayload === 'string' ? { text: ackPayload } : ackPayload;
      if (isObject(body) && (typeof body.text === 'string' || Array.isArray(body.blocks))) {
        respond(world, { kind: 'commands', channel: id, user }, body);
      }
      return ackResult(delivered);
    },

    async reaction({ channel: id, messageTs, user, name, remove }) {
      const { channel, message } = foundMessage(id, messageTs);
      memberOf(world, channel, user);
      return { changed: react(world, message, user, name, remove !== true) };
    },

    async editMessage({ channel: id, messageTs, user, text }) {
      const { channel, message } = foundMessage(id, messageTs);
      if (message.user !== user) throw new ControlError(403, 'people edit only their own messages');
      editMessage(world, channel, message, { text: typed(text, names(world)), blocks: undefined, editor: user });
      return { ts: message.ts };
    },

    async deleteMessage({ channel: id, messageTs }) {
      const { channel, message } = foundMessage(id, messageTs);
      deleteMessage(world, channel, message);
      return { ts: message.ts };
    },

    async openHome({ user, tab }) {
      const home = workspace.homes.get(personOf(world, user));
      const shown = tab ?? 'home';
      world.emit(appHomeOpened(world, user, shown, shown === 'home' && home ? viewWire(home) : undefined));
      return { channel: workspace.im(user).id };
    },

    async member({ channel: id, user, joined, inviter }) {
      const channel = channelOf(world, id);
      if (!workspace.users.has(user)) throw new ControlError(404, `no such user: ${user}`);
      return { changed: joined ? join(world, channel, user, inviter ?? 'U01ALICE') : leave(world, channel, user) };
    },

    async archive({ channel: id, archived }) {
      const channel = channelOf(world, id);
      channel.archived = archived ?? true;
      return { archived: channel.archived };
    },

    async changeChannelId({ channel: id, newId }) {
      const channel = channelOf(world, id);
      if (workspace.channels.has(newId)) throw new ControlError(409, `${newId} exists`);
      workspace.channels.delete(id);
      workspace.formerIds.set(id, newId);
      channel.id = newId;
      for (const message of channel.messages) message.channel = newId;
      workspace.channels.set(newId, channel);
      world.emit(channelIdChanged(world, id, newId), newId);
      return { channel: newId };
    },

    async stopSession({ channel, user, thread_ts }) {
      memberOf(world, channelOf(world, channel), user);
      world.emit(sessionStopped(world, channel, user, thread_ts), channel);
      return {};
    },

    async contextChanged({ user, channel }) {
      world.emit(contextChanged(world, personOf(world, user), channel));
      return {};
    },

    async user({ user, deleted }) {
      const person = workspace.users.get(personOf(world, user));
      if (person) person.deleted = deleted;
      return {};
    },

    async revoke({ error }) {
      world.revoked = error;
      return {};
    },

    async verifyUrl() {
      if (!http) throw new ControlError(400, 'this Slack delivers over sockets');
      return { verified: await http.verifyUrl() };
    },

    async faults(input) {
      if ('socket' in input) world.socketMode.fault(input);
      else if (input.kind === 'clear') {
        world.faults.clear();
        world.socketMode.clearFaults();
      } else world.faults.add(input);
      return {};
    },

    async reset() {
      workspace.reset();
      world.limits.reset();
      world.faults.clear();
      world.socketMode.clearFaults();
      world.log.clear();
      world.revoked = null;
      return {};
    },

    messages(id, filter = {}) {
      const channel = channelOf(world, id);
      const { thread_ts: thread, user } = filter;
      return channel.messages
        .filter((message) => message.ephemeralFor === undefined || message.ephemeralFor === user)
        .filter((message) => thread === undefined || message.ts === thread || message.threadTs === thread)
        .map((message) => seen(world, message));
    },

    views(user) {
      const home = workspace.homes.get(user);
      return { modals: (workspace.stacks.get(user) ?? []).map(viewWire), home: home ? viewWire(home) : null };
    },

    log({ type, method } = {}) {
      return world.log
        .entries()
        .filter((entry) => type === undefined || entry.type === type)
        .filter((entry) => method === undefined || (entry.type === 'call' && entry.method === method));
    },

    state: () => ({
      team: TEAM.id,
      app: APP_ID,
      bot: BOT.userId,
      now: world.now(),
      users: [...workspace.users.values()].map(({ id, name, kind, team }) => ({ id, name, kind, team })),
      channels: [...workspace.channels.values()].map((channel) => ({
        id: channel.id,
        name: channel.name,
        kind: channel.kind,
        members: [...channel.members],
        archived: channel.archived,
        messages: channel.messages.length,
      })),
      connections: world.socketMode.connections,
      limits: world.limits.enabled ? 'on' : 'off',
      ratelimited: Object.fromEntries(world.limits.refused),
      statuses: workspace.liveStatuses().map((status) => ({
        channel: status.channel,
        thread_ts: status.thread,
        status: status.status,
        loading_messages: status.loadingMessages,
        age_ms: world.now() - status.at,
      })),
      sessions: [...workspace.sessions.values()].map(({ channel, thread, status, title }) => ({
        channel,
        thread_ts: thread,
        status,
        title,
      })),
      pending: world.deliveries.pending,
      faults: world.faults.list(),
    }),
  };
}
