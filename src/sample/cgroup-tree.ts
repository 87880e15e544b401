/*
 * The tree of cgroup v2: a walk through it, and its files, in fixed buffers.
 *
 * A walk is bounded in depth and in directories, so that a tree full of cgroups (containers, one for each job) costs no more
 * than WALK_DIRECTORIES_MAX times 10 us or so. Whoever walks says which names are worth entering.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { EIO, ENAMETOOLONG } from '../../native-shims/errno.js';
import {
  close,
  getdents64,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  open,
  openat,
  pread,
  write,
} from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { type PidList, parseCgroupBytes } from '../kernel/cgroup-files.js';
import { parseMountinfo } from '../kernel/mountinfo.js';

/** Levels below where a walk begins. */
export const WALK_DEPTH_MAX = 16;
/** Of one walk. */
export const WALK_DIRECTORIES_MAX = 4096;

/** As many names as one call gives: a cgroup has 40 to 70 files of 40 bytes. */
const DIRENT_BYTES = 4096;
/* struct linux_dirent64 */
const DIRENT_RECLEN_OFFSET = 16;
const DIRENT_TYPE_OFFSET = 18;
const DIRENT_NAME_OFFSET = 19;
const DT_DIR = 4;
const DOT = 0x2e;
const SLASH = 0x2f;
const NAME_BYTES_MAX = 255;

const PATH_BYTES = 1024;
const PIDS_BYTES = 4096;
/** A cgroup.procs of more pieces is not read to its end: 4 MiB, half a million pids. */
const PIECES_MAX = 1024;
const NUMBER_BYTES = 32;

/* linux/magic.h */
const CGROUP2_SUPER_MAGIC = 0x63677270;

/** A cgroup's path relative to the root, in bytes, without slashes around it; room for the longest file name and a NUL. */
export class CgroupPath {
  readonly bytes = fixedBuffer(PATH_BYTES);
  length = 0;

  copy(other: CgroupPath): void {
    for (let at = 0; at < other.length; at++) this.bytes[at] = other.bytes[at] as number;
    this.length = other.length;
  }

  equals(other: CgroupPath): boolean {
    if (this.length !== other.length) return false;
    for (let at = 0; at < this.length; at++) if (this.bytes[at] !== other.bytes[at]) return false;
    return true;
  }

  /** For messages while starting. */
  toString(): string {
    return this.bytes.toString('utf8', 0, this.length);
  }

  /** Appends a name. Returns false, and does nothing, if there is no room for it and for a file's name behind it. */
  enter(name: Uint8Array, nameLength: number): boolean {
    if (this.length + nameLength + 2 + NAME_BYTES_MAX >= PATH_BYTES) return false;
    if (this.length > 0) this.bytes[this.length++] = SLASH;
    for (let at = 0; at < nameLength; at++) this.bytes[this.length++] = name[at] as number;
    return true;
  }

  /** Puts `/file` and a NUL behind the path, which stays as long as it was; `file` is NUL-terminated. */
  withFile(file: Uint8Array): Uint8Array {
    let at = this.length;
    if (at > 0) this.bytes[at++] = SLASH;
    for (let of = 0; of < file.length; of++) this.bytes[at++] = file[of] as number;
    return this.bytes;
  }
}

/** Takes part in a walk. */
export interface Walker {
  /**
   * Whether to enter the cgroup `name[0 .. length)`, at depth 1 below where the walk began or deeper. `path` is its path, and
   * `inodeLow`, `inodeHigh` say which it is: a later one of the same name has another.
   */
  enter(
    depth: number,
    name: Uint8Array,
    length: number,
    path: CgroupPath,
    inodeLow: number,
    inodeHigh: number,
  ): boolean;
}

/* Files of a cgroup, by name. */
const CGROUP_PROCS = cString('cgroup.procs');
const CGROUP_KILL = cString('cgroup.kill');
export const MEMORY_PRESSURE: Uint8Array = cString('memory.pressure');
const MEMORY_CURRENT = cString('memory.current');
const MEMORY_MAX = cString('memory.max');
const MEMORY_HIGH = cString('memory.high');
const HERE = cString('.');
const ONE = Buffer.from('1');

/** At its limit is whoever has no more than a twentieth of it left: the kernel reclaims before the last page is gone. */
const AT_LIMIT_SHARE = 0.95;

/** Where cgroup v2 is mounted, as `procfs` says, or null. */
export function cgroup2MountPoint(procfs: string): string | null {
  try {
    const mounts = parseMountinfo(readFileSync(`${procfs}/self/mountinfo`, 'utf8'));
    return mounts.find(({ type }) => type === 'cgroup2')?.mountPoint ?? null;
  } catch {
    return null;
  }
}

export class CgroupTree {
  /** The last walk was not whole: too deep, too many directories, or too long a path. */
  cut = false;
  private readonly path = new CgroupPath();
  private readonly name = fixedBuffer(NAME_BYTES_MAX + 1);
  private readonly fds = new Int32Array(WALK_DEPTH_MAX);
  private readonly lengths = new Int32Array(WALK_DEPTH_MAX);
  private readonly offsets = new Int32Array(WALK_DEPTH_MAX);
  private readonly pathLengths = new Int32Array(WALK_DEPTH_MAX);
  private readonly dirents = Array.from({ length: WALK_DEPTH_MAX }, () => fixedBuffer(DIRENT_BYTES));
  private readonly pidBytes = fixedBuffer(PIDS_BYTES);
  private readonly numberBytes = fixedBuffer(NUMBER_BYTES);
  /** Usage and two limits: numbers with a place of their own make no garbage. */
  private readonly numbers = new Float64Array(3);
  private pids: PidList | null = null;

  private constructor(
    readonly rootFd: number,
    /** Whether it is a kernel's: in a recorded tree there are no triggers to be set, and nobody to be killed. */
    readonly isLive: boolean,
  ) {}

  /** Opens the tree at `root`. Returns it, or -errno. */
  static open(root: string): CgroupTree | number {
    const fd = open(cString(root), O_RDONLY | O_DIRECTORY);
    return fd < 0 ? fd : new CgroupTree(fd, statfsSync(root).type === CGROUP2_SUPER_MAGIC);
  }

  close(): void {
    close(this.rootFd);
  }

  /** Walks through everything below `from` that the walker enters. Returns 0, or -errno where `from` can't be read. */
  walk(from: CgroupPath, walker: Walker): number {
    this.cut = false;
    this.path.copy(from);
    let depth = 0;
    let directories = 0;
    const opened = this.openLevel(0);
    if (opened < 0) return opened;
    while (depth >= 0) {
      const entered = this.nextChild(depth, walker);
      if (!entered) {
        close(this.fds[depth] as number);
        depth--;
        if (depth >= 0) this.path.length = this.pathLengths[depth] as number;
        continue;
      }
      directories++;
      const room = depth + 1 < WALK_DEPTH_MAX && directories < WALK_DIRECTORIES_MAX;
      if (!room) this.cut = true;
      // A cgroup that has gone meanwhile is none.
      if (room && this.openLevel(depth + 1) === 0) depth++;
      else this.path.length = this.pathLengths[depth] as number;
      if (directories >= WALK_DIRECTORIES_MAX) return this.abandon(depth);
    }
    return 0;
  }

  /** Fills `pids` with the processes of a cgroup and of all below it. Returns 0 or -errno. */
  processesOf(cgroup: CgroupPath, pids: PidList): number {
    pids.clear();
    const own = this.readProcs(cgroup, pids);
    if (own < 0) return own;
    this.pids = pids;
    const result = this.walk(cgroup, this.collector);
    if (this.cut) pids.incomplete = true;
    return result;
  }

  /** Reads a file of a cgroup from its start. Returns the number of bytes, or -errno. */
  read(cgroup: CgroupPath, file: Uint8Array, buffer: Uint8Array): number {
    const fd = openat(this.rootFd, cgroup.withFile(file), O_RDONLY);
    if (fd < 0) return fd;
    const length = pread(fd, buffer, 0);
    close(fd);
    return length;
  }

  /** Whether a cgroup's memory is at the lower of its limits. Where the memory controller is on v1 there is none to know. */
  isAtLimit(cgroup: CgroupPath): boolean {
    const { numbers } = this;
    this.readNumber(cgroup, MEMORY_CURRENT, 0);
    if (!((numbers[0] as number) > 0)) return false;
    this.readNumber(cgroup, MEMORY_MAX, 1);
    this.readNumber(cgroup, MEMORY_HIGH, 2);
    const most = (numbers[0] as number) / AT_LIMIT_SHARE;
    return most >= (numbers[1] as number) || most >= (numbers[2] as number);
  }

  /** Has the kernel kill everybody in a cgroup and below (cgroup.kill, Linux 5.14). Returns 0 or -errno. */
  killAll(cgroup: CgroupPath): number {
    const fd = openat(this.rootFd, cgroup.withFile(CGROUP_KILL), O_WRONLY);
    if (fd < 0) return fd;
    const written = write(fd, ONE, ONE.length);
    close(fd);
    if (written < 0) return written;
    return written === ONE.length ? 0 : -EIO;
  }

  /** Puts a number of bytes into `numbers[at]`; NaN for no limit, and where there is no such file. */
  private readNumber(cgroup: CgroupPath, file: Uint8Array, at: number): void {
    const length = this.read(cgroup, file, this.numberBytes);
    this.numbers[at] = length < 0 ? Number.NaN : parseCgroupBytes(this.numberBytes, length);
  }

  private readProcs(cgroup: CgroupPath, pids: PidList): number {
    const fd = openat(this.rootFd, cgroup.withFile(CGROUP_PROCS), O_RDONLY);
    if (fd < 0) return fd;
    pids.beginFile();
    let offset = 0;
    let length = 0;
    for (let piece = 0; piece < PIECES_MAX; piece++) {
      length = pread(fd, this.pidBytes, offset);
      if (length <= 0) break;
      pids.take(this.pidBytes, length);
      offset += length;
    }
    if (length > 0) pids.incomplete = true;
    close(fd);
    return Math.min(length, 0);
  }

  /** Enters all, and collects their pids. */
  private readonly collector: Walker = {
    enter: (_depth, _name, _length, path) => {
      const pids = this.pids as PidList;
      // A cgroup whose processes can't be read (threaded ones) may hold anybody.
      if (this.readProcs(path, pids) < 0) pids.incomplete = true;
      return true;
    },
  };

  /** Opens the directory at `path` for the walk. Returns 0 or -errno. */
  private openLevel(depth: number): number {
    if (this.path.length + HERE.length > PATH_BYTES) return -ENAMETOOLONG;
    const fd = openat(this.rootFd, this.path.withFile(HERE), O_RDONLY | O_DIRECTORY);
    if (fd < 0) return fd;
    this.fds[depth] = fd;
    this.lengths[depth] = 0;
    this.offsets[depth] = 0;
    this.pathLengths[depth] = this.path.length;
    return 0;
  }

  /** Appends to the path the next directory that the walker enters. Returns false at the end. */
  private nextChild(depth: number, walker: Walker): boolean {
    const dirents = this.dirents[depth] as Buffer;
    for (;;) {
      while ((this.offsets[depth] as number) < (this.lengths[depth] as number)) {
        const at = this.offsets[depth] as number;
        // Not readUInt16LE: this runs too seldom for Node's function to be compiled into it, and called it makes garbage.
        const reclen = at + DIRENT_RECLEN_OFFSET;
        this.offsets[depth] = at + (dirents[reclen] as number) + 256 * (dirents[reclen + 1] as number);
        if (dirents[at + DIRENT_TYPE_OFFSET] === DT_DIR && this.offer(depth, dirents, at, walker)) return true;
      }
      this.offsets[depth] = 0;
      this.lengths[depth] = getdents64(this.fds[depth] as number, dirents);
      if ((this.lengths[depth] as number) <= 0) return false;
    }
  }

  /** Offers one directory to the walker. Returns whether it is entered. */
  private offer(depth: number, dirents: Buffer, at: number, walker: Walker): boolean {
    let length = 0;
    for (let from = at + DIRENT_NAME_OFFSET; length < NAME_BYTES_MAX && dirents[from] !== 0; from++) {
      this.name[length++] = dirents[from] as number;
    }
    // "." and "..": a cgroup's name may begin with a dot, but those two are short.
    if (this.name[0] === DOT && (length === 1 || (length === 2 && this.name[1] === DOT))) return false;
    if (!this.path.enter(this.name, length)) {
      this.cut = true;
      return false;
    }
    const low = dirents.readUInt32LE(at);
    const high = dirents.readUInt32LE(at + 4);
    if (walker.enter(depth + 1, this.name, length, this.path, low, high)) return true;
    this.path.length = this.pathLengths[depth] as number;
    return false;
  }

  private abandon(depth: number): number {
    for (let level = depth; level >= 0; level--) close(this.fds[level] as number);
    return 0;
  }
}
