/*
 * What start and `rank` both open: a procfs tree, its meminfo, the patterns. Start-up only; here a
 * failure ends the program, with the exit code that its users know.
 */
import { readlinkSync, statSync } from 'node:fs';
import { strerror } from '../../native-shims/errno.js';
import { PosixRegex } from '../../native-shims/regex.js';
import { MemorySampler } from '../sample/memory-sampler.js';
import { PidFiles } from '../sample/pid-files.js';
import type { NamePatterns } from '../sample/process-scan.js';
import {
  EXIT_MEMINFO_ENTRY,
  EXIT_MEMINFO_NUMBER,
  EXIT_MEMINFO_OPEN,
  EXIT_MEMINFO_READ,
  EXIT_PROC_DIRECTORY,
  EXIT_PROC_OPEN,
  EXIT_REGEX,
  FatalError,
} from '../shared/exit.js';
import type { PatternTexts } from '../shared/options.js';
import { WAY_IN_REGEX } from '../shared/way-in.js';

/** Opens the directory of processes. */
export function openProcfs(procfs: string): PidFiles {
  if (!statSync(procfs, { throwIfNoEntry: false })?.isDirectory()) {
    throw new FatalError(EXIT_PROC_DIRECTORY, `could not cd to ${procfs}: not a directory`);
  }
  const files = PidFiles.open(procfs);
  if (typeof files === 'number') throw new FatalError(EXIT_PROC_OPEN, `could not open ${procfs}: ${strerror(-files)}`);
  return files;
}

/** Opens meminfo and takes the first sample. */
export function openMeminfo(procfs: string): MemorySampler {
  const path = `${procfs}/meminfo`;
  const sampler = MemorySampler.open(procfs);
  if (typeof sampler === 'number') {
    throw new FatalError(EXIT_MEMINFO_OPEN, `could not open ${path}: ${strerror(-sampler)}`);
  }
  const failure = sampler.sample();
  if (failure === null) return sampler;
  if (failure.kind === 'read') {
    throw new FatalError(EXIT_MEMINFO_READ, `could not read ${path}: ${strerror(failure.errno)}`);
  }
  if (failure.kind === 'missing') {
    throw new FatalError(EXIT_MEMINFO_ENTRY, `could not find entry '${failure.entry}' in ${path}`);
  }
  throw new FatalError(EXIT_MEMINFO_NUMBER, `entry '${failure.entry}' in ${path} has no number`);
}

/** Compiles the patterns, and that of the admin's way in if it is spared. */
export function compilePatterns(texts: PatternTexts, sparesWayIn: boolean): NamePatterns {
  return {
    prefer: compile(texts.prefer),
    avoid: compile(texts.avoid),
    ignore: compile(texts.ignore),
    wayIn: sparesWayIn ? compile(WAY_IN_REGEX) : null,
  };
}

function compile(text: string | null): PosixRegex | null {
  if (text === null) return null;
  const regex = PosixRegex.compile(text);
  if (regex === null) {
    throw new FatalError(EXIT_REGEX, `could not compile regexp '${text}' (valid: a POSIX extended regular expression)`);
  }
  return regex;
}

/** This process's pid as `procfs` numbers it: null for a tree that is no procfs, or one that does not show us. */
export function selfPidIn(procfs: string): number | null {
  try {
    const pid = Number(readlinkSync(`${procfs}/self`));
    return Number.isInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}
