/* A few processes to remember; the oldest is forgotten when there are too many. */

/** Processes that would not die are rare: one is a curiosity, more than these are a broken machine. */
const ENTRIES = 16;

export class ProcessList {
  private readonly pids = new Int32Array(ENTRIES);
  private readonly startTimes = new Float64Array(ENTRIES);
  private next = 0;

  add(pid: number, startTimeTicks: number): void {
    this.pids[this.next] = pid;
    this.startTimes[this.next] = startTimeTicks;
    this.next = (this.next + 1) % ENTRIES;
  }

  has(pid: number, startTimeTicks: number): boolean {
    for (let i = 0; i < ENTRIES; i++) {
      if (this.pids[i] === pid && this.startTimes[i] === startTimeTicks) return true;
    }
    return false;
  }
}
