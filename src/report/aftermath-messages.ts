/* What the own persona says after a kill, and when no kill would help: lines that earlyoom has not. */
import type { Verdict } from '../decide/recovery.js';
import type { TmpfsUsage } from '../sample/tmpfs-usage.js';
import type { Log } from './log.js';

const KIB_PER_MIB = 1024;
const MS_PER_S = 1000;
/** Mounts that are named: who comes fourth explains nothing. */
const MOUNTS_MAX = 3;

const mib = (kib: number): number => Math.floor(kib / KIB_PER_MIB);

/**
 * `it gave back 598 of 602 MiB`: what AnonPages fell by, and what belonged to the victim when it was chosen; and where
 * that is little, why it may be.
 */
export function sayGaveBack(
  log: Log,
  gaveBackKib: number,
  expectedKib: number,
  verdict: Verdict,
  allocatedKib: number,
): void {
  const line = log.begin('warn').text('it gave back ').integer(mib(gaveBackKib));
  line.text(' of ').integer(mib(expectedKib)).text(' MiB');
  if (verdict === 'taken')
    line.text(': others may have taken it, ').integer(mib(allocatedKib)).text(' MiB were given out');
  if (verdict === 'little') line.text(': another process shares its memory, or the kernel holds it');
  const fields = log.about('gave-back').integer('gaveBackKib', gaveBackKib).integer('expectedKib', expectedKib);
  fields.words('verdict', verdict);
  log.end();
}

/** `memory comes back: nobody else is killed for now (396 MiB are free on CPUs' own lists)` */
export function sayHoldsBack(log: Log, hiddenKib: number): void {
  const line = log.begin('warn').text('memory comes back: nobody else is killed for now (');
  line.integer(mib(hiddenKib)).text(" MiB are free on CPUs' own lists)");
  log.about('holds-back').integer('hiddenKib', hiddenKib);
  log.end();
}

/** `escalating to SIGKILL after 0.500 seconds: memory is at or below the SIGKILL limits`, or that it was ignored for too long. */
export function sayEscalatingWhy(log: Log, afterMs: number, byLimit: boolean, killAfterMs: number): void {
  const line = log.begin('warn').text('escalating to SIGKILL after ');
  line.fixed(afterMs / MS_PER_S, 3).text(' seconds: ');
  if (byLimit) line.text('memory is at or below the SIGKILL limits');
  else
    line
      .text('SIGTERM was ignored for ')
      .fixed(killAfterMs / MS_PER_S, 3)
      .text(' seconds (kill_after)');
  const fields = log.about('escalating').integer('afterMs', Math.round(afterMs));
  fields.words('reason', byLimit ? 'limits' : 'time');
  log.end();
}

/** `escalating to SIGKILL after 0.250 seconds: tasks still stall for memory (PSI rule)` */
export function sayEscalatingByRule(log: Log, afterMs: number): void {
  const line = log.begin('warn').text('escalating to SIGKILL after ');
  line.fixed(afterMs / MS_PER_S, 3).text(' seconds: tasks still stall for memory (PSI rule)');
  log.about('escalating').integer('afterMs', Math.round(afterMs)).words('reason', 'rule');
  log.end();
}

/** `process 7378 is stuck in the kernel (state D): put aside, others are chosen` */
export function sayStuck(log: Log, pid: number): void {
  const line = log.begin('warn').text('process ').integer(pid);
  line.text(' is stuck in the kernel (state D): it is put aside, and others are chosen');
  log.about('stuck').open('victim').integer('pid', pid).close();
  log.end();
}

/** What fills memory, where it is, and what the guard does about it: some lines. */
export function sayFutile(log: Log, shmemKib: number, sumKib: number, tmpfs: TmpfsUsage): void {
  const line = log.begin('warn').text('no kill would help: ').integer(mib(shmemKib));
  line.text(' MiB are tmpfs and shared memory, all processes together would give back ');
  line.integer(mib(sumKib)).text(' MiB');
  log.about('futile').integer('shmemKib', shmemKib).integer('reclaimableKib', sumKib);
  log.end();
  sayMounts(log, tmpfs);
  const restKib = shmemKib - tmpfs.totalKib;
  if (mib(restKib) > 0) {
    const rest = log.begin('warn').text('shared memory elsewhere: ').integer(mib(restKib));
    rest.text(' MiB (System V segments, memfd, shared mappings, tmpfs of other mount namespaces)');
    log.end();
  }
  log.say('warn', 'killing is paused until that changes; at or below the SIGKILL limits one kill is tried');
}

/** `tmpfs /tmp holds 11800 MiB`, the largest first. */
function sayMounts(log: Log, tmpfs: TmpfsUsage): void {
  let belowKib = Number.MAX_SAFE_INTEGER;
  for (let said = 0; said < MOUNTS_MAX; said++) {
    const mount = tmpfs.largest(belowKib);
    if (mount === -1) return;
    belowKib = tmpfs.usedKib[mount] as number;
    if (mib(belowKib) === 0) return;
    const line = log.begin('warn').text('tmpfs ');
    const path = tmpfs.mounts.paths[mount] as Uint8Array;
    const length = tmpfs.mounts.lengths[mount] as number;
    line.escaped(path, 0, length).text(' holds ').integer(mib(belowKib)).text(' MiB');
    log.about('tmpfs').bytes('path', path, 0, length).integer('usedKib', belowKib);
    log.end();
  }
}
