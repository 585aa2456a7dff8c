import { describe, expect, it } from 'vitest';
import { makeToken, makeTurnId } from '../../src/bridge/ids.ts';
import type { FoundMessage } from '../../src/bridge/ports.ts';
import { createMiddle, HandSurface, type MiddleOptions, ROOT, TEAM, THREAD } from '../support/middle.ts';

const turn = makeTurnId('done');
const token = makeToken('menu');
const ANSWER = '1000.000100';
const CARD = '1000.000101';
const OLDER = '1000.000050';
const TOP = '1000.000001';

const FOUND: Record<string, Pick<FoundMessage, 'own' | 'threadTs'>> = {
  [ANSWER]: { own: { kind: 'answer', turn }, threadTs: ROOT },
  [CARD]: { own: { kind: 'card', turn }, threadTs: ROOT },
  [OLDER]: { own: { kind: 'answer', turn: makeTurnId('older') }, threadTs: ROOT },
  [TOP]: { own: { kind: 'answer', turn }, threadTs: null },
};

/** Counts what is shown in the channel, too. */
class Channel extends HandSurface {
  readonly shared: string[] = [];

  broadcast({ ts }: { ts: string }) {
    this.shared.push(ts);
    return Promise.resolve({ delivered: true } as const);
  }
}

/** A thread whose last answer was for Alice. */
async function answered(options: MiddleOptions = {}) {
  const surface = new Channel();
  const middle = createMiddle({
    policy: { admins: { ids: ['U03CARA'], groups: [] } },
    reader: {
      readMessage: async (_, ts) => {
        const { own, threadTs } = FOUND[ts] ?? { own: null, threadTs: null };
        return { own, threadTs, channelKind: 'channel', message: null, reactions: [] };
      },
    },
    surface: () => surface,
    ...options,
  });
  await middle.write('go');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  middle.connection.end();
  await middle.clock.settle();
  await middle.threads.update(THREAD, (record) => {
    if (!record) throw new Error('no record');
    const answer = { turn, by: 'U01ALICE', ts: ANSWER };
    return { ...record, answer, details: [{ token, turn, at: 1, by: 'U01ALICE' }] };
  });
  await middle.restart();
  const click = async (user: string, messageTs = ANSWER) => {
    const place = { team: TEAM, channel: 'C01GEN', messageTs, threadTs: ROOT };
    const outcome = await middle.intake.handleAction({
      ...{ name: 'share', token, choice: null, ...place, actor: { user, team: TEAM } },
    });
    await middle.clock.settle();
    return outcome.result;
  };
  const write = async (user: string) => {
    await middle.write('!share', { user, mention: true });
    await middle.clock.settle();
  };
  return { middle, surface, click, write };
}

describe('sharing an answer with the channel', () => {
  it.each([
    ['a colleague', 'U02BOB'],
    ['an admin', 'U03CARA'],
    ['a guest', 'U04GUEST'],
    ['a stranger', 'U05EXT'],
    ['a bot', 'U06BOT'],
  ])('is refused to %s, by click and by command', async (_, user) => {
    const { surface, click, write } = await answered();
    expect(await click(user)).toBe('refused');
    await write(user);
    expect(surface.shared).toEqual([]);
    expect(surface.said).toEqual([]);
    expect(surface.whispered.filter((each) => each.user !== user)).toEqual([]);
  });

  it('is refused to a requester who may not use the agent now', async () => {
    const { middle, surface, click, write } = await answered();
    middle.policy.channels = { everywhere: false, directMessages: true, ids: [] };
    expect(await click('U01ALICE')).toBe('refused');
    await write('U01ALICE');
    middle.policy.channels = { everywhere: true, directMessages: true, ids: [] };
    middle.people.kinds.U01ALICE = 'deactivated';
    expect(await click('U01ALICE')).toBe('refused');
    await write('U01ALICE');
    expect(surface.shared).toEqual([]);
  });

  it.each([
    ['a card', CARD],
    ['the answer of another turn', OLDER],
    ['a message outside of the thread', TOP],
    ['no message of ours', '1000.000999'],
  ])('of a click that names %s shows nothing', async (_, messageTs) => {
    const { surface, click } = await answered();
    expect(await click('U01ALICE', messageTs)).toBe('refused');
    expect(surface.shared).toEqual([]);
  });

  it('by click and command at the same time is said once', async () => {
    const { surface, click, write } = await answered();
    await Promise.all([click('U01ALICE'), write('U01ALICE'), click('U01ALICE')]);
    await write('U01ALICE');
    expect(new Set(surface.shared)).toEqual(new Set([ANSWER]));
    expect(surface.said.map(({ text }) => text)).toEqual(['<@U01ALICE> shared this answer with the channel.']);
  });
});
