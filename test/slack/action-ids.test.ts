import { expect, test } from 'vitest';
import { ACTION_IDS, makeAnswerActionId, parseActionId, parseCallbackId } from '../../src/slack/action-ids.ts';

test('every action id is read back as the action it was made for', () => {
  for (const [name, id] of Object.entries(ACTION_IDS)) expect(parseActionId(id)).toEqual({ name, choice: null });
  expect(parseActionId(makeAnswerActionId(2, 11))).toEqual({
    name: 'answer',
    choice: { question: 2, options: [11] },
  });
});

test('ids that are not ours mean nothing', () => {
  for (const id of ['', 'approve', 'bridge_approve2', 'bridge_answer:1', 'bridge_answer:-1:0', 'bridge_answer:1:2:3']) {
    expect(parseActionId(id)).toBeNull();
  }
  expect(parseCallbackId('bridge_view_full')).toBeNull();
  expect(parseCallbackId('report_form')).toBeNull();
});
