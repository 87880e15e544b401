/*
 * The cases: which guard meets which hog on which machine, and what must hold. One boot runs many cases.
 *
 * `must` lists what makes the run fail, for our own guards only; the peers are there to be compared with:
 *   hog        the hog dies by the guard      noKernelOom  the kernel's OOM killer does not fire
 *   gap        longest pause of the heartbeat, s, below this      others  nobody else dies, sshd and systemd's daemons live
 *   nobody     the guard signals nobody (the kernel's local OOM is not its business)
 */

const GAP_S = 0.3;
const MUST = { hog: true, noKernelOom: true, gap: GAP_S, others: true };

/** In this order within a boot: whoever leaves the guest in the worst state comes last. */
const GUARDS = ['oom-backstop', 'own-earlyoom', 'earlyoom', 'nohang', 'oomd', 'none'];
const isOurs = (guard) => guard.startsWith('o') && guard !== 'oomd';

/** One case for each guard. */
const each = (name, hog, options = {}) =>
  GUARDS.map((guard) => ({
    name: `${name}-${guard}`,
    group: name,
    guard,
    hog,
    ...options,
    must: isOurs(guard) ? { ...MUST, ...options.must } : {},
  }));

const own = (name, hog, options = {}) => ({
  name,
  group: 'further',
  guard: options.guard ?? 'oom-backstop',
  hog,
  ...options,
  must: { ...MUST, ...options.must },
});

const THROTTLED_SWAP = { SWAP_MB: '512', SWAP_BPS: '60000000' };

export const BOOTS = [
  {
    name: 'noswap',
    title: 'no swap',
    env: {},
    cases: [...each('noswap-50', 'hog balloon 50 3000'), ...each('noswap-fast', 'hog balloon 0 3000')],
  },
  {
    name: 'swap',
    title: '512 MiB swap at 60 MB/s',
    env: THROTTLED_SWAP,
    cases: [...each('swap-50', 'hog balloon 50 3000'), ...each('swap-fast', 'hog balloon 0 3000')],
  },
  {
    name: 'livelock',
    title: 'livelock: no swap, root disk at 20 MB/s, file-backed working set, the hog stops at 715 MiB',
    env: { ROOT_BPS: '20000000', TIMEOUT: '420' },
    cases: each('livelock', 'hog balloon 50 715', { filesPerS: 5000, waitS: 40 }),
  },
  {
    name: 'further',
    title: 'further scenarios, no swap',
    env: {},
    cases: [
      own('ignores-sigterm', 'hog balloon 50 3000 ignore'),
      own('eight-hogs', 'bash -c "for i in 1 2 3 4 5 6 7 8; do hog balloon 20 3000 & done; wait"'),
      own('fork-bomb', 'hog bomb 150 8 60'),
      own('memory-max', 'hog balloon 50 3000', {
        before: 'memory-max',
        must: { hog: false, nobody: true, noKernelOom: true },
      }),
      own('guard-restarted', 'hog balloon 50 3000', { before: 'restart' }),
      own('journald-stopped', 'hog balloon 50 3000', {
        before: 'stop-journald',
        must: { others: false, logless: true },
      }),
      own('as-root', 'hog balloon 50 3000', { guard: 'oom-backstop-root' }),
    ],
  },
];

export const SMOKE = ['noswap-50-oom-backstop', 'noswap-fast-oom-backstop'];
