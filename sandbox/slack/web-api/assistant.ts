import { isObject } from '../model.ts';
import { invalidArguments, Refusal } from '../refusal.ts';
import { type Call, joinedChannel, type Methods, threadRoot } from './method.ts';

const SESSION_STATUSES = ['active', 'processing', 'suspended', 'closed'];

function sessionPlace(call: Call, missing: string): { channel: string; thread: string; key: string } {
  const channel = joinedChannel(call, call.args.required('channel_id'));
  if (channel.archived) throw new Refusal('is_archived');
  const root = threadRoot(call, channel);
  if (!root) throw new Refusal(missing);
  return { channel: channel.id, thread: root.ts, key: `${channel.id} ${root.ts}` };
}

function loadingMessages(call: Call): string[] {
  const list = call.args.array('loading_messages', 'invalid_arguments') ?? [];
  if (list.length > 10) throw invalidArguments('no more than 10 items allowed [json-pointer:/loading_messages]');
  return list.map((message, index) => {
    if (typeof message === 'string' && message.length >= 1 && message.length <= 50) return message;
    throw invalidArguments(`must be 1 to 50 characters [json-pointer:/loading_messages/${index}]`);
  });
}

export const assistant: Methods = {
  'assistant.threads.setStatus': {
    scopes: ['assistant:write', 'chat:write'],
    tier: 'status',
    run(call) {
      const { world, args } = call;
      const { channel, thread, key } = sessionPlace(call, 'invalid_thread_ts');
      const status = args.string('status');
      if (status === undefined) throw invalidArguments('missing required field: status [json-pointer:/]');
      const messages = loadingMessages(call);
      world.workspace.statuses.delete(key);
      if (status !== '') {
        world.workspace.statuses.set(key, { channel, thread, status, loadingMessages: messages, at: world.now() });
      }
      return {};
    },
  },
  'assistant.threads.setTitle': {
    scopes: ['assistant:write'],
    tier: 'T4',
    run(call) {
      sessionPlace(call, 'invalid_thread_ts');
      call.args.required('title');
      return {};
    },
  },
  'assistant.threads.setSuggestedPrompts': {
    scopes: ['assistant:write'],
    tier: 'T4',
    run(call) {
      const { world, args } = call;
      const channel = joinedChannel(call, args.required('channel_id'));
      if (!world.isAgent) throw new Refusal('not_agent_app');
      const prompts = (args.array('prompts', 'invalid_arguments') ?? []).map((prompt, index) => {
        const { title, message } = isObject(prompt) ? prompt : {};
        if (typeof title === 'string' && title !== '' && typeof message === 'string' && message !== '') {
          return { title, message };
        }
        throw invalidArguments(`must have a title and a message [json-pointer:/prompts/${index}]`);
      });
      if (prompts.length === 0 || prompts.length > 4) {
        throw invalidArguments('must have 1 to 4 items [json-pointer:/prompts]');
      }
      // Agent apps have no prompts of a thread (docs/slack.md, Agent apps).
      if (args.string('thread_ts') === undefined) world.workspace.prompts.set(channel.id, prompts);
      return {};
    },
  },
  'agents.sessions.setStatus': {
    scopes: [],
    tier: 'T3',
    run(call) {
      const { world, args } = call;
      if (!world.isAgent || !world.scopes.has('assistant:write')) throw new Refusal('not_authorized');
      const { channel, thread, key } = sessionPlace(call, 'thread_ts_required');
      const status = args.required('status');
      if (!SESSION_STATUSES.includes(status)) {
        throw invalidArguments(`must be one of: ${SESSION_STATUSES.join(', ')} [json-pointer:/status]`);
      }
      const title = world.workspace.sessions.get(key)?.title ?? args.string('title') ?? '';
      world.workspace.sessions.set(key, { channel, thread, status, title, at: world.now() });
      return { status, agent_status: status };
    },
  },
};
