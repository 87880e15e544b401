/*
 * `oom-backstop rank`: all processes in the order in which they would be killed, by the guard's own code.
 * Text for people, JSON (an array in the same order) for programs.
 */
import { Command } from 'commander';
import { rankOrder, scoreOf, whyNot } from '../decide/ranking.js';
import { compilePatterns, openMeminfo, openProcfs, selfPidIn } from '../guard/machine.js';
import { ProcessList } from '../guard/process-list.js';
import { Selector } from '../guard/selector.js';
import { printable } from '../report/line.js';
import { Matchers } from '../sample/matchers.js';
import { type NamePatterns, NO_CHILDREN, ProcessScan } from '../sample/process-scan.js';
import { type CandidateTable, UNKNOWN } from '../shared/candidates.js';
import { EXIT_PROC_OPEN, FatalError } from '../shared/exit.js';
import { type Matching, matchLabel } from '../shared/matching.js';
import type { Settings } from '../shared/options.js';
import type { RankedProcess } from '../shared/ranked-process.js';
import type { SelectionPolicy } from '../shared/selection.js';
import { emptyVictim } from '../shared/victim.js';
import { defaultSettings } from './guard-options.js';
import { readConfig } from './read-config.js';
import { floorKibOf, onlyCgroupOf, rankByOf, uidOf, withMatch } from './selection-options.js';
import { safeJson } from './terminal-safe.js';

/** No bound is needed where everything is read. */
const NO_SWAP = { swapTotalKib: 0, swapFreeKib: 0 };

interface RankFlags {
  json?: true;
  procfs: string;
  config?: string;
  prefer?: string;
  avoid?: string;
  ignore?: string;
  rankBy?: string;
  sortByRss?: true;
  ignoreRootUser?: true;
  onlyUser?: string;
  floor?: string;
  onlyCgroup?: string;
  match?: string[];
  /** --no-way-in makes it false. */
  wayIn: boolean;
  earlyoom?: true;
}

/** The command, which writes what it has to say with `write`. */
export function rankCommand(write: (text: string) => void): Command {
  return new Command('rank')
    .description('list all processes in the order in which they would be killed, worst first')
    .option('--json', 'as a JSON array')
    .option('--procfs <dir>', 'read another tree than /proc', '/proc')
    .option('--config <file>', 'as for the guard: read this file alone instead of those in /etc/oom-backstop')
    .option('--prefer <regex>', 'as for the guard: oom_score + 300 for these names')
    .option('--avoid <regex>', 'as for the guard: oom_score - 300 for these names')
    .option('--ignore <regex>', 'as for the guard: never these names')
    .option('--rank-by <way>', 'as for the guard: oom_score, memory or rss')
    .option('--floor <size>', 'as for the guard: pass over who gives back less')
    .option('--only-user <user>', "as for the guard: only this user's processes")
    .option('--only-cgroup <glob>', 'as for the guard: only processes in these cgroups and below')
    .option(
      '--match <rule>',
      'as for the guard: ACTION:KEY=PATTERN, any number of them',
      (rule, before: string[] = []) => [...before, rule],
    )
    .option('--no-way-in', "as for the guard: the admin's way in too")
    .option('--sort-by-rss', 'as for the guard: by RSS instead of oom_score')
    .option('--ignore-root-user', "as for the guard: never root's processes")
    .option(
      '--earlyoom',
      'rank as the earlyoom persona does: without a configuration, and nobody is spared but by --ignore',
    )
    .action(async (flags: RankFlags) => {
      const ranking = rank(flags, await settingsFor(flags));
      write(flags.json === true ? `${safeJson(ranking)}\n` : asText(ranking));
    });
}

/** What the guard would start from. */
async function settingsFor({ config, earlyoom, procfs }: RankFlags): Promise<Settings> {
  if (earlyoom === true) return defaultSettings('earlyoom');
  const configured = await readConfig(config ?? null, () => openMeminfo(procfs).memory);
  return configured?.settings ?? defaultSettings('oom-backstop');
}

function rank(flags: RankFlags, settings: Settings): RankedProcess[] {
  const policy = policyOf(flags, settings);
  const texts = {
    prefer: flags.prefer ?? settings.patterns.prefer,
    avoid: flags.avoid ?? settings.patterns.avoid,
    ignore: flags.ignore ?? settings.patterns.ignore,
  };
  const patterns = compilePatterns(texts, settings.sparesWayIn && flags.wayIn);
  return rankProcesses(flags.procfs, patterns, policy, matchingOf(flags, settings));
}

/**
 * All processes, worst first, by the guard's own code; this process stands for the guard.
 * @throws FatalError if `procfs` can't be opened or listed
 */
export function rankProcesses(
  procfs: string,
  patterns: NamePatterns,
  policy: SelectionPolicy,
  matching: Matching,
): RankedProcess[] {
  const files = openProcfs(procfs);
  const needUid = policy.ignoreRootUser || policy.onlyUid !== -1;
  const matchers = Matchers.of(files, matching);
  const scan = new ProcessScan(files, { ...patterns, matchers, needUid, selfPid: selfPidIn(procfs) }, NO_CHILDREN);
  const selector = new Selector(files, scan, policy, new ProcessList(), null, NO_SWAP);
  if (selector.scanAll() < 0) throw new FatalError(EXIT_PROC_OPEN, `could not list ${procfs}`);
  return rankOrder(selector.table, policy).map((row) => ({
    ...describe(selector, row, policy),
    match: matchWords(selector.table, row, matching),
    matches: scan.matchesOf(selector.table, row),
  }));
}

function matchingOf(flags: RankFlags, settings: Settings): Matching {
  const matching = (flags.match ?? []).reduce(withMatch, settings.matching);
  return flags.onlyCgroup === undefined ? matching : { ...matching, onlyCgroup: onlyCgroupOf(flags.onlyCgroup) };
}

const DONE = { prefer: 'preferred', avoid: 'avoided', protect: 'protected' };

/** What the matcher that counts has done with the row. */
function matchWords(table: CandidateTable, row: number, matching: Matching): string | null {
  const number = table.match[row] as number;
  const action = matching.tables[number - 1]?.action;
  return action === undefined ? null : `${DONE[action]} by ${matchLabel(matching, number)}`;
}

function policyOf(flags: RankFlags, settings: Settings): SelectionPolicy {
  const policy = { ...settings.selection };
  if (flags.rankBy !== undefined) policy.rankBy = rankByOf(flags.rankBy);
  if (flags.sortByRss === true) policy.rankBy = 'rss';
  if (flags.floor !== undefined) policy.floorKib = floorKibOf(flags.floor);
  if (flags.onlyUser !== undefined) policy.onlyUid = uidOf(flags.onlyUser);
  if (flags.ignoreRootUser === true) policy.ignoreRootUser = true;
  if (policy.rankBy === 'memory') {
    const { memTotalKib, swapTotalKib } = openMeminfo(flags.procfs).memory;
    policy.machineKib = memTotalKib + swapTotalKib;
  }
  return policy;
}

function describe(selector: Selector, row: number, policy: SelectionPolicy): Omit<RankedProcess, 'match' | 'matches'> {
  const { table } = selector;
  const victim = emptyVictim();
  selector.describe(row, victim);
  const reason = whyNot(table, row, policy);
  const ranked = { oom_score: table.oomScore, rss: table.rssKib, memory: table.anonKib }[policy.rankBy];
  return {
    pid: victim.pid,
    uid: known(table.uid[row] as number),
    name: textOf(victim.name, victim.nameLength),
    cmdline: textOf(victim.cmdline, victim.cmdlineLength),
    oomScore: known(victim.oomScore),
    oomScoreAdj: known(victim.oomScoreAdj),
    rssKib: known(victim.rssKib),
    anonKib: known(table.anonKib[row] as number),
    swapKib: known(table.swapKib[row] as number),
    score: known(ranked[row] as number) === null ? null : scoreOf(table, row, policy),
    eligible: reason === null,
    reason,
  };
}

function known(value: number): number | null {
  return value === UNKNOWN ? null : value;
}

function textOf(bytes: Uint8Array, length: number): string {
  return Buffer.from(bytes.subarray(0, length)).toString('utf8');
}

const COLUMNS = ['PID', 'UID', 'OOM_SCORE', 'ADJ', 'RSS_MIB', 'ANON_MIB', 'SCORE'] as const;
const WIDTHS = [8, 7, 9, 6, 8, 8, 8] as const;
const KIB_PER_MIB = 1024;

function asText(ranking: readonly RankedProcess[]): string {
  const lines = [`${columns(COLUMNS)}  NAME`];
  for (const process of ranking) {
    const { pid, uid, oomScore, oomScoreAdj, rssKib, anonKib, score } = process;
    const rounded = score === null ? null : Math.floor(score);
    const values = [pid, uid, oomScore, oomScoreAdj, mib(rssKib), mib(anonKib), rounded];
    const why = remark(process);
    lines.push(
      `${columns(values.map((value) => (value === null ? '-' : String(value))))}  ${printable(process.name)}${why}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Why it can't be chosen, or what a matcher makes of it. */
function remark({ reason, match }: RankedProcess): string {
  if (reason === 'protected' && match !== null) return `  (not: ${match})`;
  if (reason !== null) return `  (not: ${reason})`;
  return match === null ? '' : `  (${match})`;
}

function mib(kib: number | null): number | null {
  return kib === null ? null : Math.floor(kib / KIB_PER_MIB);
}

function columns(texts: readonly string[]): string {
  return texts.map((text, column) => text.padStart(WIDTHS[column] as number)).join(' ');
}
