import { describe, expect, it } from 'vitest';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import { ROOT, TEAM, THREAD } from '../../support/middle.ts';
import { createShown, type Shown } from '../../support/shown.ts';

const HOUR = 3_600_000;
const MOVED = makeThreadKey({ team: TEAM, channel: 'C02NEW', root: ROOT });

const refuse = (shown: Shown) => {
  shown.slack.fault = (method) => (method.startsWith('chat.') ? { kind: 'refused', error: 'not_in_channel' } : null);
};
/** How many messages were posted, edited or deleted in a channel, or tried. */
const callsTo = (shown: Shown, channel: string) =>
  shown.slack.calls.filter(({ method, args }) => method.startsWith('chat.') && args.channel === channel).length;

async function begin(turnsDieWithLink: boolean): Promise<Shown> {
  const shown = createShown({ turnsDieWithLink, staleAfterMs: 15 * 60_000, now: 1_000_500 });
  const { middle } = shown;
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  middle.connection.say('The first half, ');
  await middle.clock.advance(10_000);
  return shown;
}

async function move({ middle }: Shown): Promise<void> {
  await middle.intake.handleChannelChange({ team: TEAM, from: 'C01GEN', to: 'C02NEW' });
  await middle.clock.settle();
}

describe.each([true, false])('a channel changes its id (link kept: %s)', (keepsLink) => {
  /** Another turn of the thread runs. */
  async function runAgain(shown: Shown): Promise<void> {
    const { middle } = shown;
    await middle.write('and count them', { thread: ROOT });
    middle.connections.at(-1)?.ready();
    await middle.clock.settle();
    middle.connection.begin('run-2');
    await middle.clock.advance(10_000);
  }

  it('a late end is shown only under the new id', async () => {
    const shown = await begin(keepsLink);
    const { middle } = shown;
    refuse(shown);
    middle.connection.end();
    await middle.clock.advance(13 * HOUR);
    expect(middle.record().late).toHaveLength(1);
    await runAgain(shown);
    await move(shown);
    const before = callsTo(shown, 'C01GEN');
    const there = callsTo(shown, 'C02NEW');
    await middle.clock.advance(2 * HOUR);
    expect(callsTo(shown, 'C01GEN')).toBe(before);
    expect(callsTo(shown, 'C02NEW')).toBeGreaterThan(there);
    expect(middle.threads.records.has(THREAD)).toBe(false);
    expect(middle.record(MOVED).late).toHaveLength(1);
  });

  it('an offer is shown only under the new id, once', async () => {
    const shown = await begin(keepsLink);
    const { middle } = shown;
    shown.slack.fault = (method) =>
      method === 'chat.postMessage' ? { kind: 'refused', error: 'not_in_channel' } : null;
    const ts = `${Math.floor(middle.clock.now() / 1000) - 1_000}.000100`;
    await middle.write('deploy it', { ts, thread: ROOT, mention: true, caughtUp: true });
    await middle.clock.advance(10_000);
    expect(middle.record().offers).toMatchObject([{ display: 'begun', posts: [] }]);
    await move(shown);
    shown.slack.fault = () => null;
    shown.surface.retrySoon(null);
    await middle.clock.advance(60_000);
    const offers = (channel: string) =>
      shown.slack.messages(channel, ROOT).filter((message) => shown.read(message).includes('deploy it'));
    expect(offers('C01GEN')).toEqual([]);
    expect(offers('C02NEW')).toHaveLength(1);
    expect(middle.record(MOVED).offers).toMatchObject([{ display: 'shown', posts: [{}] }]);
  });
});
