import { constants } from 'node:os';
import { expect, it } from 'vitest';
import { strerror } from '../../../native-shims/errno.js';
import { declareRaw } from '../../../native-shims/libc.js';

const libcStrerror = declareRaw('const char *strerror(int errno)') as unknown as (errno: number) => string;

it("strerror says what libc says, or the error's name, or its number where Node has no name for it", () => {
  for (const [name, errno] of Object.entries(constants.errno)) {
    const names = Object.keys(constants.errno).filter(
      (each) => constants.errno[each as keyof typeof constants.errno] === errno,
    );
    expect([libcStrerror(errno), ...names, `Unknown system error -${errno}`], name).toContain(strerror(errno));
  }
});

it.each([
  ['EPERM', 'Operation not permitted'],
  ['ESRCH', 'No such process'],
  ['ETIME', 'Timer expired'],
] as const)('strerror of %s, which users grep for, is in words', (name, text) => {
  expect(strerror(constants.errno[name])).toBe(text);
});
