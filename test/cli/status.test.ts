/* `oom-backstop status`, over state pages that the test writes. */
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { NUMBERS, OUTCOMES, PAGE_BYTES, SEQUENCE_AT, STATE_FILE } from '../../src/state/layout.js';
import { bin, run } from '../support/programs.js';
import { describeIf } from '../support/requires.js';
import { runtimeDirWith } from '../support/runtime-dir.js';
import { type MadePage, monotonicMs, statePage } from '../support/state-page.js';
import { bareTree, type Ended, invoke } from './invocation.js';

const page = (made: MadePage = {}): Buffer => statePage({ ...made, numbers: { waitMs: 10_000, ...made.numbers } });
const status = (bytes: Uint8Array | null, ...args: string[]): Promise<Ended> =>
  invoke('oom-backstop', ['status', '--runtime-dir', runtimeDirWith(bytes), ...args]);
const late = (): Buffer => page({ numbers: { heartbeatMonotonicMs: monotonicMs() - 60_000 } });

function torn(): Buffer {
  const bytes = page();
  bytes.writeUInt32LE(7, SEQUENCE_AT);
  return bytes;
}

describe('status', () => {
  it('tells people how things stand', async () => {
    const { code, stdout, stderr } = await status(page());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^The guard is up: pid 812 since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(60 min\), oom-backstop 0\.1\.0\.\n/,
    );
    for (const line of [
      'Memory     12.0 GiB of 20.0 GiB available (60.00 %), SIGTERM at 5.00 % (1024 MiB), SIGKILL at 3.00 % (614 MiB)',
      'Swap       3072 MiB of 4.0 GiB free (75.00 %), SIGTERM at 50.00 % (2048 MiB), SIGKILL at 25.00 % (1024 MiB)',
      'Kills      2 (1 by SIGTERM, 1 by SIGKILL), 3072 MiB given back',
      '"hog" (pid 4712, uid 1001, 1024 MiB), rule thrashing: exited after 28 ms, gave back 1024 MiB',
    ])
      expect(stdout).toContain(`${line}\n`);
    expect(stdout).toMatch(/^Pressure {3}(some|not known)/m);
    expect(stdout).toMatch(/^Kernel {5}(\d+ OOM kills since boot|OOM kills not known)$/m);
  });

  it.each<[string, MadePage, string]>([
    ['a dry run', { numbers: { dryrun: 1 } }, 'oom-backstop 0.1.0, dry run.'],
    ['a kill under way', { numbers: { phase: 3 } }, ', killing now (killing).'],
    ['no swap', { numbers: { swapTotalKib: 0, swapFreeKib: 0 } }, 'Swap       none\n'],
    [
      'swap that does not matter',
      { numbers: { swapTermPercent: 100, swapKillPercent: 100 } },
      '(75.00 %), not asked about\n',
    ],
    ['earlyoom', { numbers: { persona: 1 } }, 'earlyoom 0.1.0.'],
    [
      'what is not known',
      { numbers: { memAvailableKib: -1, swapTotalKib: -1 } },
      'Memory     not known\nSwap       not known\n',
    ],
    [
      'no kills',
      { decisions: [], numbers: { 'killsTotal:oom-backstop:limit:term': 0, 'killsTotal:oom-backstop:rule:kill': 0 } },
      'Kills      0, ',
    ],
  ])('of %s', async (_, made, words) => {
    const { code, stdout } = await status(page(made));
    expect(code).toBe(0);
    expect(stdout).toContain(words);
  });

  it('lets no name steer the terminal', async () => {
    const { stdout } = await status(page({ decisions: [{ comm: 'a\x1b[2J\n\x07' }] }));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    expect(stdout).toContain('a\\u001b[2J\\u000a\\u0007');
  });

  it('without PSI, and of a kernel that does not count, says so', async () => {
    const { stdout } = await status(page(), '--procfs', bareTree(null));
    expect(stdout).toContain('Pressure   not known (no PSI)\n');
    expect(stdout).toContain('Kernel     OOM kills not known\n');
  });
});

describe('its exit code', () => {
  const cases: [string, number, () => Uint8Array | null, RegExp][] = [
    ['up and well', 0, page, /^The guard is up: /],
    [
      'dropped lines',
      1,
      () => page({ numbers: { droppedLogLinesTotal: 2 } }),
      /^Not well {3}2 log lines: nobody read$/m,
    ],
    [
      'a victim that would not die',
      1,
      () => page({ decisions: [{ outcome: OUTCOMES.indexOf('outlived SIGKILL') }] }),
      /^Not well .* would not die: /m,
    ],
    [
      'a heartbeat that is late',
      2,
      late,
      /^The guard is not up: heartbeat is 6\d\.\d s old, older than 12\.0 s: pid 812 is dead or stopped \(.*\)\. All below is as of /,
    ],
    ['no page', 2, () => null, /^The guard is not up, or not seen: the state page \S+ is not there\.$/m],
    ['a torn page', 3, torn, /is being written each of 20 times/],
    ['half a page', 3, () => page().subarray(0, PAGE_BYTES / 2), /has 2048 bytes of 4096/],
    ['a foreign file', 3, () => Buffer.from('hello'), /not a state page of oom-backstop/],
  ];

  it.each(cases)('of %s is %d, as text and as JSON', async (_, code, bytes, words) => {
    const text = await status(bytes());
    expect(text).toMatchObject({ code, stderr: '' });
    expect(text.stdout).toMatch(words);
    const json = await status(bytes(), '--json');
    expect(json).toMatchObject({ code, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({
      schema: 1,
      up: code < 2,
      verdict: ['well', 'not-well', 'not-up', 'unknown'][code],
    });
  });

  it('of wrong usage is 3', async () => {
    expect(await invoke('oom-backstop', ['status', '--nonsense'])).toMatchObject({ code: 3, stdout: '' });
    expect(await invoke('oom-backstop', ['status', 'nonsense'])).toMatchObject({ code: 3, stdout: '' });
  });
});

it('--json has everything', async () => {
  const { stdout } = await status(page({ numbers: { droppedEventsTotal: 1, lastKillUnixMs: -1 } }), '--json');
  const document = JSON.parse(stdout) as Record<string, unknown> & { numbers: Record<string, unknown> };
  expect(document).toMatchObject({
    why: null,
    statePage: { refused: null },
    guard: { version: '0.1.0', persona: 'oom-backstop', phase: 'watching', dryrun: false },
    complaints: ['1 event: could not be written'],
    decisions: [
      { pid: 4712, comm: 'hog', signal: 'kill', outcome: 'exited', rule: 'thrashing', backMs: null },
      { pid: 4711, comm: 'leak', signal: 'term', outcome: 'exited', rule: null, backMs: 40 },
    ],
  });
  expect(Object.keys(document.numbers)).toEqual(NUMBERS);
  expect(document.numbers).toMatchObject({ pid: 812, lastKillUnixMs: null });
});

describeIf(process.geteuid?.() === 0, 'needs root, to be somebody else', 'status as another user', () => {
  const NOBODY = '65534';
  const asNobody = (...args: string[]) =>
    run(
      'setpriv',
      [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', bin('oom-backstop'), 'status', ...args],
      {
        env: { PATH: process.env['PATH'] },
      },
    );

  it('reads the page of a guard that is not his', async () => {
    const directory = runtimeDirWith(page());
    chmodSync(directory, 0o755);
    expect(await asNobody('--runtime-dir', directory)).toMatchObject({ code: 0, stderr: '' });
  });

  it('who may not read it is told so: 3', async () => {
    const directory = runtimeDirWith(page());
    chmodSync(directory, 0o755);
    chmodSync(path.join(directory, STATE_FILE), 0o600);
    const { code, stdout } = await asNobody('--runtime-dir', directory);
    expect(code).toBe(3);
    expect(stdout).toContain('cannot be read: permission denied');
  });

  it("without a directory of his own looks at the machine's", async () => {
    const { stdout } = await asNobody('--json');
    expect(JSON.parse(stdout)).toMatchObject({ statePage: { path: '/run/oom-backstop/state' } });
  });
});
