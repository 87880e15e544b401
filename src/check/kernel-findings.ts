/* Findings on what the kernel offers to the guard, and what it allows it. Pure. */
import type { RankedProcess } from '../shared/ranked-process.js';
import type { CgroupFacts, Facts } from './facts.js';
import { type Finding, finding, mibOfBytes } from './finding.js';

/** The guard takes 20 MiB when it runs and 50 while it starts (measured); below the first it can't. */
const OWN_BYTES_MIN = 32 * 1048576;
const OWN_BYTES_AT_START = 50 * 1048576;

/** Without CAP_SYS_RESOURCE the kernel grants 2 s; with it, the guard gets what it asks for. */
const SHORT_WINDOW_MS = 500;

const FILTER_ADVICE = 'A seccomp filter refuses it: allow it in the unit, SystemCallFilter=';

/** All of them, in the order of the table. */
export function kernelFindings(facts: Facts): Finding[] {
  return [
    capKillFinding(facts),
    hidepidFinding(facts),
    pidfdFinding(facts),
    mreleaseFinding(facts),
    closeRangeFinding(facts),
    memoryLockFinding(facts),
    ownLimitFinding(facts),
    psiFinding(facts),
    ...triggerFindings(facts),
    ...cgroupFindings(facts),
  ];
}

function capKillFinding({ privileges, ranking }: Facts): Finding {
  const why =
    "Other users' processes can be signalled only with CAP_KILL: oom-backstop without it keeps to its own user's, earlyoom chooses one, fails, and tries again.";
  if (privileges.kill) return finding('cap-kill', why, { severity: 'ok', found: 'CAP_KILL is in force' });
  const first: RankedProcess | undefined = ranking.find((process) => process.eligible);
  const beyond =
    first !== undefined && first.uid !== privileges.uid ? `, not "${first.name}", which would be the victim now` : '';
  return finding('cap-kill', why, {
    severity: 'warning',
    found: `no CAP_KILL: only processes of uid ${privileges.uid} can be killed${beyond}`,
    advice:
      'Run the guard as root, or under the shipped unit, and check as it runs (systemd/README.md, "Check it first").',
  });
}

function hidepidFinding({ hiding }: Facts): Finding {
  const why = 'A guard that does not see a process can not choose it, and kills somebody else.';
  const option = hiding.hidepid === null ? '' : ` (hidepid=${hiding.hidepid})`;
  if (!hiding.pid1Visible) {
    return finding('hidepid', why, {
      severity: 'warning',
      found: `pid 1 is not visible${option}: processes of other users are hidden`,
      advice: 'Mount /proc without hidepid, or with gid= of a group that the guard is in (SupplementaryGroups=).',
    });
  }
  if (hiding.hidepid === null) return finding('hidepid', why, { severity: 'ok', found: 'all processes are visible' });
  return finding('hidepid', why, {
    severity: 'note',
    found: `this process sees all others, but /proc hides them from some users${option}`,
    advice: "Check as the guard's user too.",
  });
}

function pidfdFinding({ calls }: Facts): Finding {
  const why =
    'A pidfd names one process for good; by its pid alone a signal could reach another that got the number since.';
  const { pidfdOpen, pidfdSendSignal } = calls;
  if (pidfdOpen.state === 'absent') {
    return finding('pidfd', why, {
      severity: 'warning',
      found: 'the kernel has no pidfd_open (Linux 5.3): the guard uses kill(2)',
      advice: 'A newer kernel.',
    });
  }
  const broken = [pidfdOpen, pidfdSendSignal].find((call) => call.state !== 'works');
  if (broken === undefined) {
    return finding('pidfd', why, { severity: 'ok', found: 'pidfd_open and pidfd_send_signal work' });
  }
  const name = broken === pidfdOpen ? 'pidfd_open' : 'pidfd_send_signal';
  return finding('pidfd', why, {
    severity: 'error',
    found: `${name} fails: ${broken.error}; no process can be killed`,
    advice: `${FILTER_ADVICE}${name}.`,
  });
}

function mreleaseFinding({ calls: { processMrelease: call } }: Facts): Finding {
  const why = 'After SIGKILL it has the kernel free the memory of a victim that does not get to its own end.';
  const name = 'process_mrelease';
  if (call.state === 'works') return finding('process-mrelease', why, { severity: 'ok', found: `${name} works` });
  if (call.state === 'absent') {
    return finding('process-mrelease', why, {
      severity: 'note',
      found: `the kernel has no ${name} (Linux 5.15): memory comes back when the victim has ended`,
      advice: 'A newer kernel.',
    });
  }
  return finding('process-mrelease', why, {
    severity: 'warning',
    found: `${name} fails: ${call.error}`,
    advice: `${FILTER_ADVICE}${name}.`,
  });
}

function closeRangeFinding({ calls: { closeRange: call } }: Facts): Finding {
  const why = 'Looking at all processes is a tenth faster with it; without it files are closed one by one.';
  if (call.state === 'works') return finding('close-range', why, { severity: 'ok', found: 'close_range works' });
  const found = `close_range fails: ${call.error}`;
  const advice = call.state === 'absent' ? 'A newer kernel (Linux 5.9).' : `${FILTER_ADVICE}close_range.`;
  return finding('close-range', why, { severity: 'note', found, advice });
}

function memoryLockFinding({ calls: { mlock2 }, privileges }: Facts): Finding {
  const why =
    'Code that is not locked is dropped when memory runs out, and read from the disk again at the worst moment.';
  const { ipcLock, memlockLimitBytes, lockableBytes } = privileges;
  const needed = mibOfBytes(lockableBytes);
  const enough = ipcLock || memlockLimitBytes >= lockableBytes;
  if (!enough) {
    return finding('memory-lock', why, {
      severity: 'warning',
      found: `RLIMIT_MEMLOCK is ${mibOfBytes(memlockLimitBytes)}, the guard locks ${needed} of addresses`,
      advice: `CAP_IPC_LOCK, or LimitMEMLOCK= of more than ${needed} in the unit.`,
    });
  }
  if (mlock2.state !== 'works') {
    const advice = mlock2.state === 'absent' ? 'A newer kernel (Linux 4.4).' : `${FILTER_ADVICE}mlock2.`;
    return finding('memory-lock', why, { severity: 'warning', found: `mlock2 fails: ${mlock2.error}`, advice });
  }
  const by = ipcLock ? 'CAP_IPC_LOCK is in force' : `RLIMIT_MEMLOCK allows the ${needed} that it takes`;
  return finding('memory-lock', why, { severity: 'ok', found: `mlock2 works, ${by}` });
}

function ownLimitFinding({ cgroup }: Facts): Finding {
  const why = 'At the limit of its own cgroup the guard is killed, whatever the machine has left.';
  if (cgroup === null)
    return finding('own-memory-limit', why, { severity: 'note', found: 'not known: the tree shows no cgroups' });
  const bytes = cgroup.memoryLimitBytes;
  if (bytes === null)
    return finding('own-memory-limit', why, { severity: 'ok', found: 'this cgroup has no memory limit' });
  const found = `this cgroup may use ${mibOfBytes(bytes)}`;
  const advice = 'MemoryMax=256M in the unit, as shipped.';
  if (bytes < OWN_BYTES_MIN) return finding('own-memory-limit', why, { severity: 'warning', found, advice });
  if (bytes >= OWN_BYTES_AT_START) return finding('own-memory-limit', why, { severity: 'ok', found });
  return finding('own-memory-limit', why, {
    severity: 'note',
    found: `${found}, less than the guard takes at start`,
    advice,
  });
}

function psiFinding({ pressure }: Facts): Finding {
  const why =
    'Pressure tells of a machine that stalls although memory seems available; without it the guard goes by MemAvailable alone.';
  if (pressure.readError === null)
    return finding('psi', why, { severity: 'ok', found: 'memory pressure (PSI) can be read' });
  return finding('psi', why, {
    severity: 'warning',
    found: `memory pressure (PSI) can't be read: ${pressure.readError}`,
    advice: 'Linux 4.20 with CONFIG_PSI, and psi=1 on the kernel command line where the distribution switches it off.',
  });
}

/** One, or none where there is no PSI at all. */
function triggerFindings({ pressure, live }: Facts): Finding[] {
  if (pressure.readError !== null) return [];
  const why = 'A trigger wakes the guard when tasks stall, up to a second before it would look by itself.';
  const { windowMs } = pressure;
  if (windowMs !== null && windowMs <= SHORT_WINDOW_MS) {
    return [finding('psi-trigger', why, { severity: 'ok', found: `the kernel grants a window of ${windowMs} ms` })];
  }
  if (windowMs !== null) {
    return [
      finding('psi-trigger', why, {
        severity: 'note',
        found: `the kernel grants a window of ${windowMs} ms only, which it looks at every 2 s`,
        advice: 'CAP_SYS_RESOURCE gives 500 ms; it is a strong capability (systemd/README.md, "Drop-ins").',
      }),
    ];
  }
  if (!live)
    return [finding('psi-trigger', why, { severity: 'note', found: `not set on this tree: ${pressure.triggerError}` })];
  return [
    finding('psi-trigger', why, {
      severity: 'warning',
      found: `the kernel grants no window: ${pressure.triggerError}`,
      advice: 'Linux 6.5, or CAP_SYS_RESOURCE; and /proc/pressure writable, outside of the sandbox of a container.',
    }),
  ];
}

function cgroupFindings({ cgroup, swapAreas }: Facts): Finding[] {
  const why =
    'systemd protects the guard by cgroup v2: MemoryMin= and MemorySwapMax= of the shipped unit have no effect elsewhere.';
  if (cgroup === null)
    return [finding('cgroup2', why, { severity: 'note', found: 'not known: the tree shows no mounts' })];
  if (cgroup.mountPoint === null) {
    const advice = 'systemd.unified_cgroup_hierarchy=1 on the kernel command line.';
    return [
      finding('cgroup2', why, { severity: 'note', found: 'cgroup v2 is not mounted', advice }),
      memoryController(cgroup, why, swapAreas.length),
    ];
  }
  return [
    finding('cgroup2', why, { severity: 'ok', found: `cgroup v2 is mounted at ${cgroup.mountPoint}` }),
    memoryController(cgroup, why, swapAreas.length),
    existence(
      'cgroup-pressure',
      'The pressure within one cgroup shows what the whole machine hides.',
      'memory.pressure',
      cgroup.memoryPressure,
    ),
    existence(
      'cgroup-kill',
      'It ends a whole cgroup at once (Linux 5.14). PSI rules with scope = "cgroup" use it.',
      'cgroup.kill',
      cgroup.kill,
    ),
  ];
}

function memoryController({ memoryController: there }: CgroupFacts, why: string, swapAreas: number): Finding {
  if (there) return finding('cgroup-memory', why, { severity: 'ok', found: 'cgroup v2 has the memory controller' });
  return finding('cgroup-memory', why, {
    severity: swapAreas > 0 ? 'warning' : 'note',
    found: `cgroup v2 does not have the memory controller${swapAreas > 0 ? ': the guard itself can be swapped out' : ''}`,
    advice: 'Boot with cgroup v2 alone (systemd.unified_cgroup_hierarchy=1), without cgroup_disable=memory.',
  });
}

function existence(id: 'cgroup-pressure' | 'cgroup-kill', why: string, file: string, there: boolean | null): Finding {
  if (there === true) return finding(id, why, { severity: 'ok', found: `there is a ${file}` });
  const found =
    there === null ? `not known: there is no cgroup below the root that could have a ${file}` : `there is no ${file}`;
  return finding(id, why, { severity: 'note', found });
}
