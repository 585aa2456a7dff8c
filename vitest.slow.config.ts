import { defineConfig } from 'vitest/config';

/** What `npm test` leaves to `.ci/run`: what is shipped (package, build, image), the sandbox's page in Chromium. */
export default defineConfig({
  test: {
    include: ['test/**/*.slow.test.ts'],
    exclude: ['test/redteam/**'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    setupFiles: ['test/support/property-seed.ts'],
  },
});
