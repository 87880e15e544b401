/* Each case in a process of its own: nobody else should run with locked memory, or try what happens without the right to. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type LockResult, lockProblem } from '../../../src/guard/lock.js';
import { bundled, runBundled } from '../../support/bundled.js';
import { describeIf } from '../../support/requires.js';

const MIB = 1024 * 1024;
const [EPERM, ENOENT, ENOMEM, ENOSYS] = [1, 2, 12, 38];

/** Works, locks, works again as before; tells what the kernel said of it. */
const PROGRAM = `
  import { readFileSync } from 'node:fs';
  import { fixedBuffer } from './native-shims/libc.js';
  import { lockMemory, planLock, lockProblem, widen } from './src/guard/lock.js';
  import { parseMappings } from './src/kernel/maps.js';

  function work(): string {
    const things = Array.from({ length: 20_000 }, (_, i) => ({ i, text: 'x'.repeat(i % 50) }));
    things.sort((a, b) => b.text.length - a.text.length || a.i - b.i);
    return JSON.stringify(things.slice(0, 100)) + new Intl.NumberFormat('en').format(1e6);
  }
  function now(withSmaps = true) {
    const status = readFileSync('/proc/self/status', 'latin1');
    const kib = (field: string) => Number(new RegExp(field + ':\\\\s+(\\\\d+) kB').exec(status)?.[1]);
    const mapped = withSmaps ? readFileSync('/proc/self/smaps', 'latin1') : '';
    const readOnly = parseMappings(mapped).filter(
      ({ name, writable }) => name.startsWith('/') && !writable,
    );
    return {
      fileKib: kib('RssFile'),
      lockedKib: kib('VmLck'),
      relocatedKib: readOnly.reduce((sum, { writtenKib }) => sum + writtenKib, 0),
    };
  }

  const mappings = () => readFileSync('/proc/self/maps', 'latin1').split('\\n').length;
  const narrow = process.env['NARROW'] === '1';

  let looks = 0;
  const look = () => {
    looks++;
    return Promise.resolve();
  };

  async function lockAll() {
    const buffers = [fixedBuffer(100), fixedBuffer(300_000)];
    buffers[1].fill(7);
    const [before, worked] = [now(), work()];
    const result = lockMemory(buffers, await planLock(narrow, look));
    const narrowedTo = narrow ? mappings() : 0;
    const dropped = now(!narrow);
    const same = work() === worked && buffers[1].every((byte) => byte === 7);
    widen(result);
    const widenedTo = mappings();
    const problem = lockProblem(result);
    result.narrowed = result.narrowed.length;
    console.log(JSON.stringify({ before, dropped, after: now(), result, problem, same, narrowedTo, widenedTo, looks }));
  }

  void lockAll();
`;

interface Told {
  before: Record<'fileKib' | 'lockedKib' | 'relocatedKib', number>;
  dropped: Told['before'];
  after: Told['before'];
  result: LockResult;
  problem: string | null;
  same: boolean;
  /** Lines of /proc/self/maps. */
  narrowedTo: number;
  widenedTo: number;
  /** At memory, while it narrowed. */
  looks: number;
}

async function tell(starter: string[] = [], narrow = false): Promise<Told> {
  const env = { ...process.env, NARROW: narrow ? '1' : '0' };
  const outcome = await runBundled(bundled(PROGRAM), [], starter, { env, timeoutMs: 30_000 });
  expect([outcome.code, outcome.signal, outcome.stderr]).toEqual([0, null, '']);
  return JSON.parse(outcome.stdout) as Told;
}

/** What must hold whether or not anything could be locked. */
function expectDropped({ before, dropped, after, same }: Told): void {
  expect(same).toBe(true);
  expect(before.relocatedKib).toBeGreaterThan(0);
  expect(after.relocatedKib).toBe(before.relocatedKib);
  // Node's own text and tables; it comes back as far as it is used.
  expect(before.fileKib - dropped.fileKib).toBeGreaterThan(10_000);
  expect(before.fileKib - after.fileKib).toBeGreaterThan(5000);
}

const CAP_IPC_LOCK = 14n;
const effective = BigInt(`0x${/^CapEff:\s+(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`);
const mayLock = ((effective >> CAP_IPC_LOCK) & 1n) === 1n;

describeIf(mayLock, 'needs CAP_IPC_LOCK', 'lockMemory', () => {
  it("locks what is mapped from files and the buffers, and gives back what isn't used", async () => {
    const told = await tell();
    expectDropped(told);
    const { result } = told;
    expect(told.problem).toBeNull();
    expect(result).toMatchObject({ refusedBytes: 0, errno: 0 });
    // A process with nothing but libc has 2 MiB of it; Node is 60 MiB at least. A buffer is counted by whole pages.
    expect(result.lockedBytes).toBeGreaterThan(30 * MIB);
    const kernelCounts = told.dropped.lockedKib * 1024;
    expect(Math.abs(kernelCounts - result.lockedBytes)).toBeLessThan(MIB);
    // Nothing is locked that was mapped later, and nothing is unlocked.
    expect(told.after.lockedKib).toBe(told.dropped.lockedKib);
  });

  it('narrowed brings in less for the same work, and widen leaves as many mappings as before', async () => {
    const [wide, narrow] = [await tell(), await tell([], true)];
    expectDropped(narrow);
    expect(narrow.result).toMatchObject({ refusedBytes: 0, errno: 0 });
    expect(narrow.after.fileKib).toBeLessThan(wide.after.fileKib - 2000);
    expect(narrow.narrowedTo).toBeGreaterThan(5000);
    expect([wide.looks, narrow.looks >= 3]).toEqual([0, true]);
    // The heap's mappings vary a little.
    expect(Math.abs(narrow.widenedTo - wide.widenedTo)).toBeLessThan(40);
    expect(Math.abs(narrow.after.lockedKib - wide.after.lockedKib)).toBeLessThan(1024);
  });
});

/* Root has to give CAP_IPC_LOCK away first, nobody else has it. */
const WITHOUT = mayLock ? ['setpriv', '--bounding-set', '-ipc_lock', '--inh-caps', '-ipc_lock'] : [];
const limited = (bytes: number): string[] => ['prlimit', `--memlock=${bytes}:${bytes}`, ...WITHOUT];
const canLimit = spawnSync('prlimit', [...limited(65536).slice(1), 'true']).status === 0;

describeIf(canLimit, 'needs prlimit and setpriv of util-linux', 'lockMemory without CAP_IPC_LOCK', () => {
  it('locks as much as the limit allows and says what is missing', async () => {
    const told = await tell(limited(4 * MIB));
    expectDropped(told);
    const { result, problem } = told;
    expect(result).toMatchObject({ errno: ENOMEM, limitBytes: 4 * MIB });
    expect(result.refusedBytes).toBeGreaterThan(30 * MIB);
    expect(result.lockedBytes).toBeGreaterThan(MIB);
    expect(told.after.lockedKib).toBeLessThanOrEqual(4096);
    expect(problem).toMatch(
      /^memory only partly locked: Cannot allocate memory \(RLIMIT_MEMLOCK 4 MiB; needs CAP_IPC_LOCK or LimitMEMLOCK= of \d+ MiB\)$/,
    );
  });

  it('64 KiB are refused to the large buffer, and go to what fits', async () => {
    const told = await tell(limited(65536));
    expectDropped(told);
    expect(told.result).toMatchObject({ errno: ENOMEM, limitBytes: 65536 });
    expect(told.after.lockedKib).toBeGreaterThan(0);
    expect(told.after.lockedKib).toBeLessThanOrEqual(64);
    expect(told.problem).toContain('(RLIMIT_MEMLOCK 64 KiB;');
  });

  it('a limit of 0 is another error, and nothing is locked', async () => {
    const told = await tell(limited(0));
    expectDropped(told);
    expect(told.result).toMatchObject({ errno: EPERM, lockedBytes: 0, limitBytes: 0 });
    expect(told.after.lockedKib).toBe(0);
    expect(told.problem).toMatch(/^memory not locked: Operation not permitted \(RLIMIT_MEMLOCK 0 KiB; needs /);
  });
});

describe('lockProblem', () => {
  const result = (errno: number, lockedMib: number, limitMib: number): LockResult => ({
    lockedBytes: lockedMib * MIB,
    refusedBytes: errno === 0 ? 0 : 90 * MIB,
    errno,
    limitBytes: limitMib * MIB,
    narrowed: [],
  });

  it('is nothing if all is locked', () => {
    expect(lockProblem(result(0, 90, 8))).toBeNull();
  });

  it.each([
    [
      ENOMEM,
      0,
      'memory not locked: Cannot allocate memory (RLIMIT_MEMLOCK 8 MiB; needs CAP_IPC_LOCK or LimitMEMLOCK= of 90 MiB)',
    ],
    [
      ENOMEM,
      6,
      'memory only partly locked: Cannot allocate memory (RLIMIT_MEMLOCK 8 MiB; needs CAP_IPC_LOCK or LimitMEMLOCK= of 96 MiB)',
    ],
    [
      EPERM,
      0,
      'memory not locked: Operation not permitted (RLIMIT_MEMLOCK 8 MiB; needs CAP_IPC_LOCK or LimitMEMLOCK= of 90 MiB)',
    ],
    [ENOSYS, 1, 'memory only partly locked: Function not implemented'],
    [ENOENT, 0, 'memory not locked: No such file or directory'],
  ])('errno %d with %d MiB locked: %s', (errno, lockedMib, line) => {
    expect(lockProblem(result(errno, lockedMib, 8))).toBe(line);
  });
});
