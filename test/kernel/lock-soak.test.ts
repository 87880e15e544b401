/*
 * Locked memory and V8: garbage collection on purpose, thousands of times, functions compiled to machine code and dropped
 * in between, so that V8 gives pages of its heap and of its code back by madvise all the time.
 *
 * The control is mlockall, which makes those madvise calls fail: V8 aborts, at the latest when the process ends.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { bundled, runBundled } from '../support/bundled.js';
import { describeIf } from '../support/requires.js';

const COLLECTIONS = 2500;
const CONTROL_COLLECTIONS = 100;
const TIMEOUT_MS = 50_000;

/** Machine code for every function on its first call (sparkplug), and none of it kept that isn't in use. */
const FLAGS = ['--expose-gc', '--always-sparkplug', '--stress-flush-code'];

const soak = (lock: string, collections: number): string => `
  import { readFileSync } from 'node:fs';
  import { declare, fixedBuffer } from './native-shims/libc.js';
  import { lockMemory, planLock, widen } from './src/guard/lock.js';

  const mlockall = declare('int mlockall(int flags)');
  const lock = async (): Promise<number> => ${lock};
  function collectOften(outcome: number): void {
    let sum = 0;
    for (let collection = 0; collection < ${collections}; collection++) {
      for (let each = 0; each < 40; each++) {
        const body = \`let s = \${collection * 40 + each}; for (let k = 0; k < 3; k++) { s += a * k; if (s > 7) s -= 3;\`;
        sum += new Function('a', \`\${body} s = [s, a].map((v) => v + \${each})[0]; } return s;\`)(each);
      }
      const garbage = Array.from({ length: 2000 }, (_, i) => ({ i }));
      sum += garbage.length;
      gc();
    }
    const lockedKib = Number(/VmLck:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
    console.log(JSON.stringify({ outcome, lockedKib, sum: sum > 0 }));
  }

  void lock().then(collectOften);
`;

const run = (lock: string, collections: number) =>
  runBundled(bundled(`declare const gc: () => void;${soak(lock, collections)}`), FLAGS, [], { timeoutMs: TIMEOUT_MS });

const RECIPE =
  '{ const result = lockMemory([fixedBuffer(65536)], await planLock(true, () => Promise.resolve())); widen(result); return result.errno; }';
/** MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT */
const TRAP = '{ return mlockall(7); }';

const CAP_IPC_LOCK = 14n;
const effective = BigInt(`0x${/^CapEff:\s+(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`);
const mayLock = ((effective >> CAP_IPC_LOCK) & 1n) === 1n;

describeIf(mayLock, 'needs CAP_IPC_LOCK', 'thousands of garbage collections', () => {
  it('do no harm after lockMemory', async () => {
    const outcome = await run(RECIPE, COLLECTIONS);
    expect(outcome).toMatchObject({ code: 0, signal: null, stderr: '' });
    const told = JSON.parse(outcome.stdout) as { outcome: number; lockedKib: number };
    expect(told.outcome).toBe(0);
    expect(told.lockedKib).toBeGreaterThan(30_000);
  });

  it('the control: after mlockall V8 aborts', async () => {
    const outcome = await run(TRAP, CONTROL_COLLECTIONS);
    expect(outcome.stderr).toContain('Check failed: 0 == ret');
    expect(outcome.code).not.toBe(0);
  });
});
