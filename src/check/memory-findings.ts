/* Findings on what counts as memory here, and on the kernel's own OOM killer. Pure. */
import { arcCountsKib } from '../decide/headroom.js';
import type { GuardOptions } from '../shared/options.js';
import type { Facts } from './facts.js';
import { counted, type Finding, finding, mibOfKib, percent } from './finding.js';

/** From this share of all memory on, memory that the guard takes for used decides when it acts. */
const ARC_PERCENT_MAX = 5;

/** All of them, in the order of the table. */
export function memoryFindings(facts: Facts, options: GuardOptions): Finding[] {
  return [
    swapFinding(facts, options),
    zswapFinding(facts),
    arcFinding(facts, options),
    overcommitFinding(facts),
    panicFinding(facts),
    allocatingTaskFinding(facts),
  ];
}

function swapFinding({ memory, swapAreas }: Facts, { persona, limits }: GuardOptions): Finding {
  const why = 'Free swap is no memory that is free: on zram, what is swapped out stays in memory, compressed.';
  if (memory.swapTotalKib === 0) return finding('swap', why, { severity: 'ok', found: 'there is no swap' });
  const counts = limits.swapTermPercent < 100 || limits.swapKillPercent < 100;
  const policy = counts ? 'the policy looks at how much is free' : 'the policy does not count it';
  const onZram = swapAreas.filter(({ name }) => /(^|\/)zram\d/.test(name));
  const total = `${mibOfKib(memory.swapTotalKib)} of swap in ${counted(swapAreas.length, 'area', 'areas')}`;
  if (onZram.length === 0) return finding('swap', why, { severity: 'ok', found: `${total}, none on zram; ${policy}` });
  const found = `${total}, on zram: ${onZram.map(({ name }) => name).join(', ')}; ${policy}`;
  if (counts && persona === 'oom-backstop') {
    const by = 'near the limits, zram counts by what it really wins (its free space less what filling it costs)';
    return finding('swap', why, { severity: 'ok', found: `${found}; ${by}` });
  }
  return finding('swap', why, { severity: 'note', found, advice: 'Let memory alone decide: -s 100,100.' });
}

function zswapFinding({ memory, zswapEnabled }: Facts): Finding {
  const why =
    'zswap keeps swapped pages compressed in memory first: free swap falls although the disk was not touched. The pool is not in available memory, and goes to the disk when it is full, so both numbers are right as they are.';
  const found = zswapEnabled ? 'zswap is on' : 'zswap is off';
  if (!zswapEnabled || memory.swapTotalKib === 0) return finding('zswap', why, { severity: 'ok', found });
  return finding('zswap', why, { severity: 'note', found, advice: 'Let memory alone decide (-s 100,100).' });
}

function arcFinding({ arc, memory }: Facts, { countArc }: GuardOptions): Finding {
  const why =
    'The cache of ZFS can be given back but is not in MemAvailable: a guard that takes it for used may kill too early.';
  if (arc === null) return finding('zfs-arc', why, { severity: 'ok', found: 'there is no ZFS' });
  const kib = arcCountsKib(arc.sizeKib, arc.minKib);
  const share = (100 * kib) / memory.memTotalKib;
  const found = `ZFS could give back ${mibOfKib(kib)} (${percent(share)} of memory)`;
  if (countArc) {
    return finding('zfs-arc', why, { severity: 'ok', found: `${found}, which count as available near the limits` });
  }
  return finding('zfs-arc', why, {
    severity: share > ARC_PERCENT_MAX ? 'warning' : 'note',
    found: `${found} that do not count as available`,
    advice: 'Leave out --no-arc (or count_arc = false), bound it with the module parameter zfs_arc_max, or lower -m.',
  });
}

function overcommitFinding({ vm: { overcommitMemory } }: Facts): Finding {
  const why =
    'With vm.overcommit_memory=2 programs are refused memory before there is none: they may fail before the guard has to act.';
  const found = `vm.overcommit_memory is ${overcommitMemory ?? 'not known'}`;
  if (overcommitMemory !== 2) return finding('overcommit', why, { severity: 'ok', found });
  const advice = 'Nothing, if that is intended. The guard and its hooks work (they are started without a fork).';
  return finding('overcommit', why, { severity: 'note', found, advice });
}

function panicFinding({ vm: { panicOnOom } }: Facts): Finding {
  const why =
    'With vm.panic_on_oom the kernel panics instead of killing: the guard has to be in time. With 2 a full cgroup is enough, which it does not watch.';
  const found = `vm.panic_on_oom is ${panicOnOom ?? 'not known'}`;
  if (panicOnOom === null || panicOnOom === 0) return finding('panic-on-oom', why, { severity: 'ok', found });
  return finding('panic-on-oom', why, {
    severity: panicOnOom === 2 ? 'warning' : 'note',
    found,
    advice: 'sysctl vm.panic_on_oom=0, unless another machine takes over.',
  });
}

function allocatingTaskFinding({ vm: { oomKillAllocatingTask } }: Facts): Finding {
  const why =
    "If the kernel's OOM killer comes first, it kills whoever allocates just then, not the highest oom_score.";
  const found = `vm.oom_kill_allocating_task is ${oomKillAllocatingTask ?? 'not known'}`;
  if (oomKillAllocatingTask === null || oomKillAllocatingTask === 0) {
    return finding('oom-kill-allocating-task', why, { severity: 'ok', found });
  }
  const advice = 'sysctl vm.oom_kill_allocating_task=0.';
  return finding('oom-kill-allocating-task', why, { severity: 'note', found, advice });
}
