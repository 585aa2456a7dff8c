import { defineConfig } from 'vitest/config';

/** All of `test/redteam/`, its slow part (`*.slow.test.ts`) included: real shells, real processes, many thousand random inputs. */
export default defineConfig({
  test: {
    include: ['test/redteam/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    setupFiles: ['test/support/property-seed.ts'],
  },
});
