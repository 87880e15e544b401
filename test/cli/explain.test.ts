/* `oom-backstop explain`, on records as the guard writes them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { IncidentRecord } from '../../src/shared/incident.js';
import { anIncident } from '../unit/explain/incident.js';
import { type Ended, invoke } from './invocation.js';

const TORN = '{"schema":1,"kind":"incident","id":"20261121T1842';

function records(
  current: readonly (IncidentRecord | string)[],
  older: readonly (IncidentRecord | string)[] = [],
): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-explain-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const write = (name: string, lines: readonly (IncidentRecord | string)[]): void =>
    writeFileSync(
      path.join(directory, name),
      lines.map((each) => (typeof each === 'string' ? each : `${JSON.stringify(each)}\n`)).join(''),
    );
  write('incidents.ndjson', current);
  if (older.length > 0) write('incidents.1.ndjson', older);
  return directory;
}

const explain = (directory: string, ...args: string[]): Promise<Ended> =>
  invoke('oom-backstop', ['explain', '--runtime-dir', directory, ...args]);
const numbered = (id: string): IncidentRecord => anIncident({ id });

describe('explain', () => {
  it.each([[[]], [['--last']]])('%j tells the last one', async (args) => {
    const ended = await explain(records([numbered('A'), numbered('B')]), ...args);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^Incident B, 2026-11-21 18:42:00 UTC \(oom-backstop 0\.1\.0\)\n\nWhat happened\n/);
    for (const title of [
      'Why this process',
      'Why not the others',
      'How long it took',
      'Whether memory came back',
      'If that was wrong',
    ]) {
      expect(ended.stdout).toContain(`\n${title}`);
    }
    for (const line of ended.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(102);
  });

  it('ID tells that one, of the older file too', async () => {
    const ended = await explain(records([numbered('B')], [numbered('A')]), 'A');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^Incident A,/);
  });

  it('--list lists all, the last one last', async () => {
    const ended = await explain(records([numbered('B'), numbered('C')], [numbered('A')]), '--list');
    expect(ended.stdout.split('\n').map((line) => line.slice(0, 3))).toEqual(['A  ', 'B  ', 'C  ', '']);
  });

  it('--json is the record and the advice', async () => {
    const ended = await explain(records([numbered('B')]), '--json');
    expect(JSON.parse(ended.stdout)).toMatchObject({
      record: numbered('B'),
      advice: [{ because: 'If "hog" must never be killed:' }],
    });
  });

  it('--list --json is the records and what was refused', async () => {
    const ended = await explain(records([numbered('B'), TORN]), '--list', '--json');
    expect(JSON.parse(ended.stdout)).toMatchObject({
      records: [numbered('B')],
      refused: [{ line: 2, why: expect.stringMatching(/^torn/) }],
    });
    expect(ended.code).toBe(2);
  });

  it.each([
    ['a directory without records', [], [], 1, /no incident is recorded/],
    ['an id that nobody has', [numbered('A')], ['B'], 1, /B: no such incident/],
    ['a last record that is torn', [numbered('A'), TORN], [], 2, /incidents\.ndjson, line 2: torn/],
    ['a last record that is foreign', ['{"a":1}\n'], [], 2, /line 1: not an incident record/],
    [
      'a last record of the future',
      [{ ...numbered('A'), schema: 99 }],
      [],
      2,
      /line 1: schema 99, and this program knows 1/,
    ],
    [
      'an id, with a record that can’t be read',
      [TORN],
      ['B'],
      2,
      /B is not among the records that can be read; .*line 1: torn/,
    ],
  ])('%s: an error', async (_case, lines, args, code, message) => {
    const ended = await explain(records(lines), ...args);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(message);
  });

  it('a directory that is none: an error', async () => {
    expect(await explain('/nowhere/at/all')).toMatchObject({ code: 1, stdout: '' });
  });

  it.each([[[]], [['--json']], [['--list']]])('%j lets no name steer the terminal', async (args) => {
    const { victim } = anIncident();
    const hostile = anIncident({ victim: { ...victim, name: 'a\x1b[2J\n', cmdline: '\x9b31m\x07\r' } });
    const { stdout } = await explain(records([hostile]), ...args);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    expect(stdout).toContain('\\u001b');
  });
});
