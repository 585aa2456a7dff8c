import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LogLine } from '../crash/bridge.ts';
import { hasFailed, type Row, table } from '../crash/table.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import {
  cutOwner,
  freezeForLong,
  freezeUntilReplaced,
  killOwners,
  killSuccessor,
  restartAll,
  restartDatabase,
  type Stage,
} from './deeds.ts';
import { type Delivery, EXPIRY_MS, House } from './house.ts';
import { percentile, takeoverTable } from './takeovers.ts';

const STEPS: Readonly<Record<string, (stage: Stage, round: number) => Promise<void>>> = {
  sigkill: killOwners,
  sigterm: restartAll,
  'sigkill-twice': killSuccessor,
  sigstop: freezeForLong,
  'sigstop-short': freezeUntilReplaced,
  'database-crashed': (stage, round) => restartDatabase(stage, round, 'crashed'),
  'database-restarted': (stage, round) => restartDatabase(stage, round, 'restarted'),
  silent: (stage, round) => cutOwner(stage, round, 'silent'),
  delayed: (stage, round) => cutOwner(stage, round, 'delayed'),
  'half-closed': (stage, round) => cutOwner(stage, round, 'half-closed'),
  reset: (stage, round) => cutOwner(stage, round, 'reset'),
};
/** What measures how long nobody serves a workspace is done more often. */
const TIMES: Readonly<Record<string, number>> = { sigkill: 2, sigterm: 2 };
/** ms; what is far beyond it is a fault, because machines differ. */
const GOALS: Readonly<Record<string, number>> = { SIGKILL: EXPIRY_MS + 2_000, SIGTERM: 1_000 };
const FAR_BEYOND_MS = 10_000;
const MODES: readonly Surface[] = ['single', 'pair', 'app-server'];
const DELIVERIES: readonly Delivery[] = ['socket', 'http'];

const USAGE = `Runs three processes of one bridge on one Postgres, with a small Slack of two workspaces and a real Letta behind its
relay; kills, freezes and cuts them off while threads are at work, and counts what was lost, doubled or left over. Says how
long nobody served a workspace. Needs Postgres (PG_BIN, or Debian's) and Letta (LETTA_HOME).

  --only STEP   ${Object.keys(STEPS).join(', ')}; may be repeated
  --rounds N    default 1; later rounds strike at other steps of a turn
  --log FILE    writes what the processes log, and the name of each
  --mode M      ${MODES.join(', ')}; default single
  --slack D     ${DELIVERIES.join(', ')} (behind a load balancer); default socket
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    rounds: { type: 'string', default: '1' },
    log: { type: 'string' },
    mode: { type: 'string', default: 'single' },
    slack: { type: 'string', default: 'socket' },
    help: { type: 'boolean', default: false },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);
const mode = MODES.find((one) => one === values.mode);
const delivery = DELIVERIES.find((one) => one === values.slack);
const unknown = values.only?.find((name) => !(name in STEPS));
if (values.help || !mode || !delivery || unknown !== undefined) {
  say(unknown === undefined ? USAGE : `There is no step ${unknown}.\n\n${USAGE}`);
  process.exit(values.help ? 0 : 2);
}
const rounds = Math.max(1, Number(values.rounds) || 1);

const began = Date.now();
const seconds = () => `${((Date.now() - began) / 1_000).toFixed(0)} s`;
const rows: Row[] = [];
const takeovers = new Map<string, number[]>();
let logged: readonly LogLine[] = [];
let trouble = 0;
let closeNow: (() => Promise<unknown>) | null = null;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const closed = closeNow?.() ?? Promise.resolve();
    void closed.catch(() => null).then(() => process.exit(1));
  });
}

async function run(surface: Surface, by: Delivery): Promise<void> {
  const letta = await startRealLetta(surface);
  closeNow = () => letta.close();
  try {
    const house = await House.open(letta, by);
    logged = house.lines;
    closeNow = () => house.close().then(() => letta.close());
    const stage: Stage = {
      house,
      mode: surface,
      noteVerdict(what, step, round, verdict) {
        const row = { mode: surface, what, step, round, order: rows.length, verdict };
        rows.push(row);
        if (hasFailed(row))
          say(`\n${what}, ${step}, round ${round}:\n${verdict.faults.join('\n')}\n${verdict.story}\n`);
      },
      noteTakeover: (what, ms) => void takeovers.set(what, [...(takeovers.get(what) ?? []), ms]),
    };
    try {
      await house.moveIn();
      say(`three processes, two workspaces: up after ${seconds()}`);
      for (const [name, play] of Object.entries(STEPS)) {
        if (values.only && !values.only.includes(name)) continue;
        for (let round = 1; round <= rounds * (TIMES[name] ?? 1); round += 1) await play(stage, round);
        say(`${name}: done after ${seconds()}`);
      }
    } finally {
      const codes = await house.close();
      if (codes.some((code) => code !== 0)) {
        trouble += 1;
        say(`the processes did not stop cleanly on SIGTERM: exit codes ${codes.join(', ')}`);
      }
    }
  } finally {
    closeNow = null;
    await letta.close();
  }
}

try {
  await run(mode, delivery);
} catch (error) {
  trouble += 1;
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
if (values.log) writeFileSync(values.log, logged.map((line) => `${JSON.stringify(line)}\n`).join(''));
say(`\n${table(rows)}\n\n${takeoverTable(takeovers, (what) => GOALS[what] ?? null)}\n`);
for (const [what, goal] of Object.entries(GOALS)) {
  const worst = percentile(takeovers.get(what) ?? [], 1);
  if (worst <= goal + FAR_BEYOND_MS) continue;
  trouble += 1;
  say(`a workspace was served only ${worst} ms after ${what}`);
}
const bad = rows.filter(hasFailed).length;
say(bad + trouble === 0 ? `${rows.length} stories, nothing wrong` : `${bad} of ${rows.length} stories went wrong`);
// Exit even if something still holds a handle: everything that was started has been ended.
await sleep(0);
process.exit(bad + trouble === 0 && rows.length > 0 ? 0 : 1);
