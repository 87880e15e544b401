import { expect, it } from 'vitest';
import { policyOf, policyWords } from '../../../src/check/policy.js';
import type { Persona } from '../../../src/shared/options.js';
import { GOOD, optionsOf, WITH_SWAP } from './facts.js';

function words(args: readonly string[], facts = GOOD, persona: Persona = 'oom-backstop'): string[] {
  return policyWords(policyOf(optionsOf(args, persona, facts), facts.memory), facts.memory.swapTotalKib);
}

it('the defaults, in values', () => {
  expect(policyOf(optionsOf([]), GOOD.memory)).toEqual({
    persona: 'oom-backstop',
    procfs: '/proc',
    dryrun: false,
    memTermPercent: 5,
    memKillPercent: 3,
    memTermKib: 750_000,
    memKillKib: 450_000,
    swapTermPercent: 100,
    swapKillPercent: 100,
    rankBy: 'oom_score',
    floorKib: 4096,
    sparesWayIn: true,
    onlyUid: null,
    patterns: { prefer: null, avoid: null, ignore: null },
    matching: { tables: [], onlyCgroup: null },
    ignoreRootUser: false,
    killGroup: false,
    kernelOom: false,
    beforeKill: null,
    afterKill: null,
    notifyDbus: false,
    raisePriority: false,
    reportIntervalMs: 1000,
  });
});

it('the defaults, in words', () => {
  expect(words([])).toEqual([
    'Defaults of oom-backstop, processes of /proc.',
    'SIGTERM when available memory is at or below 5.00 % of user memory, 732 MiB now; SIGKILL at or below 3.00 %, 439 MiB now.',
    'There is no swap: memory alone decides.',
    'The process with the highest oom_score is killed.',
    "The admin's way in is never killed.",
    'Who would give back less than 4 MiB is passed over.',
    'A memory report every 1 s while memory is above the limits.',
  ]);
});

it('the defaults of earlyoom with swap count it', () => {
  expect(words([], WITH_SWAP, 'earlyoom')[2]).toBe(
    'Besides, free swap has to be at or below 10.00 % of 1953 MiB for SIGTERM, 5.00 % for SIGKILL.',
  );
});

it('every option that changes what happens is told', () => {
  const args = ['--dryrun', '-g', '-p', '-n', '-r', 'inf', '-P', '/before', '-N', '/after', '--ignore-root-user'];
  const patterns = [
    '--prefer',
    'a',
    '--avoid',
    'b',
    '--ignore',
    'c',
    '--sort-by-rss',
    '--only-user',
    '7',
    '--no-way-in',
    '--floor',
    '16MiB',
  ];
  expect(words([...args, ...patterns], WITH_SWAP).slice(2)).toEqual([
    'SIGTERM when available memory is at or below 5.00 % of user memory, 732 MiB now; SIGKILL at or below 3.00 %, 439 MiB now.',
    'Swap does not count: memory alone decides.',
    'The process with the largest RSS is killed, with its whole process group.',
    "Names that match 'a' are preferred: they count 3 GiB of RSS more.",
    "Names that match 'b' are avoided: they count 3 GiB of RSS less.",
    "Names that match 'c' are never killed.",
    'Processes of root are never killed.',
    'Only processes of uid 7 are killed.',
    'Who would give back less than 16 MiB is passed over.',
    '/before runs before each kill, which waits 200 ms for it.',
    '/after runs after each kill.',
    'Each kill is told on the system D-Bus.',
    'It sets its own niceness to -20 and its oom_score_adj to -100.',
    'No memory reports.',
  ]);
  expect(words(['--rank-by', 'memory', '--prefer', 'a'])).toEqual(
    expect.arrayContaining([
      'The process with the most memory to give back is killed.',
      "Names that match 'a' are preferred: they count double.",
    ]),
  );
  expect(words(['--kernel-oom'])[3]).toBe("The kernel's OOM killer chooses and kills.");
});
