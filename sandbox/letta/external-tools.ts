import { randomUUID } from 'node:crypto';
import { type Outlet, runtimeKey } from './outlet.ts';
import { isJson, type Json, type Runtime, type ToolCall, type ToolResult, text } from './types.ts';

/** The tools that a turn may call, as they were when it began: by name, the outlets that brought one. */
export type FrozenTools = ReadonlyMap<string, readonly Outlet[]>;

interface CallOptions {
  runtime: Runtime;
  call: ToolCall;
  tools: FrozenTools;
  /** The outlet whose input began the turn. */
  sender: Outlet | null;
  timeoutMs: number;
  /** Ends with the process. */
  gone: AbortSignal;
}

interface OpenCall {
  owner: Outlet;
  settle(result: ToolResult): void;
}

/** What the server shows of one result; the rest goes to a file (docs/letta-protocol.md, External tools: a call). */
const MOST_TEXT = 32_000;

/**
 * The tools that clients bring, by connection and runtime, and their open calls (docs/letta-protocol.md, External tools).
 */
export class ExternalTools {
  readonly #sets = new Map<Outlet, Map<string, ReadonlySet<string>>>();
  readonly #open = new Map<string, OpenCall>();

  /** Replaces the whole set of this connection for this runtime; without a list it is removed. */
  register(outlet: Outlet, runtime: Runtime, groups: unknown): void {
    const names = namesIn(groups);
    if (names === null) return;
    const sets = this.#sets.get(outlet) ?? new Map<string, ReadonlySet<string>>();
    if (names.size === 0) sets.delete(runtimeKey(runtime));
    else sets.set(runtimeKey(runtime), names);
    this.#sets.set(outlet, sets);
  }

  /** The set for a turn that begins now; later changes count for later turns. */
  freeze(runtime: Runtime): FrozenTools {
    const frozen = new Map<string, Outlet[]>();
    for (const [outlet, sets] of this.#sets) {
      if (outlet.isClosed) continue;
      for (const name of sets.get(runtimeKey(runtime)) ?? []) frozen.set(name, [...(frozen.get(name) ?? []), outlet]);
    }
    return frozen;
  }

  /**
   * Asks the client that brought the tool; `null` if none that is still there did. Nothing tells that client of an abort,
   * and the turn does not end before the answer.
   */
  call({ runtime, call, tools, sender, timeoutMs, gone }: CallOptions): Promise<ToolResult> | null {
    const owners = (tools.get(call.name) ?? []).filter((outlet) => !outlet.isClosed);
    const owner = owners.find((outlet) => outlet === sender) ?? owners.at(-1);
    if (!owner) return null;
    const request_id = `external-tool-${randomUUID()}`;
    const failed = `External tool execution error: External tool call timed out: ${call.name}`;
    return new Promise((resolve) => {
      const settle = (result: ToolResult): void => {
        clearTimeout(timer);
        this.#open.delete(request_id);
        resolve(result);
      };
      const timer = setTimeout(() => settle({ status: 'error', text: failed }), timeoutMs);
      gone.addEventListener('abort', () => clearTimeout(timer), { once: true });
      this.#open.set(request_id, { owner, settle });
      const asked = { tool_call_id: call.id, tool_name: call.name, input: call.input };
      owner.sendReply({ type: 'external_tool_call_request', request_id, runtime, ...asked });
    });
  }

  /** Only the owner's first answer with a list of parts, or an error, counts. */
  answer(outlet: Outlet, frame: Json): void {
    const open = this.#open.get(text(frame.request_id) ?? '');
    if (open?.owner !== outlet) return;
    const error = text(frame.error);
    if (error !== undefined) {
      open.settle({ status: 'error', text: `External tool execution error: ${error}` });
      return;
    }
    const result = isJson(frame.result) ? frame.result : {};
    if (!Array.isArray(result.content)) return;
    open.settle({ status: result.is_error === true ? 'error' : 'success', ...shownOf(result.content) });
  }

  /** The connection is gone, and with it its tools; its open calls fail. */
  forget(outlet: Outlet): void {
    this.#sets.delete(outlet);
    const text = 'External tool execution error: Listener connection closed';
    for (const open of [...this.#open.values()]) if (open.owner === outlet) open.settle({ status: 'error', text });
  }

  /** The process is gone. */
  clear(): void {
    this.#sets.clear();
    this.#open.clear();
  }
}

/** Whether the server takes this list of groups. */
export const areTools = (groups: unknown): boolean => namesIn(groups) !== null;

/** `null` when one of the tools lacks what the server asks for. */
function namesIn(groups: unknown): ReadonlySet<string> | null {
  if (!Array.isArray(groups)) return new Set();
  const tools = groups.filter(isJson).flatMap((group) => (Array.isArray(group.tools) ? group.tools : []));
  const isWhole = (tool: unknown) =>
    isJson(tool) && text(tool.name) !== undefined && text(tool.description) !== undefined && isJson(tool.parameters);
  return tools.every(isWhole) ? new Set(tools.map((tool) => String((tool as Json).name))) : null;
}

function shownOf(content: readonly unknown[]): { text: string; image?: string } {
  const parts = content.filter(isJson);
  const texts = parts.filter((part) => part.type === 'text').map((part) => text(part.text) ?? '');
  if (parts.length === 0 || texts.length < parts.length) {
    const image = parts.find((part) => part.type === 'image');
    const shown = JSON.stringify(content).slice(0, 30_000);
    return { text: shown, ...(image && { image: text(image.data) ?? '' }) };
  }
  const joined = texts.join('\n');
  if (joined.length <= MOST_TEXT) return { text: joined };
  const file = `~/.letta/projects/project/agent-tools/external-${randomUUID()}.txt`;
  return { text: `${joined.slice(0, MOST_TEXT)}\n[Full output written to: ${file}]` };
}
