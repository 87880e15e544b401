import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { defaultRuntimeDir, openRuntimeDir } from '../../../src/guard/runtime-dir.js';
import { recordingLog } from '../recording-log.js';

function scratch(parent: string): string {
  const made = mkdtempSync(path.join(parent, 'oom-backstop-test-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

describe('the default runtime directory', () => {
  it.each([
    ['of root', {}, 0, '/run/oom-backstop'],
    ['of a user', { XDG_RUNTIME_DIR: '/run/user/7' }, 7, '/run/user/7/oom-backstop'],
    ['of a user without one', {}, 7, null],
    ['of a user whose one is nonsense', { XDG_RUNTIME_DIR: 'here' }, 7, null],
    [
      'of a service, whoever it runs as',
      { RUNTIME_DIRECTORY: '/run/x:/run/y', XDG_RUNTIME_DIR: '/z' },
      61_000,
      '/run/x',
    ],
  ])('%s', (_who, env, uid, expected) => {
    expect(defaultRuntimeDir(env, uid)).toBe(expected);
  });
});

describe('a runtime directory', () => {
  it('in memory is made, for everybody to look into', () => {
    const { log, lines } = recordingLog();
    const directory = path.join(scratch('/dev/shm'), 'new');
    expect(openRuntimeDir(directory, log)?.path).toBe(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o755 & ~process.umask());
    expect(lines).toEqual([]);
    expect(openRuntimeDir(directory, log)).not.toBeNull();
  });

  it('on a disk is neither made nor used, which is said', () => {
    const { log, lines } = recordingLog();
    const directory = path.join(scratch(tmpdir()), 'new');
    expect(openRuntimeDir(directory, log)).toBeNull();
    expect(existsSync(directory)).toBe(false);
    expect(lines).toEqual([`start: no state page and no records: ${directory} is not in memory (tmpfs, ramfs)`]);
  });

  it('whose parent is not there is not made, which is said', () => {
    const { log, lines } = recordingLog();
    expect(openRuntimeDir(path.join(scratch('/dev/shm'), 'a/b'), log)).toBeNull();
    expect(lines[0]).toMatch(/^start: no state page and no records: .*a\/b: No such file or directory$/);
  });

  it('that is a file is not used, which is said', () => {
    const { log, lines } = recordingLog();
    const file = path.join(scratch('/dev/shm'), 'file');
    writeFileSync(file, '');
    expect(openRuntimeDir(file, log)).toBeNull();
    expect(lines[0]).toContain('Not a directory');
  });

  it('that nobody has named is said to be missing', () => {
    const { log, lines } = recordingLog();
    expect(openRuntimeDir(null, log)).toBeNull();
    expect(lines[0]).toContain('no runtime directory');
  });
});
