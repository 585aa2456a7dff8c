import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startSlack } from '../sandbox/slack/server.ts';
import type { FilesPeak } from './files-bridge.ts';
import { type Row, row } from './row.ts';
import { startLettaSide, waitFor } from './world.ts';

const FILES = 20;
const FILE_BYTES = 20 * 1024 * 1024;
const LONG_MS = 5 * 60_000;
/** Half of what the files are together. */
const ADDED_MB = 200;

/**
 * What the bridge's process holds at most while 20 files of 20 MiB, in as many threads, come in at once and go to an
 * agent on another machine, as base64.
 */
export async function filesRows(folder: string): Promise<Row[]> {
  const slack = await startSlack({ limits: 'off' });
  let answered = 0;
  let written = 0;
  const onFrame = (dir: 'in' | 'out', frame: unknown) => {
    const { type, content } = (frame ?? {}) as { type?: unknown; content?: unknown };
    if (dir === 'in' && type === 'write_file') written += String(content).length;
    if (dir === 'out' && type === 'turn_finished') answered += 1;
  };
  const letta = await startLettaSide(slack, `${folder}/files.db`, { onFrame });
  const bridge = fork(fileURLToPath(new URL('./files-bridge.ts', import.meta.url)), {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const say = (n: number, padding: number) =>
    slack.control.message({
      ...{ channel: 'C01GEN', user: 'U01ALICE', text: '@agent say: ok' },
      files: [{ name: `logs-${n}.zip`, base64: Buffer.from('PK\x03\x04\xff', 'latin1').toString('base64'), padding }],
    });
  const toldBridge = async (word: object | 'measure' | 'end') => {
    bridge.send(word);
    const [answer] = await once(bridge, 'message');
    return answer as unknown;
  };
  try {
    await toldBridge({ env: letta.env });
    await say(0, 100);
    await waitFor('the first turn', () => answered === 1);
    await toldBridge('measure');
    const from = performance.now();
    for (let n = 1; n <= FILES; n += 1) await say(n, FILE_BYTES - 5);
    await waitFor(
      'all files',
      () => answered === FILES + 1,
      () => `${answered - 1} of ${FILES}`,
      LONG_MS,
    );
    const took = performance.now() - from;
    if (written < (FILES * FILE_BYTES * 4) / 3) throw new Error(`only ${written} characters of base64 were written`);
    const { addedMb } = (await toldBridge('end')) as FilesPeak;
    return [row('files_20_of_20_mib', took, 'ms'), row('files_memory_added_most', addedMb, 'MB', ADDED_MB)];
  } finally {
    bridge.kill();
    await slack.close();
    await letta.close();
  }
}
