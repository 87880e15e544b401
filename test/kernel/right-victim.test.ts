/* Live fire: the complaint that the users of OOM daemons make most often, a small innocent killed before the leak. */
import { expect, it } from 'vitest';
import { inNamespace, namespacesWork, type Scenario, type ScenarioResult } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

/** Browser tabs, say: 80 MiB each, and a raised oom_score_adj, which is worth 300 thousandths of all memory. */
const TABS = Array.from({ length: 40 }, () => ({ name: 'tab', maxMib: 80, adj: 300, holdMs: 60_000 }));
const LEAK = { name: 'leak', maxMib: 500, rateMibPerS: 200, adj: 0 };

function fire(args: string[], more: Partial<Scenario> = {}): Promise<ScenarioResult> {
  return inNamespace({
    hogs: [LEAK],
    bystanders: TABS,
    guard: { program: bin('oom-backstop'), args: ['-M', 'LIMITS', '-r', '0', ...args] },
    limits: { headroomMib: 300 },
    untilStderr: 'gave back',
    ...more,
  });
}

/** The names of those who got a signal, in order. */
const signalled = (result: ScenarioResult): (string | undefined)[] =>
  [...result.stderr.matchAll(/^sending SIG\w+ to process \d+ uid 0 "(\w+)"/gm)].map((match) => match[1]);

const ended = (result: ScenarioResult): number => result.bystanders.filter(({ exit }) => exit !== null).length;

describeIf(
  namespacesWork,
  'needs unshare --pid (root)',
  'a 300 MiB leak beside forty 80 MiB processes with oom_score_adj 300',
  () => {
    it('--rank-by memory: the leak dies, and nobody else', async () => {
      const result = await fire(['--rank-by', 'memory']);
      expect(signalled(result)).toEqual(['leak']);
      expect(result.hogs[0]?.exit).not.toBeNull();
      expect(ended(result)).toBe(0);
      // What it had grown to when the limit was crossed, and Node's own.
      const [, gaveBack, expected] = /^it gave back (\d+) of (\d+) MiB$/m.exec(result.stderr) ?? [];
      expect(Number(expected)).toBeGreaterThan(250);
      expect(Number(gaveBack)).toBeGreaterThan(250);
    });

    it('the control: by oom_score a small one dies, and the leak goes on', async () => {
      const result = await fire([]);
      expect(signalled(result)[0]).toBe('tab');
      expect(ended(result)).toBeGreaterThan(0);
    });

    it('by oom_score the leak dies where the small ones are avoided', async () => {
      const result = await fire(['--avoid', '^tab$'], {
        bystanders: TABS.slice(0, 3).map((tab) => ({ ...tab, adj: 290 })),
      });
      expect(signalled(result)).toEqual(['leak']);
      expect(ended(result)).toBe(0);
    });
  },
);

describeIf(namespacesWork, 'needs unshare --pid (root)', 'who is spared by the own persona', () => {
  const SSHD = { name: 'sshd', maxMib: 200, adj: 1000, holdMs: 60_000 };

  it("the admin's way in, whatever its score", async () => {
    const result = await fire([], { bystanders: [SSHD] });
    expect(signalled(result)).toEqual(['leak']);
    expect(ended(result)).toBe(0);
  });

  it('the control: not with --no-way-in', async () => {
    const result = await fire(['--no-way-in'], { bystanders: [SSHD] });
    expect(signalled(result)[0]).toBe('sshd');
  });
});
