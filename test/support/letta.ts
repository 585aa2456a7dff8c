type Frame = Record<string, unknown>;

/** A small Letta: one agent, its conversations, and answers that depend on the message's text. */
export interface FakeLetta {
  agents: { id: string; name: string; model?: string }[];
  /** Handles of models it can use. */
  models: string[];
  conversations: string[];
  mode: string;
  /** Folders on its disk; it ignores other directories (seen with 0.32.18). */
  folders: string[];
  status: 'WAITING_ON_INPUT' | 'PROCESSING_API_RESPONSE' | 'WAITING_ON_APPROVAL';
  /** Request ids of open approvals. */
  pending: string[];
  /** The names of conversations. */
  summaries: Map<string, string>;
  /** Frame types that it does not answer. */
  ignoredTypes: Set<string>;
  /** Frame types that it carries out, and whose answers are lost. */
  mutedTypes: Set<string>;
  /** Whether it applies the permission mode that a client asks for. */
  doesObeyMode: boolean;
  /** The frames that it received, in order. */
  received: Frame[];
  /**
   * What it answers to a frame. Messages: `hang` starts a turn that does not end, `refuse` is refused, `ask` asks for an
   * approval; any other is answered with `echo: …` and the end of the turn. While a turn runs they wait in the queue.
   */
  answerFrame(frame: Frame): Frame[];
  /** The same, even if the answers are lost. */
  carryOut(frame: Frame): Frame[];
  /** One delta of text for the running turn. */
  makeText(words: string): Frame;
}

export function createFakeLetta(): FakeLetta {
  let events = 0;
  let runs = 0;
  let deltas = 0;
  let runtime: { agent_id: string; conversation_id: string } = { agent_id: '', conversation_id: '' };
  const history: Frame[] = [];
  let queue: { id: string; client_message_id: string; kind: string; content: string }[] = [];
  let queued = 0;
  const showQueue = () => event('update_queue', { queue, removed: [] });
  const page = (query: unknown) => {
    const { limit, before } = query as { limit: number; before?: string };
    const rest = history.slice(history.findIndex(({ id }) => id === before) + 1);
    const messages = rest.slice(0, limit);
    return { messages, next_before: messages.at(-1)?.id ?? null, has_more: rest.length > limit };
  };
  let folder = '/project';
  const goTo = (cwd: unknown) => {
    if (letta.folders.includes(String(cwd))) folder = String(cwd);
  };

  const event = (type: string, rest: Frame): Frame => {
    events += 1;
    const stamp = { event_seq: events, emitted_at: '2026-01-05T09:00:00.000Z', idempotency_key: `${type}:${events}` };
    return { type, ...rest, runtime, ...stamp };
  };
  const request = () => ({ subtype: 'can_use_tool', tool_name: 'Bash', input: { command: 'touch x' } });
  const device = () =>
    event('update_device_status', {
      device_status: {
        current_permission_mode: letta.mode,
        current_working_directory: folder,
        pending_control_requests: letta.pending.map((id) => ({ request_id: id, request: request() })),
      },
    });
  const loop = () =>
    event('update_loop_status', {
      loop_status: {
        status: letta.status,
        active_run_ids: letta.status === 'WAITING_ON_INPUT' ? [] : [`run-${runs}`],
        client_message_ids_by_run_id: {},
      },
    });
  const replay = () => [
    ...letta.pending.map((id) => event('control_request', { request_id: id, request: request() })),
    device(),
    loop(),
    showQueue(),
  ];
  const delta = (body: Frame) => {
    deltas += 1;
    return event('stream_delta', { delta: { ...body, run_id: `run-${runs}`, seq_id: deltas } });
  };
  const finish = (reason: string) => {
    letta.status = 'WAITING_ON_INPUT';
    const stop = reason === 'cancelled' ? [] : [delta({ message_type: 'stop_reason', stop_reason: reason })];
    return [...stop, loop(), event('turn_finished', { turn_id: 't', stop_reason: reason, run_id: `run-${runs}` })];
  };

  const start = (frame: Frame): Frame[] => {
    const { request_id, agent_id, conversation_id } = frame;
    if (frame.create_agent) {
      const { name, model } = (frame.create_agent as { body: Frame }).body;
      const agent = { id: `agent-${letta.agents.length + 1}`, name: String(name), model: String(model) };
      letta.agents.push(agent);
      const created = { agent_id: agent.id, conversation_id: String(conversation_id) };
      return [{ type: 'runtime_start_response', request_id, success: true, runtime: created, agent }];
    }
    const no = (error: string) => [
      { type: 'runtime_start_response', request_id, success: false, runtime: null, error },
    ];
    if (!letta.agents.some(({ id }) => id === agent_id)) return no(`Agent ${agent_id} not found`);
    if (typeof conversation_id === 'string' && !letta.conversations.includes(conversation_id)) {
      return no(`Conversation ${conversation_id} not found`);
    }
    if (typeof conversation_id !== 'string') {
      const made = `conv-${letta.conversations.length + 1}`;
      letta.conversations.push(made);
      const { body } = (frame.create_conversation ?? {}) as { body?: { summary?: string } };
      if (body?.summary !== undefined) letta.summaries.set(made, body.summary);
    }
    runtime = {
      agent_id: String(agent_id),
      conversation_id: typeof conversation_id === 'string' ? conversation_id : String(letta.conversations.at(-1)),
    };
    if (letta.doesObeyMode) letta.mode = String(frame.mode);
    goTo(frame.cwd);
    return [...replay(), { type: 'runtime_start_response', request_id, success: true, runtime }];
  };

  const message = (request_id: unknown, payload: Frame): Frame[] => {
    const [first] = payload.messages as { content: string; client_message_id: string }[];
    const content = first?.content ?? '';
    if (content === 'refuse') return [{ type: 'input_accepted', request_id, runtime, accepted: false, error: 'no' }];
    if (letta.status !== 'WAITING_ON_INPUT') {
      queued += 1;
      queue = [
        ...queue,
        { id: `q-${queued}`, client_message_id: first?.client_message_id ?? '', kind: 'message', content },
      ];
      return [{ type: 'input_accepted', request_id, runtime, accepted: true, disposition: 'queued' }, showQueue()];
    }
    runs += 1;
    deltas = 0;
    history.unshift({ id: `u${runs}`, message_type: 'user_message', content, otid: first?.client_message_id });
    letta.status = 'PROCESSING_API_RESPONSE';
    const begun = [{ type: 'input_accepted', request_id, runtime, accepted: true, disposition: 'started' }, loop()];
    if (content === 'hang') return begun;
    if (content === 'ask') {
      letta.status = 'WAITING_ON_APPROVAL';
      letta.pending = [`perm-${runs}`];
      const asked = event('control_request', { request_id: `perm-${runs}`, request: request() });
      const stopped = delta({ message_type: 'stop_reason', stop_reason: 'requires_approval' });
      return [...begun, stopped, loop(), asked, device()];
    }
    history.unshift({ id: `m${runs}`, message_type: 'assistant_message', content: `echo: ${content}` });
    return [...begun, letta.makeText('echo: '), letta.makeText(content), ...finish('end_turn')];
  };

  const approval = (request_id: unknown, payload: Frame): Frame[] => {
    if (!letta.pending.includes(String(payload.request_id))) {
      const error = 'Approval request is no longer pending';
      return [{ type: 'input_accepted', request_id, runtime, accepted: false, error }];
    }
    letta.pending = [];
    return [
      { type: 'input_accepted', request_id, runtime, accepted: true },
      device(),
      letta.makeText('done'),
      ...finish('end_turn'),
    ];
  };

  const letta: FakeLetta = {
    agents: [{ id: 'agent-1', name: 'Ada' }],
    models: ['lmstudio/one', 'lmstudio/two'],
    conversations: ['conv-1'],
    mode: 'unrestricted',
    folders: ['/project', '/srv/support'],
    status: 'WAITING_ON_INPUT',
    pending: [],
    summaries: new Map(),
    ignoredTypes: new Set(),
    mutedTypes: new Set(),
    doesObeyMode: true,
    received: [],
    makeText: (words) =>
      delta({ message_type: 'assistant_message', id: `m${runs}`, content: [{ type: 'text', text: words }] }),
    answerFrame(frame) {
      const answers = letta.carryOut(frame);
      return letta.mutedTypes.has(String(frame.type)) ? [] : answers;
    },
    carryOut(frame) {
      if (frame.type === 'ack') return [];
      letta.received.push(frame);
      const { request_id } = frame;
      if (letta.ignoredTypes.has(String(frame.type))) return [];
      switch (frame.type) {
        case 'runtime_start':
          return start(frame);
        case 'sync':
          runtime = frame.runtime as typeof runtime;
          return [...replay(), { type: 'sync_response', request_id, runtime, success: true }];
        case 'change_device_state':
          if (letta.doesObeyMode) letta.mode = String((frame.payload as Frame).mode);
          goTo((frame.payload as Frame).cwd);
          return [device()];
        case 'input': {
          const payload = frame.payload as Frame;
          return payload.kind === 'create_message' ? message(request_id, payload) : approval(request_id, payload);
        }
        case 'abort_message': {
          const aborted = letta.status !== 'WAITING_ON_INPUT';
          letta.pending = [];
          const ended = aborted ? finish('cancelled') : [];
          return [{ type: 'abort_message_response', request_id, runtime, aborted, success: true }, device(), ...ended];
        }
        case 'remove_queue_item': {
          const success = queue.some(({ id }) => id === frame.item_id);
          queue = queue.filter(({ id }) => id !== frame.item_id);
          return [{ type: 'remove_queue_item_response', request_id, success, item_id: frame.item_id }, showQueue()];
        }
        case 'conversation_messages_list':
          return [{ type: 'conversation_messages_list_response', request_id, success: true, ...page(frame.query) }];
        case 'conversation_list': {
          const conversations = letta.conversations
            .map((id) => ({ id, summary: letta.summaries.get(id) ?? null }))
            .reverse();
          return [{ type: 'conversation_list_response', request_id, success: true, conversations }];
        }
        case 'conversation_update': {
          const id = String(frame.conversation_id);
          if (!letta.conversations.includes(id)) {
            const error = `Conversation ${id} not found`;
            return [{ type: 'conversation_update_response', request_id, success: false, conversation: null, error }];
          }
          const { summary } = frame.body as { summary: string };
          letta.summaries.set(id, summary);
          return [{ type: 'conversation_update_response', request_id, success: true, conversation: { id, summary } }];
        }
        case 'agent_list':
          return [{ type: 'agent_list_response', request_id, success: true, agents: letta.agents }];
        case 'list_models': {
          const entries = ['lmstudio/two', 'lmstudio/one', 'cloud/away'].map((handle) => ({ handle }));
          return [
            { type: 'list_models_response', request_id, success: true, entries, available_handles: letta.models },
          ];
        }
        case 'ping':
          return [{ type: 'pong' }];
        default:
          return [];
      }
    },
  };
  return letta;
}
