/*
 * The guard's options: the one table of them, its help, and the reading of a command line.
 *
 * They are earlyoom's, in both personas; what is ours is marked `exactOnly`, so that no abbreviation that works
 * with earlyoom becomes ambiguous. A command line is taken option by option, in order, as earlyoom does:
 * its messages come in that order, and the first mistake ends it. It starts from settings, those of the configuration
 * file or the persona's defaults, and changes them key by key; -m and -M together are one key, as are -s and -S.
 */
import { parseDurationMs, parseMaxWaitMs } from '../config/quantity.js';
import { WAIT_MS_MAX } from '../decide/cadence.js';
import { DEFAULT_KILL_AFTER_MS } from '../decide/ladder.js';
import type { Meminfo } from '../kernel/meminfo.js';
import type { LineKind, Log } from '../report/log.js';
import { EXIT_MEM_LIMIT, EXIT_PARAMETER, EXIT_SWAP_LIMIT, EXIT_USAGE, FatalError, isFatal } from '../shared/exit.js';
import type { Limits } from '../shared/limits.js';
import { LOG_FORMATS, type LogFormat } from '../shared/log-record.js';
import { NO_MATCHING } from '../shared/matching.js';
import type { GuardOptions, Persona, Settings } from '../shared/options.js';
import { getopt, type OptionSpec, type Token } from './getopt.js';
import { type LimitPair, parseLimitPair, strtod } from './limit-value.js';
import { floorKibOf, onlyCgroupOf, rankByOf, selectionOf, uidOf, withMatch } from './selection-options.js';

export interface OptionRow extends OptionSpec {
  /** A second name, long. */
  alias?: string;
  /** What the help calls the value. */
  valueName?: string;
  /** The only persona that has it. */
  persona?: Persona;
  help: string;
}

/** In the order of the help. `%m`, `%k`, `%s`: the persona's defaults. */
const GUARD_OPTIONS: readonly OptionRow[] = [
  {
    name: 'm',
    takesValue: true,
    valueName: 'PERCENT[,KILL]',
    help: 'limit on available memory, in percent of user mem total (MemAvailable + AnonPages): SIGTERM at or below PERCENT, SIGKILL at or below KILL (default %m; KILL alone defaults to PERCENT/2)',
  },
  {
    name: 's',
    takesValue: true,
    valueName: 'PERCENT[,KILL]',
    help: 'limit on free swap, in percent of total; both memory and swap have to be at or below their limits. 100,100 ignores swap (default %s)',
  },
  {
    name: 'M',
    takesValue: true,
    valueName: 'SIZE[,KILL]',
    help: 'limit on available memory in KiB, turned into percent of total memory; with -m too, the lower one counts',
  },
  {
    name: 'S',
    takesValue: true,
    valueName: 'SIZE[,KILL]',
    help: 'limit on free swap in KiB; with -s too, the lower one counts',
  },
  { name: 'n', takesValue: false, help: 'send a D-Bus notification for each kill' },
  { name: 'N', takesValue: true, valueName: '/PATH/TO/SCRIPT', help: 'run this after each kill' },
  {
    name: 'P',
    takesValue: true,
    valueName: '/PATH/TO/PROGRAM',
    help: 'run this before each kill, which waits for it for at most 200 ms',
  },
  { name: 'g', takesValue: false, help: "kill the victim's whole process group" },
  { name: 'd', alias: 'debug', takesValue: false, help: 'debug lines' },
  { name: 'v', takesValue: false, help: 'print the version and exit' },
  {
    name: 'r',
    takesValue: true,
    valueName: 'SECONDS',
    help: 'print a memory report this often (default 1); 0 for none',
  },
  { name: 'p', takesValue: false, help: "set the guard's niceness to -20 and its oom_score_adj to -100" },
  { name: 'ignore-root-user', takesValue: false, help: "never kill root's processes" },
  { name: 'sort-by-rss', takesValue: false, help: 'kill the process with the largest RSS, not the highest oom_score' },
  {
    name: 'prefer',
    takesValue: true,
    valueName: 'REGEX',
    help: 'prefer to kill processes whose name matches (oom_score + 300)',
  },
  {
    name: 'avoid',
    takesValue: true,
    valueName: 'REGEX',
    help: 'avoid to kill processes whose name matches (oom_score - 300)',
  },
  { name: 'ignore', takesValue: true, valueName: 'REGEX', help: 'never kill processes whose name matches' },
  {
    name: 'rank-by',
    takesValue: true,
    valueName: 'WAY',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'oom_score (default); memory: what the kill would give back, where --prefer counts double, --avoid half, and a positive oom_score_adj double at most; rss: as --sort-by-rss',
  },
  {
    name: 'floor',
    takesValue: true,
    valueName: 'SIZE',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'pass over processes that would give back less, unless nobody else is left (default 4MiB); 0 passes over nobody',
  },
  {
    name: 'only-user',
    takesValue: true,
    valueName: 'USER',
    exactOnly: true,
    persona: 'oom-backstop',
    help: "kill only this user's processes (name or uid); a guard without CAP_KILL kills only its own user's anyway",
  },
  {
    name: 'only-cgroup',
    takesValue: true,
    valueName: 'GLOB',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'kill only processes in these cgroups and below',
  },
  {
    name: 'match',
    takesValue: true,
    valueName: 'ACTION:KEY=PATTERN',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'prefer, avoid or protect processes by comm, cmdline, exe, user, cgroup, unit or container; a glob or /regex/. May be given more than once',
  },
  {
    name: 'no-way-in',
    takesValue: false,
    exactOnly: true,
    persona: 'oom-backstop',
    help: "may also kill the admin's way in: sshd, systemd's services, logins, terminal multiplexers, display servers, container daemons (see the manual page)",
  },
  {
    name: 'no-psi-rule',
    takesValue: false,
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'without the default PSI rule, which kills when tasks stall for memory while little of it is available (see the manual page); rules of the configuration file stay',
  },
  {
    name: 'kill-after',
    takesValue: true,
    valueName: 'TIME',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'SIGKILL for a victim that has ignored SIGTERM for so long while memory is low, such as 3s or 500ms (default 10s)',
  },
  {
    name: 'max-wait',
    takesValue: true,
    valueName: 'TIME',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'look at memory at least this often, 1s to 10s (default 1s): a longer time saves wake-ups, and is only taken while memory could not reach the limit in it',
  },
  {
    name: 'no-arc',
    takesValue: false,
    exactOnly: true,
    persona: 'oom-backstop',
    help: "don't count what the cache of ZFS would give back as available",
  },
  { name: 'dryrun', takesValue: false, help: 'say what would be killed, and kill nobody' },
  { name: 'syslog', takesValue: false, help: 'log to syslog instead of stdout and stderr' },
  {
    name: 'log-format',
    takesValue: true,
    valueName: 'FORMAT',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'text (default), or json: one JSON object a line, written by pino, all of it to stdout; not together with --syslog',
  },
  { name: 'kernel-oom', takesValue: false, help: "leave the choice and the kill to the kernel's OOM killer" },
  { name: 'k', takesValue: false, help: 'ignored, for compatibility' },
  { name: 'i', takesValue: false, help: 'ignored, for compatibility' },
  {
    name: 'procfs',
    takesValue: true,
    valueName: 'DIR',
    exactOnly: true,
    help: 'read DIR instead of /proc; unless it is a procfs that shows this very process, only with --dryrun',
  },
  {
    name: 'config',
    takesValue: true,
    valueName: 'FILE',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'read FILE alone instead of /etc/oom-backstop/config.toml and /etc/oom-backstop/config.d/*.toml; /dev/null for no configuration',
  },
  {
    name: 'check-config',
    takesValue: false,
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'check configuration and options as a start does, say what is wrong, and exit: 0, or the code that the guard would end with. A reload (SIGHUP) begins with it',
  },
  {
    name: 'runtime-dir',
    takesValue: true,
    valueName: 'DIR',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'where state page, event log and incident records go, in memory (default: $RUNTIME_DIRECTORY; /run/oom-backstop as root, else $XDG_RUNTIME_DIR/oom-backstop)',
  },
  {
    name: 'record',
    takesValue: true,
    valueName: 'FILE',
    exactOnly: true,
    persona: 'oom-backstop',
    help: 'write what the guard sees and does to FILE, for replay; at most 64 MiB',
  },
  { name: 'version', takesValue: false, exactOnly: true, help: 'print the version and exit' },
  { name: 'h', alias: 'help', takesValue: false, help: 'this help text' },
];

/** The options that `persona` has. */
export function optionsOf(persona: Persona): readonly OptionRow[] {
  return GUARD_OPTIONS.filter((row) => row.persona === undefined || row.persona === persona);
}

function tokensOf(args: readonly string[], persona: Persona): Token[] {
  const specs = optionsOf(persona).flatMap((row): OptionSpec[] =>
    row.alias === undefined ? [row] : [row, { ...row, name: row.alias }],
  );
  return getopt(args, specs);
}

/** What the command line asks for. */
export type GuardRequest =
  | { kind: 'run'; options: GuardOptions }
  | { kind: 'help' }
  /** -v: the version line that is printed at each start is all there is to it. */
  | { kind: 'version' };

/** What takes the messages of single options: a Log, or something that keeps them. */
export type OptionLog = Pick<Log, 'begin' | 'end' | 'say' | 'useSyslog' | 'debugEnabled'>;

const DEFAULT_LIMITS: Record<Persona, Limits> = {
  'oom-backstop': { memTermPercent: 5, memKillPercent: 3, swapTermPercent: 100, swapKillPercent: 100 },
  earlyoom: { memTermPercent: 10, memKillPercent: 5, swapTermPercent: 10, swapKillPercent: 5 },
};

/** What holds without a configuration file and without options. */
export function defaultSettings(persona: Persona): Settings {
  return {
    limits: DEFAULT_LIMITS[persona],
    selection: selectionOf(persona),
    patterns: { prefer: null, avoid: null, ignore: null },
    matching: NO_MATCHING,
    sparesWayIn: persona === 'oom-backstop',
    killGroup: false,
    killAfterMs: DEFAULT_KILL_AFTER_MS,
    waitMsMax: WAIT_MS_MAX,
    countArc: persona === 'oom-backstop',
    kernelOom: false,
    dryrun: false,
    debug: false,
    syslog: false,
    logFormat: 'text',
    raisePriority: false,
    beforeKill: null,
    afterKill: null,
    notifyDbus: false,
    reportIntervalMs: MS_PER_S,
    rules: [],
    defaultRule: persona === 'oom-backstop',
    keepsIncidents: persona === 'oom-backstop',
    keepsState: true,
    runtimeDir: null,
  };
}

/** More than a whole limit: `-M` up to MemTotal means 100 %, and rounding may go a little over. */
const SIZE_MAX_RATIO = 100 / 99;
const MEM_PERCENT_MAX = 99;
const SWAP_PERCENT_MAX = 100;
const MS_PER_S = 1000;

/** Options that have the program do nothing else. */
const ENDING = new Set(['v', 'version', 'h', 'help']);

/** The procfs that `args` names, whatever else is in them: it has to be known before the limits can be read. */
export function procfsOf(args: readonly string[], persona: Persona): string {
  return lastValue(tokensOf(args, persona), 'procfs') ?? '/proc';
}

/** The file that --config names; null without it. */
export function configFileOf(args: readonly string[], persona: Persona): string | null {
  return lastValue(tokensOf(args, persona), 'config');
}

/** The form of the log that `args` ask for; null if they do not, or wrongly. */
export function logFormatOf(args: readonly string[], persona: Persona): LogFormat | null {
  return asLogFormat(lastValue(tokensOf(args, persona), 'log-format') ?? '');
}

function asLogFormat(text: string): LogFormat | null {
  return LOG_FORMATS.find((format) => format === text) ?? null;
}

/** Whether nothing is asked for but to check the rest of `args`. */
export function checksOnly(args: readonly string[], persona: Persona): boolean {
  return tokensOf(args, persona).some((token) => token.kind === 'option' && token.name === 'check-config');
}

/** Whether `args` are such that a guard may come of them, and not help, a version or a complaint of getopt's. */
export function mayRun(args: readonly string[], persona: Persona): boolean {
  return tokensOf(args, persona).every((token) => token.kind === 'option' && !ENDING.has(token.name));
}

function lastValue(tokens: readonly Token[], name: string): string | null {
  const last = tokens.findLast((token) => token.kind === 'option' && token.name === name);
  return last?.kind === 'option' ? last.value : null;
}

/**
 * Reads a command line.
 * @param log       takes the messages of single options, in order
 * @param meminfo   reads memory now; called only when a limit needs it
 * @param settings  what holds where the command line says nothing
 * @throws FatalError with the exit code of the first mistake
 */
export function parseGuardOptions(
  args: readonly string[],
  persona: Persona,
  log: OptionLog,
  meminfo: () => Meminfo,
  settings: Settings = defaultSettings(persona),
): GuardRequest {
  const reader = new OptionReader(persona, log, meminfo, settings);
  for (const token of tokensOf(args, persona)) {
    if (token.kind === 'error') {
      log.begin('start').text(`${persona}: `).foreign(token.message);
      log.end();
      log.say('start', `Try '${persona} --help' for more information.`);
      throw new FatalError(EXIT_USAGE, '');
    }
    const end = reader.takeToken(token);
    if (end !== null) return end;
  }
  const conflict = reader.conflict();
  if (conflict !== null) throw conflict;
  return { kind: 'run', options: reader.finish() };
}

/** A command line that was read to its end, whatever is wrong with it. */
interface ExaminedOptions {
  /** What is right of it; a wrong option counts as not given. */
  options: GuardOptions;
  /** What the guard would have ended with, once for each wrong option. */
  mistakes: string[];
}

/** As `parseGuardOptions`, but a mistake does not end it: all of them are found, and nothing is thrown. */
export function examineGuardOptions(
  args: readonly string[],
  persona: Persona,
  log: OptionLog,
  meminfo: () => Meminfo,
  settings: Settings = defaultSettings(persona),
): ExaminedOptions {
  const reader = new OptionReader(persona, log, meminfo, settings);
  const mistakes = tokensOf(args, persona).flatMap((token) => {
    if (token.kind === 'error') return [token.message];
    try {
      const end = reader.takeToken(token);
      return end === null ? [] : [`--${end.kind}: the guard says what it is asked for and ends`];
    } catch (error) {
      if (!isFatal(error)) throw error;
      return [...error.messages];
    }
  });
  return { options: reader.finish(), mistakes: [...mistakes, ...(reader.conflict()?.messages ?? [])] };
}

type SaidSwitch = 'notifyDbus' | 'ignoreRootUser' | 'sortByRss' | 'dryrun' | 'kernelOom';

const SWITCH_LINES: Record<SaidSwitch, [LineKind, string]> = {
  dryrun: ['warn', 'dryrun mode enabled, will not kill anything'],
  notifyDbus: ['start', 'Notifying through D-Bus'],
  ignoreRootUser: ['start', 'Processes owned by root will not be killed'],
  sortByRss: ['start', 'Find process with the largest rss'],
  kernelOom: ['start', 'Using kernel OOM killer (requires Linux v5.17+)'],
};

class OptionReader {
  private readonly options: GuardOptions;
  private mem: LimitPair | null = null;
  private swap: LimitPair | null = null;
  private memKib: LimitPair | null = null;
  private swapKib: LimitPair | null = null;
  private syslog: boolean;
  private logFormat: LogFormat;

  constructor(
    persona: Persona,
    private readonly log: OptionLog,
    private readonly meminfo: () => Meminfo,
    private readonly settings: Settings,
  ) {
    const { syslog, logFormat, ...rest } = settings;
    this.syslog = syslog;
    this.logFormat = logFormat;
    this.options = {
      ...rest,
      persona,
      procfs: '/proc',
      record: null,
      limits: { ...settings.limits },
      selection: { ...settings.selection },
      patterns: { ...settings.patterns },
    };
    if (syslog) log.useSyslog('/dev/log');
    if (settings.debug) log.debugEnabled = true;
    for (const name of Object.keys(SWITCH_LINES) as SaidSwitch[]) if (isOn(settings, name)) this.say(name);
  }

  /**
   * Applies one option. Returns what ends the reading, or null.
   * @throws FatalError for a wrong value, and for what is no option
   */
  takeToken(token: Exclude<Token, { kind: 'error' }>): GuardRequest | null {
    if (token.kind === 'argument') {
      throw new FatalError(EXIT_USAGE, `extra argument not understood: '${token.value}'`);
    }
    return this.take(token.name, token.value);
  }

  private take(name: string, value: string): GuardRequest | null {
    const { options, log } = this;
    switch (name) {
      case 'm':
        this.mem = this.limitPair('-m', value, MEM_PERCENT_MAX, 'PERCENT[,KILL]', EXIT_MEM_LIMIT);
        break;
      case 's':
        this.swap = this.limitPair('-s', value, SWAP_PERCENT_MAX, 'PERCENT[,KILL]', EXIT_SWAP_LIMIT);
        break;
      case 'M':
        this.memKib = this.limitPair('-M', value, sizeMax(this.meminfo().memTotalKib), 'KIB[,KILL]', EXIT_MEM_LIMIT);
        break;
      case 'S':
        this.takeSwapSize(value);
        break;
      case 'k':
        log.say('start', 'Option -k is ignored since earlyoom v1.2');
        break;
      case 'i':
        log.say('start', 'Option -i is ignored since earlyoom v1.7');
        break;
      case 'n':
        options.notifyDbus = true;
        this.sayOnce('notifyDbus');
        break;
      case 'N':
        options.afterKill = value;
        break;
      case 'P':
        options.beforeKill = value;
        break;
      case 'g':
        options.killGroup = true;
        break;
      case 'd':
      case 'debug':
        options.debug = true;
        log.debugEnabled = true;
        break;
      case 'r':
        options.reportIntervalMs = this.reportIntervalMs(value);
        break;
      case 'p':
        options.raisePriority = true;
        break;
      case 'prefer':
      case 'avoid':
      case 'ignore':
        options.patterns[name] = value;
        break;
      case 'ignore-root-user':
        options.selection.ignoreRootUser = true;
        this.sayOnce('ignoreRootUser');
        break;
      case 'sort-by-rss':
        options.selection.rankBy = 'rss';
        this.sayOnce('sortByRss');
        break;
      case 'rank-by':
        options.selection.rankBy = rankByOf(value);
        break;
      case 'floor':
        options.selection.floorKib = floorKibOf(value);
        break;
      case 'only-user':
        options.selection.onlyUid = uidOf(value);
        break;
      case 'only-cgroup':
        options.matching = { ...options.matching, onlyCgroup: onlyCgroupOf(value) };
        break;
      case 'match':
        options.matching = withMatch(options.matching, value);
        break;
      case 'no-way-in':
        options.sparesWayIn = false;
        break;
      case 'no-psi-rule':
        options.defaultRule = false;
        break;
      case 'kill-after':
        options.killAfterMs = killAfterMsOf(value);
        break;
      case 'max-wait':
        options.waitMsMax = waitMsMaxOf(value);
        break;
      case 'no-arc':
        options.countArc = false;
        break;
      case 'dryrun':
        options.dryrun = true;
        this.sayOnce('dryrun');
        break;
      case 'syslog':
        this.syslog = true;
        log.useSyslog('/dev/log');
        break;
      case 'log-format':
        this.logFormat = logFormatOrThrow(value);
        break;
      case 'kernel-oom':
        options.kernelOom = true;
        this.sayOnce('kernelOom');
        break;
      case 'procfs':
        options.procfs = value;
        break;
      case 'runtime-dir':
        options.runtimeDir = value;
        break;
      case 'record':
        options.record = value;
        break;
      case 'config':
      case 'check-config':
        // Read before: the settings are what it holds.
        break;
      case 'v':
      case 'version':
        return { kind: 'version' };
      case 'h':
      case 'help':
        return { kind: 'help' };
      default:
        throw new Error(`option table and reader disagree about ${name}`);
    }
    return null;
  }

  /** Says what is wrong with options together, or null. */
  conflict(): FatalError | null {
    if (!this.syslog || this.logFormat === 'text') return null;
    const valid = 'valid: one of them; in the configuration they are guard.log_format and guard.syslog';
    return new FatalError(EXIT_PARAMETER, `--log-format json and --syslog do not go together (${valid})`);
  }

  /** The options with the limits merged. */
  finish(): GuardOptions {
    const { selection, limits } = this.options;
    const mem = merge(this.mem, this.memKib, () => this.meminfo().memTotalKib);
    const swap = merge(this.swap, this.swapKib, () => this.meminfo().swapTotalKib);
    if (mem !== null) Object.assign(limits, { memTermPercent: mem.term, memKillPercent: mem.kill });
    if (swap !== null) Object.assign(limits, { swapTermPercent: swap.term, swapKillPercent: swap.kill });
    if (selection.rankBy === 'memory') selection.machineKib = this.meminfo().memTotalKib + this.meminfo().swapTotalKib;
    // Where swap has to run short too, what is in it counts.
    selection.swapCounts = limits.swapTermPercent < SWAP_PERCENT_MAX;
    return this.options;
  }

  /** Says what a switch does, unless the settings had it on and it was said of them. */
  private sayOnce(name: SaidSwitch): void {
    if (!isOn(this.settings, name)) this.say(name);
  }

  private say(name: SaidSwitch): void {
    const [kind, text] = SWITCH_LINES[name];
    this.log.say(kind, text);
  }

  /** Without swap the size is ignored; what is no size at all is a mistake even then. */
  private takeSwapSize(value: string): void {
    const total = this.meminfo().swapTotalKib;
    const max = total > 0 ? sizeMax(total) : Number.POSITIVE_INFINITY;
    const pair = this.limitPair('-S', value, max, 'KIB[,KILL]', EXIT_SWAP_LIMIT);
    if (total > 0) this.swapKib = pair;
    else this.log.say('warn', 'warning: -S: total swap is zero, using default percentages');
  }

  private limitPair(option: string, value: string, max: number, form: string, exitCode: number): LimitPair {
    const pair = parseLimitPair(value, max);
    if (typeof pair === 'string') {
      const range = Number.isFinite(max) ? `each from 0 to ${max}` : 'each 0 or more';
      const valid = `valid: ${option} ${form}, ${range}, not both 0`;
      throw new FatalError(exitCode, `${option} ${value}: ${pair} (${valid})`);
    }
    if (pair.term < pair.kill) {
      this.log
        .begin('warn')
        .text(`warning: ${option}: SIGTERM value `)
        .fixed(pair.term, 2)
        .text(' is below SIGKILL value ')
        .fixed(pair.kill, 2)
        .text(', setting SIGTERM = SIGKILL = ')
        .fixed(pair.kill, 2);
      this.log.end();
      pair.term = pair.kill;
    }
    return pair;
  }

  private reportIntervalMs(value: string): number {
    const seconds = strtod(value).value;
    if (!(seconds >= 0)) {
      throw new FatalError(EXIT_PARAMETER, `-r ${value}: invalid interval (valid: -r SECONDS, 0 or more)`);
    }
    return seconds * MS_PER_S;
  }
}

/** @throws FatalError */
function logFormatOrThrow(value: string): LogFormat {
  const format = asLogFormat(value);
  if (format !== null) return format;
  throw new FatalError(EXIT_PARAMETER, `--log-format ${value}: unknown format (valid: ${LOG_FORMATS.join(', ')})`);
}

/** @throws FatalError */
function killAfterMsOf(value: string): number {
  const ms = parseDurationMs(value);
  if (typeof ms === 'number') return ms;
  throw new FatalError(
    EXIT_PARAMETER,
    `--kill-after ${value}: ${ms} (valid: a time such as 10s, with ms, s, min or h)`,
  );
}

/** @throws FatalError */
function waitMsMaxOf(value: string): number {
  const ms = parseMaxWaitMs(value);
  if (typeof ms === 'number') return ms;
  throw new FatalError(EXIT_PARAMETER, `--max-wait ${value}: ${ms} (valid: a time such as 3s, from 1s to 10s)`);
}

function sizeMax(totalKib: number): number {
  return Math.floor(totalKib * SIZE_MAX_RATIO);
}

/** The lower of both, where both are given; a size counts as percent of `totalKib`. */
function merge(percent: LimitPair | null, kib: LimitPair | null, totalKib: () => number): LimitPair | null {
  if (kib === null) return percent;
  const total = totalKib();
  const asPercent = { term: (100 * kib.term) / total, kill: (100 * kib.kill) / total };
  if (percent === null) return asPercent;
  return { term: Math.min(percent.term, asPercent.term), kill: Math.min(percent.kill, asPercent.kill) };
}

function isOn(settings: Settings, name: SaidSwitch): boolean {
  if (name === 'sortByRss') return settings.selection.rankBy === 'rss';
  return name === 'ignoreRootUser' ? settings.selection.ignoreRootUser : settings[name];
}
