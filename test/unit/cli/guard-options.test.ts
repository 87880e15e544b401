import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  configFileOf,
  examineGuardOptions,
  type GuardRequest,
  mayRun,
  parseGuardOptions,
  procfsOf,
} from '../../../src/cli/guard-options.js';
import type { Meminfo } from '../../../src/kernel/meminfo.js';
import { FatalError } from '../../../src/shared/exit.js';
import type { GuardOptions, Persona, Settings } from '../../../src/shared/options.js';
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';
import { recordingLog } from '../recording-log.js';

const MEMINFO: Meminfo = {
  memTotalKib: 1_000_000,
  memAvailableKib: 600_000,
  anonPagesKib: 200_000,
  swapTotalKib: 200_000,
  swapFreeKib: 100_000,
};

const MACHINE_KIB = MEMINFO.memTotalKib + MEMINFO.swapTotalKib;

/** What earlyoom's limits make of it: swap has to run short too. */
const SELECTION = { ...EARLYOOM_SELECTION, swapCounts: true };

function parse(args: string[], persona: Persona = 'earlyoom', meminfo: () => Meminfo = () => MEMINFO) {
  const { log, lines } = recordingLog();
  const request: GuardRequest = parseGuardOptions(args, persona, log, meminfo);
  return { request, lines, log };
}

function options(args: string[], persona?: Persona, meminfo?: () => Meminfo): GuardOptions {
  const { request } = parse(args, persona, meminfo);
  if (request.kind !== 'run') throw new Error(`would not run: ${request.kind}`);
  return request.options;
}

/** mem SIGTERM, mem SIGKILL, swap SIGTERM, swap SIGKILL */
function limits(args: string[], persona?: Persona, meminfo?: () => Meminfo): number[] {
  const { memTermPercent, memKillPercent, swapTermPercent, swapKillPercent } = options(args, persona, meminfo).limits;
  return [memTermPercent, memKillPercent, swapTermPercent, swapKillPercent];
}

function failure(args: string[], persona: Persona = 'earlyoom', meminfo = MEMINFO) {
  const { log, lines } = recordingLog();
  try {
    parseGuardOptions(args, persona, log, () => meminfo);
  } catch (error) {
    if (error instanceof FatalError) return { exitCode: error.exitCode, message: error.message, lines };
    throw error;
  }
  throw new Error('it was accepted');
}

const unread = (): never => {
  throw new Error('meminfo was read');
};

describe('without options', () => {
  it.each([
    ['earlyoom', [10, 5, 10, 5]],
    ['oom-backstop', [5, 3, 100, 100]], // swap ignored
  ] as const)(
    "%s has its own limits, and everything else at earlyoom's defaults, without reading memory",
    (persona, expected) => {
      expect(limits([], persona, unread)).toEqual(expected);
      expect(parse([], persona, unread).lines).toEqual([]);
      expect(options([], persona)).toMatchObject({
        persona,
        procfs: '/proc',
        selection: persona === 'earlyoom' ? SELECTION : { ...EARLYOOM_SELECTION, floorKib: 4096, youngestFirst: true },
        sparesWayIn: persona === 'oom-backstop',
        patterns: { prefer: null, avoid: null, ignore: null },
        matching: { tables: [], onlyCgroup: null },
        killGroup: false,
        kernelOom: false,
        dryrun: false,
        debug: false,
        raisePriority: false,
        beforeKill: null,
        afterKill: null,
        notifyDbus: false,
        reportIntervalMs: 1000,
        runtimeDir: null,
        record: null,
      });
    },
  );
});

describe("the own persona's options", () => {
  it.each<[string[], object]>([
    [['--rank-by', 'memory'], { selection: { rankBy: 'memory', swapCounts: false, machineKib: MACHINE_KIB } }],
    [['--rank-by=rss'], { selection: { rankBy: 'rss' } }],
    [['--runtime-dir', '/dev/shm/x'], { runtimeDir: '/dev/shm/x' }],
    [['--record', 'trace.ndjson'], { record: 'trace.ndjson' }],
    [['-s', '10'], { selection: { swapCounts: true } }],
    [['--floor', '0'], { selection: { floorKib: 0 } }],
    [['--floor', '1.5 MiB'], { selection: { floorKib: 1536 } }],
    [['--floor', '2GiB'], { selection: { floorKib: 2097152 } }],
    [['--only-user', '4294967294'], { selection: { onlyUid: 4294967294 } }],
    [['--only-user', 'root'], { selection: { onlyUid: 0 } }],
    [['--no-way-in'], { sparesWayIn: false }],
    [['--only-cgroup', '/a*'], { matching: { tables: [], onlyCgroup: '/a*' } }],
    [
      ['--match', 'protect:unit=a=b:c.service', '--match=prefer:user=0'],
      {
        matching: {
          tables: [
            { action: 'protect', conditions: [{ key: 'unit', pattern: 'a=b:c.service', uid: -1 }] },
            { action: 'prefer', conditions: [{ key: 'user', pattern: '0', uid: 0 }] },
          ],
        },
      },
    ],
    [[], { killAfterMs: 10_000, countArc: true }],
    [['--kill-after', '1.5s'], { killAfterMs: 1500 }],
    [['--kill-after=0s'], { killAfterMs: 0 }],
    [['--no-arc'], { countArc: false }],
  ])('%j', (args, expected) => {
    expect(options(args, 'oom-backstop')).toMatchObject(expected);
  });

  it.each([
    '--rank-by=size',
    '--floor=4',
    '--floor=-1MiB',
    '--floor=4MB',
    '--only-user=nobody-here',
    '--kill-after=3',
    '--kill-after=-1s',
  ])('%s is refused', (arg) => {
    expect(() => options([arg], 'oom-backstop')).toThrow(FatalError);
  });
});

describe('limits', () => {
  it.each<[string, string[], number[]]>([
    ['-m with both', ['-m', '20,15'], [20, 15, 10, 5]],
    ['-m alone: SIGKILL at half', ['-m', '7'], [7, 3.5, 10, 5]],
    ['-s alone', ['-s', '60'], [10, 5, 60, 30]],
    ['-s 100: SIGKILL at half, as in earlyoom', ['-s', '100'], [10, 5, 100, 50]],
    ['-s 100,100', ['-s', '100,100'], [10, 5, 100, 100]],
    ['the last of two counts', ['-m', '20', '-m', '30,3'], [30, 3, 10, 5]],
    ['-M is percent of MemTotal', ['-M', '50000'], [5, 2.5, 10, 5]],
    ['-M with both', ['-M', '250000,10000'], [25, 1, 10, 5]],
    ['-S is percent of SwapTotal', ['-S', '50000,10000'], [10, 5, 25, 5]],
    ['-m and -M: the lower of each', ['-m', '20,2', '-M', '100000,50000'], [10, 2, 10, 5]],
    ['-M and -m, the other way round', ['-M', '100000,50000', '-m', '20,2'], [10, 2, 10, 5]],
    ['-s and -S: the lower of each', ['-s', '100', '-S', '50000,40000'], [10, 5, 25, 20]],
    ['-M up to 100/99 of the total', ['-M', '1010101'], [101.0101, 50.50505, 10, 5]],
    ['SIGTERM below SIGKILL is raised', ['-m', '5,9'], [9, 9, 10, 5]],
    ['SIGTERM below SIGKILL is raised, by size', ['-S', ',50000'], [10, 5, 25, 25]],
  ])('%s', (_case, args, expected) => {
    expect(limits(args)).toEqual(expected);
  });

  it("keep the persona's own default for what is not given", () => {
    expect(limits(['-m', '20,15'], 'oom-backstop')).toEqual([20, 15, 100, 100]);
    expect(limits(['-s', '100'], 'oom-backstop')).toEqual([5, 3, 100, 50]);
    expect(limits(['-S', '50000'], 'oom-backstop')).toEqual([5, 3, 25, 12.5]);
  });

  it('say that SIGTERM was raised', () => {
    expect(parse(['-m', '5,9']).lines).toEqual([
      'warn: warning: -m: SIGTERM value 5.00 is below SIGKILL value 9.00, setting SIGTERM = SIGKILL = 9.00',
    ]);
  });

  it('leave -S aside on a machine without swap, and say so', () => {
    const noSwap = (): Meminfo => ({ ...MEMINFO, swapTotalKib: 0, swapFreeKib: 0 });
    expect(limits(['-S', '123456789'], 'earlyoom', noSwap)).toEqual([10, 5, 10, 5]);
    expect(parse(['-S', '5'], 'earlyoom', noSwap).lines).toEqual([
      'warn: warning: -S: total swap is zero, using default percentages',
    ]);
  });

  it.each([
    ['-m', '100', 15],
    ['-m', '-1', 15],
    ['-m', '0', 15],
    ['-m', '5x', 15],
    ['-s', '101', 16],
    ['-s', '5,x', 16],
    ['-M', '1010102', 15],
    ['-M', '10%', 15],
    ['-S', '202021', 16],
    ['-S', '0,0', 16],
  ])('%s %s is fatal with exit code %d, names the option and says what would be valid', (option, value, exitCode) => {
    const { exitCode: code, message } = failure([option, value]);
    expect(code).toBe(exitCode);
    expect(message.startsWith(`${option} ${value}: `)).toBe(true);
    expect(message).toContain(`valid: ${option} `);
  });

  it('the merged limit is never above either of the two', () => {
    const percent = fc.tuple(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 99 }));
    const sizes = fc.tuple(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 1_000_000 }));
    fc.assert(
      fc.property(percent, sizes, (p, k) => {
        const both = limits(['-m', p.join(), '-M', k.join()]);
        const [a, b] = [limits(['-m', p.join()]), limits(['-M', k.join()])];
        expect(both).toEqual(a.map((value, i) => Math.min(value, b[i] as number)));
        expect(both[0]).toBeGreaterThanOrEqual(both[1] as number);
      }),
    );
  });
});

describe('other options', () => {
  it.each<[string[], Partial<GuardOptions>, string[]]>([
    [['-n'], { notifyDbus: true }, ['start: Notifying through D-Bus']],
    [['-N', '/a', '-P', '/b'], { afterKill: '/a', beforeKill: '/b' }, []],
    [['-g'], { killGroup: true }, []],
    [['-p'], { raisePriority: true }, []],
    [
      ['-k', '-i'],
      {},
      ['start: Option -k is ignored since earlyoom v1.2', 'start: Option -i is ignored since earlyoom v1.7'],
    ],
    [['--prefer', 'a', '--avoid=b', '--ignore', 'c'], { patterns: { prefer: 'a', avoid: 'b', ignore: 'c' } }, []],
    [
      ['--ignore-root-user'],
      { selection: { ...SELECTION, ignoreRootUser: true } },
      ['start: Processes owned by root will not be killed'],
    ],
    [
      ['--sort-by-rss'],
      { selection: { ...SELECTION, rankBy: 'rss' as const } },
      ['start: Find process with the largest rss'],
    ],
    [['--dryrun'], { dryrun: true }, ['warn: dryrun mode enabled, will not kill anything']],
    [['--kernel-oom'], { kernelOom: true }, ['start: Using kernel OOM killer (requires Linux v5.17+)']],
    [['--syslog'], {}, ['syslog at /dev/log']],
    [['--procfs', '/x'], { procfs: '/x' }, []],
    [['-r', '0'], { reportIntervalMs: 0 }, []],
    [['-r=5'], { reportIntervalMs: 0 }, []], // strtof of "=5"
    [['-r', '0.5'], { reportIntervalMs: 500 }, []],
    [['-r3600'], { reportIntervalMs: 3_600_000 }, []],
  ])('%j', (args, expected, expectedLines) => {
    expect(options(args)).toMatchObject(expected);
    expect(parse(args).lines).toEqual(expectedLines);
  });

  it.each([['-d'], ['--debug'], ['--deb']])('%s switches the debug log on', (flag) => {
    const { request, log } = parse([flag]);
    expect([request.kind, log.debugEnabled]).toEqual(['run', true]);
  });

  it('messages come in the order of the options', () => {
    expect(parse(['--dryrun', '-k', '-n']).lines.map((line) => line.split(' ')[1])).toEqual([
      'dryrun',
      'Option',
      'Notifying',
    ]);
  });

  it.each([
    [['-v'], 'version'],
    [['--version'], 'version'],
    [['-h'], 'help'],
    [['--help'], 'help'],
    [['-v', '-x'], 'version'], // the first that ends it
    [['operand', '-h'], 'help'], // operands come last
  ])('%j asks for %s', (args, kind) => {
    expect(parse(args as string[]).request.kind).toBe(kind);
  });

  it.each([
    [['-x'], 13, '', ["start: earlyoom: invalid option -- 'x'", "start: Try 'earlyoom --help' for more information."]],
    [
      ['-m'],
      13,
      '',
      ["start: earlyoom: option requires an argument -- 'm'", "start: Try 'earlyoom --help' for more information."],
    ],
    [['xyz', '-d'], 13, "extra argument not understood: 'xyz'", []],
    [['-r', '-1'], 14, '-r -1: invalid interval (valid: -r SECONDS, 0 or more)', []],
    [['-r', 'nan'], 14, '-r nan: invalid interval (valid: -r SECONDS, 0 or more)', []],
    [['-m', 'x', '-v'], 15, expect.stringContaining('-m x: '), []], // the first mistake ends it
  ])('%j is fatal with exit code %d', (args, exitCode, message, lines) => {
    expect(failure(args as string[])).toEqual({ exitCode, message, lines });
  });
});

describe('procfsOf', () => {
  it('finds the tree wherever it stands, mistakes around it or not', () => {
    expect(procfsOf([], 'earlyoom')).toBe('/proc');
    expect(procfsOf(['-x', '--procfs=/a', '-m'], 'earlyoom')).toBe('/a');
    expect(procfsOf(['-m', '--procfs', '/a'], 'earlyoom')).toBe('/proc'); // there it is the value of -m
    expect(procfsOf(['--', '--procfs', '/a'], 'earlyoom')).toBe('/proc');
  });

  it('agrees with what the options say when it is given twice', () => {
    const args = ['--procfs', '/a', '--procfs', '/b'];
    expect(procfsOf(args, 'earlyoom')).toBe(options(args).procfs);
  });
});

describe('the configuration file', () => {
  it('is the last that --config names, for oom-backstop alone', () => {
    expect(configFileOf(['-m', '5'], 'oom-backstop')).toBe(null);
    expect(configFileOf(['--config', '/a', '--config=/b'], 'oom-backstop')).toBe('/b');
    expect(configFileOf(['-m', '--config', '/a'], 'oom-backstop')).toBe(null); // there it is the value of -m
    expect(configFileOf(['--config', '/a'], 'earlyoom')).toBe(null);
    expect(failure(['--config', '/a'])).toMatchObject({
      exitCode: 13,
      lines: ["start: earlyoom: unrecognized option '--config'", expect.any(String)],
    });
  });

  it.each([
    [['-m', '5', '--config', '/a'], true],
    [['-m', 'x'], true], // its value is looked at later
    [['-m', '5', '-v'], false],
    [['--version'], false],
    [['-h', '-m', '5'], false],
    [['--hel'], false],
    [['--xyz'], false],
    [['-m'], false],
    [['operand'], false],
  ])('%j: a guard may come of it: %j', (args, expected) => {
    expect(mayRun(args, 'oom-backstop')).toBe(expected);
  });
});

describe('over settings', () => {
  const SETTINGS: Settings = {
    limits: { memTermPercent: 12, memKillPercent: 6, swapTermPercent: 30, swapKillPercent: 20 },
    selection: { ...EARLYOOM_SELECTION, rankBy: 'rss', ignoreRootUser: true, floorKib: 7 },
    sparesWayIn: false,
    patterns: { prefer: 'p', avoid: 'a', ignore: 'i' },
    matching: { tables: [], onlyCgroup: '/a' },
    killGroup: true,
    killAfterMs: 3000,
    countArc: false,
    kernelOom: true,
    dryrun: true,
    debug: true,
    syslog: true,
    raisePriority: true,
    beforeKill: '/before',
    afterKill: '/after',
    notifyDbus: true,
    reportIntervalMs: 5000,
    rules: [],
    defaultRule: true,
    keepsIncidents: true,
    keepsState: true,
    runtimeDir: '/run/here',
  };

  function over(settings: Settings, args: string[]) {
    const { log, lines } = recordingLog();
    const request = parseGuardOptions(args, 'oom-backstop', log, () => MEMINFO, settings);
    if (request.kind !== 'run') throw new Error(`would not run: ${request.kind}`);
    return { options: request.options, lines, log };
  }

  it('an empty command line leaves them all, and says what they switch on', () => {
    const { options: all, lines, log } = over(SETTINGS, []);
    const { syslog: _, ...rest } = SETTINGS;
    const selection = { ...SETTINGS.selection, swapCounts: true };
    expect(all).toEqual({ ...rest, selection, persona: 'oom-backstop', procfs: '/proc', record: null });
    expect(log.debugEnabled).toBe(true);
    expect(lines).toEqual([
      'syslog at /dev/log',
      'warn: dryrun mode enabled, will not kill anything',
      'start: Notifying through D-Bus',
      'start: Processes owned by root will not be killed',
      'start: Find process with the largest rss',
      'start: Using kernel OOM killer (requires Linux v5.17+)',
    ]);
  });

  it.each<[string[], number[]]>([
    [[], [12, 6, 30, 20]],
    [
      ['-m', '20'],
      [20, 10, 30, 20],
    ], // both keys of [memory]
    [
      ['-M', '50000'],
      [5, 2.5, 30, 20],
    ], // not the lower one: [memory] is out
    [
      ['-M', '250000', '-m', '20'],
      [20, 10, 30, 20],
    ],
    [
      ['-s', '50'],
      [12, 6, 50, 25],
    ],
    [
      ['-S', '50000,10000'],
      [12, 6, 25, 5],
    ],
  ])('%j makes the limits %j', (args, expected) => {
    const { memTermPercent, memKillPercent, swapTermPercent, swapKillPercent } = over(SETTINGS, args).options.limits;
    expect([memTermPercent, memKillPercent, swapTermPercent, swapKillPercent]).toEqual(expected);
  });

  it('other options change their own key alone', () => {
    expect(over(SETTINGS, ['--prefer', 'x', '-N', '/x', '-r', '0']).options).toMatchObject({
      patterns: { prefer: 'x', avoid: 'a', ignore: 'i' },
      beforeKill: '/before',
      afterKill: '/x',
      reportIntervalMs: 0,
    });
    expect(SETTINGS.patterns.prefer).toBe('p');
  });

  it('a switch that is on twice is said once', () => {
    expect(over(SETTINGS, ['--dryrun']).lines.filter((line) => line.includes('dryrun'))).toHaveLength(1);
  });
});

describe('examineGuardOptions', () => {
  const examine = (args: string[]) => examineGuardOptions(args, 'earlyoom', recordingLog().log, () => MEMINFO);

  it('reads what parseGuardOptions reads', () => {
    const args = ['-m', '8,4', '-M', '50000', '--prefer', 'x', '-gp', '-r', '60', '--dryrun'];
    expect(examine(args)).toEqual({ options: options(args), mistakes: [] });
  });

  it('finds all mistakes, and takes the rest as if they had not been made', () => {
    const args = ['-m', '200', '--xyz', '-s', '7', 'extra', '-r', '-1', '-Z', '--dryrun'];
    const { options: taken, mistakes } = examine(args);
    expect(mistakes).toEqual([
      expect.stringMatching(/^-m 200: value 200 exceeds limit 99/),
      "unrecognized option '--xyz'",
      expect.stringMatching(/^-r -1: invalid interval/),
      "invalid option -- 'Z'",
      "extra argument not understood: 'extra'",
    ]);
    expect(taken).toEqual(options(['-s', '7', '--dryrun']));
  });

  it.each([
    ['-v', 'version'],
    ['--help', 'help'],
  ])('%s is a mistake: no guard would run', (option, kind) => {
    expect(examine([option]).mistakes).toEqual([expect.stringContaining(`--${kind}: `)]);
  });
});
