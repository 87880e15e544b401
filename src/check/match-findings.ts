/* Findings on the matchers: whom they match now, and what they can't. Pure. */
import { type MatchCondition, type MatchTable, matchLabel } from '../shared/matching.js';
import type { GuardOptions } from '../shared/options.js';
import type { RankedProcess } from '../shared/ranked-process.js';
import type { Facts } from './facts.js';
import { counted, type Finding, finding, mibOfKib } from './finding.js';
import { branchesOf, COMM_BYTES_MAX, shortestMatch } from './option-findings.js';

/** One for each matcher, and one for all that protect. */
export function matchFindings(facts: Facts, options: GuardOptions): Finding[] {
  const { tables } = options.matching;
  const protects = tables.some(({ action }) => action === 'protect');
  return [
    ...tables.map((table, index) => tableFinding(facts, options, table, index + 1)),
    ...(protects ? [largestFinding(facts.ranking)] : []),
  ];
}

function tableFinding(facts: Facts, { matching, selection }: GuardOptions, table: MatchTable, number: number): Finding {
  const label = `${table.action} by ${matchLabel(matching, number)}`;
  const tooLong = table.conditions.find(({ key, pattern }) => key === 'comm' && shortestName(pattern) > COMM_BYTES_MAX);
  if (tooLong !== undefined) return tooLongFinding(label, tooLong);
  const asksExe = table.conditions.some(({ key }) => key === 'exe');
  if (asksExe && facts.exeError !== null && selection.onlyUid !== facts.privileges.uid) {
    return blindFinding(label, table, facts.exeError);
  }
  const why = 'A matcher acts on processes for which all its conditions hold.';
  // This very process has the pattern among its arguments.
  const others = facts.ranking.filter(({ reason }) => reason !== 'itself');
  const matches = others.filter((process) => process.matches.includes(number)).length;
  if (matches > 0) {
    const found = `${label} matches ${counted(matches, 'process', 'processes')} now`;
    return finding('match', why, { severity: 'ok', found });
  }
  return finding('match', why, {
    severity: 'note',
    found: `${label} matches no process now: ${table.conditions.map(({ key, pattern }) => `${key} '${pattern}'`).join(', ')}`,
    advice:
      'Compare it with /proc/PID/cmdline, exe and cgroup of whom it is meant for; it may not have been started yet.',
  });
}

function tooLongFinding(label: string, { pattern }: MatchCondition): Finding {
  return finding('match', `The kernel keeps ${COMM_BYTES_MAX} bytes of a name.`, {
    severity: 'warning',
    found: `${label}: comm '${pattern}' can't match, it takes ${shortestName(pattern)} bytes`,
    advice: `Give the first ${COMM_BYTES_MAX} bytes of the name and a *, or match by exe or cmdline.`,
  });
}

/** The guard can't tell for whom the condition holds. */
function blindFinding(label: string, { action }: MatchTable, error: string): Finding {
  const why = "A process's program (/proc/PID/exe) can be read by its own user, and with CAP_SYS_PTRACE.";
  const found = `${label}: the programs of other users' processes can't be read: ${error}`;
  const advice = 'Give the guard CAP_SYS_PTRACE, or match by unit, cgroup, user or comm.';
  if (action === 'protect') {
    return finding('match', why, { severity: 'error', found: `${found}; the guard refuses to start`, advice });
  }
  return finding('match', why, { severity: 'warning', found, advice });
}

function largestFinding(ranking: readonly RankedProcess[]): Finding {
  const why = 'Where the largest process is protected, others have to go, and may not give back enough.';
  const [largest] = [...ranking].sort((a, b) => (b.rssKib ?? 0) - (a.rssKib ?? 0));
  if (largest === undefined || largest.reason !== 'protected') {
    return finding('largest-protected', why, {
      severity: 'ok',
      found: 'the largest process now is not protected by a matcher',
    });
  }
  const size = mibOfKib(largest.rssKib ?? 0);
  return finding('largest-protected', why, {
    severity: 'note',
    found: `the largest process now, "${largest.name}" (pid ${largest.pid}, RSS ${size}), is ${largest.match}`,
    advice: 'Limit its memory where it is started (MemoryMax= in its unit), or avoid it instead.',
  });
}

/** How many bytes a name takes at least that a pattern matches; 0 where it can't be told. */
function shortestName(pattern: string): number {
  if (/^\/.*\/$/s.test(pattern)) return Math.min(...branchesOf(pattern.slice(1, -1)).map(shortestMatch));
  const bare = pattern.replace(/\\./gs, '_').replace(/\[[!^]?\]?[^\]]*\]/g, '_');
  return Buffer.byteLength(bare.replaceAll('*', ''));
}
