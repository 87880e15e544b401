import { expect, it } from 'vitest';
import { monotonicMs } from '../../../native-shims/clock.js';

it("monotonicMs is CLOCK_MONOTONIC: between two looks at Node's, with a fraction, and never goes back", () => {
  const nodeMs = (): number => Number(process.hrtime.bigint()) / 1e6;
  let fractions = 0;
  for (let i = 0; i < 1000; i++) {
    const [before, now, next, after] = [nodeMs(), monotonicMs(), monotonicMs(), nodeMs()];
    // A double holds microseconds of an uptime of years: the last digits may differ.
    expect(now).toBeGreaterThanOrEqual(before - 0.001);
    expect(next).toBeGreaterThanOrEqual(now);
    expect(after).toBeGreaterThanOrEqual(next - 0.001);
    if (!Number.isInteger(now)) fractions++;
  }
  expect(fractions).toBeGreaterThan(900);
});
