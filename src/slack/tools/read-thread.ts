import type { ThreadAddress } from '../../bridge/inbound.ts';
import { says } from '../../bridge/tools/result.ts';
import type { ToolCall, ToolHandler } from '../../bridge/tools/tool.ts';
import { quoted } from '../../bridge/turn/prompt.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { planning, resulting, ToolRefused } from './calls.ts';
import { NEWEST, readMessages, showMessages } from './messages.ts';
import type { ToolParts } from './parts.ts';
import { isTs, readPermalink } from './permalinks.ts';
import { checkReadable, placeOf } from './places.ts';

type Call = ToolCall<'slack_read_thread'>;

const LIMIT = 50;

/** Where a call reads, once it was found that it may. */
interface Where {
  address: ThreadAddress;
  /** As a heading names it. */
  name: string;
  isHere: boolean;
}

/** `slack_read_thread`: this thread, or one elsewhere that requester and bot could both read in Slack. */
export function createReadThread(parts: ToolParts): ToolHandler<'slack_read_thread'> {
  const { channels, reader, workspace } = parts;

  async function find(call: Call): Promise<Where> {
    const { input, address, rights } = call;
    if (input.before !== undefined && !isTs(input.before)) throw new ToolRefused(TOOL_WORDS.badTime);
    const link = input.permalink === undefined ? null : readPermalink(input.permalink, workspace);
    if (input.permalink !== undefined && link === null) throw new ToolRefused(TOOL_WORDS.notAPermalink);
    const root = link === null ? null : (link.threadTs ?? link.ts);
    if (link === null || (link.channel === address.channel && root === address.threadTs)) {
      checkReadable(rights.at(await placeOf(parts, call)));
      return { address, name: 'this thread', isHere: true };
    }
    const channel = await channels.findShared(link.channel, call);
    checkReadable(rights.at({ channel: channel.id, channelKind: channel.kind, external: channel.isExternal }));
    return {
      address: { team: call.team, channel: channel.id, threadTs: root },
      name: `the thread ${root} in ${channel.id}, named ${quoted(channel.name)}`,
      isHere: false,
    };
  }

  return {
    prepare: (call) =>
      planning(async () => {
        const { address } = await find(call);
        return { may: 'run', seal: `${address.channel}:${address.threadTs}` };
      }),
    run: (call) =>
      resulting(async () => {
        const where = await find(call);
        const { before = NEWEST, limit = LIMIT } = call.input;
        const read = await readMessages(reader, where.address, { after: null, before }, limit);
        const text = await showMessages(read, {
          ...parts,
          team: call.team,
          heading: `Messages of ${where.name}`,
          older: TOOL_WORDS.olderInThread,
          hasFiles: where.isHere,
        });
        return says(text);
      }),
  };
}
