/* What the guard hands on to the programs that it starts: nothing that it needs only for itself. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { namespacesWork } from '../support/namespace.js';
import { procTree } from '../support/proc-tree.js';
import { bin, run } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

const LOW = `MemTotal: 1000000 kB
MemAvailable: 10000 kB
SwapTotal: 0 kB
SwapFree: 0 kB
AnonPages: 900000 kB
`;

describeIf(
  namespacesWork,
  'needs root',
  'as an unprivileged user with ambient capabilities, as under the shipped unit',
  () => {
    it('a hook gets none of the capabilities, no signal mask and no ignored signal', async () => {
      const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-caps-'));
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
      chmodSync(directory, 0o777);
      const noted = path.join(directory, 'status');
      const hook = path.join(directory, 'hook.sh');
      writeFileSync(hook, `#!/bin/sh\ncat /proc/self/status > ${noted}.tmp && mv ${noted}.tmp ${noted}\n`, {
        mode: 0o755,
      });
      const tree = procTree([{ pid: 4711 }], LOW);
      chmodSync(tree, 0o755);
      const user = [
        '--reuid',
        '65534',
        '--regid',
        '65534',
        '--clear-groups',
        '--inh-caps',
        '+kill',
        '--ambient-caps',
        '+kill',
      ];
      const guard = [bin('earlyoom'), '--procfs', tree, '--dryrun', '-d', '-r', '0', '-N', hook];
      const outcome = await run('setpriv', [...user, ...guard], {
        until: (stdout) => stdout.includes('-N script ended'),
      });
      expect(outcome.stdout).toContain('-N script ended, status 0');
      const status = readFileSync(noted, 'utf8');
      for (const set of ['CapPrm', 'CapEff', 'CapAmb', 'SigBlk']) {
        expect(status, set).toMatch(new RegExp(`^${set}:\\t0+$`, 'm'));
      }
      // Signals 32 and 33 are glibc's own: its posix_spawn leaves them ignored, whatever it is told.
      const ignored = Number.parseInt(/^SigIgn:\t(\w+)$/m.exec(status)?.[1] ?? 'ffffffff', 16);
      expect(ignored % 2 ** 31).toBe(0);
    });
  },
);
