/* Findings on the processes: who would be killed now, who would be missed, and who else kills. Pure. */
import type { GuardOptions } from '../shared/options.js';
import type { RankedProcess } from '../shared/ranked-process.js';
import type { Facts } from './facts.js';
import { counted, type Finding, finding, mibOfKib } from './finding.js';

/** So many go before the admin notices that something is wrong. */
const FIRST = 10;

/** By which an admin gets in, and what a session needs to go on: names as /proc/PID/comm has them. */
const WAY_IN = new Set([
  'sshd',
  'sshd-session',
  'dropbear',
  'login',
  'systemd', // pid 1 is never chosen, so this is a user's
  'systemd-logind',
  'elogind-daemon',
  'dbus-daemon',
  'dbus-broker',
  'dbus-broker-lau',
  'tmux: server',
  'screen',
]);

/** From here on an adjustment is somebody's decision: systemd gives 100 and 200 to the processes of a session, browsers 200 to 300. */
const RAISED_ADJ = 100;
const RSS_RATIO = 10;

const DAEMONS = new Set(['earlyoom', 'nohang', 'oomd', 'systemd-oomd', 'psi-monitor', 'oom-backstop']);
/** These name themselves; what runs under Node with their name in its arguments is another command of theirs. */
const OWN_NAMES = new Set(['earlyoom', 'oom-backstop']);
const INTERPRETER = /^(?:python|perl|bash$|dash$|sh$)/;
const DRY_RUN = /\s--dry/;

/** All of them, in the order of the table. */
export function processFindings(facts: Facts, options: GuardOptions): Finding[] {
  const eligible = facts.ranking.filter((process) => process.eligible);
  return [
    victimFinding(eligible[0] ?? facts.ranking.find(({ reason }) => reason === 'gives back too little')),
    wayInFinding(facts.ranking, eligible),
    smallVictimsFinding(eligible, options),
    otherDaemonFinding(facts.ranking),
  ];
}

/** @param first  who would be killed: where everybody would give back too little, the first of those */
function victimFinding(first: RankedProcess | undefined): Finding {
  const why = 'This is the process that would be killed if memory ran out now.';
  if (first === undefined) {
    return finding('victim', why, {
      severity: 'warning',
      found: 'nobody can be killed now',
      advice: 'See `oom-backstop rank` for the reasons, and loosen --ignore, --ignore-root-user and --only-user.',
    });
  }
  const rss = first.rssKib === null ? 'RSS unknown' : `RSS ${mibOfKib(first.rssKib)}`;
  const facts = `oom_score ${first.oomScore}, oom_score_adj ${first.oomScoreAdj}, ${rss}`;
  return finding('victim', why, {
    severity: 'ok',
    found: `${nameOf(first)} of uid ${first.uid} would be killed now, with score ${first.score} (${facts})`,
  });
}

function wayInFinding(ranking: readonly RankedProcess[], eligible: readonly RankedProcess[]): Finding {
  const why =
    'Who kills the way in leaves the admin outside, on a machine in trouble. oom-backstop spares it, unless --no-way-in is given.';
  const all = ranking.filter((process) => isWayIn(process) && process.reason !== 'init');
  const exempt = all.filter((process) => !process.eligible).length;
  const soon = eligible.slice(0, FIRST).filter(isWayIn);
  if (soon.length === 0) {
    const found = `none of the ${counted(all.length, 'process', 'processes')} of sessions, ssh and D-Bus is among the first ${FIRST} victims (${exempt} exempt)`;
    return finding('way-in', why, { severity: 'ok', found });
  }
  const places = soon.map(
    (process) => `${nameOf(process)} is number ${eligible.indexOf(process) + 1}, score ${process.score}`,
  );
  const names = [...new Set(soon.map((process) => process.name))].join('|');
  return finding('way-in', why, {
    severity: 'warning',
    found: `among the first ${FIRST} victims: ${places.join('; ')}`,
    advice: `Exempt it: --ignore '^(${names})$', or OOMScoreAdjust=-1000 in its unit.`,
  });
}

/** ssh, D-Bus, logind, the user's systemd, multiplexers, and login shells, whose first argument begins with a dash. */
function isWayIn({ name, cmdline }: RankedProcess): boolean {
  return WAY_IN.has(name) || /^-\w*sh(?: |$)/.test(cmdline);
}

interface SmallVictim {
  small: RankedProcess;
  /** 0: the first to be killed. */
  place: number;
  large: RankedProcess;
}

function smallVictimsFinding(eligible: readonly RankedProcess[], { selection }: GuardOptions): Finding {
  const why =
    'oom_score adds oom_score_adj, where 300 count as much as a third of all memory: the small go first, and little comes back.';
  const small = selection.rankBy === 'oom_score' ? smallVictims(eligible) : [];
  const [first] = small;
  if (first === undefined) {
    const found =
      selection.rankBy !== 'oom_score'
        ? `ranked by ${selection.rankBy}, where a raised oom_score_adj doubles a process at most`
        : `nobody with an oom_score_adj of ${RAISED_ADJ} or more goes before a process of ${RSS_RATIO} times its size`;
    return finding('small-victims', why, { severity: 'ok', found });
  }
  const example = `${nameOf(first.small)} (number ${first.place + 1}, oom_score_adj ${first.small.oomScoreAdj}, RSS ${mibOfKib(first.small.rssKib ?? 0)}) goes before ${nameOf(first.large)} (RSS ${mibOfKib(first.large.rssKib ?? 0)})`;
  const many = counted(small.length, 'process goes', 'processes go');
  return finding('small-victims', why, {
    severity: first.place < FIRST ? 'warning' : 'note',
    found: `by a raised oom_score_adj ${many} before others of ${RSS_RATIO} times the size: ${example}`,
    advice: '--rank-by memory ranks by what a kill gives back; or give them a lower oom_score_adj.',
  });
}

/** Those with a raised adjustment that go before somebody ten times as large; worst first. RSS 0 hides what a process has. */
function smallVictims(eligible: readonly RankedProcess[]): SmallVictim[] {
  const found: SmallVictim[] = [];
  let largest: RankedProcess | null = null;
  for (let place = eligible.length - 1; place >= 0; place--) {
    const process = eligible[place] as RankedProcess;
    const rssKib = process.rssKib ?? 0;
    const raised = (process.oomScoreAdj ?? 0) >= RAISED_ADJ && rssKib > 0;
    if (raised && largest !== null && (largest.rssKib ?? 0) >= RSS_RATIO * rssKib) {
      found.push({ small: process, place, large: largest });
    }
    if (largest === null || rssKib > (largest.rssKib ?? 0)) largest = process;
  }
  return found.reverse();
}

function otherDaemonFinding(ranking: readonly RankedProcess[]): Finding {
  const why = 'Two guards kill two processes for one shortage, each by its own rule.';
  const running = ranking.filter((process) => daemonOf(process) !== null);
  if (running.length === 0) return finding('other-daemon', why, { severity: 'ok', found: 'no other OOM daemon runs' });
  const live = running.filter((process) => !DRY_RUN.test(process.cmdline));
  const found = (live.length > 0 ? live : running).map((process) => `${daemonOf(process)} runs as pid ${process.pid}`);
  if (live.length === 0) {
    return finding('other-daemon', why, { severity: 'note', found: `${found.join(', ')}, in a dry run` });
  }
  return finding('other-daemon', why, {
    severity: 'warning',
    found: found.join(', '),
    advice: 'Run one of them: `systemctl disable --now` the other (systemd-oomd: its .socket as well).',
  });
}

/** The OOM daemon that a process is, or null. A script that was started through `env` is called after its interpreter. */
function daemonOf({ name, cmdline, reason }: RankedProcess): string | null {
  if (reason === 'itself' || reason === 'kernel thread' || reason === 'dead') return null;
  if (DAEMONS.has(name)) return name;
  if (!INTERPRETER.test(name)) return null;
  const script = cmdline
    .split(' ')
    .slice(1)
    .find((word) => !word.startsWith('-'));
  const program = script?.slice(script.lastIndexOf('/') + 1) ?? '';
  return DAEMONS.has(program) && !OWN_NAMES.has(program) ? program : null;
}

function nameOf({ pid, name }: RankedProcess): string {
  return `"${name}" (pid ${pid})`;
}
