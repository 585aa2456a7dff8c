import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Each file has its own Letta and mostly waits for it: two files at a time take half as long (877 s instead of 1,659 s).
    maxWorkers: 2,
  },
});
