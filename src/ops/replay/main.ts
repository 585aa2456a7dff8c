import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import {
  decodeLine,
  encodeLine,
  isSameLine,
  type Replay,
  replayLine,
  withoutTexts,
} from '../../bridge/thread/core/recording.ts';

/*
 * Takes the steps of a recorded thread again (`RECORD_THREADS`), and prints each event, where the turn is then, and what
 * the step wants done. With `--redact` it prints the recording itself, without what people and the agent wrote.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { redact: { type: 'boolean', default: false } },
});
const [path] = positionals;
const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main(file: string): Promise<void> {
  let replay: Replay | null = null;
  let steps = 0;
  let differ = 0;
  let isRedacted = false;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (text.trim() === '') continue;
    const line = decodeLine(text);
    if (values.redact) {
      say(encodeLine(withoutTexts(line)));
      continue;
    }
    if ('begins' in line) isRedacted = line.isRedacted === true;
    const replayed = replayLine(replay, line);
    replay = replayed.replay;
    if (!('event' in line) || !replayed.effects) {
      say('stored' in line ? '  stored' : 'dropped' in line ? '  the disk failed' : 'begins');
      continue;
    }
    steps += 1;
    const { event, context } = line;
    const inner = event.type === 'agent' ? ` ${event.event.type}` : event.type === 'timer' ? ` ${event.timer}` : '';
    const live = replay?.thread.live;
    say(
      `${new Date(context.now).toISOString()} ${event.type}${inner} → ${live ? `${live.id} ${live.phase}` : 'no turn'}`,
    );
    for (const effect of replayed.effects) say(`    ${effect.do} ${JSON.stringify({ ...effect, do: undefined })}`);
    if (isSameLine({ ...line, effects: replayed.effects }, line, isRedacted)) continue;
    differ += 1;
    say(`    differs from what was recorded: ${line.effects.map((effect) => effect.do).join(', ') || 'nothing'}`);
  }
  if (!values.redact) say(`${steps} steps, ${differ} differ from what was recorded`);
}

if (path === undefined) {
  process.stderr.write('Usage: npm run replay -- FILE [--redact]\nFILE is a recording of RECORD_THREADS.\n');
  process.exitCode = 2;
} else {
  try {
    await main(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`Cannot replay ${path}: ${why}\n`);
    process.exitCode = 1;
  }
}
