import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { close, O_RDONLY, open } from '../../../native-shims/files.js';
import { cString } from '../../../native-shims/libc.js';
import { NonBlockingWriter } from '../../../native-shims/write.js';
import {
  datagramListener,
  drain,
  isNonBlocking,
  own,
  type Pair,
  pipe,
  socketPair,
  terminal,
  unblocked,
} from './fds.js';

const [EBADF, EAGAIN, EPIPE, ENOENT, ENAMETOOLONG, ECONNREFUSED] = [9, 11, 32, 2, 36, 111];

const LINE = Buffer.from(`${'x'.repeat(99)}\n`);
const write = (writer: NonBlockingWriter, bytes = LINE): number => writer.write(bytes, bytes.length);

function writerFor(fd: number): NonBlockingWriter {
  const writer = NonBlockingWriter.forInheritedFd(fd);
  onTestFinished(() => writer.close());
  return writer;
}

function directory(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'oom-backstop-write-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Writes until nothing fits; the number of bytes that did. The bound is far above any buffer. */
function fill(writer: NonBlockingWriter, bytes = LINE): number {
  let total = 0;
  for (let i = 0; i < 200_000; i++) {
    const written = write(writer, bytes);
    if (written < 0) {
      expect(written).toBe(-EAGAIN);
      return total;
    }
    total += written;
  }
  throw new Error(`never full: ${total} bytes`);
}

/** A pipe that can't be opened anew: nobody read from it when the writer was made, somebody does now. */
function pipeNotReopenable(): Pair & { made: NonBlockingWriter } {
  const { reader, writer } = pipe();
  close(reader);
  const made = writerFor(writer);
  return { reader: own(open(cString(`/proc/self/fd/${writer}`), O_RDONLY)), writer, made };
}

describe('NonBlockingWriter to something that nobody reads', () => {
  it.each<[string, () => Pair & { made?: NonBlockingWriter }]>([
    ['a pipe', pipe],
    ['a pipe that can not be opened anew', pipeNotReopenable],
    ['a stream socket', socketPair],
    ['a terminal', terminal],
  ])('%s: says -EAGAIN when it is full, never blocks, and goes on when it is read', (_case, make) => {
    const { reader, writer, made = writerFor(writer) } = make();
    unblocked(() => {
      const total = fill(made);
      expect(total).toBeGreaterThanOrEqual(LINE.length);
      expect(write(made)).toBe(-EAGAIN);
      expect(isNonBlocking(writer)).toBe(false);
      expect(drain(reader).join('').replaceAll('\r\n', '\n')).toBe(
        LINE.toString()
          .repeat(Math.ceil(total / LINE.length))
          .slice(0, total),
      );
      expect(write(made)).toBe(LINE.length);
      expect(drain(reader).join('').replaceAll('\r\n', '\n')).toBe(LINE.toString());
    });
  });

  it.each([pipe, pipeNotReopenable])('takes a line into a pipe whole or not at all (%o)', (make) => {
    const { reader, writer, made = writerFor(writer) } = make() as Pair & { made?: NonBlockingWriter };
    for (const size of [4096, 4095, 3000, 1]) {
      const line = Buffer.alloc(size, 0x61);
      unblocked(() => expect(fill(made, line) % size).toBe(0));
      drain(reader);
    }
  });

  it('a datagram socket, such as a stuck syslog daemon: -EAGAIN, and goes on when it is read', () => {
    const at = path.join(directory(), 'log');
    const listener = datagramListener(at);
    const writer = NonBlockingWriter.connectUnixDatagram(at) as NonBlockingWriter;
    onTestFinished(() => writer.close());
    unblocked(() => {
      const messages = fill(writer) / LINE.length;
      expect(drain(listener)).toEqual(Array(messages).fill(LINE.toString()));
      expect(write(writer)).toBe(LINE.length);
    });
  });
});

describe('NonBlockingWriter', () => {
  it.each([
    ['a pipe', pipe],
    ['a stream socket', socketPair],
  ])('%s whose reader has gone: -EPIPE, and this process lives on', (_case, make) => {
    const { reader, writer } = make();
    const before = writerFor(writer);
    close(reader);
    expect(write(before)).toBe(-EPIPE);
    expect(write(writerFor(writer))).toBe(-EPIPE); // also if it had gone before
  });

  it('says -EBADF at each write to an fd that is closed', () => {
    const writer = NonBlockingWriter.forInheritedFd(99_999);
    expect([write(writer), write(writer)]).toEqual([-EBADF, -EBADF]);
  });

  it('writes to a regular file where the fd stands, and appends where it is opened so', () => {
    const file = path.join(directory(), 'log');
    writeFileSync(file, 'before\n');
    const fd = openSync(file, 'a');
    onTestFinished(() => closeSync(fd));
    expect(NonBlockingWriter.forInheritedFd(fd).write(Buffer.from('one\ntwo'), 4)).toBe(4);
    expect(readFileSync(file, 'utf8')).toBe('before\none\n');
  });

  it.each([
    ['a pipe', pipe],
    ['a stream socket', socketPair],
    ['a terminal', terminal],
  ])('rehearsed to %s takes all and writes nothing', (_case, make) => {
    const { reader, writer } = make();
    const rehearsed = writerFor(writer).rehearsal();
    expect([write(rehearsed), write(rehearsed)]).toEqual([LINE.length, LINE.length]);
    expect(drain(reader)).toEqual([]);
  });

  it('rehearsed fails as it would otherwise', () => {
    expect(write(NonBlockingWriter.forInheritedFd(99_999).rehearsal())).toBe(-EBADF);
  });

  it('writes to /dev/null', () => {
    expect(write(writerFor(own(open(cString('/dev/null'), 1))))).toBe(LINE.length);
  });
});

describe('NonBlockingWriter.connectUnixDatagram', () => {
  it('says why there is no connection', () => {
    const dir = directory();
    writeFileSync(path.join(dir, 'file'), '');
    const gone = path.join(dir, 'gone');
    close(datagramListener(gone)); // its file stays behind
    const connect = (name: string): unknown => NonBlockingWriter.connectUnixDatagram(name);
    expect(connect(path.join(dir, 'nothing'))).toBe(-ENOENT);
    expect(connect(path.join(dir, 'file'))).toBe(-ECONNREFUSED);
    expect(connect(gone)).toBe(-ECONNREFUSED);
    expect(connect(`/${'x'.repeat(107)}`)).toBe(-ENAMETOOLONG);
    expect(connect(`/${'x'.repeat(106)}`)).toBe(-ENOENT);
    expect(connect(`/${'€'.repeat(36)}`)).toBe(-ENAMETOOLONG); // 109 bytes
  });

  it('keeps messages apart, and notices that the listener has gone', () => {
    const at = path.join(directory(), 'log');
    const listener = datagramListener(at);
    const writer = NonBlockingWriter.connectUnixDatagram(at) as NonBlockingWriter;
    onTestFinished(() => writer.close());
    expect([write(writer, Buffer.from('one')), write(writer, Buffer.from('two'))]).toEqual([3, 3]);
    expect(drain(listener)).toEqual(['one', 'two']);
    close(listener);
    unlinkSync(at);
    expect(write(writer)).toBe(-ECONNREFUSED);
  });
});
