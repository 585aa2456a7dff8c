import { describe, expect, it } from 'vitest';
import { closedPolicy, type PlaceSettings, type Policy } from '../../../src/bridge/access/policy.ts';
import { memoryNotice } from '../../../src/bridge/commands/memory-notice.ts';
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
  it('is posted once, with the first direct message', async () => {
    const middle = createMiddle();
    expect(await middle.write('my password is…', direct)).toEqual({ outcome: 'accepted' });
    expect(await middle.write('and my pin', direct)).toEqual({ outcome: 'accepted' });
    expect(middle.surface.said).toEqual([
      { address: { team: 'T01SANDBOX', channel: 'D01ALICE', threadTs: null }, text: memoryNotice(closedPolicy) },
    ]);
    expect(middle.surface.said[0]?.text).toContain('including in channels');
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
    expect(memoryNotice(alice, 'D01ALICE')).not.toContain('channels');
    expect(memoryNotice(alice, 'D02BOB')).toContain('channels');
  });
});
