/* The commands besides the guard itself. The guard never loads this file: commander alone costs 3 MiB. */
import { writeSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT_OK, EXIT_USAGE, FatalError } from '../shared/exit.js';
import { rankCommand } from './rank-command.js';

const STDOUT = 1;
const STDERR = 2;

/** Runs `oom-backstop ARGS`, whose first is the name of a command. Returns the exit code. */
export function runCommand(args: readonly string[]): number {
  const program = new Command('oom-backstop');
  const command = rankCommand((text) => writeAll(STDOUT, text));
  for (const each of [program, command]) {
    each.exitOverride().configureOutput({
      writeOut: (text) => writeAll(STDOUT, text),
      writeErr: (text) => writeAll(STDERR, text),
    });
  }
  program.addCommand(command);
  try {
    program.parse(args, { from: 'user' });
    return EXIT_OK;
  } catch (error) {
    if (error instanceof FatalError) {
      writeAll(STDERR, `fatal: ${error.message}\n`);
      return error.exitCode;
    }
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    throw error;
  }
}

/** Writes all of `text`; a reader that has gone (`rank | head`) is no error. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}
