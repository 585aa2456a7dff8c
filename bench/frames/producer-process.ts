import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface Producer {
  port: number;
  slackUrl: string;
  tokens: { bot: string; app: string };
  /** Mentions the app in the first `count` channels, once in each. */
  mentionIn(count: number): Promise<void>;
  /** Ends all turns that run. */
  endTurns(): Promise<void>;
  readState(): Promise<ProducerState>;
  /** @throws Error when it takes longer than two minutes */
  waitUntil(holds: (state: ProducerState) => boolean): Promise<void>;
  stop(): void;
}

export interface ProducerState {
  /** Frames that were acknowledged. */
  acked: number;
  /** Turns that run. */
  writing: number;
  /** Sockets to the device. */
  open: number;
  /** Sockets that receive Slack's events. */
  listening: number;
}

const PATIENCE_MS = 120_000;

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
  const state = async () => (await ask('/state')) as ProducerState;
  return {
    ...where,
    async mentionIn(count) {
      await ask(`/mention?count=${count}`);
    },
    async endTurns() {
      await ask('/end');
    },
    readState: state,
    async waitUntil(holds) {
      const giveUp = performance.now() + PATIENCE_MS;
      for (let now = await state(); !holds(now); now = await state()) {
        if (performance.now() > giveUp) throw new Error(`did not come about: ${JSON.stringify(now)}`);
        await sleep(100);
      }
    },
    // The producer ends when its standard input closes.
    stop: () => child.stdin.end(),
  };
}
