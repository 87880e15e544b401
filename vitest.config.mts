/*
 * Three groups: unit and cli run side by side; kernel, the live-fire tests, afterwards and one file at a
 * time, because each watches how much memory the whole machine has. bench has no tests: `npm run bench`.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 0 } } },
      { test: { name: 'cli', include: ['test/cli/**/*.test.ts'], testTimeout: 20_000, sequence: { groupOrder: 1 } } },
      { test: { name: 'bench', include: [], benchmark: { include: ['bench/**/*.bench.ts'] } } },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          testTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
