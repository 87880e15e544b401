/*
 * `oom-backstop check`, the built program: on made trees, whose pids are higher than any kernel's, and on this machine. It kills
 * nobody, whatever it is asked.
 */
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type FakeProcess, MEMINFO, procTree } from '../support/proc-tree.js';
import { bin, run } from '../support/programs.js';
import { describeIf } from '../support/requires.js';
import { type Ended, invoke, linesOf } from './invocation.js';

/* PID_MAX_LIMIT is 4194304. */
const PID = 10_000_000;
const IS_ROOT = process.geteuid?.() === 0;

interface Finding {
  id: string;
  severity: string;
  found: string;
  why: string;
  advice: string | null;
}

interface CheckDocument {
  policy: Record<string, unknown> | null;
  findings: Finding[];
  verdict: string;
}

const PSI = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';

/** A tree of a machine that is as it should be: pid 1, PSI, cgroup v2 without limits, no odd settings. */
function goodTree(processes: readonly FakeProcess[] = [{ pid: PID, comm: 'hog', oomScore: 700 }]): string {
  const tree = procTree([{ pid: 1, comm: 'init' }, ...processes]);
  const files = {
    'pressure/memory': PSI,
    'self/mountinfo': `1 1 0:1 / ${tree}/cgroup rw - cgroup2 cgroup2 rw\n`,
    'self/cgroup': '0::/\n',
    'cgroup/cgroup.controllers': 'memory\n',
    'cgroup/memory.pressure': PSI,
    'cgroup/child/cgroup.kill': '',
    'sys/vm/overcommit_memory': '0\n',
    'sys/vm/panic_on_oom': '0\n',
    'sys/vm/oom_kill_allocating_task': '0\n',
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(tree, name)), { recursive: true });
    writeFileSync(path.join(tree, name), text);
  }
  return tree;
}

const check = (...args: string[]): Promise<Ended> => invoke('oom-backstop', ['check', ...args]);

async function checkJson(...args: string[]): Promise<CheckDocument & { code: number | null }> {
  const ended = await check('--json', ...args);
  expect(ended.stderr).toBe('');
  return { code: ended.code, ...(JSON.parse(ended.stdout) as CheckDocument) };
}

const onTree = (tree: string): string[] => ['--dryrun', '--procfs', tree];
const byId = (document: CheckDocument, id: string): Finding[] => document.findings.filter((each) => each.id === id);

/** The fields that the README documents, with their types. */
function documentedFields(): Record<string, string> {
  const readme = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8');
  const section = /^### check --json\n(.*?)^##/ms.exec(readme)?.[1] ?? '';
  return Object.fromEntries(
    [...section.matchAll(/^\| `([\w.[\]]+)` \| ([a-z ]+) \|/gm)].map((row) => [row[1], row[2]]),
  );
}

/** Each field of a document with the types that it has in it, `[]` for the elements of an array. */
function fieldsOf(value: unknown, name: string, into = new Map<string, Set<string>>()): Map<string, Set<string>> {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  if (name !== '') into.set(name, (into.get(name) ?? new Set()).add(type));
  if (Array.isArray(value)) for (const each of value) fieldsOf(each, `${name}[]`, into);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value)) fieldsOf(each, name === '' ? key : `${name}.${key}`, into);
  }
  return into;
}

/** Whether the document has exactly the fields of the README; without a policy, none below it. */
function expectDocumented(document: CheckDocument): void {
  const documented = Object.entries(documentedFields());
  expect(documented.length).toBeGreaterThan(20);
  const expected = documented.filter(([name]) => document.policy !== null || !name.startsWith('policy.'));
  const fields = fieldsOf(document, '');
  fields.delete('findings[]');
  expect([...fields.keys()].sort()).toEqual(expected.map(([name]) => name).sort());
  for (const [name, types] of expected) {
    for (const type of fields.get(name) ?? []) expect(types.split(' or '), name).toContain(type);
  }
}

describe('check --json', () => {
  it('has the fields that the README documents, on a tree and on this machine', async () => {
    for (const args of [onTree(goodTree()), []]) {
      const { code, ...document } = await checkJson(...args);
      expectDocumented(document);
      expect(code).toBe({ ok: 0, warning: 1, error: 2 }[document.verdict]);
    }
  });

  it('the options after it are those of the guard', async () => {
    const tree = goodTree();
    const options = ['-m8,4', '-r', '60', '--prefer', 'hog', '--sort', '--ignore-root-user', '-gp'];
    const { policy, findings } = await checkJson(...onTree(tree), ...options);
    expect(policy).toMatchObject({
      persona: 'oom-backstop',
      procfs: tree,
      dryrun: true,
      memTermPercent: 8,
      memKillPercent: 4,
      memTermKib: 1_200_000,
      reportIntervalMs: 60_000,
      rankBy: 'rss',
      killGroup: true,
      raisePriority: true,
      ignoreRootUser: true,
      patterns: { prefer: 'hog', avoid: null, ignore: null },
    });
    const [pattern] = findings.filter((each) => each.id === 'pattern');
    expect(pattern).toMatchObject({ severity: 'ok', found: "--prefer 'hog' matches 1 process now" });
  });

  it('--earlyoom judges by its defaults: swap has to be nearly full', async () => {
    const document = await checkJson('--earlyoom', ...onTree(goodTree()));
    expect(document.policy).toMatchObject({ persona: 'earlyoom', memTermPercent: 10, swapTermPercent: 10 });
    expect(byId(document, 'swap-limit')[0]).toMatchObject({ severity: 'warning' });
    expect(document.code).toBe(1);
  });

  it('names the victim that rank names', async () => {
    const tree = goodTree([
      { pid: PID, comm: 'small', oomScore: 600 },
      { pid: PID + 1, comm: 'hog', oomScore: 700, rssPages: 256_000 },
    ]);
    const [victim] = byId(await checkJson(...onTree(tree)), 'victim');
    expect(victim?.found).toBe(
      `"hog" (pid ${PID + 1}) of uid 1000 would be killed now, with score 700 (oom_score 700, oom_score_adj 0, RSS 1000 MiB)`,
    );
  });

  it('nothing that a stranger chose steers a terminal, and all of it is there', async () => {
    const tree = goodTree([{ pid: PID, comm: '\x1b[2Ja\nb\x7f', oomScore: 700 }]);
    const json = (await check('--json', ...onTree(tree))).stdout;
    expect(json.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    const [victim] = byId(JSON.parse(json) as CheckDocument, 'victim');
    expect(victim?.found).toContain('"\x1b[2Ja\nb\x7f"');
    const text = (await check(...onTree(tree))).stdout;
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(text).toContain('"\\u001b[2Ja\\u000ab\\u007f"');
  });
});

describe('check: what it can not accept', () => {
  it('wrong options: 2, all of them named, the rest judged', async () => {
    const wrong = ['-m', '200', '--xyz', '--prefer', '[', '--avoid', '(a', 'extra', '-s', '7'];
    const { code, ...document } = await checkJson(...onTree(goodTree()), ...wrong);
    expect([code, document.verdict]).toEqual([2, 'error']);
    expectDocumented(document);
    const mistakes = byId(document, 'options').filter((each) => each.severity === 'error');
    expect(mistakes.map((each) => each.found)).toEqual([
      expect.stringMatching(/^-m 200: value 200 exceeds limit 99/),
      "unrecognized option '--xyz'",
      "extra argument not understood: 'extra'",
      expect.stringMatching(/^--prefer: could not compile regexp '\['/),
      expect.stringMatching(/^--avoid: could not compile regexp '\(a'/),
    ]);
    expect(document.policy).toMatchObject({ memTermPercent: 5, swapTermPercent: 7, patterns: { prefer: null } });
  });

  it('in text too: 2, on stdout', async () => {
    const ended = await check(...onTree(goodTree()), '-m', '200', '--xyz');
    expect(ended).toMatchObject({ code: 2, stderr: '' });
    expect(ended.stdout).toContain('options: -m 200: value 200 exceeds limit 99');
    expect(ended.stdout).toContain("options: unrecognized option '--xyz'");
    expect(ended.stdout).toContain('Verdict: it would not work (2 errors,');
  });

  it('a SIGTERM limit that is raised is a warning: 1', async () => {
    const document = await checkJson(...onTree(goodTree()), '-m', '3,6');
    expect(byId(document, 'options').map((each) => each.severity)).toEqual(['warning', 'note']);
    expect(document.code).toBe(1);
  });

  it('a foreign tree without --dryrun, as the guard: 2', async () => {
    const document = await checkJson('--procfs', goodTree());
    expect(document.code).toBe(2);
    expect(byId(document, 'procfs')[0]).toMatchObject({ severity: 'error' });
  });

  it.each([
    ['no tree', () => '/nowhere'],
    ['no meminfo', () => procTree([], null)],
    ['a meminfo without an entry', () => procTree([], MEMINFO.replace(/^AnonPages.*\n/m, ''))],
  ])('%s: 2, a document without a policy', async (_, tree) => {
    const { code, ...document } = await checkJson('--procfs', tree());
    expect(code).toBe(2);
    expectDocumented(document);
    expect(document).toMatchObject({ policy: null, verdict: 'error', findings: [{ id: 'procfs', severity: 'error' }] });
  });

  it('-v and the like are no options of a guard that runs: 2', async () => {
    expect((await checkJson(...onTree(goodTree()), '-v')).code).toBe(2);
  });
});

describe('check: text', () => {
  it('policy, findings with why and what to do, the verdict; at most 80 columns', async () => {
    const tree = goodTree([{ pid: PID, comm: 'bash', cmdline: '-bash\0', oomScore: 700, rssPages: 2560 }]);
    const { code, stdout, stderr } = await check(...onTree(tree), '--ignore', 'nobody');
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^Policy\n {2}Defaults of oom-backstop, /);
    expect(stdout).toContain('  Dry run: says what it would do, kills nobody.\n');
    expect(stdout).toContain('\nFindings\nwarning  way-in: among the first 10 victims: "bash"');
    expect(stdout).toMatch(/\n {9}Why: .*\n/);
    expect(stdout).toContain("\n         Do:  Exempt it: --ignore '^(bash)$'");
    expect(stdout).toMatch(/\nnote {5}pattern: --ignore 'nobody' matches no process now\n/);
    expect(stdout).toMatch(/\nok {7}psi: memory pressure \(PSI\) can be read\n/);
    expect(stdout).toMatch(/\nVerdict: it works, not as well as it could \(0 errors, \d+ warnings?, \d+ notes?\)\n$/);
    const long = linesOf(stdout).filter((line) => line.length > 80 && !line.includes(tree));
    expect(long).toEqual([]);
  });

  it('the worst comes first', async () => {
    const { stdout } = await check('--procfs', goodTree([{ pid: PID, comm: 'sshd' }]));
    const severities = [...stdout.matchAll(/^(error|warning|note|ok) {2,}/gm)].map((line) => line[1] as string);
    const places = severities.map((severity) => ['error', 'warning', 'note', 'ok'].indexOf(severity));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(severities[0]).toBe('error');
  });

  it.each(['--help', '-h'])('%s: on stdout, 0', async (flag) => {
    const ended = await check(flag);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const option of ['--json', '--earlyoom']) expect(ended.stdout).toMatch(new RegExp(`^  ${option} `, 'm'));
    expect(ended.stdout).toContain('Exit code: 0');
  });

  it('earlyoom has no commands: check is an extra argument', async () => {
    expect(await invoke('earlyoom', ['check'])).toMatchObject({ code: 13, stdout: '' });
  });
});

describeIf(IS_ROOT, 'needs root', 'check as root and as somebody else', () => {
  it('a machine as it should be: 0, and not a warning', async () => {
    const document = await checkJson(...onTree(goodTree()));
    const wrong = document.findings.filter((each) => each.severity === 'warning' || each.severity === 'error');
    expect(wrong).toEqual([]);
    expect(document).toMatchObject({ code: 0, verdict: 'ok' });
  });

  it('without privileges: CAP_KILL is missing, and who can be killed is said', async () => {
    const user = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
    const outcome = await run('setpriv', [...user, bin('oom-backstop'), 'check', '--json']);
    expect(outcome.code).toBe(1);
    const [capKill] = byId(JSON.parse(outcome.stdout) as CheckDocument, 'cap-kill');
    expect(capKill).toMatchObject({ severity: 'warning', found: expect.stringContaining('uid 65534') });
  });
});

it('another daemon that runs on this machine is found by its name', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-daemon-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const program = path.join(directory, 'psi-monitor');
  copyFileSync('/bin/sleep', program);
  chmodSync(program, 0o755);
  const child = spawn(program, ['60'], { stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
  await vi.waitFor(() => expect(readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toBe('psi-monitor\n'));
  const document = await checkJson();
  expect(byId(document, 'other-daemon')[0]).toMatchObject({
    severity: 'warning',
    found: expect.stringContaining(`psi-monitor runs as pid ${child.pid}`),
  });
  expect(document.code).toBeGreaterThanOrEqual(1);
});
