import { mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as files from '../../../native-shims/files.js';
import { Addresses, cString, fixedBuffer } from '../../../native-shims/libc.js';
import { own } from './fds.js';

const [ENOENT, EBADF, ENOTDIR, EISDIR, EINVAL] = [2, 9, 20, 21, 22];
const O_CLOEXEC = 0o2000000;
const { O_DIRECTORY, O_RDONLY, O_WRONLY } = files;

/** A directory with a file `a` of ten digits and a directory `b`. */
function directory(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'oom-backstop-files-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  writeFileSync(path.join(made, 'a'), '0123456789');
  mkdirSync(path.join(made, 'b'));
  return made;
}

const openDirectory = (name: string): number => own(files.open(cString(name), O_RDONLY | O_DIRECTORY));

const addresses = new Addresses();
const addressOfPath = (name: string): number => addresses.of(cString(name));

describe('openatAt and preadAt', () => {
  it('open and read by addresses what the others do by buffers, up to a number of bytes', () => {
    const fd = own(files.openatAt(openDirectory(directory()), addressOfPath('a'), O_RDONLY));
    const buffer = fixedBuffer(8).fill(0x78);
    expect(files.preadAt(fd, addresses.of(buffer), 4)).toBe(4);
    expect(buffer.toString()).toBe('0123xxxx');
    expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')).toMatch(/^flags:\t0*2[0-7]*$/m); // close-on-exec
  });

  it('say with -errno what is wrong', () => {
    const at = openDirectory(directory());
    expect(files.openatAt(at, addressOfPath('none'), O_RDONLY)).toBe(-ENOENT);
    expect(files.openatAt(99_999, addressOfPath('a'), O_RDONLY)).toBe(-EBADF);
    expect(files.preadAt(at, addresses.of(fixedBuffer(8)), 8)).toBe(-EISDIR);
    expect(files.preadAt(99_999, addresses.of(fixedBuffer(8)), 8)).toBe(-EBADF);
  });
});

describe('open and openat', () => {
  it('say with -errno what is wrong', () => {
    const dir = directory();
    const at = openDirectory(dir);
    expect(files.open(cString(`${dir}/none`), O_RDONLY)).toBe(-ENOENT);
    expect(files.open(cString(`${dir}/a/x`), O_RDONLY)).toBe(-ENOTDIR);
    expect(files.open(cString(`${dir}/a`), O_RDONLY | O_DIRECTORY)).toBe(-ENOTDIR);
    expect(files.open(cString(`${dir}/b`), O_WRONLY)).toBe(-EISDIR);
    expect(files.open(cString(''), O_RDONLY)).toBe(-ENOENT);
    expect(files.openat(at, cString('none'), O_RDONLY)).toBe(-ENOENT);
    expect(files.openat(99_999, cString('a'), O_RDONLY)).toBe(-EBADF);
  });

  it('take a path as bytes up to the first NUL, whatever they are', () => {
    const dir = directory();
    const name = Buffer.from([0x6e, 0xff, 0xfe]);
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), 'x');
    const at = openDirectory(dir);
    const buffer = Buffer.concat([cString(name), Buffer.from('left from before')]);
    expect(own(files.openat(at, buffer, O_RDONLY))).toBeGreaterThan(0);
  });

  it('open for this process only: hooks inherit none of it', () => {
    const dir = directory();
    for (const fd of [openDirectory(dir), own(files.openat(openDirectory(dir), cString('a'), O_WRONLY))]) {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] as string;
      expect(Number.parseInt(flags, 8) & O_CLOEXEC).toBe(O_CLOEXEC);
    }
  });
});

describe('pread, pwrite and close', () => {
  it('read at an offset as much as there is', () => {
    const fd = own(files.open(cString(path.join(directory(), 'a')), O_RDONLY));
    const buffer = fixedBuffer(4);
    const read = (offset: number): [number, string] => [files.pread(fd, buffer, offset), buffer.toString()];
    expect([read(0), read(3), read(8)]).toEqual([
      [4, '0123'],
      [4, '3456'],
      [2, '8956'],
    ]);
    expect([read(10)[0], read(99)[0], read(-1)[0]]).toEqual([0, 0, -EINVAL]);
  });

  it('write at an offset as much as they were told', () => {
    const file = path.join(directory(), 'a');
    const fd = own(files.open(cString(file), O_WRONLY));
    expect(files.pwrite(fd, Buffer.from('xyz'), 2, 5)).toBe(2);
    expect(readFileSync(file, 'utf8')).toBe('01234xy789');
    expect(files.pread(fd, fixedBuffer(4), 0)).toBe(-EBADF); // opened for writing only
  });

  it('say with -errno what is wrong', () => {
    const fd = files.open(cString(directory()), O_RDONLY);
    expect(files.pread(fd, fixedBuffer(4), 0)).toBe(-EISDIR);
    expect(files.pwrite(fd, fixedBuffer(4), 4, 0)).toBe(-EBADF);
    expect(files.close(fd)).toBe(0);
    for (const result of [
      files.pread(99_999, fixedBuffer(4), 0),
      files.pwrite(99_999, fixedBuffer(4), 4, 0),
      files.close(99_999),
    ]) {
      expect(result).toBe(-EBADF);
    }
  });

  it('read a file of /proc, whose size is 0', () => {
    const fd = own(files.open(cString('/proc/self/stat'), O_RDONLY));
    const buffer = fixedBuffer(4096);
    const length = files.pread(fd, buffer, 0);
    expect(buffer.toString('latin1', 0, length)).toMatch(new RegExp(`^${process.pid} \\(.*\\n$`));
  });
});

describe('getdents64', () => {
  /** The names of one pass, whatever the size of the buffer. */
  function names(fd: number, buffer: Buffer): string[] {
    const found: string[] = [];
    for (;;) {
      const length = files.getdents64(fd, buffer);
      if (length === 0) return found;
      expect(length).toBeGreaterThan(0);
      for (let at = 0; at < length; at += buffer.readUInt16LE(at + 16)) {
        found.push(buffer.toString('utf8', at + 19, buffer.indexOf(0, at + 19)));
      }
    }
  }

  it.each([32, 100, 32768])(
    'lists all entries through a buffer of %d bytes, and again after rewindDirectory',
    (bytes) => {
      const fd = openDirectory(directory());
      const expected = ['.', '..', 'a', 'b'];
      expect(names(fd, fixedBuffer(bytes)).sort()).toEqual(expected);
      expect(names(fd, fixedBuffer(bytes))).toEqual([]);
      expect(files.rewindDirectory(fd)).toBe(0);
      expect(names(fd, fixedBuffer(bytes)).sort()).toEqual(expected);
    },
  );

  it('says with -errno what is wrong', () => {
    const dir = directory();
    expect(files.getdents64(own(files.open(cString(`${dir}/a`), O_RDONLY)), fixedBuffer(4096))).toBe(-ENOTDIR);
    expect(files.getdents64(openDirectory(dir), fixedBuffer(8))).toBe(-EINVAL); // too small for one entry
    expect(files.getdents64(99_999, fixedBuffer(4096))).toBe(-EBADF);
    expect(files.rewindDirectory(99_999)).toBe(-EBADF);
  });
});

describe('closeRange', () => {
  it('closes what is open in between, both ends included, and nothing else', () => {
    const fd = files.open(cString('/dev/null'), O_RDONLY);
    const next = own(files.open(cString('/dev/null'), O_RDONLY));
    expect(files.closeRange(fd, fd)).toBe(0);
    expect([files.close(fd), files.pread(next, fixedBuffer(1), 0)]).toEqual([-EBADF, 0]);
  });

  it('a range without any is fine, one that ends before it begins is not', () => {
    expect(files.closeRange(0x7fffffff, 0x7fffffff)).toBe(0);
    expect(files.closeRange(2000, 1999)).toBe(-EINVAL);
  });
});

describe('readlinkatAt', () => {
  it('fills the buffer with where the link leads, bytes as they are, and no NUL', () => {
    const dir = directory();
    const leads = Buffer.from([0x2f, 0xff, 0x61]);
    symlinkSync(leads, path.join(dir, 'link'));
    const buffer = fixedBuffer(8).fill(0x78);
    expect(files.readlinkatAt(openDirectory(dir), addressOfPath('link'), buffer)).toBe(3);
    expect(buffer).toEqual(Buffer.concat([leads, Buffer.from('xxxxx')]));
  });

  it('says the length of the buffer where that is too small, and writes no further', () => {
    const dir = directory();
    symlinkSync('/a/long/way', path.join(dir, 'link'));
    const buffer = fixedBuffer(8).fill(0x78);
    expect(files.readlinkatAt(openDirectory(dir), addressOfPath('link'), buffer.subarray(0, 4))).toBe(4);
    expect(buffer.toString()).toBe('/a/lxxxx');
  });

  it("reads the link of a process's own program", () => {
    const buffer = fixedBuffer(4096);
    const length = files.readlinkatAt(openDirectory('/proc'), addressOfPath('self/exe'), buffer);
    expect(buffer.toString('utf8', 0, length)).toBe(process.execPath);
  });

  it('says with -errno what is wrong', () => {
    const dir = directory();
    const at = openDirectory(dir);
    const buffer = fixedBuffer(8);
    expect(files.readlinkatAt(at, addressOfPath('none'), buffer)).toBe(-ENOENT);
    expect(files.readlinkatAt(at, addressOfPath('a'), buffer)).toBe(-EINVAL); // no link
    expect(files.readlinkatAt(at, addressOfPath('a/x'), buffer)).toBe(-ENOTDIR);
    expect(files.readlinkatAt(99_999, addressOfPath('a'), buffer)).toBe(-EBADF);
    expect(files.readlinkatAt(openDirectory('/proc'), addressOfPath('2/exe'), buffer)).toBe(-ENOENT); // a kernel thread
  });
});

describe('usedKibOfFilesystem', () => {
  it('is what is used of the file system there', () => {
    expect(files.usedKibOfFilesystem(cString('/proc'))).toBe(0);
    const { blocks, bfree, bsize } = statfsSync('/');
    const usedKib = ((blocks - bfree) * bsize) / 1024;
    // Others write to it meanwhile.
    expect(Math.abs(files.usedKibOfFilesystem(cString('/')) - usedKib)).toBeLessThan(1 << 20);
  });

  it('says with -errno what is wrong', () => {
    expect(files.usedKibOfFilesystem(cString(`${directory()}/nothing`))).toBe(-ENOENT);
  });
});
