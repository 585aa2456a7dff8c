import { describe, expect, it } from 'vitest';
import type { InboundMessage } from '../../../src/bridge/inbound.ts';
import { MessageRetries } from '../../../src/bridge/intake/retries.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createFakeClock } from '../../support/clock.ts';

const message = (n: number) => ({ key: `T:C:${n}` }) as unknown as InboundMessage;
const unknown = new BridgeError('slack_failed', 'users.info: invalid_auth');

function setUp(failures: number) {
  const clock = createFakeClock();
  const taken: number[] = [];
  const start = clock.now();
  const retries = new MessageRetries(clock, () => {
    taken.push(clock.now() - start);
    return taken.length <= failures ? Promise.reject(unknown) : Promise.resolve();
  });
  return { clock, taken, retries };
}

describe('message retries', () => {
  it('author lookup failed: the message is taken again seconds later, once', async () => {
    const { clock, taken, retries } = setUp(1);
    retries.retryIfSlackFailed(message(1), unknown);
    // Slack delivers it again meanwhile, and that fails, too.
    retries.retryIfSlackFailed(message(1), unknown);
    await clock.advance(600_000);
    expect(taken).toEqual([2_000, 6_000]);
  });

  it('give up after a minute, and at once after any other error', async () => {
    const { clock, taken, retries } = setUp(100);
    retries.retryIfSlackFailed(message(1), unknown);
    await clock.advance(600_000);
    expect(taken).toHaveLength(5);
    retries.retryIfSlackFailed(message(2), new BridgeError('store_failed', 'disk full'));
    await clock.advance(600_000);
    expect(taken).toHaveLength(5);
  });

  it('keep a bounded number of messages', async () => {
    const { clock, taken, retries } = setUp(0);
    for (let n = 0; n < 500; n += 1) retries.retryIfSlackFailed(message(n), unknown);
    await clock.advance(600_000);
    expect(taken).toHaveLength(100);
  });

  it('end when the bridge stops, also one that is under way', async () => {
    const { clock, taken, retries } = setUp(100);
    retries.retryIfSlackFailed(message(1), unknown);
    await clock.advance(2_000);
    retries.close();
    retries.retryIfSlackFailed(message(2), unknown);
    await clock.advance(600_000);
    expect(taken).toEqual([2_000]);
  });
});
