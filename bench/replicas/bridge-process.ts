import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a bridge has used since it was started, and what it holds now. */
export interface Usage {
  cpuMs: number;
  /** MB */
  resident: number;
}

/** A bridge in a process of its own. */
export interface BridgeProcess {
  port: number;
  usage(): Promise<Usage>;
  stop(): Promise<void>;
}

/** @param env its settings */
export async function startBridgeProcess(env: Record<string, string>): Promise<BridgeProcess> {
  const { PATH = '', HOME = '' } = process.env;
  const child = fork(fileURLToPath(new URL('bridge.ts', import.meta.url)), {
    env: { PATH, HOME, ...env },
    execArgv: ['--max-semi-space-size=64', '--expose-gc'],
  });
  const next = <Answer>() => nextMessage<Answer>(child);
  const { port } = await next<{ port: number }>();
  return {
    port,
    async usage() {
      child.send('usage');
      return next<Usage>();
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await ended;
    },
  };
}

function nextMessage<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (code: number | null) => reject(new Error(`the bridge ended with ${code}`));
    child.once('exit', fail);
    child.once('message', (answer) => {
      child.off('exit', fail);
      resolve(answer as Answer);
    });
  });
}
