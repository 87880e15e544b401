/*
 * Three groups: unit and cli run side by side; kernel, the live-fire tests, afterwards and one file at a
 * time, because each watches how much memory the whole machine has. bench has no tests: `npm run bench`.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // One more than CI has cores: the command line tests wait for guards most of the time.
    maxWorkers: 3,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 0 } } },
      { test: { name: 'cli', include: ['test/cli/**/*.test.ts'], testTimeout: 20_000, sequence: { groupOrder: 0 } } },
      { test: { name: 'bench', include: [], benchmark: { include: ['bench/**/*.bench.ts'] } } },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          testTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
