import { describe, expect, it } from 'vitest';
import { honourRetryAfter } from '../../../src/slack/api/retry-after.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import { createFakeClock } from '../../support/clock.ts';

function limiting(answers: (SlackAnswer | SlackError)[]) {
  const clock = createFakeClock();
  const calls: string[] = [];
  const slack: SlackApi = {
    call(method) {
      calls.push(method);
      const answer = answers.shift() ?? { ok: true };
      return answer instanceof SlackError ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  const api = honourRetryAfter(slack, clock);
  const call = (method: string) =>
    api.call(method, {}, { client: 'control' }).then(
      () => 'ok',
      (error: unknown) => (error instanceof SlackError ? `${error.failure} ${error.retryAfterMs}` : 'bug'),
    );
  return { clock, calls, call };
}

const limited = (retryAfterMs: number | null) =>
  new SlackError('chat.update', 'limited', 'ratelimited', { retryAfterMs });

describe('a method that Slack has rate-limited', () => {
  it('is not called before Retry-After, whichever caller asks', async () => {
    const { clock, calls, call } = limiting([limited(30_000)]);
    expect(await call('chat.update')).toBe('limited 30000');
    await clock.advance(10_000);
    expect(await call('chat.update')).toBe('limited 20000');
    expect(calls).toHaveLength(1);
    await clock.advance(20_000);
    expect(await call('chat.update')).toBe('ok');
    expect(calls).toHaveLength(2);
  });

  it('does not hold up other methods', async () => {
    const { calls, call } = limiting([limited(30_000)]);
    await call('chat.update');
    expect(await call('chat.postMessage')).toBe('ok');
    expect(calls).toEqual(['chat.update', 'chat.postMessage']);
  });

  it('waits 5 seconds without a Retry-After; other failures do not limit it', async () => {
    const { calls, call } = limiting([new SlackError('chat.update', 'unknown', 'ECONNRESET'), limited(null)]);
    expect(await call('chat.update')).toBe('unknown null');
    expect(await call('chat.update')).toBe('limited null');
    expect(await call('chat.update')).toBe('limited 5000');
    expect(calls).toHaveLength(2);
  });
});
