import type { Channel } from '../model.ts';
import type { World } from '../world.ts';
import { ControlError } from './api.ts';

export function channelOf(world: World, id: string): Channel {
  const channel = world.workspace.findChannel(id);
  if (!channel) throw new ControlError(404, `no such channel: ${id}`);
  return channel;
}

export function personOf(world: World, id: string): string {
  const user = world.workspace.users.get(id);
  if (!user) throw new ControlError(404, `no such user: ${id}`);
  if (user.kind === 'bot') throw new ControlError(400, 'the bot acts through the Web API, not here');
  return id;
}

export function memberOf(world: World, channel: Channel, id: string): string {
  personOf(world, id);
  if (!channel.members.has(id)) throw new ControlError(403, `${id} is not in ${channel.id}`);
  return id;
}

export function names(world: World) {
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
