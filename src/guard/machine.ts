/*
 * What start and `rank` both open: a procfs tree, its meminfo, the patterns. Start-up only; here a
 * failure ends the program, with the exit code that its users know.
 */
import { readlinkSync, statSync } from 'node:fs';
import { EACCES, EPERM, strerror } from '../../native-shims/errno.js';
import { PosixRegex } from '../../native-shims/regex.js';
import { MemorySampler } from '../sample/memory-sampler.js';
import { PidFiles } from '../sample/pid-files.js';
import type { NamePatterns } from '../sample/process-scan.js';
import {
  EXIT_MEMINFO_ENTRY,
  EXIT_MEMINFO_NUMBER,
  EXIT_MEMINFO_OPEN,
  EXIT_MEMINFO_READ,
  EXIT_PARAMETER,
  EXIT_PROC_DIRECTORY,
  EXIT_PROC_OPEN,
  EXIT_REGEX,
  FatalError,
} from '../shared/exit.js';
import { type Matching, matchLabel } from '../shared/matching.js';
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

/** Why the programs of other users' processes can't be read; null if they can, or if it can't be told. */
export function foreignExeError(procfs: string): string | null {
  try {
    readlinkSync(`${procfs}/1/exe`);
    return null;
  } catch (error) {
    const errno = -((error as NodeJS.ErrnoException).errno ?? 0);
    return errno === EACCES || errno === EPERM ? strerror(errno) : null;
  }
}

/** The labels of the matchers that ask for the program. */
export function exeMatchers(matching: Matching, protect: boolean): string[] {
  return matching.tables.flatMap(({ action, conditions }, index) => {
    const asks = (action === 'protect') === protect && conditions.some(({ key }) => key === 'exe');
    return asks ? [matchLabel(matching, index + 1)] : [];
  });
}

/**
 * Whom a matcher is to protect by his program, and whose can't be read, would have to be spared: that is everybody else's processes.
 * @throws FatalError rather than start a guard that kills none of them
 */
export function refuseBlindProtection(matching: Matching, procfs: string): void {
  const [label] = exeMatchers(matching, true);
  const error = label === undefined ? null : foreignExeError(procfs);
  if (error === null) return;
  const why = `${label}: the programs of other users' processes can't be read: ${error}`;
  throw new FatalError(
    EXIT_PARAMETER,
    `${why} (valid: a guard with CAP_SYS_PTRACE, or protect by unit, cgroup, user or comm)`,
  );
}
