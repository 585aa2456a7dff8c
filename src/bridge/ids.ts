/**
 * Makes and parses every key of the bridge; no other file does, because the formats are stored: to change one is a
 * migration.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Slack's own ids, as Slack writes them. */
export type TeamId = string;
/** One installation of the app: the id of its team (`T…`); of an org-wide installation the organisation's (`E…`). */
export type WorkspaceId = string;
export type ChannelId = string;
export type UserId = string;
/**
 * Slack's message timestamp: `"<seconds>.<6 digits>"`, a string (docs/slack.md, Web API behaviour: a number would lose
 * digits).
 */
export type SlackTs = string;

/** `team:channel:root`; `root` is the thread's first `ts`, or `dm` for the rolling conversation of a direct message. */
export type ThreadKey = Branded<'ThreadKey'>;
/**
 * `team:channel:ts` of one Slack message: the same for every event that tells of it (docs/slack.md, Which messages to
 * handle).
 */
export type MessageKey = Branded<'MessageKey'>;
/** One turn: `turn-` and random letters; also the id that people see when a turn fails. */
export type TurnId = Branded<'TurnId'>;
/** The value of a button: random, and meaningless outside our store. */
export type Token = Branded<'Token'>;

export const ROLLING = 'dm';

/** Slack's own bot, which says what people made it say later (`/remind`). */
export const SLACKBOT: UserId = 'USLACKBOT';

/**
 * Stands for whoever asked through another client of Letta: no one in Slack. It has the form of a bot's id, so nobody
 * clicks or is mentioned in its name.
 */
export const OTHER_CLIENT: UserId = 'BOTHERCLIENT';

export interface ThreadKeyParts {
  team: TeamId;
  channel: ChannelId;
  /** `ts` of the thread's root message, or {@link ROLLING}. */
  root: SlackTs | typeof ROLLING;
}

export interface MessageKeyParts {
  team: TeamId;
  channel: ChannelId;
  ts: SlackTs;
}

const KEY = /^([A-Z0-9]+):([A-Z0-9]+):(dm|\d+\.\d+)$/;

function parse(key: string): [string, string, string] {
  const found = KEY.exec(key);
  if (!found) throw new TypeError(`not a key of the bridge: ${JSON.stringify(key)}`);
  return [found[1] as string, found[2] as string, found[3] as string];
}

function make(team: string, channel: string, last: string): string {
  const key = `${team}:${channel}:${last}`;
  parse(key);
  return key;
}

export function makeThreadKey(parts: ThreadKeyParts): ThreadKey {
  return make(parts.team, parts.channel, parts.root) as ThreadKey;
}

export function parseThreadKey(key: ThreadKey): ThreadKeyParts {
  const [team, channel, root] = parse(key);
  return { team, channel, root };
}

export function makeMessageKey(parts: MessageKeyParts): MessageKey {
  return make(parts.team, parts.channel, parts.ts) as MessageKey;
}

export function parseMessageKey(key: MessageKey): MessageKeyParts {
  const [team, channel, ts] = parse(key);
  return { team, channel, ts };
}

/**
 * The id under which Letta knows a message (`client_message_id`, later `otid` in the history).
 * @param attempt 0 for the first time; higher when a person asked to send the same message again.
 */
export function clientMessageId(key: MessageKey, attempt = 0): string {
  const base = `slack-${key.replaceAll(':', '-')}`;
  return attempt === 0 ? base : `${base}-again${attempt}`;
}

/** Whether a message at Letta was sent by a bridge, by its id. */
export function isClientMessageId(id: string): boolean {
  return id.startsWith('slack-');
}

/** The workspace of such a message; `null`: its id does not tell. */
export function teamOfClientMessage(id: string): TeamId | null {
  return /^slack-([TE][A-Z0-9]+)-/.exec(id)?.[1] ?? null;
}

/** What a model is chosen for: a thread's conversation, or the new conversations of a channel. */
export type ModelsPlace = { team: TeamId; channel: ChannelId; thread: ThreadKey | null };

/** The value of a button, and what its dialog is about; it grants nothing: who may choose is judged at each step. */
export function makeModelsPlace({ team, channel, thread }: ModelsPlace): string {
  return thread ?? `${team}:${channel}`;
}

/** `null`: it is none. */
export function parseModelsPlace(text: string): ModelsPlace | null {
  const [, team, channel, root] = /^([A-Z0-9]+):([A-Z0-9]+)(?::(dm|\d+\.\d+))?$/.exec(text) ?? [];
  if (team === undefined || channel === undefined) return null;
  return { team, channel, thread: root === undefined ? null : makeThreadKey({ team, channel, root }) };
}

export function makeTurnId(random: string): TurnId {
  return `turn-${random}` as TurnId;
}

export function makeToken(random: string): Token {
  return random as Token;
}

/** Whether the channel is a direct message: Slack gives a D to the ids of these alone. */
export function isDirect(channel: ChannelId): boolean {
  return channel.startsWith('D');
}

/** Orders Slack timestamps without turning them into numbers. */
export function compareTs(a: SlackTs, b: SlackTs): number {
  const [aSeconds = '', aRest = ''] = a.split('.');
  const [bSeconds = '', bRest = ''] = b.split('.');
  if (aSeconds.length !== bSeconds.length) return aSeconds.length - bSeconds.length;
  if (aSeconds !== bSeconds) return aSeconds < bSeconds ? -1 : 1;
  return aRest === bRest ? 0 : aRest < bRest ? -1 : 1;
}
