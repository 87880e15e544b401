/*
 * A test that can't run here is skipped, says why, and is an error where nothing may be skipped (CI sets
 * NO_SKIPS=1): a skip that nobody expected would look like a pass.
 */
import { describe } from 'vitest';

/** describe(), or a skip that prints its reason when `met` is false. */
export function describeIf(met: boolean, reason: string, title: string, body: () => void): void {
  if (met) return void describe(title, body);
  if (process.env['NO_SKIPS'] === '1') throw new Error(`${title}: would be skipped: ${reason}`);
  console.warn(`SKIPPED ${title}: ${reason}`);
  describe.skip(`${title} (skipped: ${reason})`, body);
}
