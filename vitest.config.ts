import { readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Left to `.ci/run`: `npm run test:slow`, `npm run test:redteam`, `npm run test:letta`. */
const notHere = ['test/**/*.slow.test.ts', 'test/real/**'];
/** Whole bridges, most with sockets and processes of their own: they wait more than they work. */
const flows = ['test/flows/**/*.test.ts', 'test/doctor/doctor.test.ts'];

const IN_MEMORY = '/dev/shm';
const ROOM = 1024 ** 3;

/** A store waits for the disk at each write, so unit tests keep theirs in memory where there is room and programs may run. */
function temporaryFolder(): string {
  try {
    const mount = readFileSync('/proc/mounts', 'utf8').match(/^\S+ \/dev\/shm .*$/m)?.[0] ?? 'noexec';
    const { bavail, bsize } = statfsSync(IN_MEMORY);
    return bavail * bsize > ROOM && !/\bnoexec\b/.test(mount) ? IN_MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

export default defineConfig({
  test: {
    // Far beyond what any test takes: on a busy machine nothing should fail.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    globalSetup: ['test/support/postgres/broker.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...notHere, ...flows],
          // Files share the process and its modules, which halves the work; `leaks.ts` fails those that leave anything open.
          isolate: false,
          maxWorkers: 2,
          env: { TMPDIR: temporaryFolder() },
          setupFiles: ['test/support/leaks.ts', 'test/support/property-seed.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'flows',
          include: flows,
          exclude: notHere,
          isolate: true,
          maxWorkers: 6,
          maxConcurrency: 12,
          testTimeout: 300_000,
          // After the unit tests: what waits should not compete with what works.
          sequence: { groupOrder: 1 },
          setupFiles: ['test/support/leaks.ts'],
        },
      },
    ],
  },
});
