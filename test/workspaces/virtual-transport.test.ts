import { describe, expect, it } from 'vitest';
import { BridgeError } from '../../src/errors.ts';
import type { Envelope } from '../../src/slack/receiver/transport.ts';
import { createVirtualTransport } from '../../src/workspaces/virtual-transport.ts';

const EVENT: Envelope = { kind: 'events_api', body: {}, retryNum: 0, retryReason: null };
const state = () => ({ isConnected: true, since: 0, foreignConnections: 0, countedAt: null });

describe('the transport of one workspace', () => {
  it('before the start and after a pause: refuses for now', async () => {
    const transport = createVirtualTransport(state);
    await expect(transport.accept(EVENT)).rejects.toMatchObject({ retry: true });
    await transport.start(async () => 'taken');
    expect(await transport.accept(EVENT)).toBe('taken');
    transport.pause();
    await expect(transport.accept(EVENT)).rejects.toMatchObject({ retry: true });
  });

  it('cut: rejects deliveries in work at once, whatever becomes of them', async () => {
    const transport = createVirtualTransport(state);
    const taking = Promise.withResolvers<undefined>();
    await transport.start(() => taking.promise);
    const inWork = transport.accept(EVENT);
    transport.cut(new BridgeError('lease_lost', 'lost', { retry: true }));
    await expect(inWork).rejects.toMatchObject({ code: 'lease_lost' });
    taking.resolve(undefined);
    await expect(transport.accept(EVENT)).rejects.toMatchObject({ retry: true });
  });
});
