import { describe, expect, test } from 'vitest';
import type { Fault } from './fake-slack.ts';
import { address, card, createStage, text } from './stage.ts';

const thread = address.threadTs as string;
const SESSIONS = 'agents.sessions.setStatus';
const STATUS = 'assistant.threads.setStatus';
const MINUTE = 60_000;

function agentStage() {
  const stage = createStage({ mayBeAgent: true });
  stage.slack.isAgent = true;
  const session = () => stage.slack.sessionStates(address.channel, thread);
  const failing = (fault: Fault, times = 1) => {
    let left = times;
    stage.slack.fault = (method) => (method === SESSIONS && left-- > 0 ? fault : null);
  };
  return { ...stage, stage, session, failing };
}

describe('the session status of an agent app', () => {
  test('is processing during a turn and active after, without a status line', async () => {
    const { stage, session } = agentStage();
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(200);
    expect(session()).toEqual(['processing']);
    turn.show({ items: [text('Hello')] });
    await stage.clock.advance(5_000);
    turn.finish({ items: [text('Hello world')] });
    await stage.clock.advance(5_000);
    expect(session()).toEqual(['processing', 'active']);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.slack.callsOf(STATUS)).toEqual([]);
    expect(stage.clock.waiting).toBe(0);
  });

  test('is suspended while the agent waits for people', async () => {
    const { stage, session } = agentStage();
    const turn = stage.turn();
    turn.show({ items: [card('t1')], activity: { kind: 'waiting_for_people' } });
    await stage.clock.advance(5_000);
    expect(session().at(-1)).toBe('suspended');
    turn.show({ items: [card('t1', 'decided')], activity: { kind: 'thinking' } });
    await stage.clock.advance(5_000);
    expect(session().at(-1)).toBe('processing');
    turn.finish({ items: [card('t1', 'decided')] });
    await stage.clock.advance(5_000);
    expect(session().at(-1)).toBe('active');
  });

  test('is renewed before Slack drops it after an hour', async () => {
    const { stage, session } = agentStage();
    stage.turn().show({ items: [text('long')] });
    await stage.clock.advance(185 * MINUTE);
    expect(session()).toEqual(['processing', 'processing', 'processing', 'processing']);
  });

  test('becomes active when the process stops, or resumes and ends a turn', async () => {
    const { stage, session } = agentStage();
    const turn = stage.turn();
    turn.show({ items: [text('half')] });
    await stage.clock.advance(5_000);
    stage.crash();
    expect(session()).toEqual(['processing']);
    const again = stage.turn(address, turn.stored, 'turn-1', true);
    again.finish({ items: [text('whole')] });
    await stage.clock.advance(5_000);
    expect(again.delivery).toEqual({ delivered: true });
    expect(session().at(-1)).toBe('active');
    stage.turn(address, [], 'turn-2').show({ items: [text('next')] });
    await stage.clock.advance(5_000);
    expect(session().at(-1)).toBe('processing');
    const closing = stage.surface.close();
    await stage.clock.advance(10_000);
    await closing;
    expect(session().at(-1)).toBe('active');
  });

  test('becomes active before the turn counts as delivered', async () => {
    const { stage, session } = agentStage();
    stage.slack.latency = (method) => (method === SESSIONS ? 2_000 : 50);
    const turn = stage.turn();
    turn.show({ items: [text('half')] });
    await stage.clock.advance(5_000);
    turn.finish({ items: [text('whole')] });
    await stage.clock.advance(900);
    expect(stage.slack.shown(address.channel, thread)).toEqual(['whole']);
    expect(turn.delivery).toBeNull();
    await stage.clock.advance(5_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(session()).toEqual(['processing', 'active']);
  });

  test('without an answer from Slack is retried, and a message is shown', async () => {
    const { stage, session, failing } = agentStage();
    failing({ kind: 'before' }, 2);
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(700);
    expect(stage.slack.shown(address.channel, thread)).toEqual(['[thinking]']);
    await stage.clock.advance(10_000);
    expect(session()).toEqual(['processing']);
    failing({ kind: 'before' }, 100);
    turn.finish({ items: [text('whole')] });
    await stage.clock.advance(10_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.clock.waiting).toBe(0);
  });

  test('waits for Slack’s Retry-After', async () => {
    const { stage, session, failing } = agentStage();
    failing({ kind: 'limited', retryAfterMs: 30_000 });
    stage.turn().show({});
    await stage.clock.advance(29_000);
    expect(session()).toEqual([]);
    await stage.clock.advance(3_000);
    expect(session()).toEqual(['processing']);
    expect(stage.slack.complaints).toEqual([]);
  });

  test('gives way to the status line when Slack refuses the session', async () => {
    const { stage } = agentStage();
    stage.slack.isAgent = false;
    const turn = stage.turn();
    turn.show({});
    await stage.clock.advance(500);
    expect(stage.slack.status(address.channel, thread)).toBe('is thinking…');
    turn.finish({ items: [text('whole')] });
    await stage.clock.advance(5_000);
    expect(turn.delivery).toEqual({ delivered: true });
    expect(stage.slack.status(address.channel, thread)).toBe('');
    stage.turn({ ...address, channel: 'C02' }, [], 'turn-2').show({});
    await stage.clock.advance(5_000);
    expect(stage.slack.callsOf(SESSIONS)).toHaveLength(1);
    expect(stage.slack.callsOf(STATUS)).toHaveLength(2);
  });

  test('is never set for an app without the agent scope', async () => {
    const stage = createStage();
    stage.turn().show({});
    await stage.clock.advance(5_000);
    expect(stage.slack.callsOf(SESSIONS)).toEqual([]);
    expect(stage.slack.callsOf(STATUS)).toHaveLength(1);
  });
});

describe('the status line', () => {
  test('is renewed before Slack drops it while there is no message', async () => {
    const stage = createStage();
    stage.slack.fault = (method) => (method === 'chat.postMessage' ? { kind: 'before' } : null);
    stage.turn().show({});
    await stage.clock.advance(250_000);
    expect(stage.slack.callsOf(STATUS).map(({ args }) => args.status)).toEqual([
      'is thinking…',
      'is thinking…',
      'is thinking…',
    ]);
    stage.slack.fault = () => null;
    await stage.clock.advance(250_000);
    expect(stage.slack.status(address.channel, thread)).toBe('');
    const { length } = stage.slack.callsOf(STATUS);
    await stage.clock.advance(250_000);
    expect(stage.slack.callsOf(STATUS)).toHaveLength(length);
  });
});
