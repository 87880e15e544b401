/* The commands besides the guard itself and the exporter. The guard never loads this file: commander alone costs 3 MiB. */
import { printable } from '../report/line.js';
import { checkCommand } from './check-command.js';
import { drillCommand, EXIT_DRILL_USAGE } from './drill-command.js';
import { explainCommand } from './explain-command.js';
import { rankCommand } from './rank-command.js';
import { replayCommand } from './replay-command.js';
import { runProgram } from './run-program.js';
import { EXIT_STATUS_REFUSED, statusCommand } from './status-command.js';

/** Where the exit code is a verdict, wrong usage has one of its own. */
const USAGE_CODES: Readonly<Record<string, number>> = { drill: EXIT_DRILL_USAGE, status: EXIT_STATUS_REFUSED };

/** Runs `oom-backstop ARGS`, whose first is the name of a command. Returns the exit code. */
export function runCommand(args: readonly string[]): Promise<number> {
  return runProgram(
    args,
    ({ write, exitWith }) => [
      checkCommand(write, exitWith),
      drillCommand(write, exitWith),
      rankCommand(write),
      explainCommand(write, exitWith),
      replayCommand(write, exitWith),
      statusCommand(write, exitWith),
    ],
    printable,
    USAGE_CODES,
  );
}
