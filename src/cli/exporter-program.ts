/*
 * `oom-backstop exporter` as a program of its own: bin/oom-backstop starts it without src/main.ts, because it runs all the time and
 * needs neither the guard nor koffi nor any other command. 12 MiB of its own instead of 28.
 */
import { exporterCommand } from './exporter-command.js';
import { runProgram } from './run-program.js';
import { safeText } from './terminal-safe.js';

/** Runs `oom-backstop exporter ...` until a signal ends it, or tells its help; sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  process.exitCode = await runProgram(args, ({ write }) => [exporterCommand(write)], safeText);
}
