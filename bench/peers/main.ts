import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Row, row } from '../row.ts';
import { directRows } from '../streams/direct.ts';
import { singleRows } from '../streams/single.ts';
import { workspaceRows } from '../streams/workspace.ts';
import { delayChart } from './chart.ts';
import { installChannelRuntime } from './letta-channel.ts';

/*
 * The bridge beside Vercel's Chat SDK: the same streams, the same small Slack with its limits on, in one run. The SDK
 * once with its defaults, which stream natively (in a channel only the one who asked sees that live; everybody else waits
 * for the end; a line is held back until it is whole, and then until 256 characters have come together, so that a text
 * in one line is one call at its end: the texts have lines here), once by edits with the settings that are best for exactly this load, which nobody knows beforehand: no
 * placeholder, and as short a time between edits as keeps all threads together within the limit.
 *
 * With `LETTA_HOME` also Letta Code's own Slack channel, on a real server; not for a whole workspace, because twenty real
 * agents that write for minutes would be measured, and not the channel. It posts an answer when the agent has written it.
 */

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true, default: ['single', 'direct', 'workspace'] },
    /** A file for the chart of delays over the length of an answer. */
    chart: { type: 'string' },
  },
});
const times = Number(values.runs);

/** Of no app: what the others are measured by, or how the run went. */
const NOT_COMPARED = /_(round_trip|within|edits_before|to_bound|to_best_fair)$/;
const LIMIT = 50;
/** Words of a line: about those of a point in a list. */
const LINE = 15;
const ENDS_PER_MINUTE = 60 / 90;

/** ms between the edits of each of `count` threads; fewer than 50 a minute in all, with those at the ends. */
function bestInterval(count: number): number {
  return Math.ceil((60_000 * count) / (LIMIT - 1 - count * ENDS_PER_MINUTE));
}

async function rowsOf(app: (count: number) => string): Promise<Row[]> {
  const rows: Row[] = [];
  if (values.only.includes('single')) rows.push(...(await singleRows(app(1), times, LINE)));
  if (values.only.includes('direct')) rows.push(...(await directRows(app(5), times, LINE)));
  if (values.only.includes('workspace')) rows.push(...(await workspaceRows(app, [5, 20, 50], times, LINE)));
  return rows.filter(({ id }) => !NOT_COMPARED.test(id));
}

const bridge = await rowsOf(() => 'bridge');
const defaults = await rowsOf(() => 'chat-sdk');
const best = await rowsOf((count) => `chat-sdk:${bestInterval(count)}`);

/** Nothing without a real server. One at a time: a server needs a core to start. */
async function lettaRows(): Promise<Row[]> {
  if (process.env.LETTA_HOME === undefined) return [];
  const folder = mkdtempSync(join(tmpdir(), 'bridge-peers-'));
  try {
    installChannelRuntime(folder);
    const rows: Row[] = [];
    if (values.only.includes('single')) rows.push(...(await singleRows('letta-channel', times, LINE, 1)));
    if (values.only.includes('direct')) rows.push(...(await directRows('letta-channel', times, LINE)));
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const letta = await lettaRows();

/** Delays of one app by the length of an answer, at 30 words a second. */
const pointsOf = (rows: readonly Row[]) =>
  rows.flatMap(({ id, value }) => {
    const seconds = /^stream_30_per_s_(\d+)_s_delta_delay_median$/.exec(id)?.[1];
    return seconds === undefined ? [] : [{ seconds: Number(seconds), ms: value }];
  });
if (values.chart !== undefined) {
  const lines = [
    { name: 'bridge', points: pointsOf(bridge) },
    { name: 'Chat SDK, native streams', points: pointsOf(defaults) },
    { name: 'Chat SDK, edits', points: pointsOf(best) },
    ...(letta.length === 0 ? [] : [{ name: 'Letta’s own channel', points: pointsOf(letta) }]),
  ];
  writeFileSync(values.chart, delayChart('A word until Slack has it (median) over the length of an answer', lines));
}

const sameRow = (rows: readonly Row[], id: string) => rows.find((other) => other.id === id)?.value ?? Number.NaN;
const compared = bridge.map(({ id, unit, value }) => {
  const peers = { defaults: sameRow(defaults, id), best: sameRow(best, id), letta: sameRow(letta, id) };
  const measured = Object.values(peers).filter(Number.isFinite);
  return { ...row(id, value, unit, Math.min(...measured)), peers };
});

if (values.json) {
  const rows = compared.flatMap(({ peers, ...own }) => [
    { ...own, id: `bridge_${own.id}` },
    row(`chat_sdk_defaults_${own.id}`, peers.defaults, own.unit),
    row(`chat_sdk_best_${own.id}`, peers.best, own.unit),
    ...(Number.isFinite(peers.letta) ? [row(`letta_channel_${own.id}`, peers.letta, own.unit)] : []),
  ]);
  process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
} else {
  const lines = compared.map(({ id, value, unit, met, peers }) => [
    id,
    `${value} ${unit}`,
    `${peers.defaults}`,
    `${peers.best}`,
    Number.isFinite(peers.letta) ? `${peers.letta}` : '–',
    met ? 'better or equal' : 'WORSE',
  ]);
  const all = [['figure', 'bridge', 'SDK, native', 'SDK, edits', 'Letta’s channel', ''], ...lines];
  const printed = all.map(([figure = '', ...rest]) =>
    [figure.padEnd(40), ...rest.map((cell) => cell.padEnd(16))].join('').trimEnd(),
  );
  process.stdout.write(`${new Date().toISOString().slice(0, 10)}\n${printed.join('\n')}\n`);
}
process.exitCode = compared.every(({ met }) => met) ? 0 : 1;
