/*
 * The tmpfs mounts of /proc/self/mountinfo (see mountinfo.ts), read without making a string, for a guard that looks for what
 * has filled memory.
 *
 * A mount is listed only if asking it can't block: the kernel walks its path to it, and on the way a network or FUSE
 * file system may be asked whether its directories are still there. So nothing is listed below a mount whose type is
 * not known to be local. Each file system is listed once, however often it is mounted.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

const MOUNTS_MAX = 64;
const BARRIERS_MAX = 64;
/** A longer mount point is not asked; the log could not show it anyway. */
const PATH_BYTES_MAX = 255;

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DASH = ascii('- ');
const TMPFS = ascii('tmpfs ');
/** Whose directories are never asked for over a wire, or of a program. */
const LOCAL = [
  'ext2 ext3 ext4 xfs btrfs f2fs bcachefs zfs overlay tmpfs ramfs rootfs devtmpfs proc sysfs cgroup cgroup2',
  'squashfs erofs vfat iso9660 securityfs debugfs tracefs configfs devpts mqueue hugetlbfs bpf pstore efivarfs nsfs',
]
  .join(' ')
  .split(' ')
  .map((type) => ascii(`${type} `));

export interface TmpfsMounts {
  count: number;
  /** NUL-terminated, PATH_BYTES_MAX + 1 bytes for each. */
  readonly paths: readonly Uint8Array[];
  readonly lengths: Int32Array;
}

export function emptyTmpfsMounts(path: (bytes: number) => Uint8Array): TmpfsMounts {
  const paths = Array.from({ length: MOUNTS_MAX }, () => path(PATH_BYTES_MAX + 1));
  return { count: 0, paths, lengths: new Int32Array(MOUNTS_MAX) };
}

const cursor = new ByteCursor();
/* Of the mounts listed: major and minor. */
const major = new Int32Array(MOUNTS_MAX);
const minor = new Int32Array(MOUNTS_MAX);
/* Mount points of file systems that may make one wait: from, to. */
const barrierFrom = new Int32Array(BARRIERS_MAX);
const barrierTo = new Int32Array(BARRIERS_MAX);

/** Reads the first `length` of `bytes` into `out`. A last line that was cut is passed over. */
export function parseTmpfsMounts(bytes: Uint8Array, length: number, out: TmpfsMounts): void {
  cursor.reset(bytes, length);
  out.count = 0;
  let barriers = 0;
  do {
    if (barriers === BARRIERS_MAX) return;
    if (!goToDevice()) continue;
    const deviceMajor = cursor.integer();
    cursor.position++; // the colon
    const deviceMinor = cursor.integer();
    cursor.skipWord(); // the directory that is mounted
    cursor.skipBlanks();
    const from = cursor.position;
    cursor.skipWord();
    const to = cursor.position;
    if (!goToType()) continue;
    if (!isLocal()) {
      barrierFrom[barriers] = from;
      barrierTo[barriers++] = to;
    } else if (cursor.accept(TMPFS) && !isBehindBarrier(bytes, from, to, barriers)) {
      add(bytes, from, to, deviceMajor, deviceMinor, out);
    }
  } while (cursor.nextLine());
}

/** Behind the two ids. */
function goToDevice(): boolean {
  const ids = cursor.integer() >= 0 && cursor.integer() >= 0;
  cursor.skipBlanks();
  return ids;
}

/** Behind the dash that ends the tags. */
function goToType(): boolean {
  for (;;) {
    cursor.skipBlanks();
    if (cursor.accept(DASH)) return true;
    if (!cursor.skipWord()) return false;
  }
}

/** Whether the type under the cursor is a local one; the cursor stays. */
function isLocal(): boolean {
  const { position } = cursor;
  for (let i = 0; i < LOCAL.length; i++) {
    if (!cursor.accept(LOCAL[i] as Uint8Array)) continue;
    cursor.position = position;
    return true;
  }
  return false;
}

/** Whether a barrier's mount point is a directory above this one. */
function isBehindBarrier(bytes: Uint8Array, from: number, to: number, barriers: number): boolean {
  for (let barrier = 0; barrier < barriers; barrier++) {
    const start = barrierFrom[barrier] as number;
    const length = (barrierTo[barrier] as number) - start;
    let same = 0;
    while (same < length && from + same < to && bytes[start + same] === bytes[from + same]) same++;
    if (same < length) continue;
    if (length === 1 || from + length === to || bytes[from + length] === SLASH) return true;
  }
  return false;
}

function add(
  bytes: Uint8Array,
  from: number,
  to: number,
  deviceMajor: number,
  deviceMinor: number,
  out: TmpfsMounts,
): void {
  if (out.count === MOUNTS_MAX || bytes[from] !== SLASH || to - from > PATH_BYTES_MAX) return;
  for (let other = 0; other < out.count; other++) {
    if (major[other] === deviceMajor && minor[other] === deviceMinor) return;
  }
  const path = out.paths[out.count] as Uint8Array;
  let length = 0;
  for (let at = from; at < to; at++) {
    const escaped = bytes[at] === BACKSLASH && at + 3 < to;
    path[length++] = escaped ? octal(bytes, at + 1) : (bytes[at] as number);
    if (escaped) at += 3;
  }
  path[length] = 0;
  major[out.count] = deviceMajor;
  minor[out.count] = deviceMinor;
  out.lengths[out.count++] = length;
}

/** The byte that three octal digits mean. */
function octal(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = 0; i < 3; i++) value = value * 8 + (((bytes[at + i] as number) - 0x30) & 7);
  return value & 0xff;
}
