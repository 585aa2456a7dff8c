import { describe, expect, test } from 'vitest';
import { type SlackAnswer, type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import { watchToken } from '../../../src/slack/api/token-watch.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

function setUp() {
  const clock = createFakeClock();
  const asked: string[] = [];
  const slack = { error: null as SlackError | null };
  const api: SlackApi = {
    call(method) {
      asked.push(method);
      return slack.error ? Promise.reject(slack.error) : Promise.resolve({ ok: true } as SlackAnswer);
    },
  };
  const refusals: string[] = [];
  const onRefused = (error: Error) => void refusals.push(error.message);
  const watch = watchToken({ api, clock, log: createMemoryLog(), onRefused });
  watch.start();
  return { clock, asked, slack, refusals, watch };
}

const refused = (error: string) => new SlackError('auth.test', 'refused', error);
const post = { channel: 'C1' };

describe('the token watch', () => {
  test('reports a revoked bot token within 15 seconds of a refused call', async () => {
    const { clock, slack, refusals, watch, asked } = setUp();
    slack.error = refused('token_revoked');
    await expect(watch.api.call('chat.update', post, { client: 'live' })).rejects.toBe(slack.error);
    await clock.advance(15_000);
    expect(refusals).toEqual(['SLACK_BOT_TOKEN was refused by Slack: token_revoked']);
    const before = asked.length;
    await clock.advance(600_000);
    expect(asked).toHaveLength(before);
  });

  test('reports a deactivated account even when the bridge makes no calls', async () => {
    const { clock, slack, refusals } = setUp();
    slack.error = refused('account_inactive');
    await clock.advance(80_000);
    expect(refusals).toHaveLength(1);
  });

  test('ignores channel refusals, outages and a single false invalid_auth', async () => {
    const { clock, slack, refusals, watch } = setUp();
    slack.error = refused('channel_not_found');
    await watch.api.call('chat.update', post, { client: 'live' }).catch(() => undefined);
    await clock.advance(300_000);
    slack.error = new SlackError('auth.test', 'unknown', 'http_503');
    await clock.advance(3_600_000);
    slack.error = refused('invalid_auth');
    await clock.advance(61_000);
    slack.error = null;
    await clock.advance(600_000);
    expect(refusals).toEqual([]);
  });

  test('makes no calls after it was stopped', async () => {
    const { clock, watch, asked } = setUp();
    watch.stop();
    await clock.advance(600_000);
    expect(asked).toEqual([]);
  });
});
