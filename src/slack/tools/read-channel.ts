import { compareTs } from '../../bridge/ids.ts';
import { says } from '../../bridge/tools/result.ts';
import type { ToolCall, ToolHandler } from '../../bridge/tools/tool.ts';
import { quoted } from '../../bridge/turn/prompt.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { planning, resulting, ToolRefused } from './calls.ts';
import type { ToolChannel } from './channels.ts';
import { NEWEST, readMessages, showMessages } from './messages.ts';
import type { ToolParts } from './parts.ts';
import { readTime } from './permalinks.ts';
import { checkReadable } from './places.ts';

type Call = ToolCall<'slack_read_channel'>;

const LIMIT = 100;

/** `slack_read_channel`: what was said at the top level of a channel that requester and bot are in. */
export function createReadChannel(parts: ToolParts): ToolHandler<'slack_read_channel'> {
  const { channels, reader } = parts;

  async function find(call: Call): Promise<ToolChannel> {
    const { input, rights } = call;
    if (input.since !== undefined && readTime(input.since) === null) throw new ToolRefused(TOOL_WORDS.badTime);
    const channel = await channels.findShared(input.channel, call);
    checkReadable(rights.at({ channel: channel.id, channelKind: channel.kind, external: channel.isExternal }));
    return channel;
  }

  return {
    prepare: (call) => planning(async () => ({ may: 'run', seal: (await find(call)).id })),
    run: (call) =>
      resulting(async () => {
        const { id, name } = await find(call);
        const after = call.input.since === undefined ? null : readTime(call.input.since);
        const { limit = LIMIT } = call.input;
        const address = { team: call.team, channel: id, threadTs: null };
        const read = await readMessages(reader, address, { after, before: NEWEST }, limit);
        const items = read.items.filter(({ ts }) => after === null || compareTs(ts, after) > 0);
        const text = await showMessages(
          { ...read, items },
          {
            ...parts,
            team: call.team,
            heading: `Messages of the channel ${id}, named ${quoted(name)}, without replies in threads`,
            older: () => TOOL_WORDS.olderInChannel,
            hasFiles: false,
          },
        );
        return says(text);
      }),
  };
}
