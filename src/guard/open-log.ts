/*
 * Has the log written as JSON (--log-format json): starts the log writer (log-writer/main.ts), a child of the guard's that reads records
 * from a pipe, and hands the pipe to the log. Before anything else that the guard says, so that it can say it there.
 *
 * Where the writer can't be started, the log says so and goes on as text: a guard that is there counts more than the form of its
 * log. The same holds when it ends later, a package of its own missing for example.
 */
import path from 'node:path';
import { monotonicMs } from '../../native-shims/clock.js';
import { ENOMEM, strerror } from '../../native-shims/errno.js';
import { turn } from '../../native-shims/event-loop.js';
import { close } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { openPipe } from '../../native-shims/pipe.js';
import { SpawnSlot } from '../../native-shims/spawn.js';
import { NonBlockingWriter } from '../../native-shims/write.js';
import { JsonLog } from '../report/json-log.js';
import type { Log } from '../report/log.js';
import type { Persona } from '../shared/options.js';

const PROGRAM = 'log.cjs';

/** 200 to 400 lines, where the kernel allows it: a writer that a machine in trouble holds up for a while loses none. */
const PIPE_BYTES = 256 * 1024;

/** Starting it takes milliseconds, and it has not to be ready. */
const START_MS_MAX = 2000;
const LOOK_MS = 1;

const STDOUT = 1;

/**
 * It logs a line a second and a few dozen at a kill, so it needs no compiler and no large heap: 42 MiB RSS instead of 51, of which
 * 7.5 instead of 12 are its own and the rest is the file of the Node that runs the guard (measured on Node 20). Only flags that every
 * Node since 20 has: an unknown one ends it (24 has no --no-expose-wasm any more, without which --jitless warns on 20).
 */
const ENGINE = ['--no-opt', '--single-threaded', '--max-semi-space-size=1', '--max-old-space-size=64'];

/** @param before  the pid of a log writer that is still to end, or null */
export async function logAsJson(log: Log, persona: Persona, before: number | null): Promise<void> {
  const started = await start(persona, before);
  if (typeof started !== 'number') return log.useJson(started);
  log.begin('warn').text('the log writer could not be started: ').text(strerror(started)).text('; the log is text');
  log.end();
}

/** Returns an errno (positive) if it can't. */
async function start(persona: Persona, before: number | null): Promise<JsonLog | number> {
  const pipe = openPipe(PIPE_BYTES);
  if (typeof pipe === 'number') return -pipe;
  const program = [process.argv0, ...ENGINE, path.join(__dirname, PROGRAM), String(process.pid), persona];
  if (before !== null) program.push(String(before));
  const streams = { stdin: pipe.readFd, stdout: STDOUT };
  const slot = new SpawnSlot(
    process.execPath,
    program.map((arg) => cString(arg)),
    [],
    streams,
  );
  let errno = 0;
  slot.start((failure) => {
    errno = failure;
  });
  const wait = new Int32Array(new SharedArrayBuffer(4));
  for (
    const untilMs = monotonicMs() + START_MS_MAX;
    slot.startedPid() === 0 && errno === 0 && monotonicMs() < untilMs;
  ) {
    Atomics.wait(wait, 0, 0, LOOK_MS);
    // A failure comes with one.
    await turn();
  }
  close(pipe.readFd);
  const pid = slot.startedPid();
  if (pid !== 0) return new JsonLog(NonBlockingWriter.forOwnFd(pipe.writeFd), pid);
  close(pipe.writeFd);
  return errno === 0 ? ENOMEM : errno;
}
