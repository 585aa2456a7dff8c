import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { type Deed, freezeLetta, freezeSlack, killBridge, killLetta } from './deeds.ts';
import type { Verdict } from './judge.ts';
import { Stage } from './stage.ts';
import { BRIDGE_STEPS, FROZEN_STEPS, LETTA_STEPS } from './steps.ts';
import { hasFailed, type Row, table } from './table.ts';

const MODES: readonly Surface[] = ['app-server', 'single', 'pair', 'listen'];
const WHAT: readonly string[] = ['bridge-killed', 'letta-killed', 'letta-frozen', 'slack-frozen'];
const STEPS: readonly string[] = [...BRIDGE_STEPS.map(({ name }) => name), 'meanwhile'];
/** Bridges that share a Letta; they mostly wait. */
const STAGES = 3;

const USAGE = `Kills and freezes the real processes at each step of a turn, and counts what was lost, doubled or left over.

  --rounds N     default 1; later rounds strike a little later in the step
  --mode M       app-server, single, pair, listen; may be repeated
  --what W       ${WHAT.join(', ')}; may be repeated
  --step S       ${BRIDGE_STEPS.map(({ name }) => name).join(', ')}; may be repeated
`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    mode: { type: 'string', multiple: true },
    what: { type: 'string', multiple: true },
    step: { type: 'string', multiple: true },
    help: { type: 'boolean', default: false },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
if (values.help) {
  say(USAGE);
  process.exit(0);
}
const rounds = Math.max(1, Number(values.rounds) || 1);
const isWanted = (choice: string[] | undefined, name: string) => choice === undefined || choice.includes(name);

const rows: Row[] = [];
let trouble = 0;
let closeNow: (() => Promise<unknown>) | null = null;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const closed = closeNow?.() ?? Promise.resolve();
    void closed.catch(() => null).then(() => process.exit(1));
  });
}

function noteVerdict(mode: string, what: string, step: string, round: number, verdict: Verdict): void {
  const order = [MODES as readonly string[], WHAT, STEPS].reduce(
    (sum, list, at) => sum * 100 + list.indexOf([mode, what, step][at] ?? ''),
    0,
  );
  const row = { mode, what, step, round, order, verdict };
  rows.push(row);
  if (hasFailed(row))
    say(`\n${mode}, ${what}, ${step}, round ${round}:\n${verdict.faults.join('\n')}\n${verdict.story}\n`);
}

async function runMode(mode: Surface): Promise<void> {
  const began = Date.now();
  const seconds = () => `${((Date.now() - began) / 1_000).toFixed(0)} s`;
  const letta = await startRealLetta(mode);
  const stages: Stage[] = [];
  const close = async () => {
    const codes = await Promise.all(stages.map((stage) => stage.close()));
    await letta.close();
    return codes;
  };
  closeNow = close;
  try {
    // A device dials one bridge.
    const isAlone = mode === 'listen';
    for (let n = 0; n <= (isAlone ? 0 : STAGES); n += 1) stages.push(await Stage.open(letta));
    const [apart, ...rest] = stages;
    if (!apart) return;
    const others = isAlone ? [apart] : rest;
    // The first one creates the agent that all share.
    await apart.startBridge();
    await apart.warmUp();
    await Promise.all(rest.map((stage) => stage.startBridge()));
    say(`${mode}: up after ${seconds()}`);
    const deed: Deed = {
      mode,
      letta,
      noteVerdict: (what, step, round, verdict) => noteVerdict(mode, what, step, round, verdict),
    };

    const freezesSlack = isWanted(values.what, 'slack-frozen') && isWanted(values.step, 'mid-stream');
    const apartDone = freezesSlack ? freezeSlack(deed, apart) : Promise.resolve();
    if (isAlone) await apartDone;
    const jobs = Array.from({ length: rounds }, (_, at) => at + 1).flatMap((round) =>
      BRIDGE_STEPS.filter(({ name }) => isWanted(values.step, name)).map((step) => ({ step, round })),
    );
    if (isWanted(values.what, 'bridge-killed')) {
      const work = async (stage: Stage) => {
        for (let job = jobs.shift(); job; job = jobs.shift()) await killBridge(deed, stage, job.step, job.round);
      };
      await Promise.all(others.map(work));
      say(`${mode}: the bridge was killed at every step after ${seconds()}`);
    }
    await apartDone;
    if (freezesSlack) say(`${mode}: Slack's socket was frozen after ${seconds()}`);

    for (let round = 1; round <= rounds; round += 1) {
      if (isWanted(values.what, 'letta-killed')) {
        for (const group of LETTA_STEPS) {
          const steps = group.filter(({ name }) => isWanted(values.step, name));
          if (steps.length > 0) await killLetta(deed, others, steps, round);
        }
        say(`${mode}: Letta was killed at every step after ${seconds()}`);
      }
      const frozen = FROZEN_STEPS.filter(({ name }) => isWanted(values.step, name));
      if (isWanted(values.what, 'letta-frozen') && frozen.length > 0) await freezeLetta(deed, others, frozen, round);
    }
    say(`${mode}: done after ${seconds()}`);
  } finally {
    closeNow = null;
    const codes = await close();
    if (codes.some((code) => code !== 0)) {
      trouble += 1;
      say(`${mode}: bridges did not stop cleanly on SIGTERM: exit codes ${codes.join(', ')}`);
    }
  }
}

for (const mode of MODES) {
  if (!isWanted(values.mode, mode)) continue;
  try {
    await runMode(mode);
  } catch (error) {
    trouble += 1;
    say(`${mode}: ${error instanceof Error ? error.stack : error}`);
  }
}
say(`\n${table(rows)}\n`);
const bad = rows.filter(hasFailed).length;
say(bad + trouble === 0 ? `${rows.length} stories, nothing wrong` : `${bad} of ${rows.length} stories went wrong`);
// Exit even if something still holds a handle: everything that was started has been ended.
await sleep(0);
process.exit(bad + trouble === 0 && rows.length > 0 ? 0 : 1);
