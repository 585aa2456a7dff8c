import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAction, readCommand, readSubmission } from '../../../src/slack/inbound/interactions.ts';

const recorded = readFileSync(new URL('../../fixtures/slack/payloads.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as { kind: string; origin: string; payload: Record<string, unknown> });
const of = (kind: string) => recorded.filter((line) => line.kind === kind).map((line) => line.payload);

describe('reading Slack interactions', () => {
  test('reads recorded clicks once their button is one of ours', () => {
    expect(of('block_actions').length).toBeGreaterThan(5);
    for (const payload of of('block_actions')) {
      expect(readAction(payload, 'T1')).toBeNull();
      const container = payload.container as { message_ts: string; channel_id: string; thread_ts: string };
      const ours = { ...payload, actions: [{ type: 'button', action_id: 'bridge_deny', value: 'token1' }] };
      expect(readAction(ours, 'T1')).toEqual({
        triggerId: payload.trigger_id,
        view: null,
        action: {
          name: 'deny',
          token: 'token1',
          choice: null,
          actor: { user: (payload.user as { id: string }).id, team: (payload.user as { team_id: string }).team_id },
          team: 'T1',
          channel: container.channel_id,
          messageTs: container.message_ts,
          threadTs: container.thread_ts,
        },
      });
    }
  });

  test('ignores a button without a token or outside of a message', () => {
    const [payload] = of('block_actions');
    const action = { type: 'button', action_id: 'bridge_approve' };
    expect(readAction({ ...payload, actions: [action] }, 'T1')).toBeNull();
    const inView = { ...payload, container: { type: 'view', view_id: 'V1' }, actions: [{ ...action, value: 'x' }] };
    expect(readAction(inView, 'T1')).toBeNull();
  });

  test('reads a menu choice as an answer, with the token beside it', () => {
    const [payload] = of('block_actions');
    const selected_option = { text: { type: 'plain_text', text: 'Blue' }, value: 'token1:7' };
    const actions = [{ type: 'static_select', action_id: 'bridge_answer_menu', selected_option }];
    expect(readAction({ ...payload, actions }, 'T1')?.action).toMatchObject({
      name: 'answer',
      token: 'token1',
      choice: { question: 0, options: [7] },
    });
    expect(readAction({ ...payload, actions: [{ action_id: 'bridge_answer_menu', value: 'x' }] }, 'T1')).toBeNull();
  });

  test('reads a choice in a card’s menu as that click', () => {
    const [payload] = of('block_actions');
    const chosen = (value: string) => {
      const selected_option = { text: { type: 'plain_text', text: 'Stop', emoji: false }, value };
      const actions = [
        { type: 'overflow', action_id: 'bridge_more', block_id: 'b', selected_option, action_ts: '1.0' },
      ];
      return readAction({ ...payload, actions }, 'T1')?.action ?? null;
    };
    for (const name of ['edit_command', 'view_full', 'save_rule', 'stop']) {
      expect(chosen(`${name}:token1`)).toMatchObject({ name, token: 'token1', choice: null });
    }
    // What decides is never in a menu, so a forged value cannot decide either.
    for (const value of ['approve:token1', 'deny:token1', 'allow_edits:token1', 'stop:', 'stop', '', 'x:token1']) {
      expect(chosen(value)).toBeNull();
    }
    expect(readAction({ ...payload, actions: [{ action_id: 'bridge_more', value: 'stop:token1' }] }, 'T1')).toBeNull();
  });

  test('inside a modal accepts the page buttons only', () => {
    const [payload] = of('block_actions');
    const inView = (action_id: string) => ({
      ...payload,
      container: { type: 'view', view_id: 'V1' },
      view: { id: 'V1', type: 'modal', hash: 'h1' },
      actions: [{ type: 'button', action_id, value: 'token1' }],
    });
    expect(readAction(inView('bridge_view_page:3'), 'T1')).toMatchObject({
      view: { id: 'V1', hash: 'h1' },
      action: { name: 'view_page', token: 'token1', page: 3 },
    });
    for (const id of ['bridge_approve', 'bridge_deny', 'bridge_answer:0:0', 'x']) {
      expect(readAction(inView(id), 'T1')).toBeNull();
    }
  });

  test('reads recorded submissions once their modal is one of ours', () => {
    expect(of('view_submission').length).toBeGreaterThan(2);
    for (const payload of of('view_submission')) {
      expect(readSubmission(payload, 'T1')).toBeNull();
      const state = { values: { bridge_input_0: { bridge_text: { type: 'plain_text_input', value: 'because' } } } };
      const view = { ...(payload.view as object), callback_id: 'bridge_answer_in_words', private_metadata: 't', state };
      expect(readSubmission({ ...payload, view }, 'T1')).toMatchObject({
        name: 'answer_in_words',
        token: 't',
        texts: ['because'],
        actor: { user: (payload.user as { id: string }).id },
      });
    }
  });

  test('reads recorded commands with the kind of their channel', () => {
    for (const payload of of('slash_command')) {
      expect(readCommand(payload, 'T1')).toEqual({
        text: payload.text,
        actor: { user: payload.user_id, team: payload.team_id },
        team: 'T1',
        channel: payload.channel_id,
        channelKind: 'channel',
      });
    }
    const kind = (channel_id: string, channel_name: string) =>
      readCommand({ user_id: 'U1', channel_id, channel_name }, 'T1')?.channelKind;
    expect(kind('D1', 'directmessage')).toBe('im');
    // Anybody may call a channel so.
    expect(kind('C1', 'directmessage')).toBe('channel');
    expect(kind('G1', 'directmessage')).toBe('group');
    expect(kind('C1', 'privategroup')).toBe('group');
    expect(kind('C1', 'mpdm-a--b-1')).toBe('mpim');
  });

  test('never throws, whatever the payload is', () => {
    fc.assert(
      fc.property(fc.anything(), (body) => {
        readAction(body, 'T1');
        readSubmission(body, 'T1');
        readCommand(body, 'T1');
      }),
    );
  });
});
