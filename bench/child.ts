import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

/**
 * Runs a module of this folder in its own process. `input` goes to its standard input as JSON; the answer is the JSON
 * on the last line of its standard output, because libraries may print before it.
 * @param flags of Node
 */
export async function runInChild<Answer>(
  module: string,
  input: unknown,
  flags: readonly string[] = [],
): Promise<Answer> {
  const file = fileURLToPath(new URL(module, import.meta.url));
  const child = spawn(process.execPath, [...flags, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.end(JSON.stringify(input));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${module} ended with ${code}`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8').split('\n').at(-1) ?? '') as Answer;
}

/** Answers a parent that called {@link runInChild}, then exits. */
export async function answerParent<Input>(work: (input: Input) => Promise<unknown>): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const answer = await work(JSON.parse(Buffer.concat(chunks).toString('utf8')) as Input);
  process.stdout.write(`\n${JSON.stringify(answer)}`, () => process.exit(0));
}

/** More worlds than cores, because worlds mostly wait. */
export const WORLDS_AT_ONCE = Math.max(2, availableParallelism() * 3);

/** As `Promise.all` over `work`, at most `most` at a time. */
export async function mapPooled<Item, Answer>(
  items: readonly Item[],
  most: number,
  work: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = new Array(items.length);
  let next = 0;
  const run = async () => {
    for (let at = next++; at < items.length; at = next++) answers[at] = await work(items[at] as Item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, run));
  return answers;
}
