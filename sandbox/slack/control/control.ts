import { appHomeOpened, channelIdChanged, contextChanged, sessionStopped } from '../events.ts';
import type { HttpDelivery } from '../http-delivery.ts';
import { deliverInteraction, messageShortcut, slashCommand, viewClosed, viewSubmission } from '../interactions.ts';
import {
  addFiles,
  changeReaction,
  deleteMessage,
  editMessage,
  joinChannel,
  leaveChannel,
  postMessage,
  restrictFile,
} from '../messages.ts';
import { type Channel, isObject, type StoredMessage } from '../model.ts';
import { postResponse } from '../response-urls.ts';
import { APP_ID, OTHER_BOT } from '../state.ts';
import { stopStreams } from '../streams.ts';
import { clientText } from '../text/tokens.ts';
import { closeViews } from '../views.ts';
import { viewWire } from '../wire.ts';
import type { World } from '../world.ts';
import { type Control, ControlError } from './api.ts';
import { ackResult, clickMessage, clickView } from './clicks.ts';
import { applyResponse, fillForm } from './forms.ts';
import { channelOf, memberOf, names, personOf } from './people.ts';
import { seenMessage } from './seen.ts';
import { uploadFile } from './uploads.ts';

function clientMsgId(world: World): string {
  const hex = () =>
    Math.floor(world.random() * 0x10000)
      .toString(16)
      .padStart(4, '0');
  return `${hex()}${hex()}-${hex()}-4${hex().slice(1)}-8${hex().slice(1)}-${hex()}${hex()}${hex()}`;
}

export function createControl(world: World, http: HttpDelivery | null): Control {
  const { workspace } = world;
  const foundMessage = (channelId: string, ts: string): { channel: Channel; message: StoredMessage } => {
    const channel = channelOf(world, channelId);
    const message = workspace.findMessage(channelId, ts);
    if (!message || message.isTombstone) throw new ControlError(404, `no message ${ts} in ${channelId}`);
    return { channel, message };
  };

  return {
    async message(input) {
      const channel = channelOf(world, input.channel);
      const bot = input.subtype === 'bot_message';
      const user = bot ? undefined : memberOf(world, channel, input.user);
      const { blocks, attachments } = input;
      if ((blocks || attachments) && !bot && !input.by_app)
        throw new ControlError(400, 'people type text; only apps post blocks');
      if (input.text === '' && !input.files?.length && !blocks?.length && !attachments?.length)
        throw new ControlError(400, 'a message must not be empty');
      if (channel.archived) throw new ControlError(403, `${channel.id} is archived`);
      const root = input.thread_ts === undefined ? undefined : workspace.findMessage(channel.id, input.thread_ts);
      if (input.thread_ts !== undefined && (!root || root.threadTs !== undefined)) {
        throw new ControlError(404, `no thread ${input.thread_ts} in ${channel.id}`);
      }
      const files = (input.files ?? []).map((file) => uploadFile(world, input.user, file));
      const subtype = input.subtype ?? (files.length > 0 ? 'file_share' : undefined);
      const message = postMessage(world, channel, {
        text: clientText(input.text, names(world)),
        ...(user === undefined
          ? { botId: OTHER_BOT.botId, username: OTHER_BOT.name }
          : input.by_app
            ? { user, botId: OTHER_BOT.botId, username: OTHER_BOT.name }
            : { user, clientMsgId: clientMsgId(world) }),
        ...(input.thread_ts !== undefined && { threadTs: input.thread_ts }),
        ...(subtype !== undefined && { subtype }),
        ...(blocks && { blocks }),
        ...(attachments && { attachments }),
        files,
      });
      return { channel: channel.id, ts: message.ts, thread_ts: message.threadTs ?? null, text: message.text };
    },

    interact: (input) => (input.view === undefined ? clickMessage(world, input) : clickView(world, input)),

    async shortcut({ user, channel: id, messageTs, shortcut }) {
      const { channel, message } = foundMessage(id, messageTs);
      const person = memberOf(world, channel, user);
      const chosen =
        world.scopes.has('commands') &&
        world.shortcuts.find(({ name, callbackId }) => [name, callbackId].includes(shortcut));
      if (!chosen) throw new ControlError(404, `the app has no message shortcut "${shortcut}"`);
      if (message.ephemeralFor !== undefined) throw new ControlError(403, 'ephemeral messages have no shortcuts');
      // Only people of the installing workspace see them (docs/slack.md, Slack Connect and Enterprise).
      if (workspace.users.get(person)?.kind === 'external')
        throw new ControlError(403, 'shortcuts work only for members of the installing workspace');
      return ackResult(await deliverInteraction(world, messageShortcut(world, message, person, chosen.callbackId)));
    },

    async viewSubmit({ user, values }) {
      const view = workspace.stacks.get(personOf(world, user))?.at(-1);
      if (!view) throw new ControlError(404, `${user} has no open modal`);
      const errors = fillForm(view, values ?? {});
      if (Object.keys(errors).length > 0) {
        return { acked: false, ackMs: null, response: null, response_action: 'errors', errors, closed: false };
      }
      const delivered = await deliverInteraction(world, viewSubmission(world, view, user));
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
      if (view.source.notify_on_close === true) await deliverInteraction(world, viewClosed(world, view, user, cleared));
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
        postResponse(world, { kind: 'commands', channel: id, user }, body);
      }
      return ackResult(delivered);
    },

    async remind({ channel: id, text }) {
      const channel = channelOf(world, id);
      const said = `Reminder: ${clientText(text, names(world))}.`;
      return { ts: postMessage(world, channel, { user: 'USLACKBOT', text: said }).ts };
    },

    async reaction({ channel: id, messageTs, user, name, remove }) {
      const { channel, message } = foundMessage(id, messageTs);
      memberOf(world, channel, user);
      return { changed: changeReaction(world, message, user, name, remove !== true) };
    },

    async editMessage({ channel: id, messageTs, user, text }) {
      const { channel, message } = foundMessage(id, messageTs);
      if (message.user !== user) throw new ControlError(403, 'people can edit only their own messages');
      editMessage(world, channel, message, { text: clientText(text, names(world)), blocks: undefined, editor: user });
      return { ts: message.ts };
    },

    async addFiles({ channel: id, messageTs, user, files }) {
      const { channel, message } = foundMessage(id, messageTs);
      if (message.user !== user) throw new ControlError(403, 'people can add files only to their own messages');
      addFiles(
        world,
        channel,
        message,
        files.map((file) => uploadFile(world, user, file)),
      );
      return { ts: message.ts };
    },

    async restrictFile({ file: id, access }) {
      const file = workspace.files.get(id);
      if (!file) throw new ControlError(404, `no file ${id}`);
      restrictFile(world, file, access);
      return {};
    },

    async deleteMessage({ channel: id, messageTs }) {
      const { channel, message } = foundMessage(id, messageTs);
      deleteMessage(world, channel, message);
      return { ts: message.ts };
    },

    async openHome({ user, tab }) {
      const home = workspace.homes.get(personOf(world, user));
      const shown = tab ?? 'home';
      world.emitEvent(appHomeOpened(world, user, shown, shown === 'home' && home ? viewWire(world, home) : undefined));
      return { channel: workspace.openDirectMessage(user).id };
    },

    async openGroup({ users }) {
      const unknown = users.find((user) => !workspace.users.has(user));
      if (unknown !== undefined) throw new ControlError(404, `no such user: ${unknown}`);
      const names = [...users, world.workspace.bot.userId].map((user) => workspace.users.get(user)?.name);
      return {
        channel: workspace.addChannel(workspace.nextId('C'), `mpdm-${names.join('--')}-1`, 'mpim', [
          ...users,
          world.workspace.bot.userId,
        ]).id,
      };
    },

    async member({ channel: id, user, joined, inviter }) {
      const channel = channelOf(world, id);
      if (!workspace.users.has(user)) throw new ControlError(404, `no such user: ${user}`);
      return {
        changed: joined ? joinChannel(world, channel, user, inviter ?? 'U01ALICE') : leaveChannel(world, channel, user),
      };
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
      world.emitEvent(channelIdChanged(world, id, newId), newId);
      return { channel: newId };
    },

    async stopSession({ channel, user, thread_ts }) {
      memberOf(world, channelOf(world, channel), user);
      const session = workspace.liveSessions().find((each) => each.channel === channel && each.thread === thread_ts);
      if (session?.status !== 'processing') throw new ControlError(404, `no session is working in ${thread_ts}`);
      const streams = stopStreams(world, channel, thread_ts);
      world.emitEvent(sessionStopped(world, channel, user, thread_ts, streams), channel);
      return {};
    },

    async contextChanged({ user, channel }) {
      world.emitEvent(contextChanged(world, personOf(world, user), channel));
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
      if ('socket' in input) world.socketMode.causeFault(input);
      else if (input.kind === 'clear') {
        world.faults.clearFaults();
        world.socketMode.clearFaults();
      } else world.faults.addFault(input);
      return {};
    },

    async reset() {
      workspace.reset();
      world.limits.resetWindows();
      world.faults.clearFaults();
      world.socketMode.clearFaults();
      world.log.clear();
      world.revoked = null;
      return {};
    },

    messages(id, filter = {}) {
      const channel = channelOf(world, id);
      const { thread_ts: thread, user, latest } = filter;
      const visible = channel.messages
        .filter((message) => message.ephemeralFor === undefined || message.ephemeralFor === user)
        .filter((message) => thread === undefined || message.ts === thread || message.threadTs === thread);
      return visible
        .slice(Math.max(0, visible.length - (latest ?? visible.length)))
        .map((message) => seenMessage(world, message));
    },

    file(id) {
      const file = workspace.files.get(id);
      return file ? { name: file.name, mimetype: file.mimetype, content: file.content } : null;
    },

    views(user) {
      const home = workspace.homes.get(user);
      return {
        modals: (workspace.stacks.get(user) ?? []).map((view) => viewWire(world, view)),
        home: home ? viewWire(world, home) : null,
      };
    },

    log({ type, method } = {}) {
      return world.log
        .entries()
        .filter((entry) => type === undefined || entry.type === type)
        .filter((entry) => method === undefined || (entry.type === 'call' && entry.method === method));
    },

    state: () => ({
      team: world.workspace.team.id,
      app: APP_ID,
      bot: world.workspace.bot.userId,
      now: world.now(),
      users: [...workspace.users.values()].map(({ id, name, realName, kind, team }) => ({
        id,
        name,
        real_name: realName,
        kind,
        team,
      })),
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
      gauges: world.limits.listGauges(world.now()),
      ratelimited: Object.fromEntries(world.limits.refused),
      statuses: workspace.liveStatuses().map((status) => ({
        channel: status.channel,
        thread_ts: status.thread,
        status: status.status,
        loading_messages: status.loadingMessages,
        age_ms: world.now() - status.at,
      })),
      sessions: workspace.liveSessions().map(({ channel, thread, status, title }) => ({
        channel,
        thread_ts: thread,
        status,
        title,
      })),
      shortcuts: world.shortcuts.map(({ name }) => name),
      pending: world.deliveries.pending,
      faults: world.faults.listFaults(),
    }),
  };
}
