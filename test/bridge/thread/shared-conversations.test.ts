import { describe, expect, it } from 'vitest';
import type { AgentEvent, ConnectionEvent } from '../../../src/bridge/agent-event.ts';
import type { AgentConnection, AgentGateway, ConnectOptions } from '../../../src/bridge/ports.ts';
import { takeTurns } from '../../../src/bridge/thread/shared-conversations.ts';
import { createFakeClock } from '../../support/clock.ts';
import { HandConnection } from '../../support/middle.ts';

type Told = AgentEvent | ConnectionEvent;

const runtime = { agentId: 'agent-1', conversationId: 'conv-1', deviceId: null };

function setUp() {
  const clock = createFakeClock();
  const links: HandConnection[] = [];
  const inner: AgentGateway = {
    connect(options, onEvent) {
      const link = new HandConnection(options, onEvent);
      links.push(link);
      return link;
    },
  };
  const gateway = takeTurns(inner, clock);
  const join = (more: Partial<ConnectOptions> = {}, hear: (event: Told) => void = () => {}) => {
    const told: Told[] = [];
    const connection: AgentConnection = gateway.connect(
      { runtime, mode: 'strict', isShared: true, ...more },
      (event) => {
        told.push(event);
        hear(event);
      },
    );
    return { connection, types: () => told.map(({ type }) => type) };
  };
  const open = () => links.filter(({ isClosed }) => !isClosed);
  return { clock, links, join, open };
}

describe('threads of one conversation', () => {
  it('one thread alone: linked at once', () => {
    const { join, links, open } = setUp();
    const home = join();
    links[0]?.ready();
    expect([open().length, home.types()]).toEqual([1, ['ready']]);
  });

  it('another one: gets the link when the first is quiet', async () => {
    const { clock, join, links, open } = setUp();
    const home = join();
    links[0]?.ready();
    links[0]?.end();
    await clock.advance(5_000);
    const guest = join();
    expect(home.types()).toEqual(['ready', 'loop', 'turn-ended', 'released']);
    links[1]?.ready();
    expect([open(), guest.types()]).toEqual([[links[1]], ['ready']]);
  });

  it('while the turn of the first runs: waits, and is told so', async () => {
    const { clock, join, links, open } = setUp();
    const home = join();
    links[0]?.ready();
    void home.connection.submit({ clientMessageId: 'c1', content: 'go' });
    const guest = join();
    await clock.advance(60_000);
    expect([open(), guest.types()]).toEqual([[links[0]], ['unavailable']]);
    links[0]?.end();
    await clock.advance(10_000);
    expect(home.types().at(-1)).toBe('released');
    links[1]?.ready();
    expect(guest.types().at(-1)).toBe('ready');
  });

  it('while background tasks of the first run: waits', async () => {
    const { clock, join, links, open } = setUp();
    join();
    links[0]?.ready();
    links[0]?.emit({ type: 'background', tasks: [{ id: 't1' } as never] });
    join();
    await clock.advance(60_000);
    expect(open()).toEqual([links[0]]);
  });

  it('closed: passes the link on at once', () => {
    const { join, links, open } = setUp();
    const home = join();
    const guest = join();
    home.connection.close();
    expect(open()).toEqual([links[1]]);
    guest.connection.close();
    expect(open()).toEqual([]);
  });

  it('without the link: can do nothing, and knows that nothing happened', async () => {
    const { join } = setUp();
    join();
    const guest = join();
    await expect(guest.connection.submit({ clientMessageId: 'c1', content: 'go' })).rejects.toMatchObject({
      code: 'link_lost',
      certain: true,
    });
    expect(guest.connection.answerCall('external-tool-1', { parts: [] })).toBe(false);
    const awaited = await Promise.resolve(guest.connection);
    await expect(awaited.abort()).rejects.toMatchObject({ code: 'link_lost' });
  });

  it('after a start, with a turn under way: goes before one without', async () => {
    const { clock, join, links, open } = setUp();
    const guest = join();
    const home = join({ hasWork: true });
    links[0]?.ready({ loop: 'busy', activeRunIds: ['run-1'] });
    // The turn is the other thread's, so this one hears nothing of it.
    expect(guest.types()).toEqual([]);
    await clock.advance(3_000);
    links[1]?.ready({ loop: 'busy', activeRunIds: ['run-1'] });
    expect([open(), home.types().at(-1)]).toEqual([[links[1]], 'ready']);
    expect(guest.types()).toEqual(['unavailable']);
  });

  it('work that no thread asked for: one of them hears it', async () => {
    const { clock, join, links, open } = setUp();
    const told: Told[] = [];
    const guest = join({}, (event) => told.push(event));
    for (let n = 0; n < 20 && told.every(({ type }) => type !== 'ready'); n += 1) {
      links.at(-1)?.ready({ loop: 'waiting_on_approval', activeRunIds: ['run-1'] });
      await clock.advance(1_000);
    }
    expect(guest.types().at(-1)).toBe('ready');
    expect(told.at(-1)).toMatchObject({ loop: 'waiting_on_approval', isUnclaimed: true });
    expect(open()).toHaveLength(1);
  });

  it('released and still wanting it: gets the link again', async () => {
    const { clock, join, links, open } = setUp();
    join();
    links[0]?.ready();
    links[0]?.end();
    await clock.advance(5_000);
    const guest = join();
    links[1]?.ready();
    links[1]?.end();
    await clock.advance(5_000);
    expect(guest.types().at(-1)).toBe('released');
    expect(open()).toEqual([links[2]]);
  });

  it('with schedules: keeps the link, and others are told so', async () => {
    const { clock, join, links, open } = setUp();
    const home = join();
    links[0]?.ready();
    const early = join();
    await home.connection.alignSchedules([{ id: 's1' } as never]);
    await clock.advance(5_000);
    const late = join();
    await clock.settle();
    expect(open()).toEqual([links[0]]);
    expect([early.types().at(-1), late.types()]).toEqual(['unavailable', ['unavailable']]);
    await home.connection.alignSchedules([]);
    links[0]?.end();
    await clock.advance(5_000);
    join();
    expect(open()).toEqual([links[1]]);
  });

  it('while one prepares its input: keeps the link', async () => {
    const { clock, join, links, open } = setUp();
    join();
    links[0]?.ready();
    join();
    await clock.advance(120_000);
    expect(open()).toEqual([links[0]]);
    await clock.advance(60_000);
    expect(open()).toEqual([links[1]]);
  });
});
