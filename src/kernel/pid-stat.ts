/*
 * /proc/PID/stat (Documentation/filesystems/proc.rst, table 1-4; proc_pid_stat(5)).
 *
 *   551716 (cat) R 551087 551716 551087 34816 551716 4194304 94 0 0 0 0 0 0 0 20 0 1 0 5017160 ...
 *   7 (a) Z (b) S 1 7 7 0 ...
 *
 * The name between the brackets is the process's own choice and may hold anything, brackets, spaces
 * and newlines included. What follows it can't hold a bracket, so the LAST ")" ends it.
 */
import { ByteCursor } from './byte-cursor.js';

export interface PidStat {
  /** The state letter's character code: R S D Z T t X I. */
  state: number;
  ppid: number;
  pgrp: number;
  numThreads: number;
  /** Start of the process in clock ticks since boot; with the pid it names a process for good. */
  startTimeTicks: number;
  rssPages: number;
}

export function emptyPidStat(): PidStat {
  return { state: 0, ppid: 0, pgrp: 0, numThreads: 0, startTimeTicks: 0, rssPages: 0 };
}

const CLOSING_BRACKET = 0x29;
const STATE_ZOMBIE = 0x5a; // Z

const cursor = new ByteCursor();

/** Reads the first `length` of `bytes` into `out`. Returns false, with `out` half filled, if they are not a stat file. */
export function parsePidStat(bytes: Uint8Array, length: number, out: PidStat): boolean {
  cursor.reset(bytes, length);
  let bracket = cursor.end - 1;
  while (bracket >= 0 && bytes[bracket] !== CLOSING_BRACKET) bracket--;
  if (bracket < 0) return false;
  cursor.position = bracket + 1;
  cursor.skipBlanks();
  out.state = cursor.peek();
  if (!cursor.skipWord()) return false;
  out.ppid = cursor.integer(); // field 4
  out.pgrp = cursor.integer(); // 5
  for (let field = 6; field <= 19; field++) cursor.skipWord();
  out.numThreads = cursor.integer(); // 20
  cursor.skipWord(); // 21
  out.startTimeTicks = cursor.integer(); // 22
  cursor.skipWord(); // 23
  out.rssPages = Math.max(0, cursor.integer()); // 24
  // A file cut short anywhere makes the last number NaN, or is cut inside it: then a reader can't tell.
  return out.ppid >= 0 && out.numThreads >= 0 && out.startTimeTicks >= 0 && out.rssPages >= 0;
}

/**
 * Whether the process is dead: a zombie that no thread of it outlives. A zombie main thread with
 * live threads still holds all its memory, though its own rss reads 0.
 */
export function isDead(stat: PidStat): boolean {
  return stat.state === STATE_ZOMBIE && stat.numThreads <= 1;
}
