import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as frames from './frames.ts';
import { runShell } from './machine.ts';
import { nextActs, tokens } from './script.ts';
import type { Json, ModelMessage, Runtime, ToolCall, ToolResult } from './types.ts';
import { text } from './types.ts';
import type { World } from './world.ts';

type Pause = (ms: number) => Promise<void>;

/** What background tasks need of the conversation that started them. */
export interface TaskHost {
  readonly runtime: Runtime;
  readonly cwd: string;
  background: Json[];
  subagents: Json[];
  emitDelta(delta: Json, marks?: Json): void;
  showDevice(): void;
  showSubagents(): void;
  /** Begins a turn that nobody asked for. */
  queueNotification(content: string): void;
}

/**
 * A subagent, a monitor, or a command that was asked to run in the background: all report later
 * (docs/letta-protocol.md, Activity nobody asked for).
 */
export function isBackground(call: ToolCall): boolean {
  return (
    call.name === 'Agent' || call.name === 'Monitor' || (call.name === 'Bash' && call.input.run_in_background === true)
  );
}

/** The agent's tool to end what it started. Commands and subagents can be ended in no other way. */
export function stopTask(call: ToolCall, conversation: TaskHost): ToolResult {
  const id = text(call.input.task_id) ?? '';
  const entry = conversation.background.find((one) => one.process_id === id);
  if (!entry) return { status: 'success', text: '{"killed":false}' };
  endTask(entry, conversation);
  // An ended subagent reports it; an ended command does not.
  if (entry.kind === 'agent_task') {
    const summary = `Agent "${escapeXml(text(entry.description) ?? '')}" failed`;
    conversation.queueNotification(notification(id, summary, 'Error: Interrupted by user', 'tool_uses: 0', 'failed'));
  }
  return { status: 'success', text: '{"killed":true}' };
}

/** `monitor_stop`: a client ends a monitor; it can end nothing else. */
export function stopMonitor(id: string, conversation: TaskHost): Json {
  const entry = conversation.background.find((one) => one.process_id === id && one.kind === 'monitor');
  if (!entry) return { success: false, stopped: false, error: 'Monitor not found' };
  endTask(entry, conversation);
  const event = 'The user cancelled this Monitor. Do not restart it unless the user asks.';
  const inner = `<task-id>${id}</task-id>\n<summary>Monitor event: "${escapeXml(text(entry.description) ?? '')}"</summary>\n<result>\n<event>${event}</event>\n</result>`;
  conversation.queueNotification(`<task-notification>\n${inner}\n</task-notification>`);
  return { success: true, stopped: true };
}

function endTask(entry: Json, conversation: TaskHost): void {
  conversation.background = conversation.background.filter((one) => one !== entry);
  conversation.subagents = conversation.subagents.filter((one) => one.subagent_id !== entry.subagent_id);
  conversation.showSubagents();
  conversation.showDevice();
}

/** Starts it and returns the tool's immediate answer. When the task ends, it starts a turn of its own. */
export async function startInBackground(
  call: ToolCall,
  conversation: TaskHost,
  world: World,
  pause: Pause,
): Promise<ToolResult> {
  if (call.name === 'Agent') return startSubagent(call, conversation, world, pause);
  await pause(world.timings.tool);
  return startCommand(call, conversation, world);
}

const escapeXml = (some: string) => some.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
/** Rejects at once when this Letta stops: its tasks die with it. */
function waitMs(ms: number, { stopping }: World): Promise<void> {
  return sleep(ms, undefined, { ref: false, signal: stopping }).catch(() => {
    throw new Killed('Letta stopped');
  });
}

function notification(task: string, summary: string, result: string, usage: string, status = 'completed'): string {
  const inner = `<task-id>${task}</task-id>\n<status>${status}</status>\n<summary>${summary}</summary>\n<result>${result}</result>\n<usage>${usage}</usage>`;
  return `<task-notification>\n${inner}\n</task-notification>\nFull transcript available at: /home/user/tmp/${task}.log`;
}

function startCommand(call: ToolCall, conversation: TaskHost, world: World): ToolResult {
  const command = text(call.input.command) ?? '';
  const isMonitor = call.name === 'Monitor';
  const id = isMonitor ? `monitor_${randomUUID()}` : `bash_${world.nextTask()}`;
  const startedAt = Date.now();
  const about = text(call.input.description) ?? command;
  const entry: Json = isMonitor
    ? { process_id: id, kind: 'monitor', description: about, source: 'command', started_at_ms: startedAt }
    : { process_id: id, kind: 'bash', command, started_at_ms: startedAt };
  Object.assign(entry, { status: 'running' }, isMonitor ? { persistent: false } : { exit_code: null });
  conversation.background = [...conversation.background, entry];
  runShell(command, shellOf(entry, conversation, world)).then(({ stdout, stderr, code }) => {
    if (!conversation.background.includes(entry)) return;
    conversation.background = conversation.background.filter((one) => one !== entry);
    const output = [stdout && `[stdout]\n${stdout.trimEnd()}`, stderr && `[stderr]\n${stderr.trimEnd()}`];
    const result = [`$ ${escapeXml(command)}`, `Exit code: ${code}`, ...output.filter(Boolean).map(escapeXml)].join(
      '\n\n',
    );
    const summary = `${isMonitor ? 'Monitor' : 'Background command'} "${about}" completed`;
    conversation.queueNotification(
      notification(id, escapeXml(summary), result, `duration_ms: ${Date.now() - startedAt}`),
    );
  }, rethrowUnlessKilled);
  return {
    status: 'success',
    text: `Command running in background with ID: ${id}\nOutput file: /home/user/tmp/${id}.log`,
  };
}

async function startSubagent(call: ToolCall, conversation: TaskHost, world: World, pause: Pause): Promise<ToolResult> {
  const task = `task_${world.nextTask()}`;
  const startedAt = Date.now();
  const agentId = `agent-local-${randomUUID()}`;
  const description = text(call.input.description) ?? '';
  const kind = text(call.input.subagent_type) ?? 'general-purpose';
  const start: Json = {
    subagent_id: `subagent-${startedAt}-${task.replace('task_', '')}`,
    subagent_type: kind.charAt(0).toUpperCase() + kind.slice(1),
    description,
    prompt: text(call.input.prompt) ?? '',
    status: 'pending',
    agent_url: null,
    conversation_id: null,
    is_background: true,
    tool_call_id: call.id,
    parent_agent_id: conversation.runtime.agent_id,
    parent_conversation_id: conversation.runtime.conversation_id,
    start_time: startedAt,
    tool_calls: [],
    total_tokens: 0,
    duration_ms: 0,
  };
  const show = (state: Json): Json => {
    const others = conversation.subagents.filter((one) => one.subagent_id !== state.subagent_id);
    conversation.subagents = [...others, state];
    conversation.showSubagents();
    return state;
  };
  show(start);
  const model = 'lmstudio/scripted';
  show({ ...start, model });
  show({ ...start, model, status: 'running' });
  await pause(world.timings.tool);
  const running = show({ ...start, model, status: 'running', agent_url: agentId, conversation_id: 'default' });
  const entry: Json = {
    process_id: task,
    kind: 'agent_task',
    task_type: kind,
    description,
    started_at_ms: startedAt,
    status: 'running',
    subagent_id: start.subagent_id,
  };
  conversation.background = [...conversation.background, entry];
  answerAsSubagent(running, agentId, entry, conversation, world).then((answer) => {
    if (!conversation.background.includes(entry)) return;
    conversation.background = conversation.background.filter((one) => one !== entry);
    show({ ...running, total_tokens: 110, duration_ms: Date.now() - startedAt });
    const head = `subagent_type=${kind} subagent_id=${start.subagent_id} subagent_status=success agent_id=${agentId} conversation_id=default`;
    const usage = `total_tokens: 110\ntool_uses: 0\nduration_ms: ${Date.now() - startedAt}`;
    const summary = `Agent "${escapeXml(description)}" completed`;
    conversation.subagents = conversation.subagents.filter((one) => one.subagent_id !== start.subagent_id);
    conversation.queueNotification(notification(task, summary, `${head}\n\n${escapeXml(answer)}`, usage));
  }, rethrowUnlessKilled);
  const promise =
    'You will be notified automatically when this task completes — a <task-notification> message will be delivered with the result. No need to poll, sleep-wait, or check the output file. Just continue with your current work.';
  const where = `Agent ID: ${agentId}\nConversation ID: default\nOutput file: /home/user/tmp/${task}.log`;
  return {
    status: 'success',
    text: `Task running in background with task ID: ${task}\n${where}\n\n${promise}`,
  };
}

class Killed extends Error {}

function rethrowUnlessKilled(error: unknown): void {
  if (!(error instanceof Killed)) throw error;
}

/** A shell that stops once its task was ended. */
function shellOf(entry: Json, conversation: TaskHost, world: World): Parameters<typeof runShell>[1] {
  const sleepOrDie = async (seconds: number) => {
    await waitMs(seconds * 1000 * world.timings.scale, world);
    if (!conversation.background.includes(entry)) throw new Killed('the task was ended');
  };
  return { machine: world.machine, cwd: conversation.cwd, sleep: sleepOrDie, onOutput: () => {} };
}

/** What a subagent does. Its commands run without approval, whatever its parent's mode. */
async function workAsSubagent(prompt: string, shell: Parameters<typeof runShell>[1]): Promise<string> {
  const messages: ModelMessage[] = [{ role: 'user', text: prompt }];
  for (let step = 0; step < SUBAGENT_STEPS; step += 1) {
    const acts = nextActs(messages);
    const calls = acts.flatMap((act) => (act.kind === 'tool' ? [act] : []));
    const said = acts.map((act) => (act.kind === 'say' ? act.text : '')).join('');
    if (calls.length === 0) return said;
    messages.push({ role: 'assistant', text: said });
    for (const { name, input } of calls) {
      const output = name === 'Bash' ? await runShell(text(input.command) ?? '', shell) : null;
      messages.push({ role: 'tool', text: output ? output.stdout + output.stderr : `Tool not found: ${name}` });
    }
  }
  return '';
}

const SUBAGENT_STEPS = 20;

/** Emits the subagent's own deltas under the parent's runtime; only the top-level `subagent_id` distinguishes them. */
async function answerAsSubagent(
  state: Json,
  agentId: string,
  entry: Json,
  parent: TaskHost,
  world: World,
): Promise<string> {
  await waitMs(world.timings.subagent, world);
  const said = await workAsSubagent(String(state.prompt), shellOf(entry, parent, world));
  const runtime = { agent_id: agentId, conversation_id: 'default' };
  const marks = { subagent_id: state.subagent_id };
  const session = (uuid: string): Json => ({ session_id: agentId, uuid, timestamp: new Date().toISOString() });
  let seq = 0;
  const show = (id: string, fields: Json): void => {
    seq += 1;
    const { type, ...delta } = frames.modelDelta(id, runtime, fields, 'local-run-1', seq);
    parent.emitDelta({ type, ...delta, ...session(id) }, marks);
  };
  for (const token of tokens(said)) {
    show('ui-msg-2', { message_type: 'assistant_message', content: [{ type: 'text', text: token }] });
    await waitMs(world.timings.word, world);
  }
  show('letta-msg-5', frames.usage());
  const { type, ...stop } = frames.stopReason('end_turn', 'local-run-1', seq + 1);
  parent.emitDelta({ type, ...stop, ...session(randomUUID()) }, marks);
  return said;
}
