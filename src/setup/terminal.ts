import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { printable } from '../printable.ts';

/** A person at a terminal. */
export interface Terminal {
  /** @param text may have several lines; control characters are shown as numbers */
  say(text: string): void;
  /** Resolves with the trimmed answer. Rejects when the input has ended. @param secret what is typed is not shown */
  ask(question: string, secret?: boolean): Promise<string>;
  close(): void;
}

/** A terminal over two streams; `input` may also be a pipe. */
export function createTerminal(input: NodeJS.ReadableStream, output: NodeJS.WritableStream, isTty: boolean): Terminal {
  let isMuted = false;
  // readline echoes through this stream; while muted, it drops what is typed.
  const echo = new Writable({
    write(chunk, encoding, done) {
      if (!isMuted) output.write(chunk, encoding as BufferEncoding);
      done();
    },
  });
  const lines = createInterface({ input, output: echo, terminal: isTty, historySize: 0 });
  const waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  const earlyLines: string[] = [];
  let hasEnded = false;
  lines.on('line', (line) => {
    const next = waiting.shift();
    if (next) next.resolve(line);
    else earlyLines.push(line);
  });
  lines.on('close', () => {
    hasEnded = true;
    for (const { reject } of waiting.splice(0)) reject(new Error('the input has ended'));
  });
  lines.on('SIGINT', () => lines.close());

  return {
    say: (text) => void output.write(`${printable(text)}\n`),
    async ask(question, secret = false) {
      output.write(`${printable(question)} `);
      isMuted = secret;
      try {
        const typed = earlyLines.shift();
        if (typed !== undefined) return typed.trim();
        if (hasEnded) throw new Error('the input has ended');
        return (await new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }))).trim();
      } finally {
        if (secret) output.write('\n');
        isMuted = false;
      }
    },
    close: () => lines.close(),
  };
}
