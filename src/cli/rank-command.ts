/*
 * `oom-backstop rank`: all processes in the order in which they would be killed, by the guard's own code.
 * Text for people, JSON (an array in the same order) for programs.
 */
import { Command } from 'commander';
import { rankOrder, scoreOf, whyNot } from '../decide/ranking.js';
import { compilePatterns, openProcfs, selfPidIn } from '../guard/machine.js';
import { ProcessList } from '../guard/process-list.js';
import { Selector } from '../guard/selector.js';
import { Line } from '../report/line.js';
import { type NamePatterns, NO_CHILDREN, ProcessScan } from '../sample/process-scan.js';
import { UNKNOWN } from '../shared/candidates.js';
import { EXIT_PROC_OPEN, FatalError } from '../shared/exit.js';
import type { RankedProcess } from '../shared/ranked-process.js';
import type { SelectionPolicy } from '../shared/selection.js';
import { emptyVictim } from '../shared/victim.js';
import { safeJson } from './terminal-safe.js';

interface RankFlags {
  json?: true;
  procfs: string;
  prefer?: string;
  avoid?: string;
  ignore?: string;
  sortByRss?: true;
  ignoreRootUser?: true;
  /** Both personas rank alike until the own persona gets a ranking of its own. */
  earlyoom?: true;
}

/** The command, which writes what it has to say with `write`. */
export function rankCommand(write: (text: string) => void): Command {
  return new Command('rank')
    .description('list all processes in the order in which they would be killed, worst first')
    .option('--json', 'as a JSON array')
    .option('--procfs <dir>', 'read another tree than /proc', '/proc')
    .option('--prefer <regex>', 'as for the guard: oom_score + 300 for these names')
    .option('--avoid <regex>', 'as for the guard: oom_score - 300 for these names')
    .option('--ignore <regex>', 'as for the guard: never these names')
    .option('--sort-by-rss', 'as for the guard: by RSS instead of oom_score')
    .option('--ignore-root-user', "as for the guard: never root's processes")
    .option('--earlyoom', 'rank as the earlyoom persona does (today both rank alike)')
    .action((flags: RankFlags) => {
      const ranking = rank(flags);
      write(flags.json === true ? `${safeJson(ranking)}\n` : asText(ranking));
    });
}

function rank(flags: RankFlags): RankedProcess[] {
  const policy: SelectionPolicy = {
    sortByRss: flags.sortByRss === true,
    ignoreRootUser: flags.ignoreRootUser === true,
    onlyPid: 0,
  };
  const patterns = compilePatterns({
    prefer: flags.prefer ?? null,
    avoid: flags.avoid ?? null,
    ignore: flags.ignore ?? null,
  });
  return rankProcesses(flags.procfs, patterns, policy);
}

/**
 * All processes, worst first, by the guard's own code; this process stands for the guard.
 * @throws FatalError if `procfs` can't be opened or listed
 */
export function rankProcesses(procfs: string, patterns: NamePatterns, policy: SelectionPolicy): RankedProcess[] {
  const files = openProcfs(procfs);
  const options = { ...patterns, needUid: policy.ignoreRootUser, selfPid: selfPidIn(procfs) };
  const selector = new Selector(files, new ProcessScan(files, options, NO_CHILDREN), policy, new ProcessList(), null);
  if (selector.scanAll() < 0) throw new FatalError(EXIT_PROC_OPEN, `could not list ${procfs}`);
  return rankOrder(selector.table, policy).map((row) => describe(selector, row, policy));
}

function describe(selector: Selector, row: number, policy: SelectionPolicy): RankedProcess {
  const { table } = selector;
  const victim = emptyVictim();
  selector.describe(row, victim);
  const reason = whyNot(table, row, policy);
  const ranked = policy.sortByRss ? table.rssKib : table.oomScore;
  return {
    pid: victim.pid,
    uid: known(table.uid[row] as number),
    name: textOf(victim.name, victim.nameLength),
    cmdline: textOf(victim.cmdline, victim.cmdlineLength),
    oomScore: known(victim.oomScore),
    oomScoreAdj: known(victim.oomScoreAdj),
    rssKib: known(victim.rssKib),
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

const COLUMNS = ['PID', 'UID', 'OOM_SCORE', 'ADJ', 'RSS_MIB', 'SCORE'] as const;
const WIDTHS = [8, 7, 9, 6, 8, 8] as const;
const KIB_PER_MIB = 1024;

function asText(ranking: readonly RankedProcess[]): string {
  const lines = [`${columns(COLUMNS)}  NAME`];
  for (const process of ranking) {
    const rssMib = process.rssKib === null ? null : Math.floor(process.rssKib / KIB_PER_MIB);
    const values = [process.pid, process.uid, process.oomScore, process.oomScoreAdj, rssMib, process.score];
    const why = process.reason === null ? '' : `  (not: ${process.reason})`;
    lines.push(
      `${columns(values.map((value) => (value === null ? '-' : String(value))))}  ${printable(process.name)}${why}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function columns(texts: readonly string[]): string {
  return texts.map((text, column) => text.padStart(WIDTHS[column] as number)).join(' ');
}

/** A name that can't steer the terminal. */
function printable(name: string): string {
  const line = new Line().foreign(name);
  return line.bytes.toString('utf8', 0, line.length);
}
