import type { Agents } from './agent.ts';
import { stopMonitor } from './background.ts';
import { compact } from './compaction.ts';
import type { Conversation } from './conversation.ts';
import { Crons } from './crons.ts';
import { isFileCommand, runFileCommand } from './device-files.ts';
import { areTools } from './external-tools.ts';
import * as frames from './frames.ts';
import type { UserInput } from './history.ts';
import { MODELS, updateModel } from './models.ts';
import { type Outlet, runtimeKey } from './outlet.ts';
import { updateToolset } from './toolsets.ts';
import type { Decision } from './turn.ts';
import type { TurnInput } from './turn-input.ts';
import { isJson, type Json, PERMISSION_MODES, type PermissionMode, type Runtime, text } from './types.ts';

type Handler = (agents: Agents, outlet: Outlet, frame: Json) => void;
type Scoped = (
  conversation: Conversation,
  outlet: Outlet,
  frame: Json,
  runtime: Json,
  fresh: boolean,
  agents: Agents,
) => void;

/**
 * Handles one frame of a client. Frames that the real server ignores are ignored here (docs/letta-protocol.md, Other
 * frames of the client).
 */
export function handleFrame(agents: Agents, outlet: Outlet, frame: unknown): void {
  if (!isJson(frame) || typeof frame.type !== 'string') return;
  if (isFileCommand(frame.type)) {
    const body = runFileCommand(agents.world.machine, frame, agents.world.bootFolder);
    if (body) sendResponse(outlet, frame, body);
    return;
  }
  if (Crons.isCommand(frame.type)) {
    agents.crons.handle(outlet, frame);
    return;
  }
  const plain = PLAIN[frame.type];
  if (plain) {
    plain(agents, outlet, frame);
    return;
  }
  const scoped = SCOPED[frame.type];
  const runtime = readRuntime(frame.runtime);
  if (!scoped || !runtime || !isJson(frame.runtime)) return;
  const conversation = agents.openConversation(runtime);
  const fresh = isFirstListener(agents, outlet, runtime);
  outlet.subscribe(runtime);
  scoped(conversation, outlet, frame, frame.runtime, fresh, agents);
}

/**
 * Whether nobody listened to the runtime before. A device's one connection always listens: for it the first replay
 * counts.
 */
function isFirstListener(agents: Agents, outlet: Outlet, runtime: Runtime): boolean {
  if (outlet.hearsEverything) return !outlet.replayedRuntimes.has(runtimeKey(runtime));
  return agents.world.outletsFor(runtime).length === 0;
}

function readRuntime(value: unknown): Runtime | null {
  const agentId = isJson(value) ? text(value.agent_id) : undefined;
  const conversationId = isJson(value) ? text(value.conversation_id) : undefined;
  if (agentId === undefined || conversationId === undefined) return null;
  return { agent_id: agentId, conversation_id: conversationId };
}

const isMode = (value: unknown): value is PermissionMode => PERMISSION_MODES.includes(String(value));
const limitOf = (query: unknown) => (isJson(query) && typeof query.limit === 'number' ? query.limit : 50);

/** A request without `request_id` has no answer (docs/letta-protocol.md, Other frames of the client). */
function sendResponse(outlet: Outlet, frame: Json, body: Json): void {
  if (text(frame.request_id) === undefined) return;
  outlet.sendReply({ type: `${String(frame.type)}_response`, request_id: frame.request_id, ...body });
}

const PLAIN: Record<string, Handler> = {
  runtime_start: startRuntime,
  app_server_info: (_agents, outlet, frame) =>
    sendResponse(outlet, frame, { success: true, ...frames.APP_SERVER_INFO }),
  agent_list: (agents, outlet, frame) =>
    sendResponse(outlet, frame, { success: true, agents: agents.listAgents(limitOf(frame.query)) }),
  agent_retrieve: (agents, outlet, frame) => {
    const agent = agents.getAgent(String(frame.agent_id));
    const error = `Agent ${String(frame.agent_id)} not found`;
    sendResponse(outlet, frame, agent ? { success: true, agent } : { success: false, agent: null, error });
  },
  agent_create: (agents, outlet, frame) =>
    sendResponse(outlet, frame, { success: true, agent: agents.createAgent(isJson(frame.body) ? frame.body : {}) }),
  agent_delete: (agents, outlet, frame) => {
    const id = String(frame.agent_id);
    const done = agents.deleteAgent(id);
    sendResponse(outlet, frame, { success: done, agent_id: id, ...(!done && { error: `Agent ${id} not found` }) });
  },
  conversation_create: (agents, outlet, frame) => {
    const body = isJson(frame.body) ? frame.body : {};
    const conversation = agents.createConversation(String(body.agent_id), text(body.summary) ?? null);
    const missing = { success: false, conversation: null, error: `Agent ${String(body.agent_id)} not found` };
    sendResponse(outlet, frame, conversation ? { success: true, conversation: conversation.toRecord() } : missing);
  },
  conversation_list: (agents, outlet, frame) => {
    const agentId = isJson(frame.query) ? String(frame.query.agent_id) : '';
    const conversations = agents.listConversations(agentId, limitOf(frame.query)).map((one) => one.toRecord());
    sendResponse(outlet, frame, { success: true, conversations });
  },
  conversation_retrieve: (agents, outlet, frame) =>
    answerAboutConversation(agents, outlet, frame, (one) => ({ conversation: one.toRecord() })),
  conversation_update: (agents, outlet, frame) =>
    answerAboutConversation(agents, outlet, frame, (one) => {
      if (isJson(frame.body) && 'summary' in frame.body) one.setSummary(text(frame.body.summary) ?? null);
      return { conversation: one.toRecord() };
    }),
  conversation_fork: (agents, outlet, frame) => {
    const body = isJson(frame.body) ? frame.body : {};
    const upTo = text(body.message_id) ?? null;
    const copy = agents.forkConversation(String(frame.conversation_id), text(body.agent_id), upTo);
    const missing = { success: false, conversation: null };
    if (typeof copy === 'string') return sendResponse(outlet, frame, { ...missing, error: copy });
    sendResponse(outlet, frame, { success: true, conversation: { id: copy.runtime.conversation_id } });
  },
  conversation_messages_list: (agents, outlet, frame) =>
    answerAboutConversation(agents, outlet, frame, (one) =>
      one.history.listPage(isJson(frame.query) ? frame.query : {}),
    ),
  list_models: (_agents, outlet, frame) => sendResponse(outlet, frame, { success: true, ...MODELS }),
  update_model: (agents, outlet, frame) => {
    const runtime = readRuntime(frame.runtime);
    if (!runtime) return;
    const conversation = agents.openConversation(runtime);
    const body = updateModel(
      conversation,
      (model) => agents.setModel(runtime.agent_id, model),
      isJson(frame.payload) ? frame.payload : {},
    );
    if (body) sendResponse(outlet, frame, body);
  },
  update_toolset: (agents, outlet, frame) => {
    const runtime = readRuntime(frame.runtime);
    const body = runtime && updateToolset(agents.openConversation(runtime), frame.toolset_preference);
    if (body) sendResponse(outlet, frame, body);
  },
  external_tool_call_response: (agents, outlet, frame) => agents.world.externalTools.answer(outlet, frame),
  runtime_external_tools_update: updateTools,
};

function answerAboutConversation(agents: Agents, outlet: Outlet, frame: Json, read: (one: Conversation) => Json): void {
  const id = String(frame.conversation_id);
  const conversation = agents.conversationById(id);
  const missing = { success: false, error: `Conversation ${id} not found` };
  sendResponse(outlet, frame, conversation ? { success: true, ...read(conversation) } : missing);
}

// ---- runtime_start -----------------------------------------------------------------------------

function startRuntime(agents: Agents, outlet: Outlet, frame: Json): void {
  const found = findRuntime(agents, frame);
  const { agent, conversation, created, error } = found;
  if (!conversation || error !== undefined) {
    const body = { success: false, runtime: null, agent: agent ?? null, conversation: null, created: NOTHING };
    sendResponse(outlet, frame, { ...body, error: error ?? 'runtime_start failed' });
    return;
  }
  const { runtime } = conversation;
  const fresh = isFirstListener(agents, outlet, runtime);
  outlet.subscribe(runtime);
  if (isMode(frame.mode)) conversation.setMode(frame.mode);
  if (typeof frame.cwd === 'string') conversation.setFolder(frame.cwd);
  if (frame.cwd === null) conversation.setFolder(agents.world.bootFolder);
  agents.world.externalTools.register(outlet, runtime, frame.external_tools);
  const answer = (): void =>
    sendResponse(outlet, frame, { success: true, runtime, agent, conversation: conversation.toRecord(), created });
  const force = frame.force_device_status !== false;
  const recover = frame.recover_approvals !== false;
  if (frame.wait_for_replay !== true) answer();
  conversation.replayState(outlet, { force, recover, fresh }, frame.wait_for_replay === true ? answer : undefined);
}

const NOTHING = { agent: false, conversation: false };

interface Found {
  readonly agent?: Json | undefined;
  readonly conversation?: Conversation | null | undefined;
  readonly created: { readonly agent: boolean; readonly conversation: boolean };
  readonly error?: string;
}

function findRuntime(agents: Agents, frame: Json): Found {
  const makes = isJson(frame.create_agent) ? frame.create_agent : undefined;
  const id = text(frame.agent_id);
  const fail = (error: string, agent?: Json): Found => ({ error, agent, created: NOTHING });
  if (id !== undefined && makes) return fail('runtime_start agent_id cannot be combined with create_agent');
  if (id === undefined && !makes) return fail('runtime_start requires an agent or conversation');
  const conversationId = text(frame.conversation_id);
  if (conversationId !== undefined && isJson(frame.create_conversation)) {
    return fail('runtime_start conversation_id cannot be combined with create_conversation');
  }
  const agent = makes ? agents.createAgent(isJson(makes.body) ? makes.body : {}) : agents.getAgent(id ?? '');
  if (!agent) return fail(`Agent ${id} not found`);
  const agentId = String(agent.id);
  if (conversationId !== undefined) {
    const conversation = agents.findConversation({ agent_id: agentId, conversation_id: conversationId });
    if (!conversation) return fail(`Conversation ${conversationId} not found`, agent);
    return { agent, conversation, created: { agent: makes !== undefined, conversation: false } };
  }
  const make = isJson(frame.create_conversation) ? frame.create_conversation : {};
  const summary = isJson(make.body) ? (text(make.body.summary) ?? null) : null;
  const conversation = agents.createConversation(agentId, summary);
  return { agent, conversation, created: { agent: makes !== undefined, conversation: true } };
}

/** Any runtime may be named, also one that nobody started; a frame that names none, or a bad tool, has no answer. */
function updateTools(agents: Agents, outlet: Outlet, frame: Json): void {
  const updates = Array.isArray(frame.updates) ? frame.updates.filter(isJson) : [];
  const wanted = updates.map(({ runtimes, external_tools: groups }) => ({
    runtimes: Array.isArray(runtimes) ? runtimes.map(readRuntime) : [],
    groups,
  }));
  const isWhole = wanted.every(
    ({ runtimes, groups }) => runtimes.length > 0 && !runtimes.includes(null) && areTools(groups),
  );
  if (!isWhole || wanted.length === 0) return;
  for (const { runtimes, groups } of wanted) {
    for (const runtime of runtimes) if (runtime) agents.world.externalTools.register(outlet, runtime, groups);
  }
  sendResponse(outlet, frame, { success: true });
}

// ---- frames with a runtime ---------------------------------------------------------------------

const SCOPED: Record<string, Scoped> = {
  sync: (conversation, outlet, frame, _runtime, fresh) => {
    const { runtime } = conversation;
    const recover = frame.recover_approvals !== false;
    const answer = (): void => sendResponse(outlet, frame, { runtime, success: true });
    conversation.replayState(outlet, { force: frame.force_device_status === true, recover, fresh }, answer);
  },
  input: (conversation, outlet, frame, runtime) => {
    const problem = inputProblem(frame.payload);
    if (problem !== null) return conversation.emitDelta(frames.loopError(problem, false));
    const payload = frame.payload as Json;
    if (payload.kind === 'create_message') return createMessage(conversation, outlet, frame, payload, runtime);
    answerApproval(conversation, outlet, frame, payload, runtime);
  },
  abort_message: (conversation, outlet, frame) => {
    const aborted = conversation.abortTurn(text(frame.run_id));
    sendResponse(outlet, frame, { runtime: conversation.runtime, aborted, success: true });
  },
  monitor_stop: (conversation, outlet, frame) => {
    const id = text(frame.process_id) ?? '';
    sendResponse(outlet, frame, { runtime: conversation.runtime, process_id: id, ...stopMonitor(id, conversation) });
  },
  change_device_state: (conversation, _outlet, frame) => {
    const payload = isJson(frame.payload) ? frame.payload : {};
    if (payload.mode !== undefined && !isMode(payload.mode)) {
      return conversation.changeState({ badMode: String(payload.mode) });
    }
    conversation.changeState({
      ...(isMode(payload.mode) ? { mode: payload.mode } : {}),
      ...(typeof payload.cwd === 'string' ? { cwd: payload.cwd } : {}),
    });
  },
  remove_queue_item: (conversation, outlet, frame) => {
    const id = String(frame.item_id);
    const { success, go } = conversation.removeFromQueue(id);
    sendResponse(outlet, frame, { success, item_id: id });
    go();
  },
  resume_queue: (conversation, outlet, frame) => {
    const { resumed, go } = conversation.resumeQueue();
    sendResponse(outlet, frame, { runtime: conversation.runtime, resumed, success: true });
    go();
  },
  execute_command: (conversation, outlet, frame, _runtime, _fresh, agents) => {
    const id = String(frame.command_id);
    if (id === 'compact') return void runCompact(agents, conversation, outlet, frame);
    if (id !== 'clear') return sendResponse(outlet, frame, { success: false, output: `Unknown command: ${id}` });
    conversation.hasCleared = true;
    conversation.emitDelta(frames.slashCommand('start', id));
    conversation.emitDelta(frames.slashCommand('end', id, { output: CLEARED, success: true }));
    sendResponse(outlet, frame, { success: true, output: CLEARED });
  },
};

const CLEARED = "Agent's in-context messages cleared & moved to conversation history";

const NOTHING_THERE =
  'Compaction completed. Message buffer length reduced from 0 to 1.\n\nSummary: No prior conversation messages.';

/** Answered when the summary is written; no loop state tells of it (docs/letta-protocol.md, Compaction). */
async function runCompact({ world }: Agents, conversation: Conversation, outlet: Outlet, frame: Json): Promise<void> {
  // After `clear` commands act on a new conversation that no frame names, while input goes on in this one (trace 37).
  if (conversation.hasCleared) return sendResponse(outlet, frame, { success: true, output: NOTHING_THERE });
  const args = (text(frame.args) ?? '').trim();
  conversation.emitDelta(frames.slashCommand('start', 'compact'));
  const outcome = await compact(conversation, world, args);
  if (outcome === null) return;
  conversation.emitDelta(frames.slashCommand('end', 'compact', outcome));
  sendResponse(outlet, frame, outcome);
}

function inputProblem(payload: unknown): string | null {
  if (!isJson(payload)) return 'Protocol violation: input.payload must be an object';
  if (payload.kind === 'create_message') {
    if (Array.isArray(payload.messages)) return null;
    return 'Protocol violation: input.kind=create_message requires payload.messages[]';
  }
  if (payload.kind !== 'approval_response') return `Unsupported input payload kind: ${String(payload.kind)}`;
  if (text(payload.request_id) !== undefined && (isDecision(payload.decision) || text(payload.error) !== undefined)) {
    return null;
  }
  return 'Protocol violation: input.kind=approval_response requires payload.request_id and either payload.decision or payload.error';
}

function isDecision(value: unknown): boolean {
  if (!isJson(value)) return false;
  return value.behavior === 'allow' || (value.behavior === 'deny' && text(value.message) !== undefined);
}

function sendAccepted(outlet: Outlet, frame: Json, runtime: Json, body: Json): void {
  if (text(frame.request_id) === undefined) return;
  outlet.sendReply({ type: 'input_accepted', request_id: frame.request_id, runtime, ...body });
}

function createMessage(conversation: Conversation, outlet: Outlet, frame: Json, payload: Json, runtime: Json): void {
  const messages = (payload.messages as unknown[]).filter(isJson);
  const input: TurnInput = {
    messages: messages.map(readMessage),
    clientIds: messages.map((message) => text(message.client_message_id)).filter((id) => id !== undefined),
    options: payload,
    sender: outlet,
    ...(text(runtime.acting_user_id) === undefined ? {} : { actingUserId: String(runtime.acting_user_id) }),
  };
  const { disposition, go } = conversation.submitInput(input);
  sendAccepted(outlet, frame, runtime, { accepted: true, disposition });
  go();
}

function readMessage(message: Json): UserInput {
  const otid = text(message.client_message_id);
  return { role: text(message.role) ?? 'user', content: message.content, ...(otid === undefined ? {} : { otid }) };
}

function answerApproval(conversation: Conversation, outlet: Outlet, frame: Json, payload: Json, runtime: Json): void {
  const given = isJson(payload.decision) ? payload.decision : {};
  const picked = given.selected_permission_suggestion_ids;
  const saves = Array.isArray(picked) && picked.includes('save-default');
  if (!conversation.answerRequest(String(payload.request_id), readDecision(payload, given), saves)) {
    const error = 'Approval request is no longer pending';
    sendAccepted(outlet, frame, runtime, { accepted: false, error });
    return;
  }
  // The turn continues before the answer is confirmed (trace 07b).
  setImmediate(() => sendAccepted(outlet, frame, runtime, { accepted: true }));
}

function readDecision(payload: Json, given: Json): Decision {
  if (text(payload.error) !== undefined) return { kind: 'deny', message: String(payload.error) };
  if (given.behavior !== 'allow') return { kind: 'deny', message: text(given.message) ?? '' };
  return {
    kind: 'allow',
    ...(text(given.message) === undefined ? {} : { message: String(given.message) }),
    ...(isJson(given.updated_input) ? { updatedInput: given.updated_input } : {}),
  };
}
