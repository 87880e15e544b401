/*
 * The runtime directory, where the guard leaves records for others. Found, made and examined at start; the guard works as well
 * without it. Only one in memory is written to: a disk may hold up whoever writes to it, and never more than when
 * memory is short.
 */
import { constants, mkdirSync, openSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { strerror } from '../../native-shims/errno.js';
import type { Log } from '../report/log.js';

/** linux/magic.h */
const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;

const MODE = 0o755;
const NAME = 'oom-backstop';
/** That of the machine's guard. */
export const SYSTEM_RUNTIME_DIR = `/run/${NAME}`;

export interface RuntimeDir {
  path: string;
  fd: number;
}

/**
 * Where it is if nobody says: systemd's for the service, /run/oom-backstop for root, the user's own otherwise; null where there is
 * none.
 */
export function defaultRuntimeDir(env: NodeJS.ProcessEnv = process.env, uid = process.geteuid?.() ?? 0): string | null {
  const ofService = env['RUNTIME_DIRECTORY']?.split(':')[0];
  if (ofService?.startsWith('/')) return ofService;
  if (uid === 0) return SYSTEM_RUNTIME_DIR;
  const ofUser = env['XDG_RUNTIME_DIR'];
  return ofUser?.startsWith('/') ? path.join(ofUser, NAME) : null;
}

/** Opens it, made if it is missing; says why if there is none to write to, unless `log` is null. */
export function openRuntimeDir(directory: string | null, log: Log | null): RuntimeDir | null {
  if (directory === null) return refuse(log, 'no runtime directory (no $XDG_RUNTIME_DIR; see --runtime-dir)');
  try {
    if (!isInMemory(directory)) return refuse(log, `${directory} is not in memory (tmpfs, ramfs)`);
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    return { path: directory, fd };
  } catch (error) {
    return refuse(log, `${directory}: ${strerror(-((error as NodeJS.ErrnoException).errno ?? 0))}`);
  }
}

/** Whether the directory's file system is; the directory is made if it is missing and its parent's is. */
function isInMemory(directory: string): boolean {
  if (isMemory(directory) !== null) return isMemory(directory) === true;
  if (isMemory(path.dirname(directory)) === false) return false;
  mkdirSync(directory, { mode: MODE });
  return isMemory(directory) === true;
}

/** null: it is not there. */
function isMemory(directory: string): boolean | null {
  try {
    const { type } = statfsSync(directory);
    return type === TMPFS_MAGIC || type === RAMFS_MAGIC;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function refuse(log: Log | null, why: string): null {
  log?.begin('start').text('no state page and no records: ').foreign(why);
  log?.end();
  return null;
}
