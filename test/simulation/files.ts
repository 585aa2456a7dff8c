import type { FileRef } from '../../src/bridge/inbound.ts';
import type { Clock, SlackFiles } from '../../src/bridge/ports.ts';
import { FileRefused } from '../../src/bridge/turn/file-notes.ts';
import type { Chance } from './random.ts';

/** Every seventh message has files, whatever chance says, so that other seeds' stories stay the same. */
export function filesOfMessage(number: number): FileRef[] {
  if (number % 7 !== 0) return [];
  const name = (at: number) => ({ id: `F${number}X${at}`, name: `file${number}-${at}.txt` });
  return Array.from({ length: 1 + (number % 3) }, (_, at) => ({ ...name(at), mimetype: 'text/plain', size: null }));
}

/** Slack's files: quick, slow, refused, broken off or never there. */
export function simulateFiles(clock: Clock, chance: Chance): SlackFiles {
  const pause = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const timer = clock.after(ms, resolve);
      signal.addEventListener('abort', () => {
        timer.cancel();
        reject(signal.reason);
      });
    });
  return {
    async open(file, signal) {
      await pause(chance.between(10, 2_000), signal);
      if (chance.happens(0.15)) throw new FileRefused(chance.pickOne(['no_access', 'failed', 'deleted'] as const));
      const bytes = async function* () {
        for (let left = chance.between(1, 4); left > 0; left -= 1) {
          await pause(chance.happens(0.1) ? 90_000 : chance.between(1, 500), signal);
          if (chance.happens(0.05)) throw new FileRefused('failed');
          yield Buffer.from(chance.happens(0.3) ? [0, 1, 2] : 'some words\n');
        }
      };
      return { file, bytes: bytes() };
    },
  };
}
