import { describe, expect, it } from 'vitest';
import { closedPolicy, type PlaceSettings, type Policy } from '../../../src/bridge/access/policy.ts';
import { headsUp, memoryNotice } from '../../../src/bridge/view/memory-notice.ts';
import { createMiddle } from '../../support/middle.ts';

const bound = (agentId: string): Partial<PlaceSettings> => ({
  binding: { agentId, device: null, workingDirectory: null },
});
const withPlaces = (places: [string, Partial<PlaceSettings>][]): Policy => ({
  ...closedPolicy,
  places: new Map(places),
});
const direct = { channel: 'D01ALICE', channelKind: 'im', thread: null, mention: false } as const;

describe('the notice about the agent’s memory', () => {
  it('is below the first answer of a direct message, once', async () => {
    const middle = createMiddle();
    const answer = async (text: string) => {
      expect(await middle.write(text, direct)).toEqual({ outcome: 'accepted' });
      middle.connection.ready();
      await middle.clock.settle();
      middle.connection.begin();
      middle.connection.end();
      await middle.clock.settle();
      return middle.surface.views.at(-1);
    };
    expect(await answer('my password is…')).toMatchObject({ headsUp: headsUp(closedPolicy, 'D01ALICE') });
    expect((await answer('and my pin'))?.headsUp).toBeUndefined();
    expect(middle.surface.said).toEqual([]);
  });

  it('mentions channels only when the agent also works in channels', () => {
    expect(memoryNotice(withPlaces([['dm', bound('agent-dm')]]))).not.toContain('channels');
    expect(
      memoryNotice(
        withPlaces([
          ['dm', bound('agent-dm')],
          ['C01GEN', bound('agent-dm')],
        ]),
      ),
    ).toContain('channels');
    const alice = withPlaces([['D01ALICE', bound('agent-alice')]]);
    expect(headsUp(alice, 'D01ALICE')).not.toContain('channels');
    expect(headsUp(alice, 'D02BOB')).toContain('channels');
  });
});
