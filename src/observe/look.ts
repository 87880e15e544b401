/*
 * One look at everything that is to be seen without a privilege: the guard's state page, and of the kernel, so that it is there
 * when the guard is dead, memory pressure and the kernel's own OOM kills. What `status`, the page for people and the metrics are made of.
 */
import { readFileSync } from 'node:fs';
import { emptyPressure, parsePressure } from '../kernel/pressure.js';
import {
  emptyPressureAverages,
  FULL_AVG10,
  NO_PRESSURE,
  parsePressureAverages,
  SOME_AVG10,
} from '../kernel/pressure-averages.js';
import { emptyVmstat, parseVmstat } from '../kernel/vmstat.js';
import { type PageFailure, readPageFile, statePath } from '../state/page-file.js';
import type { StatePage } from '../state/page-reader.js';
import { type Health, healthOf } from './health.js';

/** Memory pressure of the machine; null where the kernel does not tell. */
interface MachinePressure {
  someAvg10Percent: number | null;
  fullAvg10Percent: number | null;
  someTotalUs: number;
  fullTotalUs: number;
}

export interface Look {
  /** Of the state page. */
  path: string;
  page: StatePage | null;
  /** Why there is no page. */
  refused: PageFailure | null;
  health: Health;
  pressure: MachinePressure | null;
  /** Since boot, those at a cgroup's own limit too; null where the kernel does not tell. */
  kernelOomKills: number | null;
  monotonicMs: number;
  unixMs: number;
}

export function look(runtimeDir: string, procfs: string): Look {
  const read = readPageFile(runtimeDir);
  const page = 'page' in read ? read.page : null;
  const refused = 'refused' in read ? read.refused : null;
  const path = statePath(runtimeDir);
  // CLOCK_MONOTONIC, as the guard's heartbeat; after the page was read, or it would be ahead.
  const monotonicMs = Number(process.hrtime.bigint() / 1000n) / 1000;
  return {
    path,
    page,
    refused,
    health: healthOf(page, refused, path, monotonicMs),
    pressure: pressureOf(contentOf(`${procfs}/pressure/memory`)),
    kernelOomKills: oomKillsOf(contentOf(`${procfs}/vmstat`)),
    monotonicMs,
    unixMs: Date.now(),
  };
}

/** Empty where there is no such file, or the kernel will not say (PSI that is switched off). */
function contentOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}

function pressureOf(bytes: Uint8Array): MachinePressure | null {
  const totals = emptyPressure();
  if (!parsePressure(bytes, bytes.length, totals)) return null;
  const averages = emptyPressureAverages();
  parsePressureAverages(bytes, bytes.length, averages);
  const percent = (at: number): number | null => (averages[at] === NO_PRESSURE ? null : (averages[at] as number) / 100);
  return { someAvg10Percent: percent(SOME_AVG10), fullAvg10Percent: percent(FULL_AVG10), ...totals };
}

function oomKillsOf(bytes: Uint8Array): number | null {
  const vmstat = emptyVmstat();
  return parseVmstat(bytes, bytes.length, vmstat) && vmstat.oomKills >= 0 ? vmstat.oomKills : null;
}
