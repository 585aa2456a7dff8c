import { parseArgs } from 'node:util';
import { simulate } from './world.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    brief: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    /** Several processes on one database. */
    replicas: { type: 'boolean', default: false },
    /** People hand messages to running turns. */
    steer: { type: 'boolean', default: false },
    /** Ends with the first seed that fails so: what it says matches this. */
    until: { type: 'string' },
  },
});
const first = Number(values.seed ?? 1);
const seeds = Number(values.seeds ?? (values.seed === undefined ? 100 : 1));
if (!Number.isInteger(seeds) || !Number.isInteger(first)) throw new Error('--seeds and --seed want whole numbers');

const until = values.until === undefined ? null : new RegExp(values.until);
const say = (line: string) => void process.stdout.write(`${line}\n`);
const failed: number[] = [];
const total = { events: 0, ms: 0, turns: 0, messages: 0 };
for (let seed = first; seed < first + seeds; seed += 1) {
  const result = await simulate(seed, {
    tell: values.verbose ? say : null,
    replicas: values.replicas,
    steer: values.steer,
  });
  total.events += result.events;
  total.ms += result.ms;
  total.turns += result.turns;
  total.messages += result.messages;
  if (result.violations.length === 0) continue;
  const told = until === null ? result.violations : result.violations.filter((violation) => until.test(violation));
  if (told.length === 0) continue;
  failed.push(seed);
  // Print the whole story of the first failing seed, and only the violations of the others.
  if (failed.length === 1 && !values.verbose && !values.brief) for (const line of result.story) say(line);
  say(`seed ${seed} fails:`);
  for (const violation of told.slice(0, values.brief ? 2 : 20)) say(`  ${violation.slice(0, 200)}`);
  if (until) break;
}
const hours = (total.ms / 3_600_000).toFixed(1);
say(
  `${seeds} seeds from ${first}: ${total.messages} messages, ${total.turns} turns, ${total.events} events, ${hours} h`,
);
say(failed.length === 0 ? 'no violation' : `${failed.length} fail: ${failed.join(' ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
