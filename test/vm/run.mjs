/*
 * npm run test:vm: real exhaustion on a booted machine, the guards side by side.
 *
 *   npm run test:vm                      everything: the table on stdout, the results in bench/results/vm.json
 *   npm run test:vm -- --list            the cases
 *   npm run test:vm -- --table           the table of the last results, without running anything
 *   npm run test:vm -- --scenario NAME   these cases (or whole groups) only; may be repeated
 *   npm run test:vm -- --smoke           our guard without swap, both speeds
 *   npm run test:vm -- --package TGZ     another tarball than the one packed from this checkout
 *   npm run test:vm -- --gap SECONDS     allow the heartbeat this long a gap (0.3): for a host that pauses by itself
 *
 * Needs root and Debian's packages (installed if missing). The guest is built once and kept in OOM_BACKSTOP_VM_DIR
 * (/var/tmp/oom-backstop-vm) under a hash of what it is made from. Exit status 1 if a case breaks what it must hold.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { load, machine, markdown, save } from '../../bench/measure.mjs';
import { analyze } from './analyze.mjs';
import { BOOTS, SMOKE } from './cases.mjs';

const HERE = import.meta.dirname;
const ROOT = path.resolve(HERE, '../..');
const CACHE = process.env.OOM_BACKSTOP_VM_DIR ?? '/var/tmp/oom-backstop-vm';
const PACKAGES = ['qemu-system-x86', 'mmdebstrap', 'e2fsprogs', 'gcc', 'libc6-dev'];
const PROGRAMS = ['qemu-system-x86_64', 'mmdebstrap', 'debugfs', 'gcc'];

const { values: flags } = parseArgs({
  options: {
    list: { type: 'boolean' },
    table: { type: 'boolean' },
    smoke: { type: 'boolean' },
    scenario: { type: 'string', multiple: true },
    package: { type: 'string' },
    gap: { type: 'string' },
  },
});

const wanted = flags.smoke ? SMOKE : flags.scenario;
const isWanted = (each) => wanted === undefined || wanted.includes(each.name) || wanted.includes(each.group);
const boots = BOOTS.map((boot) => ({ ...boot, cases: boot.cases.filter(isWanted) })).filter(
  (boot) => boot.cases.length > 0,
);

if (flags.table) {
  console.log(tableOf(load('vm')?.results ?? []));
  process.exit(0);
}
if (flags.list) {
  for (const boot of BOOTS) for (const each of boot.cases) console.log(`${each.name.padEnd(32)} ${each.hog}`);
  process.exit(0);
}
if (boots.length === 0) throw new Error(`no such scenario: ${wanted} (--list shows them)`);
if (process.getuid() !== 0) throw new Error('needs root: mmdebstrap and mkswap');

installPackages();
const image = buildImage();
const packed = preparePackage();
const about = machine();
const results = [];
for (const boot of boots) results.push(...runBoot(boot));

console.log(`\n${tableOf(results)}\n`);
if (!flags.smoke && flags.package === undefined) keep(results);
const broken = results.filter((result) => result.broken.length > 0);
console.log(
  broken.length === 0
    ? `all ${results.length} cases ran, nothing is broken`
    : `${broken.length} of ${results.length} cases are broken`,
);
rmSync(packed, { recursive: true });
process.exit(broken.length === 0 ? 0 : 1);

/** The results of all cases that ever ran here, each from its last run, in the order of cases.mjs. */
function keep(results) {
  const earlier = load('vm')?.results ?? [];
  const named = (list, name) => list.find((result) => result.name === name);
  const all = BOOTS.flatMap((boot) => boot.cases).map(({ name }) => named(results, name) ?? named(earlier, name));
  save('vm', { ...about, guest: guestVersions(), results: all.filter((result) => result !== undefined) });
}

function tableOf(results) {
  const columns = [
    'case',
    'guard',
    'killed (s after the hog began)',
    'lowest MemAvailable, MiB',
    'longest gap, s',
    'PSI full max, %',
    'limit → memory back, s',
    'over after, s',
    'kernel OOM',
    'others lost',
    'verdict',
  ];
  const rows = results.map((result) => [
    result.group === 'further' ? result.name : result.group,
    result.guard,
    result.killed,
    result.minAvailMib,
    result.gapS,
    result.fullMaxPercent,
    result.limitToBackS ?? '–',
    result.overS ?? '–',
    result.kernelOom ? 'yes' : 'no',
    result.othersLost.join(', ') || '–',
    verdictOf(result),
  ]);
  return markdown([columns, ...rows]);
}

function verdictOf({ broken, must }) {
  if (broken.length > 0) return `BROKEN: ${broken.join(', ')}`;
  return Object.keys(must).length === 0 ? '' : 'holds';
}

function installPackages() {
  const missing = PROGRAMS.some((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  if (!missing) return;
  console.error(`installing ${PACKAGES.join(' ')}`);
  execFileSync('apt-get', ['update', '-qq'], { stdio: 'inherit' });
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
}

/** The image for what it would be made from now; builds it if there is none. */
function buildImage() {
  const hash = createHash('sha256').update(process.version);
  for (const file of ['image.sh', 'labtool.c']) hash.update(readFileSync(path.join(HERE, file)));
  const directory = path.join(CACHE, hash.digest('hex').slice(0, 16));
  if (existsSync(directory)) return directory;
  console.error(`building the guest in ${directory} (once, about a minute and a half)`);
  const unfinished = `${directory}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  execFileSync('bash', [path.join(HERE, 'image.sh'), unfinished], { stdio: ['ignore', 'ignore', 'inherit'] });
  renameSync(unfinished, directory);
  return directory;
}

/** A prefix into which the packed tarball was installed as a user would install it: npm install -g. */
function preparePackage() {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-package-'));
  const quiet = { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8', cwd: ROOT };
  const tarball =
    flags.package ??
    path.join(
      directory,
      execFileSync('npm', ['pack', '--silent', '--pack-destination', directory], quiet).trim().split('\n').pop(),
    );
  execFileSync(
    'npm',
    ['install', '--silent', '--global', '--prefix', path.join(directory, 'prefix'), path.resolve(tarball)],
    quiet,
  );
  return directory;
}

function runBoot(boot) {
  const lab = mkdtempSync(path.join(tmpdir(), 'oom-backstop-vm-'));
  copyFileSync(path.join(HERE, 'guest.sh'), path.join(lab, 'guest.sh'));
  execFileSync('cp', ['-a', path.join(packed, 'prefix'), path.join(lab, 'package')]);
  writeFileSync(
    path.join(lab, 'cases.sh'),
    [`ROOT_BPS=${boot.env.ROOT_BPS ?? 0}\n`, ...boot.cases.map(guestLines)].join('\n'),
  );
  const env = { ...process.env, TIMEOUT: String(60 + boot.cases.length * 105), ...boot.env };
  console.error(`boot ${boot.name}: ${boot.cases.length} cases`);
  const startedMs = Date.now();
  const { status } = spawnSync('bash', [path.join(HERE, 'boot.sh'), image, lab], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
  console.error(`boot ${boot.name}: ${((Date.now() - startedMs) / 1000).toFixed(0)} s, status ${status}`);
  const results = boot.cases.map((each) => judge(each, analyze(path.join(lab, 'out', each.name))));
  if (status !== 0 || process.env.KEEP) console.error(`kept: ${lab}`);
  else rmSync(lab, { recursive: true });
  return results;
}

/** The lines of cases.sh for one case. */
function guestLines({ name, guard, hog, waitS = 75, filesPerS = 0, bystanderMib = 150, before, args = '' }) {
  const prepare = {
    'memory-max':
      'hog_scope() { systemd-run --quiet --scope --slice=work.slice --unit=runaway -p MemoryMax=300M choom -n 0 -- "$@"; }',
    restart: 'during() { sleep 1; systemctl restart oom-backstop; }',
    swapoff: 'during() { sleep 2; swapoff -a; }',
    swapon: 'swapoff -a\nduring() { sleep 2; swapon /dev/disk/by-id/virtio-swap; }',
    'stop-journald':
      'during() { systemctl kill -s STOP systemd-journald; while kill -0 $hog 2>/dev/null; do sleep 0.2; done; sleep 1; systemctl kill -s CONT systemd-journald; }',
  };
  const options = args === '' ? '' : `guard_args='${args}'\n`;
  return `${before === undefined ? '' : `${prepare[before]}\n`}${options}run ${name} ${guard} ${waitS} ${filesPerS} ${bystanderMib} ${hog}\n`;
}

/** The result with what it breaks of what it must hold. */
function judge({ name, group, guard, must }, seen) {
  const broken = [];
  if (seen.failure !== null) broken.push(seen.failure);
  else {
    if (must.hog && !seen.hogDied) broken.push('the hog lived');
    if (must.hog && seen.signals.length === 0) broken.push('the guard did not signal');
    if (must.noKernelOom && seen.kernelOom) broken.push("the kernel's OOM killer fired");
    if (must.gap !== undefined && seen.gapS >= Number(flags.gap ?? must.gap)) broken.push(`gap ${seen.gapS} s`);
    if (must.overS !== undefined && seen.overS > must.overS) broken.push(`over only after ${seen.overS} s`);
    if (must.others && seen.othersLost.length > 0) broken.push(`lost ${seen.othersLost.join(', ')}`);
    if (must.rule && seen.signals[0]?.rule !== must.rule) broken.push(`not by rule ${must.rule}`);
    if (must.nobody && seen.signals.length > 0) broken.push('the guard fired');
  }
  const ours = Object.keys(must).length > 0;
  const ran = { date: about.date, commit: about.commit, node: about.node };
  return { name, group, guard, must, ...seen, broken: ours ? broken : [], ran };
}

function guestVersions() {
  return {
    image: path.basename(image),
    kernel: 'linux-image-cloud-amd64 (Debian 12)',
    memMib: 1024,
    vcpus: 2,
    emulated: 'QEMU TCG',
  };
}
