import { expect } from 'vitest';
import { judgeGuarded } from '../../src/bridge/approvals/auto-approval/guarded.ts';
import { Canaries, SHELLS } from './canaries.ts';
import { linesOf, randomOf } from './unasked-lines.ts';

const AT_ONCE = 100;

/**
 * Makes so many command lines, lets guarded judge them, and runs those that pass in real shells.
 * @param runs at most so many are run in each shell
 */
export function runUnasked({ seed, lines, runs }: { seed: number; lines: number; runs: number }): { passed: number } {
  const world = new Canaries();
  try {
    const next = linesOf(world, randomOf(seed));
    const passed = new Set<string>();
    for (let count = 0; count < lines; count += 1) {
      const command = next();
      if (!judgeGuarded({ tool: 'Bash', input: { command } }, world.project).asks) passed.add(command);
    }
    const before = world.digest();
    const all = [...passed].slice(0, runs);
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const some = all.slice(at, at + AT_ONCE);
      for (const shell of SHELLS) {
        world.run(shell, some).forEach((output, index) => {
          if (output.includes('CANARY'))
            expect.fail(`${shell} showed a canary for: ${JSON.stringify(some[index])}\n${output}`);
        });
        if (world.digest() !== before)
          expect.fail(`${shell} changed something in: ${some.map((line) => JSON.stringify(line)).join('\n')}`);
      }
    }
    return { passed: passed.size };
  } finally {
    world.remove();
  }
}
