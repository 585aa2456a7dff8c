import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type RealLetta, type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { judge, type Verdict } from './judge.ts';
import { Stage } from './stage.ts';
import { STEPS, type Step } from './steps.ts';
import { Story } from './story.ts';

const MODES: readonly Surface[] = ['app-server', 'single', 'pair'];
/** Nothing may say "working" this long after the start if nothing works. */
const SETTLED_WITHIN_MS = 30_000;

interface Row {
  mode: Surface;
  killed: string;
  step: string;
  round: number;
  verdict: Verdict;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    mode: { type: 'string', multiple: true },
    step: { type: 'string', multiple: true },
    kill: { type: 'string', multiple: true },
    verbose: { type: 'boolean', default: false },
  },
});
const say = (text: string) => process.stdout.write(`${text}\n`);
const wanted = (choice: string[] | undefined, name: string) => choice === undefined || choice.includes(name);

const rows: Row[] = [];

/** SIGKILL of the bridge at a step of a turn, and a start. */
async function killBridge(stage: Stage, mode: Surface, step: Step): Promise<Verdict> {
  const story = new Story(stage, step.kind);
  const reached = await step.reach(story, stage);
  await stage.bridge.kill();
  await step.after?.(story, stage);
  const wordsBefore = story.words().length;
  await stage.start();
  const verdict = await judge(story, {
    expected: mode === 'app-server' && step.submitted ? 'answered or interrupted' : 'answered',
    since: stage.bridge.upAt,
    within: SETTLED_WITHIN_MS,
    wordsBefore,
  });
  if (!reached) verdict.faults.push('the step was never reached');
  return verdict;
}

async function runMode(mode: Surface): Promise<void> {
  const began = Date.now();
  const letta: RealLetta = await startRealLetta(mode);
  const stage = await Stage.open(letta);
  try {
    await stage.start();
    say(`${mode}: up after ${Date.now() - began} ms`);
    for (const step of STEPS) {
      if (!wanted(values.step, step.name)) continue;
      const at = Date.now();
      const verdict = await killBridge(stage, mode, step);
      rows.push({ mode, killed: 'bridge', step: step.name, round: 1, verdict });
      const { lost, doubled, leftOver, outcome, quietAfter } = verdict;
      say(`${mode} bridge ${step.name}: ${outcome} lost ${lost} doubled ${doubled} left ${leftOver} quiet ${quietAfter} total ${Date.now() - at}`);
      if (verdict.faults.length) say(`${verdict.faults.join('\n')}\n${verdict.story}`);
    }
    say(`exit ${await stage.close()}`);
  } finally {
    await stage.close().catch(() => {});
    await letta.close();
  }
  await sleep(0);
}

for (const mode of MODES) if (wanted(values.mode, mode)) await runMode(mode);
