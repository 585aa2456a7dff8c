import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/real/**', 'test/redteam/**/*.slow.test.ts'],
    testTimeout: 20_000,
    // Two cores: one worker each. Files are isolated, so a leaked server cannot hide in another file.
    maxWorkers: 2,
  },
});
