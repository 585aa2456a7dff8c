import type { Prompt } from '../access/policy.ts';
import type { ModelsPlace, Token, UserId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import { isOfferTooOld } from '../record/offers.ts';
import type { InboxItem, OpenTurn, ThreadRecord } from '../record/thread-record.ts';
import { openOffers } from '../record/waiting.ts';
import { oneLine } from '../text/one-line.ts';
import { noNames, spansText } from '../turn/prompt.ts';
import { OFFERED } from '../words/home.ts';

/** Something that must be well for the bridge to hear and answer, in a word or two. */
export interface HomeCheck {
  name: string;
  ok: boolean;
  state: string;
}

export interface HomeThread {
  address: ThreadAddress;
  /** What it is about, in one line of foreign text; empty: not known. */
  question: string;
  /** `background`: its turn is over, and something that the agent started goes on. */
  doing: 'working' | 'waiting_for_people' | 'waiting_for_letta' | 'ending' | 'background';
  /** Messages that wait for their turn. */
  queued: number;
  /** ms since 1970 */
  since: number;
  /** Of a button that stops it; `null`: it cannot be stopped, or ends already. */
  stop: Token | null;
  /** Its address in Letta's web app; `null`: it has none. */
  page: string | null;
  /** The model of its conversation, foreign text; `null`: not told. */
  model: string | null;
  /** What a button is about that opens the dialog of models; `null`: the reader may not choose one. */
  models: ModelsPlace | null;
}

/** A request that waits for the reader's click. */
export interface HomeApproval {
  address: ThreadAddress;
  tool: string;
  /** One line of foreign text. */
  title: string;
  /** ms since 1970 */
  askedAt: number;
}

/** A thread where an offer waits for the reader, or whose last turn failed. */
export interface HomeWaiting {
  address: ThreadAddress;
  /** The first message that it is about, in one line of foreign text; empty: not known. */
  question: string;
  /** How the turn failed, one line of foreign text; `null`: it did not. */
  failure: string | null;
  /** What the reader can do, in words of ours. */
  ways: readonly string[];
  /** ms since 1970 */
  since: number;
}

/** Which agent answers, as far as Letta has said so since the bridge started. Foreign text. */
export interface HomeAgent {
  agentId: string;
  /** `null`: Letta does not tell it. */
  name: string | null;
  device: string | null;
  workingDirectory: string | null;
}

/** Machines that dial the bridge. */
export interface Machines {
  /** Names are foreign text. */
  list: readonly { name: string; isOnline: boolean }[];
  /** What to run on a further one; it names the setting with the token. */
  command: string;
}

/** What a person sees of the bridge in the app's Home tab: values only. */
export type HomeView =
  /** One line that says why not, Markdown of ours. */
  | { kind: 'refused'; notice: string }
  | {
      kind: 'open';
      /** Who has paused the agent, Markdown of ours. */
      paused: string | null;
      checks: readonly HomeCheck[];
      agents: readonly HomeAgent[];
      /** `null`: none can dial in. The command is for admins. */
      machines: { list: Machines['list']; command: string | null } | null;
      approvals: readonly HomeApproval[];
      waiting: readonly HomeWaiting[];
      threads: readonly HomeThread[];
      /** Examples of what to ask. */
      prompts: readonly Prompt[];
      /**
       * After how long (ms, 0: never) the end of a turn notifies the reader, and what else they can choose; `chosen`
       * `null`: as usual. `null`: nothing can be chosen.
       */
      notifyAfter: { chosen: number | null; usual: number; choices: readonly number[] } | null;
      /** Markdown of ours. */
      help: string;
      /** What the agent remembers where; Markdown of ours. */
      memory: string;
    };

const QUESTION = 120;

/** What a turn is about: the first message that it carries, in one line; empty when Letta began it by itself. */
export function questionOf({ items: [item] }: OpenTurn, botUser: UserId): string {
  return item ? lineOf(item, botUser) : '';
}

function lineOf({ spans }: InboxItem, botUser: UserId): string {
  return oneLine(spansText(spans, noNames, botUser), QUESTION);
}

/** For how long a failure without a way on is shown. */
const FAILURE_FOR_MS = 24 * 60 * 60 * 1000;

/** What of a thread waits for this person; `null`: nothing does any longer. */
export function waitingOf(record: ThreadRecord, user: UserId, botUser: UserId, now: number): HomeWaiting | null {
  const offers = openOffers(record).filter((offer) => offer.for === user && !isOfferTooOld(offer, now));
  const isFailed = record.failure?.for === user && !record.turn && record.inbox.length === 0;
  const failure = isFailed ? (record.failure ?? null) : null;
  const [first] = offers;
  if (!first && (!failure || now - failure.at > FAILURE_FOR_MS)) return null;
  const item = offers.flatMap(({ items }) => items)[0];
  return {
    address: record.address,
    question: item ? lineOf(item, botUser) : '',
    failure: failure?.line ?? null,
    ways: [...new Set(offers.flatMap(({ kind }) => (kind === 'background' ? [] : [OFFERED[kind]])))],
    since: first?.madeAt ?? failure?.at ?? now,
  };
}

/**
 * What of a thread's record Home tabs show, as text to compare. An edit of a post or more text changes nothing in it.
 */
export function homeMark(record: ThreadRecord | null): string {
  if (!record) return '';
  const { turn, inbox, tasks = [], failure } = record;
  return JSON.stringify([
    turn && [turn.id, turn.state, turn.requester, turn.stoppedBy, turn.ended !== undefined],
    inbox.map(({ key }) => key),
    asksMark(record),
    tasks.map(({ id }) => id),
    openOffers(record).map(({ token, count }) => [token, count]),
    failure?.at,
  ]);
}

/** The open requests of a thread, which are on the Home tabs of everyone who may decide them. */
export function asksMark(record: ThreadRecord | null): string {
  const open = record?.approvals.filter(({ state }) => state.state === 'open') ?? [];
  return open.map(({ token }) => token).join(' ');
}
