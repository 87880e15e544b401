/*
 * `oom-backstop drill`: the configured policy kills a balloon of its own, on this machine, now. Text for people, one JSON document for
 * programs; the exit code says whether all of it worked.
 */
import { Command, InvalidArgumentError } from 'commander';
import { SIGKILL, SIGTERM } from '../../native-shims/pidfd.js';
import { mibOfKib, percent } from '../check/finding.js';
import { type Policy, policyOf } from '../check/policy.js';
import { parseDurationMs, parseSizeKib } from '../config/quantity.js';
import { type DrillResult, drill } from '../drill/drill.js';
import { crossedByBalloon, type DrillFacts, nameOf, SIZE_KIB_MAX, SIZE_KIB_MIN } from '../drill/plan.js';
import { compilePatterns, openMeminfo } from '../guard/machine.js';
import { Log } from '../report/log.js';
import { FatalError, isFatal } from '../shared/exit.js';
import type { GuardOptions } from '../shared/options.js';
import type { RankedProcess } from '../shared/ranked-process.js';
import { defaultSettings, parseGuardOptions } from './guard-options.js';
import { rankProcesses } from './rank-command.js';
import { readConfig } from './read-config.js';
import { safeJson, safeText } from './terminal-safe.js';

const PROCFS = '/proc';
const GUARDS = new Set(['oom-backstop', 'earlyoom']);

const TIMEOUT_MS_MIN = 1000;
const TIMEOUT_MS_MAX = 120_000;

/** The codes of this command are its own: the guard's say why it did not start. */
const EXIT_WORKED = 0;
const EXIT_FAILED = 1;
export const EXIT_DRILL_USAGE = 2;

interface DrillFlags {
  config?: string;
  size: number;
  timeout: number;
  signal: number;
  hooks?: true;
  json?: true;
}

interface Process {
  pid: number;
  name: string;
}

/** What --json prints. Times in ms; null: it did not come to that. */
interface DrillDocument {
  ok: boolean;
  reason: string | null;
  /** What is configured. */
  policy: Policy;
  /** What the drill did instead. */
  drill: { sizeKib: number; attempts: number; memTermPercent: number | null; memTermKib: number | null };
  signalled: { pid: number; name: string; signal: string } | null;
  crossed: { by: 'balloon' | 'others'; seenBy: 'balloon' | 'guard'; balloonKib: number } | null;
  signalAfterCrossingMs: number | null;
  exitAfterSignalMs: number | null;
  memoryBackAfterSignalMs: number | null;
  memoryBackKib: number | null;
  memoryHadKib: number | null;
  differs: string[];
  runningGuards: Process[];
  firstVictim: Process | null;
}

/** The command, which writes what it has to say with `write` and hands its exit code to `exitWith`: 0 all of it worked, 1 it did not, 2 usage. */
export function drillCommand(write: (text: string) => void, exitWith: (exitCode: number) => void): Command {
  return new Command('drill')
    .description('prove on this machine, now, that the configured policy kills: a balloon of its own, and nobody else')
    .option('--config <file>', 'as for the guard: read this file alone instead of those in /etc/oom-backstop')
    .option('--size <size>', 'how far the balloon may grow', sizeOf, 200 * 1024)
    .option('--timeout <time>', 'how long all of it may take', timeoutOf, 30_000)
    .option('--signal <name>', 'term, or kill: as below the SIGKILL limit', signalOf, SIGTERM)
    .option('--hooks', 'run the configured hooks as well')
    .option('--json', 'as a JSON document')
    .addHelpText(
      'after',
      '\nDefaults: 200MiB, 30s, term. Exit code: 0 all of it worked, 1 it did not, 2 wrong usage or configuration',
    )
    .action(async (flags: DrillFlags) => {
      try {
        const document = await run(flags);
        write(flags.json === true ? `${safeJson(document)}\n` : safeLines(textOf(document)));
        exitWith(document.ok ? EXIT_WORKED : EXIT_FAILED);
      } catch (error) {
        if (!isFatal(error)) throw error;
        throw new FatalError(EXIT_DRILL_USAGE, ...error.messages);
      }
    });
}

function sizeOf(text: string): number {
  const kib = parseSizeKib(text);
  if (typeof kib === 'number' && kib >= SIZE_KIB_MIN && kib <= SIZE_KIB_MAX) return Math.ceil(kib);
  throw new InvalidArgumentError(`(valid: ${mibOfKib(SIZE_KIB_MIN)} to ${mibOfKib(SIZE_KIB_MAX)}, such as 200MiB)`);
}

function timeoutOf(text: string): number {
  const ms = parseDurationMs(text);
  if (typeof ms === 'number' && ms >= TIMEOUT_MS_MIN && ms <= TIMEOUT_MS_MAX) return ms;
  throw new InvalidArgumentError('(valid: 1s to 120s)');
}

function signalOf(text: string): number {
  if (text === 'term') return SIGTERM;
  if (text === 'kill') return SIGKILL;
  throw new InvalidArgumentError('(valid: term, kill)');
}

async function run(flags: DrillFlags): Promise<DrillDocument> {
  const { memory } = openMeminfo(PROCFS);
  const configured = await readConfig(flags.config ?? null, () => memory);
  const settings = configured?.settings ?? defaultSettings('oom-backstop');
  const log = new Log('oom-backstop');
  log.quiet = true;
  const request = parseGuardOptions([], 'oom-backstop', log, () => memory, {
    ...settings,
    syslog: false,
    debug: false,
  });
  if (request.kind !== 'run') throw new Error('no options ask for anything but to run');
  const { options } = request;
  // Before the balloon is there, which would be the first of all.
  const patterns = compilePatterns(options.patterns, options.sparesWayIn);
  const ranking = rankProcesses(PROCFS, patterns, { ...options.selection }, options.matching);
  const result = await drill({
    options,
    sizeKib: flags.size,
    timeoutMs: flags.timeout,
    signal: flags.signal,
    runsHooks: flags.hooks === true,
  });
  return documentOf(policyOf(options, memory), result, flags, ranking, options);
}

function documentOf(
  policy: Policy,
  { failure, pid, limits, attempts, facts }: DrillResult,
  flags: DrillFlags,
  ranking: readonly RankedProcess[],
  options: GuardOptions,
): DrillDocument {
  const total = policy.memTermPercent > 0 ? (policy.memTermKib * 100) / policy.memTermPercent : 0;
  const signal = facts?.signals[0];
  const first = ranking.find(({ eligible }) => eligible);
  const signalledMs = facts === null ? null : arrivedMs(facts);
  const since = (fromMs: number | null | undefined, toMs: number | null | undefined): number | null =>
    fromMs == null || toMs == null ? null : Math.max(0, Math.round((toMs - fromMs) * 10) / 10);
  return {
    ok: failure === null,
    reason: failure,
    policy,
    drill: {
      sizeKib: flags.size,
      attempts,
      memTermPercent: limits?.memTermPercent ?? null,
      memTermKib: limits === null ? null : Math.floor((limits.memTermPercent * total) / 100),
    },
    signalled: signal === undefined || pid === null ? null : { pid, name: 'oom-drill', signal: nameOf(signal.signal) },
    crossed: facts?.crossed == null ? null : crossing(facts),
    signalAfterCrossingMs: since(facts?.crossed?.atMs, signalledMs),
    exitAfterSignalMs: since(signalledMs, facts?.exit?.atMs),
    memoryBackAfterSignalMs: since(signalledMs, facts?.memory?.atMs),
    memoryBackKib: facts?.memory?.backKib ?? null,
    memoryHadKib: facts?.memory?.hadKib ?? null,
    differs: differences(policy, options, flags),
    runningGuards: ranking.filter(({ name, reason }) => GUARDS.has(name) && reason !== 'dead').map(processOf),
    firstVictim: first === undefined ? null : processOf(first),
  };
}

/** When the first signal arrived: in SIGTERM's handler; for SIGKILL, which has none, when it was sent. */
function arrivedMs({ signals, termAtMs }: DrillFacts): number | null {
  const [first] = signals;
  if (first === undefined) return null;
  return first.signal === SIGTERM && termAtMs !== null ? termAtMs : first.atMs;
}

function crossing(facts: DrillFacts): DrillDocument['crossed'] {
  if (facts.crossed === null) return null;
  const { seenBy, balloonKib } = facts.crossed;
  return { by: crossedByBalloon(facts) ? 'balloon' : 'others', seenBy, balloonKib };
}

function processOf({ pid, name }: RankedProcess): Process {
  return { pid, name };
}

/** What the configured guard does otherwise than the drill's. */
function differences(policy: Policy, options: GuardOptions, flags: DrillFlags): string[] {
  const { memTermPercent, memTermKib, memKillPercent, swapTermPercent, killGroup } = policy;
  const hooks = [policy.beforeKill, policy.afterKill, policy.notifyDbus ? 'dbus-send' : null].filter(
    (hook) => hook !== null,
  );
  return [
    `its limits are ${percent(memTermPercent)} (${mibOfKib(memTermKib)}) for SIGTERM and ${percent(memKillPercent)} for SIGKILL`,
    ...(swapTermPercent < 100 ? [`free swap has to be at or below ${percent(swapTermPercent)} as well`] : []),
    ...(hooks.length > 0 && flags.hooks !== true ? [`it runs ${hooks.join(', ')}`] : []),
    ...(killGroup ? ["it kills the victim's whole process group"] : []),
    ...(options.raisePriority ? ['it raises its priority'] : []),
    'it is compiled and locked in memory, and so faster',
  ];
}

function textOf(document: DrillDocument): string[] {
  const { ok, reason, differs, runningGuards, firstVictim } = document;
  const named = ({ pid, name }: Process): string => `"${name}" (pid ${pid})`;
  return [
    ...courseOf(document),
    `The configured guard differs: ${differs.join('; ')}.`,
    runningGuards.length === 0
      ? 'No guard runs now: what was tried is the configuration, not a running service.'
      : `Running now: ${runningGuards.map(named).join(', ')}. What was tried is the configuration, not that process.`,
    firstVictim === null
      ? 'Under this configuration nobody could be killed now: see `oom-backstop rank`.'
      : `If memory ran out now, the first to be killed would be ${named(firstVictim)}.`,
    ok ? 'Drill: all of it worked.' : `Drill: FAILED: ${reason}.`,
  ];
}

/** What happened, as far as it got. */
function courseOf({ drill: { sizeKib, memTermKib }, ...document }: DrillDocument): string[] {
  const { signalled, crossed, memoryBackKib, memoryHadKib } = document;
  const ms = (value: number | null): string => (value === null ? 'unknown' : `${value} ms`);
  return [
    ...(memTermKib === null
      ? []
      : [`Limit of the drill: ${mibOfKib(memTermKib)} available, for a balloon of at most ${mibOfKib(sizeKib)}.`]),
    ...(crossed === null
      ? []
      : [
          `Crossed by ${crossed.by === 'balloon' ? 'the balloon' : 'other processes'}, when the balloon had ${mibOfKib(crossed.balloonKib)} (seen first by the ${crossed.seenBy}).`,
        ]),
    ...(signalled === null
      ? []
      : [
          `${signalled.signal} to "${signalled.name}" (pid ${signalled.pid}) ${ms(document.signalAfterCrossingMs)} after the limit was crossed.`,
        ]),
    ...(document.exitAfterSignalMs === null ? [] : [`Dead ${ms(document.exitAfterSignalMs)} after the signal.`]),
    ...(memoryBackKib === null || memoryHadKib === null
      ? []
      : [
          `${mibOfKib(memoryBackKib)} of ${mibOfKib(memoryHadKib)} came back, ${ms(document.memoryBackAfterSignalMs)} after the signal (by AnonPages).`,
        ]),
  ];
}

function safeLines(lines: readonly string[]): string {
  return lines.map((line) => `${safeText(line)}\n`).join('');
}
