/* -n against a real bus: one of our own, which dbus-send takes for the system's. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { procTree } from '../support/proc-tree.js';
import { bin, run } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

const LOW = 'MemTotal: 1000000 kB\nMemAvailable: 10000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nAnonPages: 900000 kB\n';
const PROGRAMS = ['dbus-daemon', 'dbus-monitor', '/usr/bin/dbus-send'];
const allThere = PROGRAMS.every((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0);

/** A program of the test's, ended with it; what it prints is collected. */
function start(command: string, args: string[]): { child: ChildProcess; said: () => string } {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  onTestFinished(() => void child.kill());
  return { child, said: () => text };
}

async function until(met: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5000; !met() && Date.now() < deadline; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describeIf(allThere, `needs ${PROGRAMS.join(', ')}`, '-n', () => {
  it.each([
    ['earlyoom', [{ pid: 10_000_001, comm: 'hog "\x1b[31m' }], 'Low memory! Killing process 10000001 hog \\"\\x1b[31m'],
    ['oom-backstop', [{ pid: 10_000_002, comm: 'hög' }], 'Low memory! Killing process 10000002 hög'],
    ['earlyoom', [], 'Error: Could not find a process to kill. Sleeping 1 second.'],
  ] as const)('%s tells the bus of %j', async (persona, processes, text) => {
    const bus = start('dbus-daemon', ['--session', '--nofork', '--nopidfile', '--print-address=1']);
    await once(bus.child.stdout as NodeJS.ReadableStream, 'data');
    const address = bus.said().trim();
    const monitor = start('dbus-monitor', ['--address', address, "interface='net.nuetzlich.SystemNotifications'"]);
    await until(() => monitor.said().includes('NameAcquired'));
    const args = ['--procfs', procTree(processes, LOW), '--dryrun', '-n', '-r', '0', '-d'];
    const env = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: address };
    const outcome = await run(bin(persona), args, { env, until: (stdout) => stdout.includes('dbus-send ended') });
    expect(outcome.stderr).toContain('Notifying through D-Bus');
    expect(outcome.stdout).toContain('dbus-send ended, status 0');
    await until(() => monitor.said().includes(text));
    expect(monitor.said()).toMatch(/path=\/; interface=net\.nuetzlich\.SystemNotifications; member=Notify\n/);
    expect(monitor.said()).toContain(`   string "${persona}"\n   string "${text}"\n`);
  });
});
