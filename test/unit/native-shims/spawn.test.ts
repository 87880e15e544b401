import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cString } from '../../../native-shims/libc.js';
import { getpgid, kill, SIGKILL } from '../../../native-shims/pidfd.js';
import { reap, SpawnSlot, STILL_RUNNING } from '../../../native-shims/spawn.js';

const [ENOENT, ECHILD, EACCES] = [2, 10, 13];
const BOUND_MS = 10_000;

/** Looks every few ms until there is something to see. */
async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (let waitedMs = 0; waitedMs < BOUND_MS; waitedMs += 5) {
    const seen = look();
    if (seen !== undefined) return seen;
    await sleep(5);
  }
  throw new Error(`nothing after ${BOUND_MS} ms`);
}

const started = (slot: SpawnSlot): Promise<number> => eventually(() => slot.startedPid() || undefined);

async function ended(pid: number): Promise<number> {
  return eventually(() => {
    const status = reap(pid);
    return status === STILL_RUNNING ? undefined : status;
  });
}

const never = (errno: number): never => {
  throw new Error(`not started: errno ${errno}`);
};

const slotOf = (args: string[], env: Buffer[] = []): SpawnSlot =>
  new SpawnSlot(
    args[0] as string,
    args.map((arg) => cString(arg)),
    env,
  );

/** Starts a program and waits for its end. */
async function run(slot: SpawnSlot): Promise<{ pid: number; status: number }> {
  slot.start(never);
  const pid = await started(slot);
  return { pid, status: await ended(pid) };
}

function temporary(name: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-spawn-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return path.join(directory, name);
}

/** What a child sees of itself in /proc/self/FILE. */
async function childsOwn(file: string, env: Buffer[] = []): Promise<{ bytes: Buffer; pid: number }> {
  const copy = temporary('copy');
  const { pid, status } = await run(slotOf(['/bin/cp', `/proc/self/${file}`, copy], env));
  expect(status).toBe(0);
  return { bytes: readFileSync(copy), pid };
}

describe('SpawnSlot', () => {
  it.each([
    ['exit 0', 0],
    ['exit 7', 7],
    ['exit 255', 255],
    ['kill -KILL $$', 256 + 9],
    ['kill -TERM $$', 256 + 15],
  ])('tells how a child ended: %s', async (script, status) => {
    expect((await run(slotOf(['/bin/sh', '-c', script]))).status).toBe(status);
  });

  it('hands over the environment byte for byte, and nothing else', async () => {
    const variables = [
      Buffer.from([...Buffer.from('NAME=caf'), 0xe9, 0x20, 0xff, 0xfe]),
      Buffer.from('B=x=y\n"\\'),
      Buffer.from('EMPTY='),
    ];
    const { bytes } = await childsOwn(
      'environ',
      variables.map((each) => cString(each)),
    );
    expect(bytes).toEqual(Buffer.concat(variables.flatMap((each) => [each, Buffer.from([0])])));
  });

  it('starts a child with no signal ignored or blocked, though Node ignores SIGPIPE', async () => {
    const SIGPIPE_BIT = 1n << 12n;
    const GLIBC_OWN = 3n << 31n; // 32 and 33: posix_spawn itself ignores them, and nobody can send them by accident
    const mask = (status: Buffer, name: string): bigint =>
      BigInt(`0x${new RegExp(`^${name}:\\t(.*)$`, 'm').exec(status.toString('latin1'))?.[1]}`);
    expect(mask(readFileSync('/proc/self/status'), 'SigIgn') & SIGPIPE_BIT).toBe(SIGPIPE_BIT);
    const { bytes } = await childsOwn('status');
    expect([mask(bytes, 'SigIgn') & ~GLIBC_OWN, mask(bytes, 'SigBlk')]).toEqual([0n, 0n]);
  });

  it('starts a child as the leader of its own process group, so that all of it can be ended', async () => {
    const slot = slotOf(['/bin/sh', '-c', 'sleep 60 & wait']);
    slot.start(never);
    const pid = await started(slot);
    expect([getpgid(pid), reap(pid)]).toEqual([pid, STILL_RUNNING]);
    kill(-pid, SIGKILL);
    expect(await ended(pid)).toBe(256 + SIGKILL);
    await eventually(() => (kill(-pid, 0) < 0 ? true : undefined)); // the sleep as well
  });

  it('starts a child with stdin, stdout and stderr, and no file that was opened since', async () => {
    const O_CLOEXEC = 0o2000000;
    const isHandedOn = (fd: string): boolean => {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] as string;
      return (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
    };
    const own = readdirSync('/proc/self/fd').filter((fd) => existsSync(`/proc/self/fdinfo/${fd}`));
    // Besides the three: what whoever started the tests had left open.
    const expected = own.filter((fd) => Number(fd) < 3 || isHandedOn(fd));
    const slot = slotOf(['/bin/sleep', '60']);
    slot.start(never);
    const pid = await started(slot);
    const fds = (): string[] => readdirSync(`/proc/${pid}/fd`);
    // The parent goes on a moment before execve has closed the others.
    await eventually(() => (fds().length <= expected.length ? true : undefined)).catch(() => {});
    const found = fds();
    kill(pid, SIGKILL);
    await ended(pid);
    expect(found).toEqual(expected);
    expect(found).toEqual(expect.arrayContaining(['0', '1', '2']));
  });

  it('reports a program that can not be started with its errno, and leaves no pid and no child', async () => {
    const plain = temporary('not-executable');
    writeFileSync(plain, '#!/bin/sh\n', { mode: 0o644 });
    for (const [program, errno] of [
      ['/none/such', ENOENT],
      [plain, EACCES],
    ] as const) {
      const slot = slotOf([program]);
      expect(await new Promise((resolve) => slot.start(resolve))).toBe(errno);
      const pid = slot.startedPid();
      expect(pid === 0 || reap(pid) === -ECHILD).toBe(true);
    }
  });

  it('can be started again, with arguments and environment rewritten in between', async () => {
    const out = temporary('out');
    const argument = cString('one');
    const variable = cString('V=one');
    const slot = new SpawnSlot(
      '/bin/sh',
      [...['sh', '-c', 'echo "$1 $V" >>"$0"', out].map((each) => cString(each)), argument],
      [variable],
    );
    await run(slot);
    argument.write('two');
    variable.write('V=two');
    await run(slot);
    expect(readFileSync(out, 'utf8')).toBe('one one\ntwo two\n');
  });

  it('keeps its strings alive: the kernel reads them by address', async () => {
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc') as () => void;
    const weak: WeakRef<Buffer>[] = [];
    const watched = (text: string): Buffer => {
      const string = cString(text);
      weak.push(new WeakRef(string));
      return string;
    };
    const lost = new WeakRef(cString('nobody keeps this one'));
    const slot = new SpawnSlot('/bin/true', [watched('argument')], [watched('NAME=value')]);
    for (let i = 0; i < 10 && lost.deref() !== undefined; i++) {
      await sleep(1); // a WeakRef holds on until the turn ends
      gc();
    }
    expect(lost.deref()).toBeUndefined(); // the collector has been here
    expect(weak.map((each) => each.deref()?.toString())).toEqual(['argument\0', 'NAME=value\0']);
    expect((await run(slot)).status).toBe(0);
  });
});

describe('reap', () => {
  it('says -ECHILD of who is no child, or has been collected already', async () => {
    const { pid } = await run(slotOf(['/bin/true']));
    expect([reap(pid), reap(process.pid), reap(1)]).toEqual([-ECHILD, -ECHILD, -ECHILD]);
  });
});
