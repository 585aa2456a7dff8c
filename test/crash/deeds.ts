import { setTimeout as sleep } from 'node:timers/promises';
import type { RealLetta, Surface } from '../support/letta/real-letta.ts';
import { type Expected, GOES_ON_WITHIN_MS, judge, type Verdict } from './judge.ts';
import type { Stage } from './stage.ts';
import { MID_STREAM, type Step, SUBMITTED } from './steps.ts';
import { Story } from './story.ts';

export interface Deed {
  mode: Surface;
  letta: RealLetta;
  noteVerdict(what: string, step: string, round: number, verdict: Verdict): void;
}

/** This long after the start nothing may say "working" unless something works. */
const SETTLED_WITHIN_MS = 30_000;
/** Within this time the client notices missing pings and reconnects the socket. */
const DEAF_WITHIN_MS = 75_000;
/**
 * Letta killed at the end of a turn leaves a lock of the conversation behind, and ends the next turn there 20 s after its last
 * word (docs/letta-protocol.md, Loss and restart).
 */
const LOCKED_MS = 20_000;
/** Longer than a request waits for its answer. */
const FROZEN_MS = 12_000;
/** Each further round strikes this much later in the step. */
const LATER_MS = 13;

interface Reached {
  story: Story;
  step: Step;
  wasReached: boolean;
}

async function reachStep(stage: Stage, step: Step): Promise<Reached> {
  const story = new Story(stage, step.kind);
  return { story, step, wasReached: await step.reachIn(story, stage) };
}

function withMissedStep(verdict: Verdict, reached: boolean): Verdict {
  return reached ? verdict : { ...verdict, lost: verdict.lost + 1, faults: ['never reached', ...verdict.faults] };
}

/** Kills the bridge at a step of a turn and starts it again. */
export async function killBridge({ mode, noteVerdict }: Deed, stage: Stage, step: Step, round: number): Promise<void> {
  const { story, wasReached } = await reachStep(stage, step);
  if (round > 1) await sleep((round - 1) * LATER_MS);
  await stage.bridge.kill();
  await step.afterKill?.(stage);
  const wordsBefore = story.words().length;
  await stage.startBridge();
  const verdict = await judge(story, {
    // A hosted turn outlives its client, one of an App Server does not (docs/letta-protocol.md, Loss and restart).
    expected: mode === 'app-server' && step.mayLettaBeAtWork ? 'answered or interrupted' : 'answered',
    since: stage.bridge.upAt,
    within: SETTLED_WITHIN_MS,
    wordsBefore,
  });
  noteVerdict('bridge-killed', step.name, round, withMissedStep(verdict, wasReached));
}

/** Kills the App Server or the device while several threads, of one or several bridges, are each at a step; starts it again. */
export async function killLetta(
  { letta, noteVerdict }: Deed,
  stages: readonly Stage[],
  steps: readonly Step[],
  round: number,
): Promise<void> {
  const all: Reached[] = [];
  for (const [at, step] of steps.entries()) {
    const stage = stages[at % stages.length];
    if (stage) all.push(await reachStep(stage, step));
  }
  if (round > 1) await sleep((round - 1) * LATER_MS);
  await letta.kill('SIGKILL');
  const before = all.map(({ story }) => story.words().length);
  await letta.restart();
  const since = Date.now();
  await Promise.all(
    all.map(async ({ story, step, wasReached }, at) => {
      const verdict = await judge(story, {
        expected: step.mayLettaBeAtWork ? 'answered or interrupted' : 'answered',
        since,
        within: SETTLED_WITHIN_MS,
        wordsBefore: before[at] ?? 0,
        goesOnWithin: GOES_ON_WITHIN_MS + LOCKED_MS,
        mayForget: true,
      });
      noteVerdict('letta-killed', step.name, round, withMissedStep(verdict, wasReached));
    }),
  );
}

/** Stops the App Server or the device while threads are at these steps, sends a message meanwhile, and continues it. */
export async function freezeLetta(
  { mode, letta, noteVerdict }: Deed,
  stages: readonly Stage[],
  steps: readonly Step[],
  round: number,
): Promise<void> {
  const all: Reached[] = [];
  for (const [at, step] of steps.entries()) {
    const stage = stages[at % stages.length];
    if (stage) all.push(await reachStep(stage, step));
  }
  if (round > 1) await sleep((round - 1) * LATER_MS);
  letta.signal('SIGSTOP');
  const last = stages.at(-1);
  const meanwhile = last && new Story(last, 'words');
  let before: number[] = [];
  try {
    await meanwhile?.sayIt();
    await sleep(FROZEN_MS);
    before = all.map(({ story }) => story.words().length);
  } finally {
    letta.signal('SIGCONT');
  }
  const limits = { since: Date.now(), within: SETTLED_WITHIN_MS };
  const judged = all.map(async ({ story, step, wasReached }, at) => {
    // The bridge closes a link on which input was not confirmed, which ends an App Server's turn.
    const dies = mode === 'app-server' && step === SUBMITTED;
    const expected: Expected = dies ? 'answered or interrupted' : 'answered';
    const verdict = await judge(story, { ...limits, expected, wordsBefore: before[at] ?? 0 });
    noteVerdict('letta-frozen', step.name, round, withMissedStep(verdict, wasReached));
  });
  if (meanwhile) {
    const verdict = judge(meanwhile, { ...limits, expected: 'answered', wordsBefore: 0 });
    judged.push(verdict.then((found) => noteVerdict('letta-frozen', 'meanwhile', round, found)));
  }
  await Promise.all(judged);
}

/**
 * Slack's socket falls silent in the middle of a turn and stays open; a message meanwhile. The fault ends with these two
 * stories: Slack would deal each second event of the stories behind them to the silent socket.
 */
export async function freezeSlack({ noteVerdict }: Deed, stage: Stage): Promise<void> {
  const running = await reachStep(stage, MID_STREAM);
  await stage.slack.control.faults({ socket: 'freeze', ms: 2 * DEAF_WITHIN_MS });
  const meanwhile = new Story(stage, 'words');
  await meanwhile.sayIt();
  const since = Date.now();
  const limits = { expected: 'answered', since, within: DEAF_WITHIN_MS } as const;
  await Promise.all([
    judge(running.story, { ...limits, wordsBefore: running.story.words().length, goesOnWithin: DEAF_WITHIN_MS }).then(
      (verdict) => noteVerdict('slack-frozen', MID_STREAM.name, 1, withMissedStep(verdict, running.wasReached)),
    ),
    judge(meanwhile, { ...limits, wordsBefore: 0, goesOnWithin: DEAF_WITHIN_MS }).then((verdict) =>
      noteVerdict('slack-frozen', 'meanwhile', 1, verdict),
    ),
  ]);
  await stage.slack.control.faults({ kind: 'clear' });
}
