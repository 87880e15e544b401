/* A guard on a terminal that is closed: SIGHUP means the end there, in both personas. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { procTree } from '../support/proc-tree.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;

/** Whether it lives: a zombie, which whoever inherited it has not collected yet, does not. */
function lives(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

describeIf(hasScript, 'needs script (util-linux)', 'a guard whose terminal is closed', () => {
  it.each([
    ['oom-backstop', 'mem total'],
    ['oom-backstop', 'mem avail:'],
    ['earlyoom', 'mem avail:'],
  ] as const)('%s that has got to "%s" ends', async (persona, reached) => {
    const tree = procTree([{ pid: 4711 }]);
    const command = `echo PID $$; exec ${bin(persona)} --dryrun --procfs ${tree}`;
    const terminal = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
    let said = '';
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await vi.waitFor(() => expect(said).toContain(reached), { timeout: 10_000 });
    const pid = Number(/PID (\d+)/.exec(said)?.[1]);
    expect(lives(pid)).toBe(true);
    const end = once(terminal, 'exit');
    terminal.kill('SIGKILL');
    await end;
    await vi.waitFor(() => expect(lives(pid)).toBe(false), { timeout: 10_000 });
  });
});
