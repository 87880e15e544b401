/* The guard as a program: version line, options, start; a mistake ends it with its exit code. */
import { writeFileSync, writeSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { forgetModule } from '../guard/forget-module.js';
import { openMeminfo, openProcfs } from '../guard/machine.js';
import { logAsJson } from '../guard/open-log.js';
import { thisProgram } from '../guard/reload.js';
import { prepareGuard, prepareProcess, startGuard } from '../guard/start.js';
import type { Meminfo } from '../kernel/meminfo.js';
import { Log } from '../report/log.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import { EXIT_OK, isFatal } from '../shared/exit.js';
import type { Persona } from '../shared/options.js';
import { EARLYOOM_VERSION, VERSION } from '../shared/version.js';
import type { Configured } from './read-config.js';

const STDERR = 2;

const CHECK_NICENESS = 10;

/** Runs the guard. Returns an exit code, or null when it is running. */
export async function runGuard(persona: Persona, args: readonly string[]): Promise<number | null> {
  const log = new Log(persona);
  try {
    return await runOrThrow(persona, args, log);
  } catch (error) {
    log.release();
    if (!isFatal(error)) throw error;
    log.quiet = false;
    for (const message of error.messages) {
      log.begin('fatal').foreign(message);
      log.end();
    }
    log.finish();
    return error.exitCode;
  }
}

async function runOrThrow(persona: Persona, args: readonly string[], log: Log): Promise<number | null> {
  const commandLine = await import('./command-line.js');
  const { checksOnly, configFileOf, defaultSettings, logFormatOf, mayRun, parseGuardOptions, procfsOf } = commandLine;
  const checks = checksOnly(args, persona);
  if (checks) beExpendable();
  log.quiet = checks;
  const program = persona === 'oom-backstop' ? thisProgram(args) : null;
  prepareProcess(persona);
  const json = logFormatOf(args, persona);
  const mayBeJson = persona === 'oom-backstop' && !checks && mayRun(args, persona);
  const leftWriter = program?.leftWriter ?? null;
  if (mayBeJson && json === 'json') await logAsJson(log, persona, leftWriter);
  // The configuration may ask for it.
  if (mayBeJson && json === null) log.hold();
  log.say('start', versionLine(persona));
  const procfs = procfsOf(args, persona);
  const files = openProcfs(procfs);
  let sampler: MemorySampler | null = null;
  const opened = (): MemorySampler => {
    sampler ??= openMeminfo(procfs);
    return sampler;
  };
  const meminfo = (): Meminfo => opened().memory;
  // earlyoom has no configuration file: whoever takes its place reads none.
  const readsConfig = persona === 'oom-backstop' && mayRun(args, persona);
  const configured = readsConfig ? await commandLine.readConfig(configFileOf(args, persona), meminfo) : null;
  const settings = configured?.settings ?? defaultSettings(persona);
  if (mayBeJson && json === null && settings.logFormat === 'json') await logAsJson(log, persona, leftWriter);
  log.release();
  if (configured !== null) sayConfig(log, configured);
  const request = parseGuardOptions(args, persona, log, meminfo, settings);
  if (request.kind === 'version') return EXIT_OK;
  if (request.kind === 'help') {
    writeSync(STDERR, commandLine.helpText(persona));
    return EXIT_OK;
  }
  if (checks) {
    // Nothing that a guard that runs would notice.
    const harmless = { raisePriority: false, keepsIncidents: false, keepsState: false, record: null };
    prepareGuard({ ...request.options, ...harmless }, files, opened(), log);
    return EXIT_OK;
  }
  forgetModule('command-line.cjs');
  startGuard(request.options, files, opened(), log, program);
  return null;
}

function sayConfig(log: Log, { files, warnings }: Configured): void {
  log.begin('start').text('Configuration: ').foreign(files.join(', '));
  log.end();
  for (const warning of warnings) {
    log.begin('warn').text('warning: ').foreign(warning);
    log.end();
  }
}

/** A check that takes memory which is not there is to end before anybody else; nor has it the guard's priority. */
function beExpendable(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
    if (getPriority() < CHECK_NICENESS) setPriority(CHECK_NICENESS);
  } catch {
    // Without it the check works as well.
  }
}

/** earlyoom's form in its persona: scripts look for `earlyoom v`. */
function versionLine(persona: Persona): string {
  if (persona === 'earlyoom') return `earlyoom v${EARLYOOM_VERSION} (oom-backstop v${VERSION})`;
  return `oom-backstop v${VERSION}`;
}
