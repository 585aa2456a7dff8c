import { describe, expect, it, type TestContext } from 'vitest';
import { transcript } from '../../sandbox/slack/transcript.ts';
import type { Clock } from '../../src/bridge/ports.ts';
import { systemClock } from '../../src/clock.ts';
import { until } from '../support/until.ts';
import { startWhole, type WholeOptions } from '../support/whole.ts';

const HOUR = 3_600_000;

/** The whole bridge on a machine whose clock may be wrong, and may be set. */
async function startOn(context: TestContext, offMs: number, options: WholeOptions = {}) {
  const machine = { offMs };
  const clock: Clock = { ...systemClock, now: () => Date.now() + machine.offMs };
  const whole = await startWhole(context, { ...options, clock });
  const { control } = whole.slack;
  let root = '';
  const shown = () => transcript(whole.slack, 'C01GEN', { thread: root, bot: true });
  const say = async (text: string) => {
    root = (await control.message({ channel: 'C01GEN', user: 'U01ALICE', text })).ts;
  };
  const reply = (text: string) => control.message({ channel: 'C01GEN', user: 'U01ALICE', text, thread_ts: root });
  const logged = (words: string) => whole.logged.some((line) => line.includes(words));
  return { ...whole, machine, say, reply, shown, logged };
}

describe.concurrent('a wrong clock', () => {
  it.for([-300_000, HOUR])('steps by %i ms during a turn: the turn ends normally', async (ms, context) => {
    const { machine, say, shown, get } = await startOn(context, 0);
    await say('@agent slow 12 words');
    await until(() => shown().includes('word1'), shown);
    machine.offMs = ms;
    await until(() => shown().includes('word12') && !shown().includes('[Stop]'), shown);
    expect(JSON.parse(await get('/readyz'))).toMatchObject({ ok: true });
  });

  it.for([-90_000])('steps by %i ms between messages: the next message is answered', async (ms, context) => {
    const { machine, say, shown, get } = await startOn(context, 0);
    await say('@agent slow 2 words');
    await until(() => shown().includes('word2'), shown);
    machine.offMs = ms;
    await say('@agent slow 3 words');
    await until(() => shown().includes('word3') && !shown().includes('[Stop]'), shown);
    expect(JSON.parse(await get('/readyz'))).toMatchObject({ ok: true });
  });

  it('an hour fast: is reported; the held message runs on click', async (context) => {
    const { slack, say, shown, logged } = await startOn(context, HOUR, { env: { STALE_AFTER: '30m' } });
    await until(() => logged('THE CLOCK OF THIS MACHINE IS WRONG'), shown);
    await say('@agent slow 3 words');
    await until(() => shown().includes('ahead of Slack'), shown);
    expect(shown()).toContain('my machine’s clock is wrong: it is 60 min ahead of Slack’s');
    expect(shown()).not.toContain('word1');
    const offer = slack.control.messages('C01GEN').find(({ blocks }) => JSON.stringify(blocks).includes('Run now'));
    await slack.control.interact({
      user: 'U01ALICE',
      channel: 'C01GEN',
      messageTs: offer?.ts ?? '',
      action: 'Run now',
    });
    await until(() => shown().includes('word3'), shown);
  });

  it('an hour fast: !stop still works', async (context) => {
    const { machine, say, reply, shown, logged } = await startOn(context, 0, { env: { STALE_AFTER: '30m' } });
    await say('@agent slow 3000 words');
    await until(() => shown().includes('word1'), shown);
    machine.offMs = HOUR;
    await until(() => logged('THE CLOCK OF THIS MACHINE IS WRONG'), shown);
    await reply('!stop');
    await until(() => shown().includes('Stopped'), shown);
  });
});
