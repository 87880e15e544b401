/* A pipe that holds what is written to it until somebody reads it. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export const PIPE_BYTES = 65_536;

export interface UnreadPipe {
  writeFd: number;
  /** All that is in it, at most two pipes full. */
  readNow: () => string;
  closeReader: () => void;
}

/** Both ends are closed with the test. */
export function unreadPipe(): UnreadPipe {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-pipe-'));
  const fifo = path.join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const readFd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(fifo, constants.O_WRONLY);
  let readerOpen = true;
  const closeReader = (): void => {
    if (readerOpen) closeSync(readFd);
    readerOpen = false;
  };
  onTestFinished(() => {
    closeReader();
    closeSync(writeFd);
    rmSync(directory, { recursive: true });
  });
  const readNow = (): string => {
    const chunk = Buffer.alloc(2 * PIPE_BYTES);
    try {
      return chunk.toString('utf8', 0, readSync(readFd, chunk));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
      throw error;
    }
  };
  return { writeFd, readNow, closeReader };
}
