/*
 * Where both programs begin: a command, or the guard; but for the exporter (src/cli/exporter-program.ts), which loads no guard.
 * bin/oom-backstop and bin/earlyoom call this in their own process; nothing is spawned.
 */
import { runGuard } from './cli/guard-command.js';
import type { Persona } from './shared/options.js';
import { VERSION } from './shared/version.js';

const COMMANDS = new Set(['check', 'drill', 'explain', 'rank', 'replay', 'status', 'help']);

/** Runs the program; sets the exit code, or leaves the guard running. */
export async function main(persona: Persona, args: readonly string[]): Promise<void> {
  const [first] = args;
  if (persona === 'oom-backstop' && first !== undefined) {
    if (first === '--version') return print(`oom-backstop v${VERSION}\n`);
    if (first === '--help' || first === '-h' || (first === 'help' && args.length === 1)) {
      const { helpText } = await import('./cli/command-line.js');
      return print(helpText(persona));
    }
    if (COMMANDS.has(first)) {
      const { runCommand } = await import('./cli/commands.js');
      process.exitCode = await runCommand(args);
      return;
    }
  }
  const exitCode = await runGuard(persona, args);
  if (exitCode !== null) process.exitCode = exitCode;
}

function print(text: string): void {
  process.stdout.write(text);
}
