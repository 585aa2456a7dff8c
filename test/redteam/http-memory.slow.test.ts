import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startOwnProcess } from '../support/own-process.ts';

const MB = 1024 * 1024;
const PORT = 39_187;

const rssOf = (pid: number | undefined): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;

describe('300 unsigned connections of 4 MB each', () => {
  it('are closed soon and do not fill the memory', async (context) => {
    const bridge = await startOwnProcess(context, { httpPort: PORT });
    const before = rssOf(bridge.child.pid);
    const body = Buffer.alloc(4 * MB, 'x');
    let open = 0;
    for (let count = 0; count < 300; count += 1) {
      const socket = connect(PORT, '127.0.0.1');
      open += 1;
      // Who does not read is not told that the other side has closed.
      socket.resume();
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open -= 1;
      });
      context.onTestFinished(() => void socket.destroy());
      socket.write(`POST /slack/events HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`);
      socket.write(body);
    }
    let most = before;
    for (let look = 0; look < 300 && open > 0; look += 1) {
      most = Math.max(most, rssOf(bridge.child.pid));
      await sleep(100);
    }
    expect(most - before).toBeLessThan(150);
    expect(open).toBe(0);
  });
});
