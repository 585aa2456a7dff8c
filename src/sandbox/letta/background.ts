import { randomUUID } from 'node:crypto';
import type { Conversation } from './conversation.ts';
import * as frames from './frames.ts';
import { runShell } from './machine.ts';
import { nextActs, tokens } from './script.ts';
import type { Json, ToolCall, ToolResult } from './types.ts';
import { text } from './types.ts';
import type { World } from './world.ts';

type Pause = (ms: number) => Promise<void>;

/** A subagent, or a command that was asked to run in the background: both report later (PROTOCOL.md 13). */
export function isBackground(call: ToolCall): boolean {
  return call.name === 'Agent' || (call.name === 'Bash' && call.input.run_in_background === true);
}

/** Starts it and answers what the tool says at once; the rest goes on by itself and ends in a turn of its own. */
export async function startInBackground(
  call: ToolCall,
  conversation: Conversation,
  world: World,
  pause: Pause,
): Promise<ToolResult> {
  if (call.name === 'Agent') return startSubagent(call, conversation, world, pause);
  await pause(world.timings.tool);
  return startCommand(call, conversation, world);
}

const escaped = (some: string) => some.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref());

function notification(task: string, summary: string, result: string, usage: string): string {
  const inner = `<task-id>${task}</task-id>\n<status>completed</status>\n<summary>${summary}</summary>\n<result>${result}</result>\n<usage>${usage}</usage>`;
  return `<task-notification>\n${inner}\n</task-notification>\nFull transcript available at: /home/user/tmp/${task}.log`;
}

function startCommand(call: ToolCall, conversation: Conversation, world: World): ToolResult {
  const command = text(call.input.command) ?? '';
  const id = `bash_${world.nextTask()}`;
  const startedAt = Date.now();
  const entry: Json = {
    process_id: id,
    kind: 'bash',
    command,
    started_at_ms: startedAt,
    status: 'running',
    exit_code: null,
  };
  conversation.background = [...conversation.background, entry];
  const sleep = (seconds: number) => later(seconds * 1000 * world.timings.scale);
  const shell = { machine: world.machine, cwd: conversation.cwd, sleep, onOutput: () => {} };
  runShell(command, shell).then(({ stdout, stderr, code }) => {
    if (!conversation.background.includes(entry)) return;
    conversation.background = conversation.background.filter((one) => one !== entry);
    const output = [stdout && `[stdout]\n${stdout.trimEnd()}`, stderr && `[stderr]\n${stderr.trimEnd()}`];
    const result = [`$ ${escaped(command)}`, `Exit code: ${code}`, ...output.filter(Boolean).map(escaped)].join('\n\n');
    const summary = `Background command "${text(call.input.description) ?? command}" completed`;
    conversation.notify(notification(id, escaped(summary), result, `duration_ms: ${Date.now() - startedAt}`));
  });
  return {
    status: 'success',
    text: `Command running in background with ID: ${id}\nOutput file: /home/user/tmp/${id}.log`,
  };
}

async function startSubagent(
  call: ToolCall,
  conversation: Conversation,
  world: World,
  pause: Pause,
): Promise<ToolResult> {
  const task = `task_${world.nextTask()}`;
  const startedAt = Date.now();
  const agentId = `agent-local-${randomUUID()}`;
  const description = text(call.input.description) ?? '';
  const kind = text(call.input.subagent_type) ?? 'general-purpose';
  const start: Json = {
    subagent_id: `subagent-${startedAt}-1`,
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
    conversation.subagents = [state];
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
  answerAsSubagent(running, agentId, conversation, world).then((answer) => {
    if (!conversation.background.includes(entry)) return;
    conversation.background = conversation.background.filter((one) => one !== entry);
    show({ ...running, total_tokens: 110, duration_ms: Date.now() - startedAt });
    const head = `subagent_type=${kind} subagent_id=${start.subagent_id} subagent_status=success agent_id=${agentId} conversation_id=default`;
    const usage = `total_tokens: 110\ntool_uses: 0\nduration_ms: ${Date.now() - startedAt}`;
    const summary = `Agent "${escaped(description)}" completed`;
    conversation.subagents = [];
    conversation.notify(notification(task, summary, `${head}\n\n${escaped(answer)}`, usage));
  });
  const promise =
    'You will be notified automatically when this task completes — a <task-notification> message will be delivered with the result. No need to poll, sleep-wait, or check the output file. Just continue with your current work.';
  const where = `Agent ID: ${agentId}\nConversation ID: default\nOutput file: /home/user/tmp/${task}.log`;
  return {
    status: 'success',
    text: `Task running in background with task ID: ${task}\n${where}\n\n${promise}`,
  };
}

/** The subagent's own deltas: under the parent's runtime, told apart only by the top-level `subagent_id`. */
async function answerAsSubagent(state: Json, agentId: string, parent: Conversation, world: World): Promise<string> {
  await later(world.timings.subagent);
  const said = nextActs([{ role: 'user', text: String(state.prompt) }])
    .map((act) => (act.kind === 'say' ? act.text : ''))
    .join('');
  const runtime = { agent_id: agentId, conversation_id: 'default' };
  const marks = { subagent_id: state.subagent_id };
  const session = (uuid: string): Json => ({ session_id: agentId, uuid, timestamp: new Date().toISOString() });
  let seq = 0;
  const show = (id: string, fields: Json): void => {
    seq += 1;
    const { type, ...delta } = frames.modelDelta(id, runtime, fields, 'local-run-1', seq);
    parent.delta({ type, ...delta, ...session(id) }, marks);
  };
  for (const token of tokens(said)) {
    show('ui-msg-2', { message_type: 'assistant_message', content: [{ type: 'text', text: token }] });
    await later(world.timings.word);
  }
  show('letta-msg-5', frames.usage());
  const { type, ...stop } = frames.stopReason('end_turn', 'local-run-1', seq + 1);
  parent.delta({ type, ...stop, ...session(randomUUID()) }, marks);
  return said;
}
