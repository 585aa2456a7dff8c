import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Producer {
  port: number;
  slackUrl: string;
  tokens: { bot: string; app: string };
  /** Mentions the app in each channel. */
  mention(): Promise<void>;
  /** Ends all turns that run. */
  end(): Promise<void>;
  state(): Promise<{
    /** Frames that were acknowledged. */
    acked: number;
    /** Turns that run. */
    writing: number;
    /** Sockets. */
    open: number;
  }>;
  stop(): void;
}

/** The world of `producer.ts`, running. */
export async function startProducer(channels: number, deltasPerSecond: number): Promise<Producer> {
  const file = fileURLToPath(new URL('producer.ts', import.meta.url));
  const args = [file, String(channels), String(deltasPerSecond)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const where = await new Promise<Pick<Producer, 'port' | 'slackUrl' | 'tokens'>>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the producer ended with ${code}`)));
    child.stdout.once('data', (data) => resolve(JSON.parse(String(data))));
  });
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${where.port}${path}`)).json();
  return {
    ...where,
    async mention() {
      await ask('/mention');
    },
    async end() {
      await ask('/end');
    },
    state: async () => (await ask('/state')) as Awaited<ReturnType<Producer['state']>>,
    // The producer lives as long as its standard input.
    stop: () => child.stdin.end(),
  };
}
