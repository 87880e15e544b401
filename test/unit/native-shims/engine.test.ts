import { expect, test } from 'vitest';
import { collectEverything } from '../../../native-shims/engine.js';
import { turn } from '../../../native-shims/event-loop.js';

/** Whether what nothing refers to is still there, after `between`. */
async function isAliveAfter(between: () => Promise<void>): Promise<boolean> {
  const reference = new WeakRef({});
  // V8 keeps what a WeakRef was made of until the job ends that made it.
  await turn();
  await between();
  return reference.deref() !== undefined;
}

test('collectEverything collects, before it returns', async () => {
  expect(await isAliveAfter(() => Promise.resolve())).toBe(true);
  expect(await isAliveAfter(collectEverything)).toBe(false);
});

test('and does so whatever the young generation is filled with at that moment', { timeout: 60_000 }, async () => {
  for (let round = 0; round < 100; round++) {
    const kept = Array.from({ length: round * 97 }, (_, i) => ({ i }));
    expect(await isAliveAfter(collectEverything)).toBe(false);
    expect(kept.at(-1)?.i ?? -1).toBe(round * 97 - 1);
  }
});
