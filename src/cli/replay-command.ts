/* `oom-backstop replay`: a recorded trace, run through the guard's decisions once more, under the same policy or another. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { strerror } from '../../native-shims/errno.js';
import { fixedBuffer } from '../../native-shims/libc.js';
import { compilePatterns } from '../guard/machine.js';
import type { Meminfo } from '../kernel/meminfo.js';
import { type ReplayPolicy, replay } from '../replay/replay.js';
import { tableOf } from '../replay/table.js';
import { readTrace, type Trace, TraceError } from '../replay/trace.js';
import { type ReplayDocument, replayWords } from '../replay/words.js';
import { Log } from '../report/log.js';
import type { CandidateTable } from '../shared/candidates.js';
import { NAME_BYTES } from '../shared/candidates.js';
import { EXIT_USAGE, FatalError } from '../shared/exit.js';
import type { GuardOptions, Settings } from '../shared/options.js';
import type { TracePolicy } from '../shared/trace.js';
import { configFileOf, defaultSettings, parseGuardOptions } from './guard-options.js';
import { readConfig } from './read-config.js';
import { safeJson, safeText } from './terminal-safe.js';

const EXIT_DIFFERENT = 1;
const EXIT_UNREADABLE = 2;

/** As the guard's table: the name and its NUL. */
const NAME_BUFFER_BYTES = NAME_BYTES * 2;

/** The command: 0 the same decisions, 1 different ones, 2 the trace can't be read. */
export function replayCommand(write: (text: string) => void, exitWith: (exitCode: number) => void): Command {
  return new Command('replay')
    .description('say what the guard would have done with other options, by a trace that it recorded (--record)')
    .usage('TRACE [guard options] [--json]')
    .argument('<trace>', 'the file')
    .argument(
      '[options...]',
      "limits and selection, the guard's own (oom-backstop --help); what is not given is as recorded",
    )
    .option('--json', 'as a JSON document')
    .allowUnknownOption()
    .addHelpText('after', '\nExit code: 0 the same decisions, 1 different ones, 2 the trace cannot be read')
    .action(async (file: string, args: string[], flags: { json?: true }) => {
      if (file.startsWith('-'))
        throw new FatalError(EXIT_USAGE, `${file}: the trace comes first (valid: replay TRACE [options])`);
      const document = await replayed(open(file), args);
      write(flags.json === true ? `${safeJson(document)}\n` : asText(document));
      exitWith(document.same ? 0 : EXIT_DIFFERENT);
    });
}

/** @throws FatalError */
function open(file: string): Trace {
  try {
    return readTrace(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof TraceError) throw new FatalError(EXIT_UNREADABLE, `${file}: ${error.message}`);
    const { errno } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    throw new FatalError(EXIT_UNREADABLE, `${file}: ${strerror(-errno)}`);
  }
}

async function replayed(trace: Trace, args: readonly string[]): Promise<ReplayDocument> {
  const recorded = trace.header.policy;
  const options = await optionsFor(trace, args);
  const matchers = compilePatterns(options.patterns, options.sparesWayIn);
  const name = fixedBuffer(NAME_BUFFER_BYTES);
  const candidates = (number: number): CandidateTable | null => {
    const table = trace.tables.get(number);
    return table?.whole === true ? tableOf(table.rows, matchers, name) : null;
  };
  const result = replay(trace, recorded, policyOf(options), candidates);
  return {
    same: result.difference === null,
    ...result,
    trace: {
      version: trace.header.version,
      machine: trace.header.machine,
      lengthUs: trace.looks.at(-1)?.tUs ?? 0,
      looks: trace.looks.length,
      missingLines: trace.missingLines,
      full: trace.full,
      torn: trace.torn,
    },
  };
}

function policyOf(options: GuardOptions): ReplayPolicy {
  const { limits, selection, killAfterMs, kernelOom, dryrun, beforeKill } = options;
  return { limits, selection, killAfterMs, kernelOom, dryrun, preHook: beforeKill !== null };
}

/**
 * The recorded policy, or the configuration's, and over it the command line.
 * @throws FatalError
 */
async function optionsFor(trace: Trace, args: readonly string[]): Promise<GuardOptions> {
  const memory = memoryOf(trace);
  const file = configFileOf(args, 'oom-backstop');
  const configured = file === null ? null : await readConfig(file, () => memory);
  const settings = configured?.settings ?? settingsOf(trace.header.policy);
  const log = new Log('oom-backstop');
  // What the guard would say at its start is of no interest here.
  log.quiet = true;
  const request = parseGuardOptions(args, 'oom-backstop', log, () => memory, { ...settings, syslog: false });
  if (request.kind === 'run') return request.options;
  throw new FatalError(EXIT_USAGE, `--${request.kind}: nothing to replay by (valid: limits and selection options)`);
}

/** The machine as it was recorded; sizes become shares of it. */
function memoryOf({ header, looks }: Trace): Meminfo {
  const first = looks[0]?.memory;
  const { memTotalKib, swapTotalKib } = header.machine;
  return { memAvailableKib: 0, anonPagesKib: 0, swapFreeKib: 0, ...first, memTotalKib, swapTotalKib };
}

function settingsOf({ persona, preHook, ...recorded }: TracePolicy): Settings {
  const { limits, selection, patterns, sparesWayIn, killGroup, killAfterMs, kernelOom, dryrun } = recorded;
  const policy = { limits, selection, patterns, sparesWayIn, killGroup, killAfterMs, kernelOom, dryrun };
  // Which program it was does not matter: nothing is started here.
  return { ...defaultSettings(persona), ...policy, beforeKill: preHook ? '/recorded' : null };
}

function asText(document: ReplayDocument): string {
  return replayWords(document)
    .map((line) => `${safeText(line)}\n`)
    .join('');
}
