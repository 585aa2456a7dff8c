import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Mutation, mutations } from './mutations.ts';

/*
 * Shows that the simulation can fail: takes away one mechanism after another, in a copy of the source, and runs seeds
 * until one of them says that the promise is broken which the mechanism serves.
 */

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    /** Only those whose name matches this. */
    only: { type: 'string', default: '' },
  },
});

const root = join(import.meta.dirname, '../..');
const say = (line: string) => void process.stdout.write(`${line}\n`);

/** The source with a mutation applied. @throws Error when its text is not there exactly once */
function applyMutation(copy: string, { name, edits }: Mutation): void {
  for (const { file, find, replace } of edits) {
    const path = join(copy, file);
    const before = readFileSync(path, 'utf8');
    if (before.split(find).length !== 2) throw new Error(`"${name}" does not fit ${file} any more: ${find}`);
    writeFileSync(
      path,
      before.replace(find, () => replace),
    );
  }
}

/** The first of the seeds that fails for the right reason, with its message; `null`: none does. */
function findSeed(mutation: Mutation, first: string, seeds: string): { seed: string; says: string } | null {
  const copy = mkdtempSync(join(tmpdir(), 'mutation-'));
  try {
    for (const part of ['src', 'test/simulation', 'package.json']) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    applyMutation(copy, mutation);
    const args = ['test/simulation/main.ts', '--brief', '--until', mutation.sign.source];
    if (mutation.replicas) args.push('--replicas');
    args.push('--seed', first, '--seeds', seeds);
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' });
    if (status === 0) return null;
    const [, seed, says] = /seed (\d+) fails:\n\s*(.*)/.exec(stdout) ?? [];
    if (seed !== undefined && says !== undefined) return { seed, says };
    throw new Error(`"${mutation.name}" ended the simulation: ${stderr.trim().split('\n').at(-1)}`);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const chosen = mutations.filter(({ name }) => new RegExp(values.only).test(name));
let survived = 0;
for (const mutation of chosen) {
  const found = findSeed(mutation, values.seed, values.seeds);
  if (!found) survived += 1;
  // What fails without the mutation, too, proves nothing of it.
  const sound = found && findSeed({ ...mutation, sign: /(?:)/, edits: [] }, found.seed, '1');
  if (sound) throw new Error(`the source as it is fails: seed ${sound.seed}: ${sound.says}`);
  say(`${mutation.name.padEnd(70)}  ${found ? `seed ${found.seed}: ${found.says}` : 'NOT NOTICED'}`);
}
say(survived === 0 ? `all ${chosen.length} were noticed` : `${survived} of ${chosen.length} were not noticed`);
process.exitCode = survived === 0 ? 0 : 1;
