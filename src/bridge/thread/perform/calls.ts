import { BoundedMap } from '../../../bounded-map.ts';
import { asBridgeError, BridgeError } from '../../../errors.ts';
import { can } from '../../access/can.ts';
import type { Door, Judgement } from '../../access/door.ts';
import { type PolicyBook, settingsOf } from '../../access/policy.ts';
import { soundResult } from '../../files/sound-result.ts';
import type { ThreadKey, UserId } from '../../ids.ts';
import type { Person } from '../../person.ts';
import type { Log, MessageAddress } from '../../ports.ts';
import { limitResult } from '../../tools/limit.ts';
import { fails, type ToolResult } from '../../tools/result.ts';
import type { ToolCall, ToolHandler, ToolHandlers, ToolPlan, ToolRights } from '../../tools/tool.ts';
import { failedFor, type NotDone, notDone, UNKNOWN } from '../../words/tool-calls.ts';
import type { CallEffect, ToolAsk } from '../core/effects.ts';
import type { CallOutcome } from '../core/events.ts';
import type { Thread } from '../core/thread.ts';
import type { Jobs, Performs } from './jobs.ts';
import type { LettaSide } from './letta.ts';
import type { Rights } from './rights.ts';

export interface CallRunnerParts {
  /** What the tools of the bridge do; left out: there are none. */
  tools?: ToolHandlers | undefined;
  door: Pick<Door, 'judgeAgain'>;
  policies: PolicyBook;
  log: Log;
  /** Lets the thread of a message that was posted elsewhere belong to this thread's conversation. */
  join(home: ThreadKey, at: MessageAddress, requester: UserId): Promise<void>;
  thread(): Thread;
}

/** Results that Letta may still ask for again, and calls that run. */
const HELD = 20;

/** Runs the calls of one thread's turns with the handlers of their tools. */
export class CallRunner {
  readonly #parts: CallRunnerParts;
  readonly #results = new BoundedMap<string, ToolResult>(HELD);
  readonly #running = new Map<string, AbortController>();
  readonly #jobs: Jobs;
  readonly #letta: LettaSide;
  readonly #rights: Rights;

  constructor(parts: CallRunnerParts, jobs: Jobs, letta: LettaSide, rights: Rights) {
    this.#parts = parts;
    this.#jobs = jobs;
    this.#letta = letta;
    this.#rights = rights;
  }

  readonly performs: Performs<CallEffect> = {
    plan_request: ({ turn, link, request, ask }) =>
      this.#jobs.ask(
        'could not tell what a call would do',
        () => this.#plan(ask),
        (plan) => ({ type: 'request_planned', turn, link, request, plan }),
      ),
    plan_call: ({ turn, link, request, ask }) =>
      this.#jobs.ask(
        'could not tell what a call would do',
        () => this.#plan(ask),
        (plan) => ({ type: 'call_planned', turn, link, request, plan }),
      ),
    run_call: ({ of, request, ask, plan, entry }) => {
      const run = async () => {
        try {
          if (entry) await this.#rights.write(entry);
        } catch (error) {
          this.#parts.log.error({ err: error }, 'could not write the audit');
          return this.#refuse(request, 'not_written');
        }
        // The turn may have died with its link while the disk wrote.
        if (this.#letta.isDown) return this.#refuse(request, 'link_lost');
        return this.#run(request, ask, plan);
      };
      this.#jobs.begin('could not run a call', run, (outcome) => ({ type: 'call_ran', of, request, outcome }));
    },
    recall_call: ({ of, request, ask }) =>
      this.#jobs.ask(
        'could not tell what became of a call',
        () => this.#recall(request, ask),
        (result) => ({ type: 'call_recalled', of, request, result }),
      ),
    cancel_call: ({ request }) => this.#running.get(request)?.abort(),
    answer_call: ({ requestIds, result }) => {
      const [first = ''] = requestIds;
      const returned = result ?? this.#results.get(first) ?? fails(notDone('cannot_check'));
      for (const requestId of requestIds) this.#letta.connection?.answerCall(requestId, returned);
    },
  };

  /** What would become of a call now. Rejects when that cannot be told. */
  async #plan(ask: ToolAsk): Promise<ToolPlan> {
    const judged = await this.#judge(ask);
    if (!judged.verdict.allowed) return { may: 'no', why: failedFor(judged.verdict.notice) };
    const call = this.#call(ask, judged.person, new AbortController().signal);
    return this.#handler(ask).prepare(call);
  }

  /** Whoever the turn works for may have lost the right since. */
  #judge({ author }: ToolAsk): Promise<Judgement> {
    return this.#parts.door.judgeAgain(this.#parts.thread().key, author, { do: 'speak' });
  }

  /** Runs a call; what it returned is held under its id. Never rejects. */
  async #run(id: string, ask: ToolAsk, plan: ToolPlan & { may: 'run' | 'ask' }): Promise<CallOutcome> {
    const ends = new AbortController();
    this.#running.set(id, ends);
    let hasBegun = false;
    try {
      const { person, verdict } = await this.#judge(ask);
      if (!verdict.allowed) return this.#hold(id, fails(failedFor(verdict.notice)), {});
      const call = this.#call(ask, person, ends.signal);
      hasBegun = true;
      const result = await this.#handler(ask).run(call, plan);
      await this.#join(ask, result);
      return this.#hold(id, soundResult(limitResult(result)), { handed: result.handed });
    } catch (error) {
      const { notice } = asBridgeError(error);
      // Of a failure that nobody foresaw nobody knows how far the call came.
      const certain = !hasBegun || (error instanceof BridgeError && error.certain);
      this.#parts.log.warn({ tool: ask.name, err: error, certain }, 'a tool of the bridge failed');
      return this.#hold(id, fails(certain ? failedFor(notice) : UNKNOWN), { isUnknown: !certain });
    } finally {
      this.#running.delete(id);
    }
  }

  /** Before a call runs something failed: it certainly did not happen. */
  #refuse(id: string, why: NotDone): CallOutcome {
    return this.#hold(id, fails(notDone(why)), {});
  }

  /** What became of a call that another process began; `null`: that cannot be told. */
  async #recall(id: string, ask: ToolAsk): Promise<{ text: string; isError: boolean } | null> {
    const ends = new AbortController();
    this.#running.set(id, ends);
    try {
      const { person, verdict } = await this.#judge(ask);
      // To find it out may be to do it again, and that is for those who still may.
      if (!verdict.allowed) return null;
      const call = this.#call(ask, person, ends.signal);
      const result = (await this.#handler(ask).recall?.(call)) ?? null;
      if (result) await this.#join(ask, result);
      return result && { text: textOf(result), isError: result.isError === true };
    } finally {
      this.#running.delete(id);
    }
  }

  /** Replies to what was posted elsewhere are for this conversation. That it is posted counts, even if this fails. */
  async #join({ requester }: ToolAsk, { posted }: ToolResult): Promise<void> {
    if (!posted) return;
    const { join, log, thread } = this.#parts;
    await join(thread().key, posted, requester).catch((error: unknown) =>
      log.error(
        { err: error, channel: posted.channel },
        'replies to a posted message begin a conversation of their own',
      ),
    );
  }

  /** The process ends. */
  close(): void {
    for (const ends of this.#running.values()) ends.abort();
  }

  #hold(
    id: string,
    result: ToolResult,
    { isUnknown = false, handed }: Pick<CallOutcome, 'handed'> & { isUnknown?: boolean },
  ): CallOutcome {
    const { parts, isError = false } = result;
    this.#results.set(id, { parts, ...(isError && { isError }) });
    return { text: textOf(result).slice(0, OUTCOME), isError, isUnknown, ...(handed && { handed }) };
  }

  #handler({ name }: ToolAsk): ToolHandler {
    const handler = this.#parts.tools?.[name] as ToolHandler | undefined;
    if (!handler) throw new Error(`there is no handler of ${name}`);
    return handler;
  }

  #call({ author: _, rights, ...ask }: ToolAsk, person: Person, signal: AbortSignal): ToolCall {
    const { policies, thread } = this.#parts;
    const { runtime } = thread().record ?? {};
    const letta = this.#letta.connection;
    const offline = () => Promise.reject(asBridgeError(new Error('there is no link to the machine')));
    const policy = policies.current();
    const at: ToolRights['at'] = (place) => ({
      mayWork: can(policy, person, { do: 'speak' }, place).allowed,
      mayReadMessages: settingsOf(policy, place).context === 'thread',
    });
    return {
      ...ask,
      team: ask.address.team,
      rights: { ...rights, at },
      signal,
      device: {
        id: runtime?.deviceId ?? '',
        conversation: runtime?.conversationId ?? '',
        workingDirectory: thread().link.workingDirectory,
        readFile: (path) => letta?.readFile(path) ?? offline(),
        writeFile: (path, content) => letta?.writeFile(path, content) ?? offline(),
        readBytes: (path, bytes) => letta?.readBytes(path, bytes) ?? offline(),
      },
    };
  }
}

/** How much of a text the thread hears. */
const OUTCOME = 2_000;

const textOf = ({ parts }: ToolResult) => parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
