import { expect, it } from 'vitest';
import { bundled, runBundled } from '../../support/bundled.js';

/** Reads a file of its own 200 times with `allowed` more files open than there are, and prints how often that worked. */
const program = (allowed: number): string => `
  import { existsSync, readdirSync } from 'node:fs';
  import { declare, fixedBuffer } from './native-shims/libc.js';
  import { PID_COMM, PidFiles } from './src/sample/pid-files.js';

  const RLIMIT_NOFILE = 7;
  const files = PidFiles.open('/proc') as PidFiles;
  const open = (): number[] => readdirSync('/proc/self/fd').map(Number);
  // The limit is one on the numbers of files: so that ${allowed} below it are free.
  let end = 0;
  for (let free = 0; free < ${allowed}; end++) if (!existsSync('/proc/self/fd/' + end)) free++;
  const limit = new BigUint64Array(fixedBuffer(16).buffer);
  limit.fill(BigInt(end));
  declare('int setrlimit(int resource, void *limit)')(RLIMIT_NOFILE, Buffer.from(limit.buffer));
  const before = open().length;
  const bytes = fixedBuffer(64);
  let read = 0;
  files.beginMany();
  for (let i = 0; i < 200; i++) if (files.read(process.pid, PID_COMM, bytes) > 0) read++;
  files.endMany();
  console.log(JSON.stringify({ read, left: open().length - before }));
`;

it.each([1, 5, 1000])('many files are read where %i more may be open, and none stays open', async (allowed) => {
  const { stdout, stderr } = await runBundled(bundled(program(allowed)), [], [], {});
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ read: 200, left: 0 });
});
