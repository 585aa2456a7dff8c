import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Producer {
  port: number;
  /** Ends all turns that run. */
  end(): Promise<void>;
  stop(): void;
}

/** The device of `producer.ts`, running. */
export async function startProducer(deltasPerSecond: number): Promise<Producer> {
  const file = fileURLToPath(new URL('producer.ts', import.meta.url));
  const child = spawn(process.execPath, [file, String(deltasPerSecond)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the producer ended with ${code}`)));
    child.stdout.once('data', (data) => resolve(Number(data)));
  });
  return {
    port,
    async end() {
      await (await fetch(`http://127.0.0.1:${port}/end`)).text();
    },
    // The producer lives as long as its standard input.
    stop: () => child.stdin.end(),
  };
}
