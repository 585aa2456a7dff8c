import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { printable } from '../printable.ts';

/** A person at a terminal. */
export interface Terminal {
  /** @param text may have several lines; what a terminal obeys in it is shown by its number */
  say(text: string): void;
  /** What was typed, without blanks around it. Rejects when there is nobody any more. @param secret it is not shown */
  ask(question: string, secret?: boolean): Promise<string>;
  close(): void;
}

/** Over streams: `input` may be a terminal or not. */
export function createTerminal(input: NodeJS.ReadableStream, output: NodeJS.WritableStream, isTty: boolean): Terminal {
  let isMuted = false;
  // What readline echoes goes through here: muted, what is typed is seen nowhere.
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
