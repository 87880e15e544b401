/* What to change if a kill was wrong: options for this very case, with their configuration lines. Pure. */
import type { IncidentCandidate, IncidentRecord } from '../shared/incident.js';

export interface Advice {
  /** What is to be noticed. */
  because: string;
  /** What to do about it. */
  remedy: string;
}

/** Another process counts as larger than the victim from here on. */
const LARGER = 1.5;
/** A hook that takes longer is worth a word: 200 ms are the most it gets. */
const SLOW_HOOK_US = 100_000;
const KIB_PER_MIB = 1024;
const EPERM = 1;

/** The most telling first. */
export function adviceFor(record: IncidentRecord): Advice[] {
  const found = [
    ...onOutcome(record),
    ...onRanking(record),
    ...onSpared(record),
    ...onMemory(record),
    ...onTime(record),
    protectVictim(record),
  ];
  return found.filter((each) => each !== null);
}

function onOutcome({ outcome, errno, victim }: IncidentRecord): (Advice | null)[] {
  if (outcome === 'dry run') {
    return [
      {
        because: 'It was a dry run: nobody was signalled.',
        remedy: 'Leave --dryrun (dryrun = false) to have it done.',
      },
    ];
  }
  if (outcome === 'failed' && errno === EPERM) {
    const remedy = 'Run the guard as root or with CAP_KILL, or have it keep to its own user with --only-user.';
    return [{ because: `The guard may not signal processes of uid ${victim.uid}.`, remedy }];
  }
  if (outcome === 'outlived SIGTERM') {
    const remedy = `Next time it gets SIGKILL at once. If it needs longer to end, start earlier: a higher -m.`;
    return [{ because: 'It did not end after SIGTERM, but memory recovered by itself.', remedy }];
  }
  if (outcome === 'outlived SIGKILL') {
    const remedy = 'It is put aside, and the next one is taken. Look where it hangs: /proc/PID/stack, dmesg.';
    return [
      {
        because: 'A process that outlives SIGKILL waits in the kernel, mostly for a disk or a network file system.',
        remedy,
      },
    ];
  }
  return [];
}

/** A small process that had been marked died before a larger one. */
function onRanking({ ranking, victim, candidates }: IncidentRecord): (Advice | null)[] {
  const larger = largestOther(candidates, victim.pid, (each) => each.passedOver === null);
  if (ranking !== 'oom_score' || larger === null || !isLarger(larger, victim.anonKib)) return [];
  const why =
    (victim.oomScoreAdj ?? 0) > 0
      ? `its oom_score_adj of ${victim.oomScoreAdj} put it first`
      : 'its oom_score put it first';
  return [
    {
      because: `${named(larger)} held ${mib(larger.anonKib)}, the victim ${mib(victim.anonKib)}: ${why}.`,
      remedy: 'To end who gives back the most: --rank-by memory ([selection] rank_by = "memory").',
    },
  ];
}

/** A larger one was spared. */
function onSpared({ victim, candidates }: IncidentRecord): (Advice | null)[] {
  const spared = largestOther(candidates, victim.pid, (each) => each.passedOver !== null);
  if (spared === null || !isLarger(spared, victim.anonKib)) return [];
  const because = `${named(spared)} held ${mib(spared.anonKib)} and was passed over (${spared.passedOver}).`;
  switch (spared.passedOver) {
    case 'the way in':
      return [
        { because, remedy: "To have the admin's way in killed too: --no-way-in ([selection] spare_way_in = false)." },
      ];
    case '--ignore':
      return [{ because, remedy: 'To have it killed: take its name out of --ignore ([selection] ignore).' }];
    case '--ignore-root-user':
      return [{ because, remedy: "To have root's processes killed too: leave --ignore-root-user." }];
    case 'oom_score_adj -1000':
      return [{ because, remedy: 'To have it killed: a higher OOMScoreAdjust= in its unit.' }];
    case 'set aside':
      return [
        {
          because,
          remedy: 'It had outlived a signal before, or may not be signalled by this guard: see earlier incidents.',
        },
      ];
    default:
      return [];
  }
}

function onMemory({ expectedKib, gaveBackKib, timelineUs }: IncidentRecord): (Advice | null)[] {
  if (expectedKib === null || gaveBackKib === null || timelineUs.exited === null) return [];
  if (gaveBackKib * 2 >= expectedKib || expectedKib < KIB_PER_MIB) return [];
  const because = `It gave back ${mib(gaveBackKib)} of the ${mib(expectedKib)} that were expected.`;
  return [
    {
      because,
      remedy:
        'Either others took it at once, or it is shared: look at Shmem in /proc/meminfo and at tmpfs (df -t tmpfs).',
    },
  ];
}

function onTime({ why, timelineUs }: IncidentRecord): (Advice | null)[] {
  const { hookStarted, hookEnded, sigterm, sigkill } = timelineUs;
  const found: Advice[] = [];
  if (hookStarted !== null && hookEnded !== null && hookEnded - hookStarted > SLOW_HOOK_US) {
    const because = `The signal waited ${Math.round((hookEnded - hookStarted) / 1000)} ms for the -P program.`;
    found.push({ because, remedy: 'Make it faster, or do its work after the kill (-N).' });
  }
  if (sigkill !== null && sigterm === null && why.level === 'kill') {
    const because = "It got no SIGTERM first: memory was at SIGKILL's limit when it was chosen.";
    found.push({
      because,
      remedy: 'To have it asked earlier: a higher SIGTERM limit, for example -m 10,3 ([memory] term = "10%").',
    });
  }
  return found;
}

function protectVictim({ victim }: IncidentRecord): Advice | null {
  if (victim.name === '') return null;
  const regex = `^${escapeRegex(victim.name)}$`;
  const name = shown(victim.name);
  return {
    because: `If ${name} must never be killed:`,
    remedy: `--ignore ${shellQuoted(regex)} ([selection] ignore = ${JSON.stringify(regex)}); to have it killed last, --avoid with the same.`,
  };
}

function largestOther(
  candidates: readonly IncidentCandidate[],
  victimPid: number,
  eligible: (candidate: IncidentCandidate) => boolean,
): IncidentCandidate | null {
  const others = candidates.filter((each) => each.pid !== victimPid && eligible(each));
  return others.reduce<IncidentCandidate | null>(
    (most, each) => ((each.anonKib ?? -1) > (most?.anonKib ?? -1) ? each : most),
    null,
  );
}

function isLarger(other: IncidentCandidate, victimKib: number | null): boolean {
  return other.anonKib !== null && victimKib !== null && other.anonKib > victimKib * LARGER;
}

function named({ pid, name }: { pid: number; name: string }): string {
  return `${shown(name)} (process ${pid})`;
}

function shown(name: string): string {
  return `"${name}"`;
}

function mib(kib: number | null): string {
  return kib === null ? 'an unknown amount' : `${Math.floor(kib / KIB_PER_MIB)} MiB`;
}

/** A POSIX extended regular expression that matches this text. */
function escapeRegex(text: string): string {
  return text.replace(/[.[\]{}()*+?^$|\\]/g, '\\$&');
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
