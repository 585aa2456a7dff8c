import type { Prompt } from '../access/policy.ts';
import type { Token, UserId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type { OpenTurn, ThreadRecord } from '../record/thread-record.ts';
import { oneLine } from '../text/one-line.ts';
import { noNames, spansText } from '../turn/prompt.ts';

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

/** Which agent answers, as far as Letta has said so since the bridge started. Foreign text. */
export interface HomeAgent {
  agentId: string;
  /** `null`: Letta does not tell it. */
  name: string | null;
  device: string | null;
  workingDirectory: string | null;
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
      approvals: readonly HomeApproval[];
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
  return item ? oneLine(spansText(item.spans, noNames, botUser), QUESTION) : '';
}

/**
 * What of a thread's record Home tabs show, as text to compare. An edit of a post or more text changes nothing in it.
 */
export function homeMark(record: ThreadRecord | null): string {
  if (!record) return '';
  const { turn, inbox, tasks = [] } = record;
  return JSON.stringify([
    turn && [turn.id, turn.state, turn.requester, turn.stoppedBy, turn.ended !== undefined],
    inbox.map(({ key }) => key),
    asksMark(record),
    tasks.map(({ id }) => id),
  ]);
}

/** The open requests of a thread, which are on the Home tabs of everyone who may decide them. */
export function asksMark(record: ThreadRecord | null): string {
  const open = record?.approvals.filter(({ state }) => state.state === 'open') ?? [];
  return open.map(({ token }) => token).join(' ');
}
