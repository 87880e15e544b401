/*
 * The target of a drill's guard: one process, held by a pidfd since it was started, and nobody else whatever the selection says.
 *
 * As long as the process that is held can be signalled, it has not been collected, so nobody else can have its pid; and the signal
 * itself goes through the fd that is held, never to a pid or a group.
 */
import { EPERM } from '../../native-shims/errno.js';
import { pidfdSendSignal } from '../../native-shims/pidfd.js';
import type { PollSet } from '../../native-shims/poll.js';
import { type Group, type ProcessIdentity, Target } from '../act/target.js';
import type { ProcessScan } from '../sample/process-scan.js';

export interface HeldProcess extends ProcessIdentity {
  pidfd: number;
}

/** What is told of the kill. */
export interface Witness {
  /** The guard has chosen the process. */
  chosen: () => void;
  /** Right before a signal. */
  signalling: () => void;
  signalled: (signal: number, result: number) => void;
}

export class OnlyTarget extends Target {
  constructor(
    scan: ProcessScan,
    pollSet: PollSet,
    pollSlot: number,
    private readonly only: HeldProcess,
    private readonly witness: Witness,
  ) {
    super(scan, pollSet, pollSlot);
  }

  override open(identity: ProcessIdentity, group: Group | null): number {
    const { pid, startTimeTicks, pidfd } = this.only;
    if (group !== null || identity.pid !== pid || identity.startTimeTicks !== startTimeTicks) return -EPERM;
    this.witness.chosen();
    const opened = super.open(identity, null);
    if (opened < 0) return opened;
    const held = pidfdSendSignal(pidfd, 0);
    if (held < 0) this.close();
    return held;
  }

  protected override signalVictim(signal: number): number {
    this.witness.signalling();
    const result = pidfdSendSignal(this.only.pidfd, signal);
    this.witness.signalled(signal, result);
    return result;
  }
}
