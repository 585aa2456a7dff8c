import { describe, expect, it } from 'vitest';
import type { Lane, LaneDialer, LaneEndpoint, LaneHandlers, LaneLoss } from '../../src/letta/link/lane.ts';
import { createGate } from '../../src/workspaces/gate.ts';

const ENDPOINT: LaneEndpoint = {
  name: 'direct',
  url: 'ws://127.0.0.1/ws',
  headers: {},
  heartbeat: 'websocket',
  wantsAcks: false,
};

function start() {
  const losing = new AbortController();
  let isHeld = true;
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = (input, init) => {
    asked.push(String(input));
    return new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
  };
  const gate = createGate({ lost: losing.signal, isHeld: () => isHeld }, fetch);
  const sent: string[] = [];
  const closed: number[] = [];
  const heard: string[] = [];
  let inner: LaneHandlers | null = null;
  const dial: LaneDialer = (_, handlers): Lane => {
    inner = handlers;
    return { send: (text) => void sent.push(text), close: () => void closed.push(1) };
  };
  const lane = () =>
    gate.guardDial(dial)(ENDPOINT, {
      onOpen: () => void heard.push('open'),
      onMessage: (text) => void heard.push(text),
      onClose: ({ kind }: LaneLoss) => void heard.push(`closed ${kind}`),
    });
  return {
    ...{ gate, asked, sent, closed, heard, lane, lose: () => losing.abort() },
    expire: () => {
      isHeld = false;
    },
    arrives: (text: string) => inner?.onMessage(text),
  };
}

describe('the gate of a workspace', () => {
  it('right lost: gives up requests that run and begins none', async () => {
    const { gate, asked, lose } = start();
    const running = gate.fetch('https://slack.example/a');
    lose();
    await expect(running).rejects.toMatchObject({ code: 'lease_lost' });
    await expect(gate.fetch('https://slack.example/b')).rejects.toMatchObject({ code: 'lease_lost', retry: true });
    expect(asked).toEqual(['https://slack.example/a']);
    expect(gate.signal.aborted).toBe(true);
  });

  it('right lost: ends all lanes, which carry nothing more', () => {
    const { lane, sent, closed, heard, lose, arrives } = start();
    const [first, second] = [lane(), lane()];
    first.send('before');
    lose();
    first.send('after');
    second.send('after');
    arrives('late');
    expect(sent).toEqual(['before']);
    expect(closed).toHaveLength(2);
    expect(heard).toEqual([]);
  });

  it('right may be over by its own clock: nothing leaves', async () => {
    const { gate, asked, lane, sent, heard, expire, arrives } = start();
    const open = lane();
    expire();
    open.send('after');
    arrives('late');
    lane().send('of a new lane');
    await expect(gate.fetch('https://slack.example/')).rejects.toMatchObject({ code: 'lease_lost' });
    expect([asked, sent, heard]).toEqual([[], [], []]);
  });

  it('right lost before: closed from the start', async () => {
    const gate = createGate({ lost: AbortSignal.abort(), isHeld: () => true });
    expect(gate.isOpen()).toBe(false);
    await expect(gate.fetch('http://127.0.0.1:1/')).rejects.toMatchObject({ code: 'lease_lost' });
  });
});
