/* Who has the priority that the unit gives: the guard's own thread, and not the engine's, which compile at start-up. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { procTree } from '../support/proc-tree.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

describeIf(process.getuid?.() === 0, 'needs root', 'started with niceness -20', () => {
  it("the guard's thread keeps it, the engine's threads give way", async () => {
    const guard = [bin('oom-backstop'), '--procfs', procTree([]), '--dryrun', '-r', '0'];
    const child = spawn('nice', ['-n', '-20', ...guard], { stdio: ['ignore', 'ignore', 'pipe'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stderr, 'data');
    const threads = readdirSync(`/proc/${child.pid}/task`).map((tid) => ({
      tid: Number(tid),
      ...thread(child.pid, tid),
    }));
    const main = { tid: child.pid, comm: 'oom-backstop', niceness: -20 };
    expect(threads.find(({ tid }) => tid === child.pid)).toEqual(main);
    // Those that have not the guard's name were there before it took it.
    const engine = threads.filter(({ comm }) => comm !== main.comm);
    expect(engine.length).toBeGreaterThan(0);
    expect(engine.map(({ niceness }) => niceness)).toEqual(engine.map(() => 10));
  });
});

function thread(pid: number | undefined, tid: string): { comm: string; niceness: number } {
  const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1');
  const comm = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  // proc(5): the state is field 3 and follows the name, the niceness is field 19.
  return { comm, niceness: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]) };
}
