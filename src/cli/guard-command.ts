/* The guard as a program: version line, options, start; a mistake ends it with its exit code. */
import { writeSync } from 'node:fs';
import { openMeminfo, openProcfs } from '../guard/machine.js';
import { prepareProcess, startGuard } from '../guard/start.js';
import { Log } from '../report/log.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import { EXIT_OK, FatalError } from '../shared/exit.js';
import type { Persona } from '../shared/options.js';
import { EARLYOOM_VERSION, VERSION } from '../shared/version.js';
import { parseGuardOptions, procfsOf } from './guard-options.js';
import { helpText } from './help.js';

const STDERR = 2;

/** Runs the guard. Returns an exit code, or null when it is running. */
export function runGuard(persona: Persona, args: readonly string[]): number | null {
  const log = new Log(persona);
  try {
    return runOrThrow(persona, args, log);
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    if (error.message !== '') {
      log.begin('fatal').foreign(error.message);
      log.end();
    }
    return error.exitCode;
  }
}

function runOrThrow(persona: Persona, args: readonly string[], log: Log): number | null {
  prepareProcess(persona);
  log.say('start', versionLine(persona));
  const procfs = procfsOf(args, persona);
  const files = openProcfs(procfs);
  let sampler: MemorySampler | null = null;
  const opened = (): MemorySampler => {
    sampler ??= openMeminfo(procfs);
    return sampler;
  };
  const request = parseGuardOptions(args, persona, log, () => opened().memory);
  if (request.kind === 'version') return EXIT_OK;
  if (request.kind === 'help') {
    writeSync(STDERR, helpText(persona));
    return EXIT_OK;
  }
  startGuard(request.options, files, opened(), log);
  return null;
}

/** earlyoom's form in its persona: scripts look for `earlyoom v`. */
function versionLine(persona: Persona): string {
  if (persona === 'earlyoom') return `earlyoom v${EARLYOOM_VERSION} (oom-backstop v${VERSION})`;
  return `oom-backstop v${VERSION}`;
}
