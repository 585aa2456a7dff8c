import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';
import { startWhole, temporaryFolder, type Whole } from '../support/whole.ts';

const CHANNEL = 'C01GEN';

async function say(whole: Whole, user: string, text: string): Promise<string> {
  return (await whole.slack.control.message({ channel: CHANNEL, user, text })).ts;
}

function shown({ slack }: Whole, thread: string): string {
  return transcript(slack, CHANNEL, { thread, bot: true });
}

describe('logs, metrics and readiness', () => {
  it('each inbound event: one log line with outcome, one metric count', async (context) => {
    const whole = await startWhole(context);
    const { control } = whole.slack;
    const root = await say(whole, 'U01ALICE', '@agent run bash touch x');
    await until(
      () => shown(whole, root).includes('[Approve]'),
      () => shown(whole, root),
    );
    expect(await whole.get('/metrics')).toContain('letta_slack_open_approvals 1\n');
    const card = control
      .messages(CHANNEL, { thread_ts: root })
      .find(({ blocks }) => JSON.stringify(blocks).includes('Approve'));
    await control.interact({ user: 'U02BOB', channel: CHANNEL, messageTs: card?.ts ?? '', action: 'Approve' });
    await control.interact({ user: 'U01ALICE', channel: CHANNEL, messageTs: card?.ts ?? '', action: 'Approve' });
    await until(
      () => shown(whole, root).includes('Done:') && !shown(whole, root).includes('[Stop]'),
      () => shown(whole, root),
    );
    await say(whole, 'U04GUEST', '@agent hello');
    await say(whole, 'U02BOB', 'lunch?');
    await control.command({ channel: CHANNEL, user: 'U01ALICE', command: '/agent', text: 'help' });
    await control.command({ channel: CHANNEL, user: 'U04GUEST', command: '/agent', text: 'help' });
    await control.openHome({ user: 'U01ALICE', tab: 'home' });
    const noted = () =>
      whole
        .lines()
        .filter(({ msg, level }) => msg === 'inbound event' && level !== 'debug')
        .map(({ kind, outcome, reason }) => [kind, outcome, reason].filter(Boolean).join(' '))
        .sort();
    const expected = [
      'click decided',
      'click refused not_allowed',
      'command command',
      'command refused user_is_guest',
      'home shown',
      // A mention comes as two events.
      'message accepted',
      'message repeated',
      'message ignored not_a_thread_of_ours',
      'message refused user_is_guest',
      'message repeated',
    ].sort();
    await until(
      () => noted().length >= expected.length,
      () => noted().join('\n'),
    );
    expect(noted()).toEqual(expected);

    const metrics = await whole.get('/metrics');
    const line = (kind: string, outcome: string, reason: string, count: number) =>
      `letta_slack_inbound_events_total{kind="${kind}",outcome="${outcome}",reason="${reason}"} ${count}\n`;
    expect(metrics).toContain(line('message', 'accepted', '', 1));
    expect(metrics).toContain(line('message', 'repeated', '', 2));
    expect(metrics).toContain(line('click', 'refused', 'not_allowed', 1));
    expect(metrics).toContain(line('command', 'refused', 'user_is_guest', 1));
    // What the bridge wrote came back to it: too common for the log, yet counted.
    expect(metrics).toMatch(/kind="message",outcome="ignored",reason="own_message"} [1-9]/);
    expect(metrics).toContain('letta_slack_turns_total{outcome="done"} 1\n');
    expect(metrics).toContain('letta_slack_turn_seconds_count 1\n');
    expect(metrics).toContain('letta_slack_turn_first_text_seconds_count 1\n');
    expect(metrics).toMatch(/letta_slack_api_calls_total{method="chat.postMessage",result="ok"} [1-9]/);
    expect(metrics).toContain('letta_slack_open_approvals 0\n');
    expect(metrics).toContain('letta_slack_queue_depth 0\n');
    expect(metrics).toContain('letta_slack_ready{part="slack"} 1\n');
  });

  it('metrics by workspace: have its id', async (context) => {
    const whole = await startWhole(context, { env: { METRICS_BY_WORKSPACE: 'on' } });
    const root = await say(whole, 'U01ALICE', '@agent run bash touch x');
    await until(
      () => shown(whole, root).includes('[Approve]'),
      () => shown(whole, root),
    );
    const metrics = await whole.get('/metrics');
    const own = 'workspace="T01SANDBOX"';
    expect(metrics).toContain(`letta_slack_open_approvals{${own}} 1\n`);
    expect(metrics).toContain(`letta_slack_live_threads{${own}} 1\n`);
    expect(metrics).toContain(`kind="message",outcome="accepted",reason="",${own}} 1\n`);
    expect(metrics).toMatch(new RegExp(`method="chat.postMessage",result="ok",${own}} [1-9]`));
    expect(metrics).toContain('letta_slack_ready{part="slack"} 1\n');
  });

  it('calls that Slack limits: counted by method', async (context) => {
    const whole = await startWhole(context);
    await whole.slack.control.faults({ method: 'users.info', kind: 'ratelimited', retryAfter: 0 });
    const root = await say(whole, 'U01ALICE', '@agent say 3 words');
    await until(
      () => shown(whole, root).includes('word3'),
      () => shown(whole, root),
    );
    const metrics = await whole.get('/metrics');
    expect(metrics).toContain('letta_slack_api_calls_total{method="users.info",result="limited"} 1\n');
  });

  it('store file moved away: not ready, acknowledges nothing, recovers', async (context) => {
    const { expect } = context;
    const path = join(temporaryFolder(context), 'bridge.db');
    const whole = await startWhole(context, { env: { STORE: `sqlite://${path}` } });
    const root = await say(whole, 'U01ALICE', '@agent say: before');
    await until(
      () => shown(whole, root).includes('before') && !shown(whole, root).includes('[Stop]'),
      () => shown(whole, root),
    );
    renameSync(path, `${path}.away`);
    const lost = await say(whole, 'U01ALICE', '@agent say: into nowhere');
    const ready = async () => JSON.parse(await whole.get('/readyz')) as { ok: boolean; checks: { state: string }[] };
    await until(
      () =>
        whole
          .lines()
          .some(({ msg }) => String(msg).startsWith('someone deleted, moved or replaced the file of the store')),
      () => whole.logged.join(''),
    );
    expect((await ready()).checks).toContainEqual({ name: 'store', ok: false, state: 'file is gone' });
    expect(shown(whole, lost)).not.toContain('into nowhere');
    // Slack heard no "ok" for it, so it delivers it again.
    const envelopes = whole.slack.control.log({ type: 'envelope' });
    const unheard = envelopes.filter((each) => JSON.stringify(each).includes('into nowhere'));
    expect(unheard.length).toBeGreaterThan(0);
    for (const each of unheard) expect(each).not.toMatchObject({ outcome: 'acked' });
    renameSync(`${path}.away`, path);
    const after = await say(whole, 'U01ALICE', '@agent say: after');
    await until(
      () =>
        shown(whole, after)
          .split('\n')
          .some((each) => each.trim() === 'after'),
      () => shown(whole, after),
    );
    expect((await ready()).ok).toBe(true);
  });
});
