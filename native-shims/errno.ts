/* Error numbers (asm-generic/errno-base.h: the same on x86-64 and arm64) and libc's words for them. */
import { constants } from 'node:os';

export const EIO = constants.errno.EIO;
export const ENOMEM = constants.errno.ENOMEM;
export const EPERM = constants.errno.EPERM;
export const ENOENT = constants.errno.ENOENT;
export const ESRCH = constants.errno.ESRCH;
export const EACCES = constants.errno.EACCES;
export const EINTR = constants.errno.EINTR;
export const EAGAIN = constants.errno.EAGAIN;
export const EINVAL = constants.errno.EINVAL;
export const ENOTCONN = constants.errno.ENOTCONN;
export const ENAMETOOLONG = constants.errno.ENAMETOOLONG;
export const ENOSPC = constants.errno.ENOSPC;
export const ENOSYS = constants.errno.ENOSYS;
export const ETIME = constants.errno.ETIME;
export const EMFILE = constants.errno.EMFILE;
export const EPIPE = constants.errno.EPIPE;
export const ENFILE = constants.errno.ENFILE;

/* glibc's strerror texts, for the errors that users grep for; the others show their name (`ENXIO`). */
const TEXT = new Map<number, string>([
  [constants.errno.EPERM, 'Operation not permitted'],
  [constants.errno.ENOENT, 'No such file or directory'],
  [constants.errno.ESRCH, 'No such process'],
  [constants.errno.EINTR, 'Interrupted system call'],
  [constants.errno.EIO, 'Input/output error'],
  [constants.errno.EAGAIN, 'Resource temporarily unavailable'],
  [constants.errno.ENOMEM, 'Cannot allocate memory'],
  [constants.errno.EACCES, 'Permission denied'],
  [constants.errno.EINVAL, 'Invalid argument'],
  [constants.errno.EMFILE, 'Too many open files'],
  [constants.errno.ENOTDIR, 'Not a directory'],
  [constants.errno.EISDIR, 'Is a directory'],
  [constants.errno.EROFS, 'Read-only file system'],
  [constants.errno.ENOSYS, 'Function not implemented'],
  [constants.errno.ENOEXEC, 'Exec format error'],
  [constants.errno.ETIME, 'Timer expired'],
]);

const NAMES = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno, name]));

/** The text of an error number (positive), as strerror(3) gives it in the C locale. */
export function strerror(errno: number): string {
  return TEXT.get(errno) ?? NAMES.get(errno) ?? `error ${errno}`;
}
