/* The parts of a reload that are values; live: test/kernel/reload.test.ts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusalOf, variables } from '../../../src/guard/reload.js';
import { EXIT_CONFIG } from '../../../src/shared/exit.js';

describe('an environment as the kernel shows it', () => {
  it('whatever bytes: each variable as it was, in order', () => {
    const variable = fc.uint8Array({ min: 1, max: 255, minLength: 1 });
    fc.assert(
      fc.property(fc.array(variable), fc.boolean(), (all, ended) => {
        const nul = Buffer.from([0]);
        const bytes = Buffer.concat(
          all.flatMap((each, index) => (index === all.length - 1 && !ended ? [each] : [each, nul])),
        );
        expect(variables(bytes).map((each) => [...each])).toEqual(all.map((each) => [...each]));
      }),
    );
  });

  it('empty ones are none', () => {
    expect(variables(Buffer.from('\0\0A=1\0\0'))).toEqual([Buffer.from('A=1')]);
    expect(variables(Buffer.alloc(0))).toEqual([]);
  });
});

describe('how the check ended', () => {
  it.each([
    [0, null],
    [EXIT_CONFIG, 'its check ended with exit code 78'],
    [255, 'its check ended with exit code 255'],
    [256 + 9, 'its check was ended by signal 9'],
    [-10, 'its check could not be waited for: ECHILD'],
  ])('%d: %j', (status, words) => {
    expect(refusalOf(status)).toBe(words);
  });
});
