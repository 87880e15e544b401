/* The whole guard, in a dry run over a made tree: what counts as available, and when no kill would help. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeArcstats, writeSwaps } from '../support/headroom-tree.js';
import { procTree } from '../support/proc-tree.js';
import { invoke, type Persona } from './invocation.js';

const MIB = 1024;
const PAGES = 256;

interface Memory {
  available: number;
  anon: number;
  shmem?: number;
  swapFree?: number;
}

/** A machine of 16,000 MiB and 4,000 of swap with one process of 200 MiB. */
function tree({ available, anon, shmem = 0, swapFree = 0 }: Memory): string {
  const row = (name: string, mib: number): string => `${name}: ${mib * MIB} kB\n`;
  const swap = row('SwapTotal', 4000) + row('SwapFree', swapFree);
  const meminfo =
    row('MemTotal', 16_000) + row('MemAvailable', available) + swap + row('AnonPages', anon) + row('Shmem', shmem);
  return procTree([{ pid: 100, comm: 'hog', rssPages: 200 * PAGES }], meminfo);
}

/** What it says until it would kill, or for half a second. */
async function said(root: string, args: string[] = [], persona: Persona = 'oom-backstop'): Promise<string> {
  const own = persona === 'earlyoom' ? [] : ['--config', '/dev/null'];
  const { stdout, stderr } = await invoke(persona, ['--dryrun', '--procfs', root, '-r', '0.1', ...own, ...args], {
    until: (out, err) => (out + err).split('mem avail:').length > 3 || /low memory!/.test(err),
    settleMs: 300,
  });
  return stdout + stderr;
}

const WOULD_KILL = /^dryrun, not actually sending any signal$/m;

describe("ZFS's cache", () => {
  const LOW = { available: 300, anon: 15_000 };

  it('counts as available: memory that would be low without it is not', async () => {
    const root = tree(LOW);
    writeArcstats(root, 4000, 500);
    const text = await said(root);
    expect(text).toContain('near the limits, what the cache of ZFS would give back counts as available');
    expect(text).toMatch(/^mem avail: +3800 of +18800 MiB/m);
    expect(text).not.toContain('low memory!');
  });

  it.each<[string, string[], Persona]>([
    ['with --no-arc', ['--no-arc'], 'oom-backstop'],
    ['for earlyoom', ['-s', '100'], 'earlyoom'],
  ])('the control: %s it does not', async (_, args, persona) => {
    const root = tree(LOW);
    writeArcstats(root, 4000, 500);
    expect(await said(root, args, persona)).toMatch(WOULD_KILL);
  });

  it('at its least size it counts nothing', async () => {
    const root = tree(LOW);
    writeArcstats(root, 500, 500);
    expect(await said(root)).toMatch(WOULD_KILL);
  });

  it('an arcstats without the fields is no reason to stop', async () => {
    const root = tree(LOW);
    writeArcstats(root, 4000, 500);
    writeFileSync(path.join(root, 'spl/kstat/zfs/arcstats'), 'hits 4 1\n');
    expect(await said(root)).toMatch(WOULD_KILL);
  });
});

describe('swap on zram', () => {
  const LOW = { available: 300, anon: 15_000, swapFree: 600 };
  /* 600 of 4,000 MiB are free: 15 %. Of a device that does not tell, half counts: 7.5 %. */
  const ARGS = ['-s', '10'];

  it('counts by what it wins: low, though free swap is above its limit', async () => {
    const root = tree(LOW);
    writeSwaps(root, [['/dev/zram99', 4000, 3400]]);
    const text = await said(root, ARGS);
    expect(text).toMatch(WOULD_KILL);
    expect(text).toMatch(/swap free: +300 of 4000 MiB/);
  });

  it.each<[string, string, string[], Persona]>([
    ['on a disk', '/dev/sda2', ARGS, 'oom-backstop'],
    ['for earlyoom', '/dev/zram99', ARGS, 'earlyoom'],
  ])('the control: %s it counts in full', async (_, device, args, persona) => {
    const root = tree(LOW);
    writeSwaps(root, [[device, 4000, 3400]]);
    const text = await said(root, args, persona);
    expect(text).not.toContain('low memory!');
  });
});

describe('a full tmpfs', () => {
  it('is named, and nobody would be killed', async () => {
    const root = tree({ available: 100, anon: 4000, shmem: 11_000 });
    mkdirSync(path.join(root, 'self'));
    writeFileSync(path.join(root, 'self/mountinfo'), '24 1 0:2 / /nowhere rw - tmpfs tmpfs rw\n');
    const text = await said(root, ['-m', '9,1']);
    expect(text).toContain(
      'no kill would help: 11000 MiB are tmpfs and shared memory, all processes together would give back 200 MiB',
    );
    expect(text).toContain('shared memory elsewhere: 11000 MiB');
    expect(text).not.toMatch(WOULD_KILL);
    expect(text.match(/low memory!/g)).toHaveLength(1);
  });
});
