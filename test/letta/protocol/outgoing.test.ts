import { describe, expect, it } from 'vitest';
import type { Decision } from '../../../src/bridge/agent-event.ts';
import * as outgoing from '../../../src/letta/protocol/outgoing.ts';
import { findTrace } from '../traces.ts';

/** Frames of this type that the recorder sent and the real server understood. */
function sent(number: string, type: string): Record<string, unknown>[] {
  return findTrace(number).flatMap(({ dir, frame }) => (dir === 'send' && frame?.type === type ? [frame] : []));
}

function runtimeOf(frame: Record<string, unknown>) {
  const runtime = frame.runtime as { agent_id: string; conversation_id: string };
  return { agentId: runtime.agent_id, conversationId: runtime.conversation_id };
}

const runtime = { agentId: 'agent-1', conversationId: 'conv-1' };
const wire = { agent_id: 'agent-1', conversation_id: 'conv-1' };

describe('a sent frame matches the recordings', () => {
  it('for create_message', () => {
    const [frame = {}] = sent('03', 'input');
    expect(
      outgoing.createMessage({
        requestId: 'in-1',
        runtime: runtimeOf(frame),
        messages: [{ content: 'say 12 words', clientMessageId: 'cm-plain-1' }],
      }),
    ).toEqual(frame);
  });

  it('for create_message with an image', () => {
    const [frame = {}] = sent('25', 'input');
    const { messages } = frame.payload as {
      messages: { content: outgoing.ContentPart[]; client_message_id: string }[];
    };
    const [message = { content: [], client_message_id: '' }] = messages;
    const made = outgoing.createMessage({
      requestId: 'in-1',
      runtime: runtimeOf(frame),
      messages: [{ content: message.content, clientMessageId: message.client_message_id }],
    });
    expect(made.payload).toEqual(frame.payload);
  });

  const forms: [string, string, Decision | { error: string }][] = [
    ['allow', '06', { behavior: 'allow' }],
    ['deny', '07', { behavior: 'deny', message: 'Not on a Friday' }],
    ['error', '07b', { error: 'approver unreachable' }],
    [
      'message and updated input',
      '08',
      {
        behavior: 'allow',
        message: 'use the other file',
        updatedInput: { command: 'touch changed.txt && echo changed', description: 'edited by approver' },
      },
    ],
    ['suggestion', '09', { behavior: 'allow', suggestionIds: ['save-default'] }],
  ];
  it.each(forms)('for approval_response: %s', (_form, trace, decision) => {
    const frame = sent(trace, 'input')[1] ?? {};
    const payload = frame.payload as { request_id: string };
    const made = outgoing.approvalResponse({
      requestId: 'in-2',
      runtime: runtimeOf(frame),
      approvalId: payload.request_id,
      decision,
    });
    expect(made).toEqual({ ...frame, request_id: 'in-2' });
  });

  it('without an empty list of suggestions', () => {
    const made = outgoing.approvalResponse({
      requestId: 'in-2',
      runtime,
      approvalId: 'perm-1',
      decision: { behavior: 'allow', suggestionIds: [] },
    });
    expect(made.payload).toEqual({ kind: 'approval_response', request_id: 'perm-1', decision: { behavior: 'allow' } });
  });

  it('for remove_queue_item', () => {
    const [remove = {}] = sent('15c', 'remove_queue_item');
    expect(outgoing.removeQueueItem('remove_queue_item-2', runtimeOf(remove), 'q-1')).toEqual(remove);
  });

  it('for abort_message and resume_queue', () => {
    const [abort = {}] = sent('13', 'abort_message');
    expect(outgoing.abortMessage('abort_message-2', runtimeOf(abort))).toEqual(abort);
    const [resume = {}] = sent('15c', 'resume_queue');
    expect(outgoing.resumeQueue('resume_queue-4', runtimeOf(resume))).toEqual(resume);
  });

  it('for change_device_state', () => {
    const [frame = {}] = sent('h03', 'change_device_state');
    expect(outgoing.changeDeviceState(runtimeOf(frame), { mode: 'standard' })).toEqual(frame);
  });

  it('for sync', () => {
    const frame = sent('23', 'sync')[1] ?? {};
    expect(outgoing.sync('sync-3', runtimeOf(frame))).toEqual(frame);
  });

  it('for conversation_messages_list and the agent requests', () => {
    const [list = {}] = sent('20', 'conversation_messages_list');
    expect(outgoing.conversationMessagesList('conversation_messages_list-3', 'local-conv-28', { limit: 10 })).toEqual(
      list,
    );
    const [retrieve = {}] = sent('28', 'agent_retrieve');
    expect(outgoing.agentRetrieve(String(retrieve.request_id), String(retrieve.agent_id))).toEqual(retrieve);
    expect(outgoing.agentList('a-1', { limit: 5 })).toEqual({
      type: 'agent_list',
      request_id: 'a-1',
      query: { limit: 5 },
    });
    expect(outgoing.appServerInfo('i-1')).toEqual({ type: 'app_server_info', request_id: 'i-1' });
  });

  it('for ack and ping', () => {
    const [ack = {}] = sent('h01', 'ack');
    expect(outgoing.ack(1)).toEqual(ack);
    expect(outgoing.ping()).toEqual(sent('h01', 'ping')[0]);
  });
});

describe('runtime_start', () => {
  it('always names the permission mode', () => {
    expect(
      outgoing.runtimeStart({
        requestId: 'rs-1',
        agent: { id: 'agent-1' },
        conversation: { id: 'conv-1' },
        mode: 'strict',
        waitForReplay: true,
      }),
    ).toEqual({
      type: 'runtime_start',
      request_id: 'rs-1',
      agent_id: 'agent-1',
      conversation_id: 'conv-1',
      mode: 'strict',
      recover_approvals: true,
      force_device_status: true,
      wait_for_replay: true,
    });
  });

  it('creates agent and conversation when asked to', () => {
    const frame = outgoing.runtimeStart({
      requestId: 'rs-1',
      agent: { create: { name: 'Slack' } },
      conversation: { create: { summary: 'from slack' } },
      mode: 'standard',
      cwd: null,
      clientInfo: { name: 'letta-slack-bridge' },
    });
    expect(frame).toMatchObject({
      create_agent: { body: { name: 'Slack' } },
      create_conversation: { body: { summary: 'from slack' } },
      cwd: null,
      client_info: { name: 'letta-slack-bridge' },
    });
    expect(frame).not.toHaveProperty('agent_id');
    expect(frame).not.toHaveProperty('conversation_id');
  });

  it('names a runtime in snake_case', () => {
    expect(outgoing.wireRuntime(runtime)).toEqual(wire);
  });
});
