import { aboutOf, type CommandName, helpText, type ParsedCommand } from './commands.ts';
import type { DecisionLog } from './decision-log.ts';
import {
  type ChannelId,
  makeThreadKey,
  parseThreadKey,
  ROLLING,
  type TeamId,
  type ThreadKey,
  type UserId,
} from './ids.ts';
import type { InboundCommand } from './inbound.ts';
import type { Person, Threads } from './ports.ts';
import type { ThreadWorkers } from './thread-workers.ts';
import { oneLine } from './turn-view.ts';
import { channelOf, explain, linkedMessage } from './why.ts';

export interface DeskParts {
  workers: ThreadWorkers;
  threads: Pick<Threads, 'load'>;
  decisions: DecisionLog;
  botUser: UserId;
}

/** Carries out commands of people who may give them. The answers are Markdown for the caller's eyes only. */
export class CommandDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** Written in a thread, or in the rolling conversation of a DM. */
  async inThread(parsed: ParsedCommand, key: ThreadKey, person: Person): Promise<string> {
    if (parsed.kind === 'unknown') return this.#unknown(`!${parsed.word}`);
    if (parsed.name === 'why') return this.#why(parsed.args, parseThreadKey(key), person);
    return this.#run(parsed.name, key, person);
  }

  /** By `/agent`: Slack does not say in which thread. */
  async bySlash(parsed: ParsedCommand, command: InboundCommand, person: Person): Promise<string> {
    if (parsed.kind === 'unknown') return this.#unknown(parsed.word);
    const { name } = parsed;
    const { team, channel, channelKind } = command;
    if (name === 'help') return helpText(this.#parts.botUser);
    if (name === 'why') return this.#why(parsed.args, command, person);
    if (channelKind === 'im') return this.#run(name, makeThreadKey({ team, channel, root: ROLLING }), person);
    if (aboutOf(name) === 'thread') return `Slash commands do not know the thread: write \`!${name}\` in it.`;
    const mine = this.#parts.workers.ofRequester(person.id);
    if (mine.length === 0) return 'Nothing of yours is running.';
    if (mine.length > 1 && name === 'stop') {
      const lead = `You have ${mine.length} running threads; write \`!stop\` in the one you mean:`;
      return [lead, ...mine.map(threadLine)].join('\n');
    }
    const lines = mine.map(async (key) => `${threadLine(key)}: ${await this.#run(name, key, person)}`);
    return (await Promise.all(lines)).join('\n');
  }

  #unknown(words: string): string {
    const said = oneLine(words, 40).replace(/[`<>]/g, ' ');
    return `There is no command \`${said}\`.\n${helpText(this.#parts.botUser)}`;
  }

  /** Of messages elsewhere only their author is told: not everybody may know what is said there. */
  async #why(args: string, { team, channel }: { team: TeamId; channel: ChannelId }, person: Person): Promise<string> {
    const linked = linkedMessage(team, args);
    if (!linked) return 'Name a message by its link: in its menu, *Copy link*. Then `why` and the link.';
    const { decisions, threads } = this.#parts;
    const mine = decisions.find(linked.key)?.user === person.id;
    if (channelOf(linked) !== channel && !mine) return 'Ask in the channel of that message.';
    return explain(linked, decisions, threads);
  }

  async #run(name: Exclude<CommandName, 'why'>, key: ThreadKey, person: Person): Promise<string> {
    const worker = this.#parts.workers.get(key);
    switch (name) {
      case 'help':
        return helpText(this.#parts.botUser);
      case 'status':
        return worker.status();
      case 'stop':
        return worker.stop(person.id);
      case 'queue':
        return worker.queue();
      case 'new':
        return worker.startOver();
      case 'mute':
        return worker.mute(true);
      case 'unmute':
        return worker.mute(false);
      default:
        return name satisfies never;
    }
  }
}

function threadLine(key: ThreadKey): string {
  const { channel, root } = parseThreadKey(key);
  return channel.startsWith('D') ? '- direct message' : `- <#${channel}>, thread ${root}`;
}
