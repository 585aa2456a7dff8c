import { afterEach, describe, expect, test, vi } from 'vitest';
import { type SlackOptions, type SmallSlack, startSlack } from '../../../sandbox/slack/server.ts';
import { makeTurnId, type Token } from '../../../src/bridge/ids.ts';
import type { ActionOutcome } from '../../../src/bridge/inbound.ts';
import type { Clock } from '../../../src/bridge/ports.ts';
import { systemClock, systemRandom } from '../../../src/clock.ts';
import { noMetrics } from '../../../src/ops/metrics.ts';
import { createSlackApi } from '../../../src/slack/api/web-api.ts';
import { createSlackInbound, type SlackInbound, type SlackInboundOptions } from '../../../src/slack/inbound/inbound.ts';
import { ACTION_IDS, makeAnswerActionId } from '../../../src/slack/render/action-ids.ts';
import { RecordingIntake } from '../../support/intake.ts';
import { createMemoryLog } from '../../support/log.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const until = (check: () => void) => vi.waitFor(check, { timeout: 8_000, interval: 10 });

interface Story {
  slack: SmallSlack;
  inbound: SlackInbound;
  intake: RecordingIntake;
  log: ReturnType<typeof createMemoryLog>;
  envelopes(): { outcome: string; retry_attempt: number; kind: string; ackPayload: unknown; final: boolean }[];
}

/** The real time, in which short waits between tries are shorter still. */
const hastyClock: Clock = {
  ...systemClock,
  after: (ms, run) => systemClock.after(ms < 2_000 ? ms / 20 : ms, run),
};

async function prepare(slackOptions: SlackOptions = {}, options: Partial<SlackInboundOptions> = {}): Promise<Story> {
  const slack = await startSlack({ limits: 'off', random: () => 0.4, ...slackOptions });
  closing.push(() => slack.close());
  const log = createMemoryLog();
  const world = { clock: hastyClock, random: systemRandom, log };
  const intake = new RecordingIntake();
  const inbound = createSlackInbound({
    mode: { socket: { appToken: slack.tokens.app } },
    slackApiUrl: slack.url,
    api: createSlackApi({ token: slack.tokens.bot, slackApiUrl: slack.url, ...world }),
    intake,
    metrics: noMetrics,
    ...world,
    ...options,
  });
  closing.push(() => inbound.stop());
  const envelopes = () => slack.control.log({ type: 'envelope' }) as unknown as ReturnType<Story['envelopes']>;
  return { slack, inbound, intake, log, envelopes };
}

async function story(slackOptions: SlackOptions = {}): Promise<Story> {
  const all = await prepare(slackOptions);
  await all.inbound.start();
  return all;
}

function button(action_id: string, text: string, value: string) {
  return { type: 'button', action_id, text: { type: 'plain_text', text }, value };
}

/** A message of the bot with buttons, in the thread of `root` if there is one. */
async function postCard(slack: SmallSlack, root: string | undefined, elements: object[]): Promise<string> {
  const response = await fetch(`${slack.url}chat.postMessage`, {
    method: 'POST',
    headers: { authorization: `Bearer ${slack.tokens.bot}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      channel: 'C01GEN',
      thread_ts: root,
      text: 'card',
      blocks: [{ type: 'actions', elements }],
    }),
  });
  const answer = (await response.json()) as { ok: boolean; ts: string };
  expect(answer).toMatchObject({ ok: true });
  return answer.ts;
}

async function clickable(all: Story, elements: object[]) {
  const root = await all.slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent hi' });
  const messageTs = await postCard(all.slack, root.ts, elements);
  const click = (action: string) =>
    all.slack.control.interact({ channel: 'C01GEN', messageTs, user: 'U01ALICE', action });
  return { root: root.ts, messageTs, click };
}

describe('starting the Slack side', () => {
  test('returns our identity and is connected after Slack’s hello', async () => {
    const { inbound } = await prepare();
    expect(inbound.state()).toMatchObject({ isConnected: false });
    const identity = await inbound.start();
    expect(identity).toMatchObject({ teamId: 'T01SANDBOX', botUserId: 'U0BOT' });
    expect(inbound.state().isConnected).toBe(true);
  });

  test('rejects a refused bot token with an error that names SLACK_BOT_TOKEN', async () => {
    const { inbound, slack } = await prepare();
    await slack.control.revoke({ error: 'invalid_auth' });
    await expect(inbound.start()).rejects.toMatchObject({
      code: 'config_invalid',
      message: 'SLACK_BOT_TOKEN was refused by Slack: invalid_auth',
    });
  });

  test('rejects a refused app token with an error that names SLACK_APP_TOKEN', async () => {
    const { inbound } = await prepare({}, { mode: { socket: { appToken: 'xapp-wrong' } } });
    await expect(inbound.start()).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('SLACK_APP_TOKEN was refused by Slack'),
    });
  });

  test('retries after passing errors of Slack', async () => {
    const { inbound, slack } = await prepare();
    await slack.control.faults({ method: 'auth.test', kind: 'ok_false', error: 'internal_error', times: 1 });
    await slack.control.faults({ method: 'apps.connections.open', kind: 'http_500', times: 2 });
    await inbound.start();
    expect(inbound.state().isConnected).toBe(true);
  });

  test('rejects when it is stopped while still retrying', async () => {
    const { inbound, slack } = await prepare();
    await slack.control.faults({ method: 'apps.connections.open', kind: 'reset_before', times: 1_000 });
    const started = inbound.start();
    started.catch(() => {});
    await until(() => expect(slack.control.log({ method: 'apps.connections.open' }).length).toBeGreaterThan(0));
    await inbound.stop();
    await expect(started).rejects.toMatchObject({ code: 'internal' });
  });

  test('calls auth.test once, however many events follow', async () => {
    const { slack, intake } = await story();
    for (const text of ['@agent 1', '@agent 2']) {
      await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text });
    }
    await until(() => expect(intake.deliveries).toHaveLength(4));
    expect(slack.control.log({ method: 'auth.test' })).toHaveLength(1);
  });
});

describe('a message from Slack', () => {
  test('with a mention arrives as two events that give the same message', async () => {
    const { slack, intake, envelopes } = await story();
    const said = await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent look & <see>' });
    await until(() => expect(envelopes().filter(({ outcome }) => outcome === 'acked')).toHaveLength(2));
    const [first, second] = intake.deliveries.map((each) => ({ ...each, isKindGuessed: undefined }));
    expect(first).toEqual(second);
    expect(intake.deliveries[0]).toMatchObject({
      key: `T01SANDBOX:C01GEN:${said.ts}`,
      user: 'U01ALICE',
      mentionsBot: true,
      spans: [
        { kind: 'user', id: 'U0BOT' },
        { kind: 'text', text: ' look & <see>' },
      ],
    });
  });

  test('is not acknowledged when storing fails, and is stored on redelivery', async () => {
    const { slack, intake, envelopes } = await story({ ackTimeoutMs: 150 });
    intake.failing = 1;
    await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'hello' });
    await until(() => expect(intake.stored.size).toBe(1));
    await until(() => expect(envelopes().at(-1)?.outcome).toBe('acked'));
    expect(intake.deliveries).toHaveLength(2);
    expect(envelopes().map(({ outcome, retry_attempt }) => [outcome, retry_attempt])).toEqual([
      ['timeout', 0],
      ['acked', 1],
    ]);
  });

  test('is acknowledged only after it was stored', async () => {
    const { slack, intake, envelopes } = await story();
    const gate = Promise.withResolvers<void>();
    intake.gate = gate.promise;
    await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'hello' });
    await until(() => expect(intake.deliveries).toHaveLength(1));
    expect(envelopes().map(({ outcome }) => outcome)).toEqual(['pending']);
    gate.resolve();
    await until(() => expect(envelopes().map(({ outcome }) => outcome)).toEqual(['acked']));
  });

  test('of our own is acknowledged, not delivered, and logged as own_message', async () => {
    const { slack, intake, envelopes, log } = await story();
    await postCard(slack, undefined, [button('x', 'X', 'x')]);
    await until(() => expect(envelopes().length).toBeGreaterThan(0));
    await until(() => expect(envelopes().every(({ outcome }) => outcome === 'acked')).toBe(true));
    expect(intake.deliveries).toEqual([]);
    await until(() =>
      expect(log.lines).toContainEqual(
        expect.objectContaining({ fields: expect.objectContaining({ reason: 'own_message' }) }),
      ),
    );
  });
});

describe('a click', () => {
  test('on Approve is acknowledged only after the decision was stored', async () => {
    const all = await story();
    const { click, messageTs, root } = await clickable(all, [button(ACTION_IDS.approve, 'Approve', 'token1')]);
    const gate = Promise.withResolvers<void>();
    all.intake.gate = gate.promise;
    const clicked = click('Approve');
    await until(() => expect(all.intake.actions).toHaveLength(1));
    expect(all.envelopes().find(({ kind }) => kind === 'interactive')?.outcome).toBe('pending');
    gate.resolve();
    expect(await clicked).toMatchObject({ acked: true });
    expect(all.intake.actions[0]).toEqual({
      name: 'approve',
      token: 'token1',
      choice: null,
      actor: { user: 'U01ALICE', team: 'T01SANDBOX' },
      team: 'T01SANDBOX',
      channel: 'C01GEN',
      messageTs,
      threadTs: root,
    });
  });

  test('on Deny is not acknowledged when the decision could not be stored', async () => {
    const all = await story({ ackTimeoutMs: 150, interactionRetryDelaysMs: [] });
    const { click } = await clickable(all, [button(ACTION_IDS.deny, 'Deny', 'token1')]);
    await until(() => expect(all.intake.stored.size).toBe(1));
    all.intake.failing = 1;
    expect(await click('Deny')).toMatchObject({ acked: false });
  });

  test('on an option carries which question and option it was', async () => {
    const all = await story();
    const { click } = await clickable(all, [button(makeAnswerActionId(1, 2), 'Blue', 'token1')]);
    await click('Blue');
    expect(all.intake.actions[0]).toMatchObject({ name: 'answer', choice: { question: 1, options: [2] } });
  });

  test('refused by the bridge: the clicker gets a private notice in-thread', async () => {
    const all = await story();
    const { click, root } = await clickable(all, [button(ACTION_IDS.approve, 'Approve', 'token1')]);
    all.intake.actionOutcome = { result: 'refused', why: 'not_allowed', notice: 'Only Bob may decide.' };
    expect(await click('Approve')).toMatchObject({ acked: true });
    await until(() =>
      expect(all.slack.control.messages('C01GEN', { user: 'U01ALICE' })).toContainEqual(
        expect.objectContaining({ ephemeral: 'U01ALICE', thread_ts: root, text: 'Only Bob may decide.' }),
      ),
    );
  });

  test('on Deny… opens a modal that returns text and token', async () => {
    const all = await story();
    const { click } = await clickable(all, [button(ACTION_IDS.deny_with_reason, 'Deny…', 'token1')]);
    const modal = { kind: 'deny_with_reason', token: 'token1' as Token, tool: 'Bash' } as const;
    all.intake.actionOutcome = { result: 'modal', modal };
    await click('Deny…');
    await until(() => expect(all.slack.control.views('U01ALICE').modals).toHaveLength(1));

    all.intake.submissionOutcome = { result: 'invalid', errors: [{ input: 0, text: 'Too short.' }] };
    const values = { 'What should it do instead?': 'no' };
    const refused = await all.slack.control.viewSubmit({ user: 'U01ALICE', values });
    expect(refused).toMatchObject({ closed: false, errors: { bridge_input_0: 'Too short.' } });

    all.intake.submissionOutcome = { result: 'decided' };
    const done = await all.slack.control.viewSubmit({ user: 'U01ALICE', values });
    expect(done).toMatchObject({ closed: true, acked: true });
    expect(all.intake.submissions.at(-1)).toEqual({
      name: 'deny_with_reason',
      token: 'token1',
      texts: ['no'],
      actor: { user: 'U01ALICE', team: 'T01SANDBOX' },
      team: 'T01SANDBOX',
    });
  });

  test('decided by another person meanwhile: the modal shows the notice on submission', async () => {
    const all = await story();
    const { click } = await clickable(all, [button(ACTION_IDS.answer_in_words, 'Answer', 'token1')]);
    const asked = { header: '', multiSelect: false, options: [] };
    const questions = ['Which?', 'Why?'].map((question) => ({ ...asked, question }));
    const modal = { kind: 'answer_in_words', token: 'token1' as Token, questions } as const;
    all.intake.actionOutcome = { result: 'modal', modal };
    await click('Answer');
    await until(() => expect(all.slack.control.views('U01ALICE').modals).toHaveLength(1));
    all.intake.submissionOutcome = { result: 'refused', why: 'already_decided', notice: 'Bob was faster.' };
    const values = { 'Which?': 'this', 'Why?': 'because' };
    const sent = await all.slack.control.viewSubmit({ user: 'U01ALICE', values });
    expect(sent).toMatchObject({ acked: true, response_action: 'update' });
    expect(JSON.stringify(all.slack.control.views('U01ALICE').modals)).toContain('Bob was faster.');
    expect(all.intake.submissions[0]?.texts).toEqual(['this', 'because']);
  });

  test('refused a modal by Slack: the clicker is told to click again', async () => {
    const all = await story();
    const { click } = await clickable(all, [button(ACTION_IDS.view_full, 'View full', 'token1')]);
    const page = { page: 0, approves: false, redacted: false };
    const modal = { kind: 'view_full', token: 'token1' as Token, title: 'Bash', text: 'ls', ...page } as const;
    all.intake.actionOutcome = { result: 'modal', modal };
    await all.slack.control.faults({ method: 'views.open', kind: 'ok_false', error: 'expired_trigger_id' });
    expect(await click('View full')).toMatchObject({ acked: true });
    await until(() =>
      expect(all.slack.control.messages('C01GEN', { user: 'U01ALICE' }).at(-1)?.text).toContain('click again'),
    );
  });

  describe('a click on Details', () => {
    const of = (steps: number, page = 0): ActionOutcome => {
      const step = { kind: 'call', tool: 'Bash', input: 'ls', output: '', status: 'ok' } as const;
      const details = {
        turn: makeTurnId('a'),
        endedAt: 1,
        steps: Array.from({ length: steps }, () => step),
        earlier: 0,
      };
      return { result: 'modal', modal: { kind: 'details', token: 'token1' as Token, details, page } };
    };
    const shown = (all: Story) => JSON.stringify(all.slack.control.views('U01ALICE').modals);
    const turnPage = (all: Story, action: string) =>
      all.slack.control.interact({ user: 'U01ALICE', view: 'modal', action });

    test('opens a modal, and each page is fetched when asked for', async () => {
      const all = await story();
      const { click } = await clickable(all, [button(ACTION_IDS.details, 'Details', 'token1')]);
      all.intake.actionOutcome = of(25);
      expect(await click('Details')).toMatchObject({ acked: true });
      await until(() => expect(shown(all)).toContain('Page 1 of 3'));
      all.intake.actionOutcome = of(25, 1);
      expect(await turnPage(all, 'Later page ▶')).toMatchObject({ acked: true });
      await until(() => expect(shown(all)).toContain('Page 2 of 3'));
      expect(all.intake.actions).toMatchObject([
        { name: 'details', token: 'token1', messageTs: expect.stringContaining('.') },
        { name: 'details', token: 'token1', page: 1, actor: { user: 'U01ALICE' } },
      ]);
    });

    test('opens a placeholder at once and fills it in after slow loading', async () => {
      const all = await story();
      const { click } = await clickable(all, [button(ACTION_IDS.details, 'Details', 'token1')]);
      const gate = Promise.withResolvers<void>();
      all.intake.gate = gate.promise;
      all.intake.actionOutcome = of(1);
      expect(await click('Details')).toMatchObject({ acked: true });
      await until(() => expect(shown(all)).toContain('One moment'));
      gate.resolve();
      await until(() => expect(shown(all)).toContain('1. ✓ Bash'));
    });

    test('shows no steps to people who are refused, on later pages either', async () => {
      const all = await story();
      const { click } = await clickable(all, [button(ACTION_IDS.details, 'Details', 'token1')]);
      all.intake.actionOutcome = of(25);
      await click('Details');
      await until(() => expect(shown(all)).toContain('Page 1 of 3'));
      all.intake.actionOutcome = { result: 'refused', why: 'not_allowed', notice: 'Not for you.' };
      await turnPage(all, 'Later page ▶');
      await until(() => expect(shown(all)).toContain('Not for you.'));
      expect(shown(all)).not.toContain('Bash');
      await all.slack.control.viewClose({ user: 'U01ALICE' });
      await click('Details');
      await until(() =>
        expect(all.slack.control.messages('C01GEN', { user: 'U01ALICE' }).at(-1)?.text).toBe('Not for you.'),
      );
      expect(all.slack.control.views('U01ALICE').modals).toEqual([]);
    });
  });

  test('on somebody else’s button is acknowledged and not handed on', async () => {
    const all = await story();
    const { click } = await clickable(all, [button('feedback', 'Feedback', 'x')]);
    expect(await click('Feedback')).toMatchObject({ acked: true });
    expect(all.intake.actions).toEqual([]);
  });
});

describe('Slack’s own Stop button', () => {
  test('hands a click over with the person and the thread', async () => {
    const { slack, intake } = await story({ agent: true });
    const { ts } = await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent hi' });
    const headers = { authorization: `Bearer ${slack.tokens.bot}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ channel_id: 'C01GEN', thread_ts: ts, status: 'processing' });
    await fetch(`${slack.url}agents.sessions.setStatus`, { method: 'POST', headers, body });
    await slack.control.stopSession({ channel: 'C01GEN', user: 'U02BOB', thread_ts: ts });
    const stop = { team: 'T01SANDBOX', channel: 'C01GEN', threadTs: ts, user: 'U02BOB' };
    await until(() => expect(intake.sessionStops).toEqual([stop]));
  });
});

describe('slash commands and the Home tab', () => {
  test('a command is answered privately to its sender', async () => {
    const { slack, intake } = await story();
    const sent = await slack.control.command({
      channel: 'C01GEN',
      user: 'U01ALICE',
      command: '/agent',
      text: 'status now',
    });
    expect(sent).toMatchObject({
      acked: true,
      response: { response_type: 'ephemeral', text: '*ok* status now <@U0BOT> a&lt;b' },
    });
    expect(intake.commands[0]).toMatchObject({ text: 'status now', channel: 'C01GEN', actor: { user: 'U01ALICE' } });
  });

  test('a command that fails is answered without internal details', async () => {
    const { slack, intake } = await story();
    intake.failing = 1;
    const sent = await slack.control.command({ channel: 'C01GEN', user: 'U01ALICE', command: '/agent', text: 'stop' });
    expect(sent).toMatchObject({ acked: true, response: { text: 'Something went wrong in the bridge.' } });
  });

  test('a slow command is acknowledged in time and answered by private message', async () => {
    const clock: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 100, run) };
    const { slack, intake, inbound, log } = await prepare({}, { clock });
    await inbound.start();
    const gate = Promise.withResolvers<void>();
    intake.gate = gate.promise;
    const command = { channel: 'C01GEN', user: 'U01ALICE', command: '/agent', text: 'status' };
    const sent = await slack.control.command(command);
    expect(sent).toMatchObject({ acked: true });
    expect(JSON.stringify(sent.response)).not.toContain('ok');
    gate.resolve();
    await until(() =>
      expect(slack.control.messages('C01GEN', { user: 'U01ALICE' }).at(-1)).toMatchObject({ ephemeral: 'U01ALICE' }),
    );
    expect(log.lines.map(({ message }) => message)).not.toContain('a listener acknowledged a Slack delivery twice');
  });

  test('the Home tab is published when a person opens it', async () => {
    const { slack } = await story();
    await slack.control.openHome({ user: 'U01ALICE', tab: 'home' });
    await until(() => expect(JSON.stringify(slack.control.views('U01ALICE').home)).toContain('Hello <@U01ALICE>'));
  });
});

describe('the Socket Mode connection', () => {
  const say = (slack: SmallSlack, text: string) => slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text });

  test('reconnects after its socket closes, and messages go on arriving', async () => {
    const states: boolean[] = [];
    const { slack, inbound, intake } = await prepare(
      {},
      { onState: ({ isConnected }) => isConnected !== states.at(-1) && states.push(isConnected) },
    );
    await inbound.start();
    await slack.control.faults({ socket: 'close' });
    await until(() => expect(states.slice(states.indexOf(true))).toEqual([true, false, true]));
    await say(slack, 'still there?');
    await until(() => expect(intake.stored.size).toBe(1));
  });

  test('reconnects even when the first attempts to reconnect fail', async () => {
    const { slack, inbound, intake } = await story();
    await slack.control.faults({ method: 'apps.connections.open', kind: 'http_500', times: 2 });
    await slack.control.faults({ socket: 'close' });
    await until(() => expect(inbound.state().isConnected).toBe(false));
    await until(() => expect(inbound.state().isConnected).toBe(true));
    await say(slack, 'back?');
    await until(() => expect(intake.stored.size).toBe(1));
  });

  test('opens a new socket on a disconnect warning, without losing a message', async () => {
    const { slack, inbound, intake } = await story({ ackTimeoutMs: 150, retryDelaysMs: [0, 300, 2_000] });
    await slack.control.faults({ socket: 'disconnect_warning' });
    for (const text of ['one', 'two', 'three']) await say(slack, text);
    await until(() => expect(intake.stored.size).toBe(3));
    await until(() => expect(inbound.state().isConnected).toBe(true));
    await until(() => expect(slack.control.state().connections).toHaveLength(1));
  });

  test('is tried again when Slack refuses the socket', async () => {
    const { slack, inbound } = await prepare();
    await slack.control.faults({ socket: 'refuse', times: 1 });
    await inbound.start();
    expect(inbound.state().isConnected).toBe(true);
  });

  test('is tried again when Slack’s hello never comes', async () => {
    const clock: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 40, run) };
    const { slack, inbound } = await prepare({}, { clock });
    await slack.control.faults({ socket: 'no_hello', times: 1 });
    await inbound.start();
    expect(inbound.state().isConnected).toBe(true);
    await until(() => expect(slack.control.state().connections).toHaveLength(1));
  });

  test('finishes what it took in when stopped, and takes in nothing more', async () => {
    const { slack, inbound, intake, envelopes } = await story({ ackTimeoutMs: 500, retryDelaysMs: [] });
    const gate = Promise.withResolvers<void>();
    intake.gate = gate.promise;
    await say(slack, 'last');
    await until(() => expect(intake.deliveries).toHaveLength(1));
    const stopped = inbound.stop();
    await say(slack, 'too late');
    gate.resolve();
    await stopped;
    await until(() => expect(envelopes().map(({ outcome }) => outcome)).not.toContain('pending'));
    expect(envelopes()[0]?.outcome).toBe('acked');
    expect(intake.deliveries).toHaveLength(1);
    expect(inbound.state().isConnected).toBe(false);
    await inbound.stop();
  });

  test('logs no token, no socket URL and no message text', async () => {
    const { slack, inbound, intake, log } = await story();
    await say(slack, 'a very private sentence');
    await until(() => expect(intake.stored.size).toBe(1));
    await slack.control.faults({ socket: 'close' });
    await until(() => expect(inbound.state().isConnected).toBe(false));
    await until(() => expect(inbound.state().isConnected).toBe(true));
    const logged = JSON.stringify(log.lines);
    expect(logged).not.toMatch(/xoxb|xapp|wss?:|private sentence/);
  });
});
