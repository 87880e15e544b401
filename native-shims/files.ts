/*
 * Files: open, read at an offset, write at an offset, list a directory, read a link.
 *
 * Paths are NUL-terminated bytes (`cString`, or a fixed buffer that the caller rewrites), because
 * the victim scan builds thousands of them and must not create a string for each.
 */
import { constants } from 'node:fs';
import { declare, syscallBuffer, syscallPlain } from './libc.js';

/** 0o2000000 on every Linux architecture that Node runs on; node:fs does not export it. */
const O_CLOEXEC = 0o2000000;
export const { O_RDONLY, O_WRONLY, O_RDWR, O_DIRECTORY, O_NONBLOCK, O_NOCTTY, O_TRUNC } = constants;
const { O_APPEND, O_CREAT, O_NOFOLLOW } = constants;

const AT_FDCWD = -100;
const SEEK_SET = 0;
const KIB = 1024;
const TWO_TO_32 = 2 ** 32;
const SEEK_END = 2;
const SYS_getdents64 = process.arch === 'arm64' ? 61 : 217;
/** The same number on every architecture. */
const SYS_close_range = 436;

const openatNative = declare('int openat(int dirfd, void *path, int flags, int mode)');
const preadNative = declare('int64_t pread(int fd, void *buf, size_t count, int64_t offset)');
const pwriteNative = declare('int64_t pwrite(int fd, void *buf, size_t count, int64_t offset)');
const writeNative = declare('int64_t write(int fd, void *buf, size_t count)');
const closeNative = declare('int close(int fd)');
const readlinkatNative = declare('int64_t readlinkat(int dirfd, void *path, void *buf, size_t size)');
const lseekNative = declare('int64_t lseek(int fd, int64_t offset, int whence)');
const ftruncateNative = declare('int ftruncate(int fd, int64_t length)');
const renameatNative = declare('int renameat(int fromDirfd, void *from, int toDirfd, void *to)');

/** Opens a path (NUL-terminated); close-on-exec is always added. Returns the fd or -errno. */
export function open(path: Uint8Array, flags: number): number {
  return openatNative(AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

/** As `open`, relative to a directory's fd. */
export function openat(dirfd: number, path: Uint8Array, flags: number): number {
  return openatNative(dirfd, path, flags | O_CLOEXEC, 0);
}

/** Opens a file of `dirfd`, made with `mode` if it is not there; a symbolic link is refused. Returns the fd or -errno. */
export function openMade(dirfd: number, path: Uint8Array, flags: number, mode: number): number {
  return openatNative(dirfd, path, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
}

/** The same for appending. */
export function openAppend(dirfd: number, path: Uint8Array, mode: number): number {
  return openMade(dirfd, path, O_WRONLY | O_APPEND, mode);
}

/** Opens a path for writing from its start, made with `mode` if it is not there. Returns the fd or -errno. */
export function openTruncated(path: Uint8Array, mode: number): number {
  return openatNative(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, mode);
}

/** Gives a file of `dirfd` another name there; who has that name goes. Returns 0 or -errno. */
export function renameIn(dirfd: number, from: Uint8Array, to: Uint8Array): number {
  return renameatNative(dirfd, from, dirfd, to);
}

/** Cuts a file to `length` bytes. Returns 0 or -errno. */
export function truncate(fd: number, length: number): number {
  return ftruncateNative(fd, length);
}

/** Bytes of the file, by going to its end. Returns -errno where it has none (a pipe). */
export function sizeOf(fd: number): number {
  return lseekNative(fd, 0, SEEK_END);
}

/** Reads up to `buffer.length` bytes at `offset`. Returns the number of bytes (0 at the end) or -errno. */
export function pread(fd: number, buffer: Uint8Array, offset: number): number {
  return preadNative(fd, buffer, buffer.length, offset);
}

/** Writes `length` bytes of `buffer` at `offset`. Returns the number of bytes or -errno. */
export function pwrite(fd: number, buffer: Uint8Array, length: number, offset: number): number {
  return pwriteNative(fd, buffer, length, offset);
}

/**
 * Fills `buffer` with where the link `path` (NUL-terminated, relative to a directory's fd) leads. Returns the number of bytes, without
 * a NUL (buffer.length: it may be longer), or -errno (-EINVAL: no link).
 */
export function readlinkat(dirfd: number, path: Uint8Array, buffer: Uint8Array): number {
  return readlinkatNative(dirfd, path, buffer, buffer.length);
}

/**
 * Writes `length` bytes of `buffer` where the fd stands, for kernel files that refuse offsets (ESPIPE).
 * Blocks as the file does: NonBlockingWriter is for whatever has a reader. Returns the number of bytes or -errno.
 */
export function write(fd: number, buffer: Uint8Array, length: number): number {
  return writeNative(fd, buffer, length);
}

/** Returns 0 or -errno. */
export function close(fd: number): number {
  return closeNative(fd);
}

/** Closes whatever is open from fd `first` to fd `last` (Linux 5.9). Returns 0 or -errno (-ENOSYS: there is no such call). */
export function closeRange(first: number, last: number): number {
  return syscallPlain(SYS_close_range, first, last, 0, 0, 0);
}

/** Starts a directory over, for the next `getdents64`. Returns 0 or -errno. */
export function rewindDirectory(dirfd: number): number {
  return lseekNative(dirfd, 0, SEEK_SET);
}

/**
 * Fills `buffer` with struct linux_dirent64 records (getdents64(2)): u64 inode, i64 offset,
 * u16 record length, u8 type, NUL-terminated name. Returns the bytes filled, 0 at the end, or -errno.
 */
export function getdents64(dirfd: number, buffer: Uint8Array): number {
  return syscallBuffer(SYS_getdents64, dirfd, buffer, buffer.length, 0, 0);
}

const statfsNative = declare('int statfs(void *path, void *buf)');
/* struct statfs on 64-bit Linux: nine words and more of eight bytes each. */
const STATFS_BYTES = 256;
const STATFS_BSIZE = 2;
const STATFS_BLOCKS = 4;
const STATFS_BFREE = 6;
const statfsWords = new Uint32Array(STATFS_BYTES / 4);
const statfsBuffer = new Uint8Array(statfsWords.buffer);

/** What is used of the file system at `path` (NUL-terminated), in whole KiB, or -errno. Asks the file system: only for those that answer at once. */
export function usedKibOfFilesystem(path: Uint8Array): number {
  const result = statfsNative(path, statfsBuffer);
  if (result < 0) return result;
  const blocks = wordOf(STATFS_BLOCKS) - wordOf(STATFS_BFREE);
  return Math.max(0, Math.floor((blocks * wordOf(STATFS_BSIZE)) / KIB));
}

/** A word of eight bytes; all that are read here are far below 2^53. */
function wordOf(index: number): number {
  return (statfsWords[index] as number) + (statfsWords[index + 1] as number) * TWO_TO_32;
}
