/* Live fire with everything recorded: the record tells what happened, and the trace, replayed, comes to the same. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readIncidents } from '../../src/explain/record.js';
import type { ReplayDocument } from '../../src/replay/words.js';
import type { IncidentRecord } from '../../src/shared/incident.js';
import {
  type HogOptions,
  inNamespace,
  namespacesWork,
  type Scenario,
  type ScenarioResult,
} from '../support/namespace.js';
import { bin, run } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

const KIB_PER_MIB = 1024;
/** Of incidents.ndjson. */
const FILE_BYTES_MAX = 1024 * 1024;
/** The trace is written by a child at low priority, which is ended with the namespace. */
const WRITTEN_MS = 2000;

interface Fired {
  result: ScenarioResult;
  records: IncidentRecord[];
  directory: string;
  trace: string;
}

function runtimeDir(): string {
  const directory = mkdtempSync('/dev/shm/oom-backstop-test-');
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function fire(
  hogs: HogOptions[],
  args: string[] = [],
  more: Partial<Scenario> = {},
  directory = runtimeDir(),
): Promise<Fired> {
  const trace = path.join(directory, 'trace.ndjson');
  const where = ['--runtime-dir', directory, '--record', trace];
  const result = await inNamespace({
    hogs: hogs.map((each) => ({ rateMibPerS: 400, maxMib: 500, ...each })),
    guard: { program: bin('oom-backstop'), args: ['-M', 'LIMITS', '-r', '0', ...where, ...args] },
    settleMs: 1500,
    afterMs: WRITTEN_MS,
    ...more,
  });
  const file = path.join(directory, 'incidents.ndjson');
  const { records, refused } = readIncidents(
    readdirSync(directory).includes(path.basename(file)) ? readFileSync(file, 'utf8') : '',
  );
  expect(refused).toEqual([]);
  return { result, records, directory, trace };
}

async function replay(trace: string, ...args: string[]): Promise<ReplayDocument & { code: number | null }> {
  const { code, stdout, stderr } = await run(bin('oom-backstop'), ['replay', trace, '--json', ...args]);
  expect(stderr).toBe('');
  return { ...(JSON.parse(stdout) as ReplayDocument), code };
}

/** The steps that were done, in the order of their times. */
function stepsOf({ timelineUs }: IncidentRecord): string[] {
  const done = Object.entries(timelineUs).filter((entry): entry is [string, number] => entry[1] !== null);
  return done.sort((a, b) => a[1] - b[1]).map(([step]) => step);
}

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a recorded kill', () => {
  it('by SIGTERM: the record, explain and the replay tell of the same', async () => {
    const bystanders = [{ name: 'small', maxMib: 40, adj: 900 }];
    const { result, records, directory, trace } = await fire([{}], [], { bystanders });
    const { pid } = result.hogs[0] as { pid: number };
    expect(records).toHaveLength(1);
    const record = records[0] as IncidentRecord;
    expect(record).toMatchObject({
      persona: 'oom-backstop',
      outcome: 'exited',
      why: { by: 'limits', rule: null, level: 'term' },
      victim: { pid, uid: 0, name: 'hog', oomScoreAdj: 1000 },
    });
    expect(stepsOf(record)).toEqual(['selected', 'sigterm', 'exited', 'memoryBack']);
    // The balloon's size is what was expected, and what came back.
    expect(record.expectedKib).toBeGreaterThan(50 * KIB_PER_MIB);
    expect(record.gaveBackKib).toBeGreaterThan((record.expectedKib as number) * 0.7);
    expect(record.candidates.map((each) => [each.name, each.passedOver]).slice(0, 2)).toEqual([
      ['hog', null],
      ['small', null],
    ]);
    const others = Object.fromEntries(record.candidates.map((each) => [each.name, each.passedOver]));
    expect(others).toMatchObject({ 'oom-backstop': 'itself', cat: 'own child' });
    expect(result.stderr).toContain(`incident ${record.id}: ${directory}/incidents.ndjson`);

    const explained = await run(bin('oom-backstop'), ['explain', '--last', '--runtime-dir', directory]);
    expect(explained).toMatchObject({ code: 0, stderr: '' });
    expect(explained.stdout).toContain(`SIGTERM went to process ${pid} "hog"`);

    const same = await replay(trace);
    expect(same).toMatchObject({ code: 0, same: true });
    expect(same.replayed).toEqual(same.recorded);
    expect(same.recorded.map((each) => [each.deed, each.victim?.pid])).toEqual([
      ['SIGTERM', pid],
      ['exited', pid],
    ]);

    const other = await replay(trace, '--ignore', '^hog$');
    expect(other).toMatchObject({ code: 1, difference: { kind: 'another victim' } });
    expect(other.difference?.replayed?.victim).toMatchObject({ pid: result.bystanders[0]?.pid, name: 'small' });
    expect((await replay(trace, '-m', '1')).difference).toMatchObject({ kind: 'later or never', replayed: null });
    expect((await replay(trace, '--only-user', '12345')).difference?.kind).toBe('nobody');
  });

  it('by SIGKILL after an ignored SIGTERM, with a hook, into a full file: every step in its order, and both files bounded', async () => {
    const directory = runtimeDir();
    const full = `${'-'.repeat(FILE_BYTES_MAX - 100)}\n`;
    writeFileSync(path.join(directory, 'incidents.ndjson'), full);
    const { records, trace } = await fire(
      [{ onTerm: 'ignore', maxMib: 700 }],
      ['-P', '/bin/true'],
      { limits: { killBelowMib: 150 } },
      directory,
    );
    expect(readFileSync(path.join(directory, 'incidents.1.ndjson'), 'utf8')).toBe(full);
    expect(statSync(path.join(directory, 'incidents.ndjson')).size).toBeLessThan(16 * 1024);
    expect(records).toHaveLength(1);
    const steps = stepsOf(records[0] as IncidentRecord);
    expect(steps.slice(0, 5)).toEqual(['selected', 'hookStarted', 'hookEnded', 'sigterm', 'sigkill']);
    expect(steps.slice(5)).toContain('exited');
    const same = await replay(trace);
    expect(same).toMatchObject({ code: 0, same: true });
    expect(same.recorded.map((each) => each.deed)).toEqual(['chosen', 'SIGTERM', 'SIGKILL', 'exited']);
  });

  it('of a dry run: one record and one decision a second, and nobody is signalled', async () => {
    const { result, records, trace } = await fire([{ holdMs: 2500 }], ['--dryrun'], { afterMs: WRITTEN_MS });
    expect(result.hogs[0]?.events.map((each) => each.event)).not.toContain('term');
    expect(records.length).toBeGreaterThanOrEqual(2);
    expect(new Set(records.map((each) => each.outcome))).toEqual(new Set(['dry run']));
    const ids = records.map((each) => each.id);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
    expect(records[0]).toMatchObject({ gaveBackKib: null, timelineUs: { sigterm: null, exited: null } });
    const same = await replay(trace);
    expect(same).toMatchObject({ code: 0, same: true });
    expect(same.recorded).toHaveLength(records.length);
  });
});
