import type { FileHandOver } from '../../files/hand-over.ts';
import { isDirect as isDirectChannel, parseThreadKey, type UserId } from '../../ids.ts';
import type { Clock, MessageAddress, People, Random, UserGroups } from '../../ports.ts';
import type { FileOutcome } from '../../record/handed-over.ts';
import { taskEndPrompt } from '../../record/tasks.ts';
import type { OpenTurn } from '../../record/thread-record.ts';
import { oneLine } from '../../text/one-line.ts';
import type { InputContent } from '../../turn/input-content.ts';
import { isSafeSeal, listMentionedIds, promptContent } from '../../turn/prompt.ts';
import { within } from '../../within.ts';
import { type PastSources, readLinks, readPast, type TurnPlace } from './read-past.ts';
import { type FileWay, handOverFiles, type TurnFiles, unreadableNotice } from './write-files.ts';

export interface PromptSources {
  people: People;
  random: Random;
  botUser: UserId;
  clock: Clock;
  /** Left out: no file is fetched. */
  files?: FileHandOver | undefined;
  /** Left out: groups are shown by their ids. */
  groups?: UserGroups | undefined;
  /** The address of a message in Slack; left out, or `null`: it goes along without. */
  linkTo?: ((at: MessageAddress) => string | null) | undefined;
}

/** Characters of a seal, which authors cannot guess because it is made when the prompt is written. */
const SEAL = 8;

/** When Slack is slower than this, the prompt has ids instead of names. */
const NAMES_WITHIN_MS = 2_000;

export interface WrittenInput {
  /** The turn with what goes along: this is what must be stored before the input leaves. */
  turn: OpenTurn;
  content: InputContent;
  /** What the record must know of its files. */
  files: FileOutcome;
  /** Set when the agent could read nothing in the messages: what their author is told. */
  unreadable: string | null;
}

/**
 * Reads what goes along with a turn, unless an earlier try to send it has done so, hands its files over and writes its
 * input.
 */
export async function writeInput(
  sources: PromptSources & PastSources,
  place: TurnPlace,
  turn: OpenTurn,
  way: FileWay,
): Promise<WrittenInput> {
  const handingOver = handOverFiles(sources.files, place.record, turn, way);
  // Whoever awaits it below hears of a failure; until then it must not count as an unhandled one.
  handingOver.catch(() => undefined);
  const whole = await withPast(sources, place, turn);
  const content = await writePrompt(sources, place, whole, handingOver);
  const { notes, files } = await handingOver;
  return { turn: whole, content, files, unreadable: unreadableNotice(turn, notes, sources.botUser) };
}

async function withPast(sources: PromptSources & PastSources, place: TurnPlace, turn: OpenTurn): Promise<OpenTurn> {
  const { record } = place;
  if (turn.ends || turn.past || !record) return turn;
  const [{ context, notPassedOn, isFirst, omitted, known }, linked] = await Promise.all([
    readPast(sources, place, record, turn),
    readLinks(sources, place, turn),
  ]);
  const seal = sources.random.id().slice(0, SEAL);
  const past = { isFirst, omitted, known, seal, ...(linked.length > 0 && { linked }) };
  const along = place.isSteering ? context.filter(({ own }) => own === undefined) : context;
  return { ...turn, context: along, notPassedOn, past };
}

/** Writes the content of a turn's input, with names of people and channels as far as Slack tells them in time. */
async function writePrompt(
  sources: PromptSources,
  place: TurnPlace,
  turn: OpenTurn,
  handingOver: Promise<TurnFiles>,
): Promise<InputContent> {
  if (turn.ends) return taskEndPrompt(turn.ends);
  const { people, botUser, random, clock } = sources;
  const { team, channel } = parseThreadKey(place.key);
  const linked = turn.past?.linked ?? [];
  const ids = listMentionedIds([...turn.context, ...turn.items, ...linked.flatMap(({ items }) => items)]);
  for (const each of linked) if (!isDirectChannel(each.channel)) ids.channels.add(each.channel);
  const { isDirect } = place;
  const isGroup = place.address.kind === 'mpim';
  if (!isDirect && !isGroup) ids.channels.add(channel);
  const users = new Map<string, string>();
  const channels = new Map<string, string>();
  const groups = new Map<string, string>();
  const last = turn.items.at(-1);
  let topic = '';
  let timeZone: string | undefined;
  const named = Promise.all([
    ...[...ids.users].map(async (id) => {
      // Without a name the agent reads the id.
      const person = await people.getPerson(id, team).catch(() => null);
      if (person) users.set(id, oneLine(person.name, 80));
      if (person && id === last?.user) timeZone = person.timeZone;
    }),
    ...[...ids.channels].map(async (id) => {
      channels.set(id, oneLine(await people.getChannelName(id, team), 80));
    }),
    ...[...ids.groups].map(async (id) => {
      const handle = await sources.groups?.getHandle(id);
      if (handle) groups.set(id, oneLine(handle, 80));
    }),
    isDirect
      ? null
      : people.getChannelTopic(channel, team).then((text) => {
          topic = oneLine(text, 250);
        }),
  ]);
  await within(clock, NAMES_WITHIN_MS, named);
  const { notes, images } = await handingOver;
  const { items, context, notPassedOn, past } = turn;
  const names = { users, channels, groups };
  const { threadTs } = place.address;
  const link = (last && sources.linkTo?.({ channel, ts: last.about?.ts ?? last.ts, threadTs })) ?? null;
  const said = { items, context, notPassedOn, names, past, files: notes };
  const { isSteering } = place;
  const parts = { botUser, channel, isDirect, isGroup, isSteering, ...said, topic, timeZone, link };
  let seal = past?.seal ?? random.id().slice(0, SEAL);
  while (!isSafeSeal(seal, parts)) seal = random.id().slice(0, SEAL);
  const text = promptContent({ ...parts, seal });
  return images.length > 0 ? [{ type: 'text', text }, ...images] : text;
}
