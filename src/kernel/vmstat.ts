/*
 * /proc/vmstat (mm/vmstat.c; Documentation/filesystems/proc.rst): counters since boot, machine-wide.
 *
 *   pgalloc_dma32 0
 *   pgalloc_normal 216025164
 *   oom_kill 0
 *
 * The pgalloc_* (one for each kind of zone, line after line) add up to the pages that were ever allocated:
 * by processes, the page cache and the kernel itself, small or huge, freed since or not. The kernel keeps
 * the counters for each CPU and sums them when the file is read: nothing allocated before the read is missing.
 *
 * The kernel's formatting of the lines is what reading costs (22 us for all 190 here, 11 us up to the last
 * pgalloc_*), so readers may stop early. The parser therefore takes nothing from a line without its newline,
 * and believes that the sum is complete only where another whole line follows the last pgalloc_*.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

export interface Vmstat {
  /** Pages allocated since boot. */
  allocatedPages: number;
  /** How many bytes of the file were needed to know that: up to the end of the line after the last pgalloc_*. */
  allocatedBytes: number;
  /** Processes killed by the kernel's OOM killer since boot; -1 if the bytes don't tell (read in part, or before Linux 4.13). */
  oomKills: number;
}

export function emptyVmstat(): Vmstat {
  return { allocatedPages: 0, allocatedBytes: 0, oomKills: -1 };
}

const PGALLOC = ascii('pgalloc_');
const OOM_KILL = ascii('oom_kill ');
const P = 0x70;
const O = 0x6f;
const NEWLINE = 0x0a;

const cursor = new ByteCursor();

/**
 * Reads the first `length` of `bytes` into `out`. Returns false, with `out` as it was, if there is no
 * pgalloc_*, if one has no number, or if the bytes end right behind one (more of them may follow).
 */
export function parseVmstat(bytes: Uint8Array, length: number, out: Vmstat): boolean {
  cursor.reset(bytes, length);
  const end = cursor.end;
  let pages = 0;
  let found = false;
  let neededBytes = 0;
  let oomKills = -1;
  // Six of 190 lines matter: the loop asks for the first byte before anything else.
  for (let line = 0, next = afterLine(bytes, 0, end); next > 0; line = next, next = afterLine(bytes, line, end)) {
    const first = bytes[line];
    if (first === P && startsAt(line, PGALLOC)) {
      pages += valueOfLine();
      found = true;
      neededBytes = 0;
      continue;
    }
    if (neededBytes === 0 && found) neededBytes = next;
    if (first === O && startsAt(line, OOM_KILL)) oomKills = cursor.integer();
  }
  if (neededBytes === 0 || !(pages >= 0)) return false;
  out.allocatedPages = pages;
  out.allocatedBytes = neededBytes;
  out.oomKills = oomKills >= 0 ? oomKills : -1;
  return true;
}

/** Where the next line begins, or 0 if this one has no newline in front of `end`. */
function afterLine(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    if (bytes[at] === NEWLINE) return at + 1;
  }
  return 0;
}

/** Whether `word` stands at `position`; if so the cursor is behind it. */
function startsAt(position: number, word: Uint8Array): boolean {
  cursor.position = position;
  return cursor.accept(word);
}

/** The number behind the rest of the name; NaN if there is none, or a negative one. */
function valueOfLine(): number {
  cursor.skipWord();
  return valueHere();
}

/*
 * How hard memory is reclaimed, in pages since boot: workingset_refault_anon and _file (one workingset_refault before
 * Linux 5.9), and pgscan_direct (Linux 4.8), which leaves out what a cgroup reclaims at its own limit.
 */
const WORKINGSET_REFAULT = ascii('workingset_refault');
const PGSCAN_DIRECT = ascii('pgscan_direct ');
const W = 0x77;
const SPACE = 0x20;

/** Pages that were read again soon after they had been dropped, and pages that processes had to scan themselves. */
export interface Reclaim {
  refaultPages: number;
}

/** Reads the first `length` of `bytes` into `out`. Returns false, with `out` as it was, if there is no refault counter. */
export function parseReclaim(bytes: Uint8Array, length: number, out: Reclaim): boolean {
  cursor.reset(bytes, length);
  const end = cursor.end;
  let pages = 0;
  let found = false;
  for (let line = 0, next = afterLine(bytes, 0, end); next > 0; line = next, next = afterLine(bytes, line, end)) {
    const first = bytes[line];
    if (first === W && startsAt(line, WORKINGSET_REFAULT)) {
      pages += cursor.peek() === SPACE ? valueHere() : valueOfLine();
      found = true;
    } else if (first === P && startsAt(line, PGSCAN_DIRECT)) {
      pages += valueHere();
    }
  }
  if (!found || !(pages >= 0)) return false;
  out.refaultPages = pages;
  return true;
}

/** The number under the cursor; NaN if there is none, or a negative one. */
function valueHere(): number {
  const value = cursor.integer();
  return value >= 0 ? value : Number.NaN;
}
