/*
 * Starting a program without waiting for it, and collecting it afterwards.
 *
 * posix_spawn(3) is vfork-like in glibc and musl: no page tables are copied and it works under
 * vm.overcommit_memory=2, where fork fails. But its caller is suspended until the child has called
 * execve, and execve reads the program from disk: on a machine that thrashes, or from a dead NFS
 * mount, that can take for ever. So it runs on one of libuv's threads; the pid appears in the
 * slot's own memory when the child is started, and the guard's thread looks for it at each tick.
 *
 * All memory that the call reads (path, arguments, environment, pointers to them) is laid out in
 * the slot once, so nothing moves or is freed while the other thread works.
 */
import { addressOf, cString, declare, declareRaw, declareThreaded, fixedBuffer } from './libc.js';

const POSIX_SPAWN_SETPGROUP = 0x02;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;

/* posix_spawnattr_t: 336 bytes in glibc and musl; sigset_t: 128. The rest is margin. */
const SPAWNATTR_BYTES = 1024;
const SIGSET_BYTES = 256;
/* posix_spawn_file_actions_t: 80 bytes in glibc and musl. */
const FILE_ACTIONS_BYTES = 256;

const F_SETFD = 2;

const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const CLD_EXITED = 1;

const fcntl = declare('int fcntl(int fd, int command, long argument)');
const attrInit = declareRaw('int posix_spawnattr_init(void *attr)');
const attrSetFlags = declareRaw('int posix_spawnattr_setflags(void *attr, short flags)');
const attrSetPgroup = declareRaw('int posix_spawnattr_setpgroup(void *attr, int pgroup)');
const attrSetSigdefault = declareRaw('int posix_spawnattr_setsigdefault(void *attr, void *set)');
const attrSetSigmask = declareRaw('int posix_spawnattr_setsigmask(void *attr, void *set)');
const actionsInit = declareRaw('int posix_spawn_file_actions_init(void *actions)');
const actionsAddDup2 = declareRaw('int posix_spawn_file_actions_adddup2(void *actions, int fd, int newFd)');
const sigfillset = declareRaw('int sigfillset(void *set)');
const sigemptyset = declareRaw('int sigemptyset(void *set)');
const waitidNative = declare('int waitid(int idtype, unsigned int id, void *info, int options)');
const spawnThreaded = declareThreaded(
  'int posix_spawn(void *pid, void *path, void *actions, void *attr, void *argv, void *envp)',
);

/*
 * Node marks the fds it was started with close-on-exec, 0 to 2 included, because its own child_process dups them
 * explicitly. Here a child inherits them as they are, so the mark has to go: without it a hook would
 * have no stdout, and the first file that it opens would become its fd 1.
 */
for (const fd of [0, 1, 2]) fcntl(fd, F_SETFD, 0);

/*
 * The child starts with every signal at its default and none blocked (Node ignores SIGPIPE, which
 * a hook would inherit: `yes | head` would then never end) and leads a process group of its own, so
 * that it can be ended together with what it started.
 */
const spawnAttributes = fixedBuffer(SPAWNATTR_BYTES);
{
  const signals = fixedBuffer(SIGSET_BYTES);
  attrInit(spawnAttributes);
  sigfillset(signals);
  attrSetSigdefault(spawnAttributes, signals);
  sigemptyset(signals);
  attrSetSigmask(spawnAttributes, signals);
  attrSetPgroup(spawnAttributes, 0);
  attrSetFlags(spawnAttributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

/**
 * A NULL-terminated array of pointers to C strings, and the strings: a pointer does not keep what it points to
 * from being collected.
 */
export class PointerArray {
  readonly pointers: Buffer;

  constructor(readonly strings: readonly Buffer[]) {
    this.pointers = fixedBuffer((strings.length + 1) * 8);
    for (const [index, string] of strings.entries()) this.pointers.writeBigUInt64LE(addressOf(string), index * 8);
  }
}

/** What a child has as its standard input and output, instead of the guard's. */
export interface ChildStreams {
  stdin: number;
  stdout: number;
}

/** posix_spawn_file_actions_t that puts them in place: a duplicate is not closed on exec. */
function fileActions({ stdin, stdout }: ChildStreams): Buffer {
  const actions = fixedBuffer(FILE_ACTIONS_BYTES);
  actionsInit(actions);
  actionsAddDup2(actions, stdin, 0);
  actionsAddDup2(actions, stdout, 1);
  return actions;
}

/** One program that can be started again and again, one instance at a time. */
export class SpawnSlot {
  /* posix_spawn writes here from the other thread: [0] the pid. */
  private readonly pidCell = new Int32Array(fixedBuffer(8).buffer);
  private readonly pidBuffer = Buffer.from(this.pidCell.buffer);
  private readonly path: Buffer;
  private readonly argv: PointerArray;
  private readonly envp: PointerArray;
  private readonly actions: Buffer | null;

  /**
   * @param path     the program, absolute
   * @param args     argv, argv[0] included; C strings that the caller may rewrite between two starts
   * @param env      `NAME=value` C strings, likewise
   * @param streams  null: the guard's
   */
  constructor(path: string, args: readonly Buffer[], env: readonly Buffer[], streams: ChildStreams | null = null) {
    this.path = cString(path);
    this.argv = new PointerArray(args);
    this.envp = new PointerArray(env);
    this.actions = streams === null ? null : fileActions(streams);
  }

  /**
   * Queues the start. `startedPid` tells when the child is there; a failure reaches `onFailure`
   * (an errno, positive) at the event loop's next turn.
   */
  start(onFailure: (errno: number) => void): void {
    this.pidCell[0] = 0;
    const { pidBuffer, path, argv, envp, actions } = this;
    spawnThreaded([pidBuffer, path, actions, spawnAttributes, argv.pointers, envp.pointers], (errno) => {
      if (errno !== 0) onFailure(errno);
    });
  }

  /** The child's pid, or 0 while there is none (yet). */
  startedPid(): number {
    return Atomics.load(this.pidCell, 0);
  }
}

/* siginfo_t on 64-bit machines: si_code at 8, si_pid at 16, si_status at 24 */
const siginfo = new Int32Array(fixedBuffer(128).buffer);
const siginfoBuffer = Buffer.from(siginfo.buffer);

/** waitid: the child is still running. */
export const STILL_RUNNING = -1000;

/**
 * Collects a child that has ended, without waiting. Returns its exit status (0 to 255),
 * 256 + the signal that ended it, STILL_RUNNING, or -errno (-ECHILD).
 */
export function reap(pid: number): number {
  siginfo[4] = 0;
  const result = waitidNative(P_PID, pid, siginfoBuffer, WNOHANG | WEXITED);
  if (result < 0) return result;
  if (siginfo[4] === 0) return STILL_RUNNING;
  const status = siginfo[6] as number;
  return siginfo[2] === CLD_EXITED ? status : 256 + status;
}
