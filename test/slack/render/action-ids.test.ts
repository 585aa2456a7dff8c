import { describe, expect, test } from 'vitest';
import { makeToken } from '../../../src/bridge/ids.ts';
import {
  ACTION_IDS,
  makeAnswerActionId,
  makeMenuValue,
  makeMoreValue,
  makePageActionId,
  parseActionId,
  parseCallbackId,
  parseMenuValue,
  parseMoreValue,
} from '../../../src/slack/render/action-ids.ts';

describe('action ids', () => {
  test('are parsed back to the action they were made for', () => {
    for (const [name, id] of Object.entries(ACTION_IDS)) expect(parseActionId(id)).toEqual({ name, choice: null });
    expect(parseActionId(makeAnswerActionId(2, 11))).toEqual({
      name: 'answer',
      choice: { question: 2, options: [11] },
    });
  });

  test('carry pages, and menu values carry token and option', () => {
    expect(parseActionId(makePageActionId(12))).toEqual({ name: 'view_page', choice: null, page: 12 });
    const token = makeToken('x'.repeat(32));
    expect(makeMenuValue(token, 99).length).toBeLessThanOrEqual(75);
    expect(parseMenuValue(makeMenuValue(token, 99))).toEqual({ token, option: 99 });
    for (const value of ['', 'token', 'token:', ':1', 'token:-1', 'token:1x']) expect(parseMenuValue(value)).toBeNull();
  });

  test('in a card’s menu carry action and token', () => {
    const token = makeToken('x'.repeat(32));
    for (const name of ['edit_command', 'view_full', 'save_rule', 'stop'] as const) {
      expect(makeMoreValue(name, token).length).toBeLessThanOrEqual(75);
      expect(parseMoreValue(makeMoreValue(name, token))).toEqual({ name, token });
    }
  });

  test('of other apps are parsed to null', () => {
    for (const id of [
      '',
      'approve',
      'bridge_approve2',
      'bridge_answer:1',
      'bridge_answer:-1:0',
      'bridge_answer:1:2:3',
    ]) {
      expect(parseActionId(id)).toBeNull();
    }
    expect(parseCallbackId('bridge_view_full')).toBeNull();
    expect(parseCallbackId('report_form')).toBeNull();
  });
});
