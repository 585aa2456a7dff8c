import { asBridgeError } from '../../errors.ts';
import { can, type Doing, type Place, type Verdict } from '../access/can.ts';
import type { Door } from '../access/door.ts';
import { type PolicyBook, settingsOf } from '../access/policy.ts';
import type { FoundConversation, HistoryItem } from '../agent-event.ts';
import {
  isDirect,
  type MessageKey,
  makeThreadKey,
  parseMessageKey,
  parseThreadKey,
  ROLLING,
  type SlackTs,
  type TeamId,
  type ThreadKey,
  teamOfClientMessage,
} from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Conversations, Log, MessageAddress, Surface, ThreadOwners, Threads } from '../ports.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { lastMessages } from '../turn/last-messages.ts';
import { ATTACH, attachRootText, attachUsageText, otherAgentText, ownedText, toldText } from '../words/attach.ts';

export interface AttachDeskParts {
  conversations: Conversations;
  owners: ThreadOwners;
  threads: Pick<Threads, 'load'>;
  workers: ThreadWorkers;
  policies: PolicyBook;
  door: Pick<Door, 'judgeAgain'>;
  surface: Pick<Surface, 'beginThread' | 'whisper'>;
  /** The address of a message in Slack; left out: it is not known. */
  linkTo?: ((at: MessageAddress) => string | null) | undefined;
  log: Log;
}

/** Who wants a conversation attached, and where; the door has let them in, and they are an admin. */
export interface AttachAsked {
  person: Person;
  team: TeamId;
  place: Place;
  /** `null`: Slack does not say in which thread the command was typed. */
  thread: ThreadKey | null;
  /** The message that was the command. */
  seen?: MessageKey | undefined;
}

/** How many are attached at a time. */
const AT_ONCE = 5;
/** How many items of the history are read, and how many messages among them are shown. */
const READ = 40;
const SHOWN = 6;

/**
 * `!attach`: gives a conversation that began elsewhere a thread. Nothing in Slack waits for Letta: what comes of it is told
 * when it is known. The thread gets the conversation last, so a crash in between leaves a thread that says what it shows and
 * has no conversation; the command can be given again.
 */
export class AttachDesk {
  readonly #parts: AttachDeskParts;
  readonly #attaching = new Set<string>();

  constructor(parts: AttachDeskParts) {
    this.#parts = parts;
  }

  /** @returns a line for the person; empty: the answer comes later */
  async command(asked: AttachAsked, args: string): Promise<string> {
    const wanted = readArgs(args);
    if (wanted === null) return attachUsageText(asked.thread === null ? '/agent attach' : '!attach');
    if (wanted.id.toLowerCase() === 'default') return ATTACH.isDefault;
    const refused = this.#refuse(asked) ?? (await this.#refuseThread(asked));
    if (refused !== null) return refused;
    const { id } = wanted;
    if (this.#attaching.has(id) || this.#attaching.size >= AT_ONCE) return ATTACH.busy;
    this.#attaching.add(id);
    void this.#run(asked, wanted).finally(() => this.#attaching.delete(id));
    return '';
  }

  async #run(asked: AttachAsked, wanted: Wanted): Promise<void> {
    const { surface, log } = this.#parts;
    const answer = await this.#attach(asked, wanted).catch((error: unknown) => {
      log.warn({ err: error, conversation: wanted.id }, 'could not attach a conversation');
      return asBridgeError(error).notice;
    });
    if (answer === '') return;
    try {
      await surface.whisper(placeToAnswer(asked), asked.person.id, answer);
    } catch (error) {
      log.warn({ err: error }, 'could not tell why a conversation was not attached');
    }
  }

  /** @returns why not, for the person; empty: it is attached, and the thread says so */
  async #attach(asked: AttachAsked, { id, device }: Wanted): Promise<string> {
    const { conversations, policies, workers, log } = this.#parts;
    const { person, place } = asked;
    const { binding } = settingsOf(policies.current(), place);
    const found = await conversations.find(id, { binding, device }, READ);
    // All of it may have changed while Letta was asked.
    const refused =
      (await this.#refuseAnew(asked)) ?? (await this.#refuseThread(asked)) ?? (await this.#refuseFound(asked, found));
    if (refused !== null) return refused;
    const shown = lastMessages(found.items, SHOWN);
    const titled = { id, title: found.title, agentName: found.agentName };
    const began = await this.#beginThread(asked, attachRootText(titled, person.name));
    if (began === null) return ATTACH.noThread;
    const { key, address, isNew } = began;
    const told: SlackTs[] = [];
    for (const message of shown) {
      const ts = await this.#parts.surface.beginThread?.(address, toldText(message));
      if (ts) told.push(ts);
    }
    const { runtime } = found;
    const isTold = told.length > 0;
    const order = {
      name: 'attach',
      by: person,
      runtime,
      address,
      told,
      isNew,
      isTold,
      titled,
      seen: asked.seen,
    } as const;
    const answer = await workers.attach(key, order);
    if (answer === '') log.info({ thread: key, ...runtime, by: person.id }, 'attached a conversation');
    return answer;
  }

  /** In a direct message and for `/agent` the bridge begins a thread; elsewhere it is that of the command. */
  async #beginThread(
    { team, place, thread }: AttachAsked,
    root: string,
  ): Promise<{ key: ThreadKey; address: ThreadAddress; isNew: boolean } | null> {
    const { channel } = place;
    const kind = place.channelKind === 'mpim' ? { kind: 'mpim' as const } : {};
    const at = rootOf(thread);
    if (thread !== null && at !== null) {
      return { key: thread, address: { team, channel, threadTs: at, ...kind }, isNew: false };
    }
    const ts = (await this.#parts.surface.beginThread?.({ team, channel, threadTs: null, ...kind }, root)) ?? null;
    if (ts === null) return null;
    const key = makeThreadKey({ team, channel, root: ts });
    return { key, address: { team, channel, threadTs: ts, ...kind }, isNew: true };
  }

  // ---- why not -----------------------------------------------------------------------------------

  /** Asked when the command comes. */
  #refuse({ person, place }: AttachAsked): string | null {
    const policy = this.#parts.policies.current();
    return noticeOf(DOINGS.map((doing) => can(policy, person, doing, place)));
  }

  /** Asked when it takes effect: the person may have left, or their groups. Rejects when Slack cannot be asked. */
  async #refuseAnew({ person, team, place }: AttachAsked): Promise<string | null> {
    // Only team and channel of the key count.
    const key = makeThreadKey({ team, channel: place.channel, root: ROLLING });
    const judge = (doing: Doing) => this.#parts.door.judgeAgain(key, { user: person.id }, doing);
    return noticeOf((await Promise.all(DOINGS.map(judge))).map(({ verdict }) => verdict));
  }

  async #refuseThread({ thread }: AttachAsked): Promise<string | null> {
    if (thread === null || rootOf(thread) === null) return null;
    return (await this.#parts.threads.load(thread))?.runtime ? ATTACH.hasConversation : null;
  }

  async #refuseFound({ place, team }: AttachAsked, { runtime, items }: FoundConversation): Promise<string | null> {
    const { policies, owners, linkTo } = this.#parts;
    if (items.some((item) => isOfOtherWorkspace(item, team))) return ATTACH.otherWorkspace;
    const bound = settingsOf(policies.current(), place).binding?.agentId ?? null;
    if (bound !== null && bound !== runtime.agentId) return otherAgentText(runtime.agentId, bound);
    const owner = await owners.findByConversation(runtime);
    if (owner === null) return null;
    const { channel, root } = parseThreadKey(owner);
    const url = root === ROLLING ? null : (linkTo?.({ channel, ts: root, threadTs: null }) ?? null);
    return ownedText(url, isDirect(channel) ? 'a direct message' : `<#${channel}>`);
  }
}

/**
 * Workspaces may share a server of Letta, which lists the conversations of all of them to each; only what was written in them
 * tells whose they are.
 */
function isOfOtherWorkspace(item: HistoryItem, team: TeamId): boolean {
  const from = item.kind === 'user' && item.clientMessageId !== null ? teamOfClientMessage(item.clientMessageId) : null;
  return from !== null && from !== team;
}

/** Admins may give commands anywhere; the agent works only where the policy lets it. */
const DOINGS: readonly Doing[] = [{ do: 'administer' }, { do: 'speak' }];

function noticeOf(verdicts: readonly Verdict[]): string | null {
  const no = verdicts.find((verdict) => !verdict.allowed);
  return no && !no.allowed ? no.notice : null;
}

interface Wanted {
  id: string;
  /** A device id or a connection name; `null`: the channel's. */
  device: string | null;
}

/** @param args `<id>` or `<id> on <device>`; `null`: it is neither */
function readArgs(args: string): Wanted | null {
  const [, id, device = null] = /^`?([A-Za-z0-9][\w.-]{0,119})`?(?:\s+on\s+(\S.{0,199}))?$/i.exec(args.trim()) ?? [];
  return id === undefined ? null : { id, device };
}

/** `null`: it is a direct message's top level, or no thread. */
function rootOf(thread: ThreadKey | null): SlackTs | null {
  const root = thread === null ? ROLLING : parseThreadKey(thread).root;
  return root === ROLLING ? null : root;
}

/** An ephemeral reply in a thread that does not exist yet is invisible, so a command at top level is answered there. */
function placeToAnswer({ team, place, thread, seen }: AttachAsked): ThreadAddress {
  const root = rootOf(thread);
  const isTop = seen !== undefined && parseMessageKey(seen).ts === root;
  return { team, channel: place.channel, threadTs: isTop ? null : root };
}
