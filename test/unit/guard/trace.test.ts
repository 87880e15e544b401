import { closeSync, readSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { A_FRACTION, Moment } from '../../../native-shims/clock.js';
import { close } from '../../../native-shims/files.js';
import { openPipe, type Pipe } from '../../../native-shims/pipe.js';
import { TraceRecorder } from '../../../src/guard/trace.js';
import type { TickFacts } from '../../../src/guard/witness.js';
import { emptyMeminfo, type Meminfo } from '../../../src/kernel/meminfo.js';
import { readTrace } from '../../../src/replay/trace.js';
import type { MemorySampler } from '../../../src/sample/memory-sampler.js';
import { recordingLog } from '../recording-log.js';
import { HEADER } from '../replay/traces.js';
import { selectorOf } from './selecting.js';

const PIPE_BYTES = 64 * 1024;
const FACTS: TickFacts = {
  level: 0,
  victimGone: false,
  preHookDone: true,
  elapsedMs: A_FRACTION,
  paused: false,
  killAfterMs: 10_000,
  stuckMs: 0,
  heldBack: false,
  levelOfRule: 0,
};

class Recording {
  readonly pipe = openPipe(PIPE_BYTES) as Pipe;
  readonly memory: Meminfo = { ...emptyMeminfo(), memAvailableKib: 1000 };
  readonly cadence = { sweepShare: 0 };
  readonly said = recordingLog();
  readonly recorder: TraceRecorder;
  private readonly now = new Moment();
  private text = '';

  constructor(processes: number, bytesMax?: number) {
    const { log } = this.said;
    const fakes = Array.from({ length: processes }, (_, index) => ({ pid: 10_000_000 + index, comm: `p${index}` }));
    const sampler = { memory: this.memory } as MemorySampler;
    const parts = { log, sampler, selector: selectorOf(fakes), cadence: this.cadence };
    this.recorder = new TraceRecorder(this.pipe.writeFd, 0, parts, bytesMax);
    this.recorder.begin(JSON.stringify(HEADER));
    this.now.update();
  }

  /** A tick some ms after the one before it, which sees so much memory. */
  look(afterMs: number, memAvailableKib: number): void {
    this.now.ms += afterMs;
    this.memory.memAvailableKib = memAvailableKib;
    this.recorder.looked('watching', FACTS, 'wait', this.now);
  }

  /** Empties the pipe. */
  drain(): void {
    const bytes = Buffer.alloc(2 * PIPE_BYTES);
    this.text += bytes.toString('utf8', 0, readSync(this.pipe.readFd, bytes));
  }

  read() {
    this.drain();
    return readTrace(this.text);
  }
}

describe('a recorded trace', () => {
  it('holds each look that saw something new, and one a second of what stays the same', () => {
    const recording = new Recording(0);
    recording.look(1, 500);
    for (let tick = 0; tick < 250; tick++) recording.look(10, 500);
    recording.look(10, 400);
    const { looks } = recording.read();
    expect(looks.map((each) => each.memory.memAvailableKib)).toEqual([500, 500, 500, 400]);
  });

  it('holds a table of everybody while the limit is near, every five seconds, in as many lines as it takes', () => {
    const recording = new Recording(150);
    recording.look(10_000, 500);
    recording.cadence.sweepShare = 0.1;
    for (let tick = 0; tick < 8; tick++) recording.look(1000, 500);
    const { tables } = recording.read();
    expect([...tables.values()].map(({ rows, whole }) => [rows.length, whole])).toEqual([
      [150, true],
      [150, true],
    ]);
    const names = tables.get(1)?.rows.map((row) => row.at(-1));
    expect(new Set(names)).toEqual(new Set(Array.from({ length: 150 }, (_, index) => `p${index}`)));
  });

  it('never waits: what does not fit is dropped, and the next line says how much', () => {
    const recording = new Recording(0);
    for (let tick = 0; tick < 5000; tick++) recording.look(1, tick);
    recording.drain();
    recording.look(1, 7);
    const trace = recording.read();
    expect(trace.missingLines).toBeGreaterThan(0);
    expect(trace.looks.length + trace.missingLines).toBe(5001);
    expect(trace.looks.at(-1)?.memory.memAvailableKib).toBe(7);
    expect(recording.said.lines).toEqual([]);
  });

  it('ends at its bound, and says so once, in itself and in the log', () => {
    const recording = new Recording(0, 10_000);
    for (let tick = 0; tick < 1000; tick++) recording.look(1, tick);
    const trace = recording.read();
    expect(trace.full).toBe(true);
    expect(recording.said.lines).toEqual(['warn: nothing is recorded any more: it has reached its bound']);
  });

  it('ends when whoever writes it has ended, and says so once', () => {
    const recording = new Recording(0);
    closeSync(recording.pipe.readFd);
    for (let tick = 0; tick < 10; tick++) recording.look(1, tick);
    expect(recording.said.lines).toEqual(['warn: nothing is recorded any more: EPIPE']);
  });

  it('holds the choice once nothing is urgent, with everybody it was between', () => {
    const recording = new Recording(3);
    recording.recorder.looked('watching', FACTS, 'select', new Moment());
    recording.recorder.selected(-1);
    recording.recorder.collect();
    recording.recorder.collect();
    const { looks, tables } = recording.read();
    expect(looks[0]?.choice).toMatchObject({ pid: 0, table: 1 });
    expect(tables.size).toBe(1);
    close(recording.pipe.writeFd);
  });
});
