import { parseArgs } from 'node:util';
import { type Row, row } from '../row.ts';
import { singleRows } from '../streams/single.ts';
import { workspaceRows } from '../streams/workspace.ts';

/*
 * The bridge beside Vercel's Chat SDK: the same streams, the same small Slack with its limits on, in one run. The SDK
 * once with its defaults, once with the settings that are best for exactly this load, which nobody knows beforehand: no
 * placeholder, and as short a time between edits as keeps all threads together within the limit.
 */

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true, default: ['single', 'workspace'] },
  },
});
const times = Number(values.runs);

/** Of no app: what the others are measured by, or how the run went. */
const NOT_COMPARED = /_(round_trip|within|edits_before|to_bound|to_best_fair)$/;
const LIMIT = 50;
const ENDS_PER_MINUTE = 60 / 90;

/** ms between the edits of each of `count` threads; fewer than 50 a minute in all, with those at the ends. */
function bestInterval(count: number): number {
  return Math.ceil((60_000 * count) / (LIMIT - 1 - count * ENDS_PER_MINUTE));
}

async function rowsOf(app: (count: number) => string): Promise<Row[]> {
  const rows: Row[] = [];
  if (values.only.includes('single')) rows.push(...(await singleRows(app(1), times)));
  if (values.only.includes('workspace')) rows.push(...(await workspaceRows(app, [5, 20, 50], times)));
  return rows.filter(({ id }) => !NOT_COMPARED.test(id));
}

const bridge = await rowsOf(() => 'bridge');
const defaults = await rowsOf(() => 'chat-sdk');
const best = await rowsOf((count) => `chat-sdk:${bestInterval(count)}`);

const sameRow = (rows: readonly Row[], id: string) => rows.find((other) => other.id === id)?.value ?? Number.NaN;
const compared = bridge.map(({ id, unit, value }) => {
  const peers = { defaults: sameRow(defaults, id), best: sameRow(best, id) };
  return { ...row(id, value, unit, Math.min(peers.defaults, peers.best)), peers };
});

if (values.json) {
  const rows = compared.flatMap(({ peers, ...own }) => [
    { ...own, id: `bridge_${own.id}` },
    row(`chat_sdk_defaults_${own.id}`, peers.defaults, own.unit),
    row(`chat_sdk_best_${own.id}`, peers.best, own.unit),
  ]);
  process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
} else {
  const lines = compared.map(({ id, value, unit, met, peers }) =>
    [
      id.padEnd(40),
      `${value} ${unit}`.padEnd(16),
      `${peers.defaults}`.padEnd(16),
      `${peers.best}`.padEnd(16),
      met ? 'better or equal' : 'WORSE',
    ].join(''),
  );
  const head = ['figure'.padEnd(40), 'bridge'.padEnd(16), 'SDK, defaults'.padEnd(16), 'SDK, best'.padEnd(16)].join('');
  process.stdout.write(`${[head.trimEnd(), ...lines].join('\n')}\n`);
}
process.exitCode = compared.every(({ met }) => met) ? 0 : 1;
