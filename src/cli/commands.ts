/* The commands besides the guard itself. The guard never loads this file: commander alone costs 3 MiB. */
import { writeSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { printable } from '../report/line.js';
import { EXIT_OK, EXIT_USAGE, FatalError } from '../shared/exit.js';
import { checkCommand } from './check-command.js';
import { drillCommand, EXIT_DRILL_USAGE } from './drill-command.js';
import { explainCommand } from './explain-command.js';
import { rankCommand } from './rank-command.js';
import { replayCommand } from './replay-command.js';

const STDOUT = 1;
const STDERR = 2;
const SLOW_READER_MS = 10;

/** Runs `oom-backstop ARGS`, whose first is the name of a command. Returns the exit code. */
export async function runCommand(args: readonly string[]): Promise<number> {
  const program = new Command('oom-backstop');
  let exitCode = EXIT_OK;
  const write = (text: string): void => writeAll(STDOUT, text);
  const commands = [
    checkCommand(write, (code) => {
      exitCode = code;
    }),
    drillCommand(write, (code) => {
      exitCode = code;
    }),
    rankCommand(write),
    explainCommand(write, (code) => {
      exitCode = code;
    }),
    replayCommand(write, (code) => {
      exitCode = code;
    }),
  ];
  for (const each of [program, ...commands]) {
    each.exitOverride().configureOutput({
      writeOut: (text) => writeAll(STDOUT, text),
      writeErr: (text) => writeAll(STDERR, text),
    });
  }
  for (const command of commands) program.addCommand(command);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof FatalError) {
      for (const message of error.messages) writeAll(STDERR, `fatal: ${printable(message)}\n`);
      return error.exitCode;
    }
    if (error instanceof CommanderError) {
      const usage = args[0] === 'drill' ? EXIT_DRILL_USAGE : EXIT_USAGE;
      return error.exitCode === 0 ? EXIT_OK : usage;
    }
    throw error;
  }
}

/** Writes all of `text`; a reader that has gone (`rank | head`) is no error. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSome(fd, bytes, done);
  } catch (error) {
    if (codeOf(error) !== 'EPIPE') throw error;
  }
}

/** Somebody who shares the pipe may have made it non-blocking: then a slow reader is waited for. */
function writeSome(fd: number, bytes: Buffer, from: number): number {
  try {
    return writeSync(fd, bytes, from);
  } catch (error) {
    if (codeOf(error) !== 'EAGAIN') throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_READER_MS);
    return 0;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
