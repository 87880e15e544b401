/*
 * Runs a command line by commander: what the commands write, what they fail with, and their exit codes. Knows no command, so that
 * those that are a program of their own (the exporter) need not load all others.
 */
import { writeSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT_OK, EXIT_USAGE, isFatal } from '../shared/exit.js';

const STDOUT = 1;
const STDERR = 2;
const SLOW_READER_MS = 10;

/** What a command gets. */
export interface CommandOutput {
  write: (text: string) => void;
  exitWith: (exitCode: number) => void;
}

/**
 * Runs `oom-backstop ARGS`, whose first is the name of a command. Returns the exit code.
 * @param printable  makes text from outside fit for a terminal
 * @param usageCodes  the exit codes for wrong usage of those that have one of their own
 */
export async function runProgram(
  args: readonly string[],
  commandsFor: (output: CommandOutput) => readonly Command[],
  printable: (text: string) => string,
  usageCodes: Readonly<Record<string, number>> = {},
): Promise<number> {
  const program = new Command('oom-backstop');
  let exitCode = EXIT_OK;
  const commands = commandsFor({
    write: (text) => writeAll(STDOUT, text),
    exitWith: (code) => {
      exitCode = code;
    },
  });
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
    if (isFatal(error)) {
      for (const message of error.messages) writeAll(STDERR, `fatal: ${printable(message)}\n`);
      return error.exitCode;
    }
    if (error instanceof CommanderError) {
      const usage = usageCodes[args[0] ?? ''] ?? EXIT_USAGE;
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
