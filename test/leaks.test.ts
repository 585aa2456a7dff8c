import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { watchResources } from './support/open-resources.ts';

describe('the leak check', () => {
  it('names a server that was left open, until it is closed', async () => {
    const resources = watchResources();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    expect(await resources.leftOpen(0)).toEqual(['1 × TCPServerWrap']);
    server.close();
    expect(await resources.leftOpen()).toEqual([]);
  });

  it('names a process that was left running, until it has ended', async () => {
    const resources = watchResources();
    const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1_000)'], { stdio: 'ignore' });
    expect(await resources.leftOpen(0)).toEqual(['1 × ProcessWrap']);
    child.kill('SIGKILL');
    expect(await resources.leftOpen()).toEqual([]);
  });

  it('tells who set a timer, until it is cancelled', async () => {
    const resources = watchResources();
    const timer = systemClock.after(60_000, () => undefined);
    const left = await resources.leftOpen(0);
    expect(left).toHaveLength(1);
    expect(left[0]).toMatch(/^a timeout of 60000 ms\n[\s\S]*leaks\.test\.ts/);
    timer.cancel();
    expect(await resources.leftOpen(0)).toEqual([]);
  });

  it('tells who set an interval, until it is cleared', async () => {
    const resources = watchResources();
    const timer = setInterval(() => undefined, 60_000);
    expect(await resources.leftOpen(0)).toEqual([expect.stringMatching(/^an interval of 60000 ms\n/)]);
    clearInterval(timer);
    expect(await resources.leftOpen(0)).toEqual([]);
  });

  it('forgets a timeout that has fired', async () => {
    const resources = watchResources();
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
    expect(await resources.leftOpen(0)).toEqual([]);
  });
});
