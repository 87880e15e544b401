/* Findings on the command line: what is wrong with it, and what its limits, patterns and hooks come to here. Pure. */
import { levelOf, userMemTotalKib } from '../decide/limits.js';
import { LEVEL_NONE } from '../shared/limits.js';
import type { GuardOptions } from '../shared/options.js';
import type { Facts, PatternFacts } from './facts.js';
import { counted, type Finding, finding, mibOfKib, percent } from './finding.js';

/** What the parser said of a command line. */
export interface OptionMessages {
  /** What the guard would have ended with. */
  mistakes: readonly string[];
  /** What it does not take as given. */
  warnings: readonly string[];
}

/**
 * A SIGTERM limit below this leaves little time: at 52 MiB available, a machine without swap was stalled 61 % of the time, and a
 * hog of 1.6 GiB/s passes it in 20 ms (both measured).
 */
const LIMIT_KIB_MIN = 32 * 1024;

/** Above this the guard kills on a machine that is half empty. */
const LIMIT_PERCENT_MAX = 50;

/** Swap that has no more than this free is full as far as a thrashing machine is concerned. */
const SWAP_NEARLY_FULL_PERCENT = 10;

/** The bytes of a name (TASK_COMM_LEN less its NUL). */
export const COMM_BYTES_MAX = 15;

const KIB_PER_MIB = 1024;

/** All of them, in the order of the table. */
export function optionFindings(facts: Facts, options: GuardOptions, messages: OptionMessages): Finding[] {
  return [
    ...messageFindings(options, messages),
    procfsFinding(facts, options),
    memLimitFinding(facts, options),
    swapLimitFinding(facts, options),
    ...facts.patterns.map(patternFinding),
    ...hookFindings(facts),
    ...(options.kernelOom ? [kernelOomFinding(facts)] : []),
  ];
}

function messageFindings(options: GuardOptions, { mistakes, warnings }: OptionMessages): Finding[] {
  const why = 'The guard does not start with an option that it does not understand.';
  const advice = 'Correct it; the rest is judged as if it had not been given.';
  const found = [
    ...mistakes.map((mistake) => finding('options', why, { severity: 'error', found: mistake, advice })),
    ...warnings.map((warning) =>
      finding('options', 'The guard starts, but does not do what was asked for.', {
        severity: 'warning',
        found: warning,
        advice: 'Give a value that it can take as it is.',
      }),
    ),
  ];
  if (options.dryrun) {
    const dryrun = {
      severity: 'note',
      found: '--dryrun: nobody is killed',
      advice: 'Leave it out to be protected.',
    } as const;
    found.push(finding('options', 'A dry run protects the machine from nothing.', dryrun));
  }
  return found.length > 0 ? found : [finding('options', why, { severity: 'ok', found: 'the options are understood' })];
}

function procfsFinding({ live }: Facts, { procfs, dryrun }: GuardOptions): Finding {
  const why = 'A pid is good only in the PID namespace where it was read: another tree names other processes.';
  if (live) return finding('procfs', why, { severity: 'ok', found: `${procfs} shows this very process` });
  if (dryrun) return finding('procfs', why, { severity: 'ok', found: `${procfs} is another tree, for a dry run` });
  return finding('procfs', why, {
    severity: 'error',
    found: `${procfs} does not show this process under its own pid: the guard refuses to start`,
    advice: 'Name a procfs of this PID namespace, or add --dryrun.',
  });
}

function memLimitFinding({ memory }: Facts, { limits }: GuardOptions): Finding {
  const why =
    'Below the limit the guard kills: too low a limit comes when the machine hardly moves, too high a one wastes memory.';
  const totalKib = userMemTotalKib(memory);
  const limitKib = (totalKib * limits.memTermPercent) / 100;
  const found = `SIGTERM at ${mibOfKib(limitKib)} (${percent(limits.memTermPercent)} of ${mibOfKib(totalKib)} user memory)`;
  const warn = (more: string, advice: string): Finding =>
    finding('mem-limit', why, { severity: 'warning', found: `${found}${more}`, advice });
  if (levelOf(memory, limits) !== LEVEL_NONE) {
    const now = `, and ${mibOfKib(memory.memAvailableKib)} are available now`;
    return warn(`${now}: the guard would act at once`, 'Lower -m or -M, or free memory before it is started.');
  }
  if (limits.memTermPercent > LIMIT_PERCENT_MAX) {
    return warn(`: more than ${LIMIT_PERCENT_MAX} %`, 'Lower -m or -M, unless so much has to stay free.');
  }
  if (limitKib < LIMIT_KIB_MIN) {
    return warn(`: less than ${LIMIT_KIB_MIN / KIB_PER_MIB} MiB`, 'Raise -m or -M.');
  }
  return finding('mem-limit', why, { severity: 'ok', found });
}

function swapLimitFinding({ memory }: Facts, { limits }: GuardOptions): Finding {
  const why =
    'Memory AND swap have to be at or below their limits: a machine that swaps can stand still long before swap is full.';
  const { swapTermPercent: term, swapKillPercent: kill } = limits;
  if (memory.swapTotalKib === 0) {
    return finding('swap-limit', why, {
      severity: 'ok',
      found: 'no swap, which counts as 0 % free: memory alone decides',
    });
  }
  if (term >= 100 && kill >= 100) {
    return finding('swap-limit', why, { severity: 'ok', found: 'free swap does not count: memory alone decides' });
  }
  if (term >= 100) {
    return finding('swap-limit', why, {
      severity: 'note',
      found: `SIGTERM ignores swap, but SIGKILL waits until at most ${percent(kill)} of it is free`,
      advice: 'Say -s 100,100 to ignore it for both.',
    });
  }
  const found = `SIGTERM waits until ${percent(100 - term)} of ${mibOfKib(memory.swapTotalKib)} of swap is used`;
  return finding('swap-limit', why, {
    severity: term <= SWAP_NEARLY_FULL_PERCENT ? 'warning' : 'note',
    found: term <= SWAP_NEARLY_FULL_PERCENT ? `${found}: that is when it is full` : found,
    advice: 'Say -s 100,100 to have memory alone decide, or a higher -s.',
  });
}

function patternFinding({ option, text, matches }: PatternFacts): Finding {
  const why = `A pattern is matched with the name in /proc/PID/comm, of which the kernel keeps ${COMM_BYTES_MAX} bytes.`;
  const [tooLong] = branchesOf(text).filter((branch) => shortestMatch(branch) > COMM_BYTES_MAX);
  if (tooLong !== undefined) {
    return finding('pattern', why, {
      severity: 'warning',
      found: `${option} '${text}': '${tooLong}' can't match, it takes ${shortestMatch(tooLong)} bytes`,
      advice: `Give the first ${COMM_BYTES_MAX} bytes of the name, as in /proc/PID/comm.`,
    });
  }
  if (matches === 0) {
    return finding('pattern', why, {
      severity: 'note',
      found: `${option} '${text}' matches no process now`,
      advice: 'Compare it with the names in `oom-backstop rank`; the process may not have been started yet.',
    });
  }
  const found = `${option} '${text}' matches ${counted(matches, 'process', 'processes')} now`;
  return finding('pattern', why, { severity: 'ok', found });
}

/** What a pattern chooses between: `^(a|b)$` and `^a$|^b$` are a and b. */
export function branchesOf(pattern: string): string[] {
  const group = /^\^?\(([^()]*)\)\$?$/.exec(pattern);
  return (group?.[1] ?? pattern).split('|');
}

/** How many bytes a match of a literal pattern takes at least; 0 for a pattern that is none. */
export function shortestMatch(branch: string): number {
  const bare = branch.replace(/^\^/, '').replace(/\$$/, '');
  const plain = bare.replace(/\\[^\w<>`']/g, '_');
  return /[\\[\](){}*+?]/.test(plain) ? 0 : Buffer.byteLength(plain);
}

function hookFindings({ hooks }: Facts): Finding[] {
  return hooks.map(({ option, path, error }) => {
    const why = 'A hook that can not be started does not run, and the kill goes on without it.';
    if (error === null) return finding('hook', why, { severity: 'ok', found: `${option} ${path} can be started` });
    return finding('hook', why, {
      severity: 'warning',
      found: `${option} ${path}: ${error}`,
      advice: 'Name an executable file by its absolute path, or leave the option out.',
    });
  });
}

function kernelOomFinding({ sysrqError }: Facts): Finding {
  const why = "--kernel-oom writes to sysrq-trigger; where it can't, the guard chooses and kills by itself.";
  if (sysrqError === null) return finding('kernel-oom', why, { severity: 'ok', found: 'sysrq-trigger can be written' });
  return finding('kernel-oom', why, {
    severity: 'warning',
    found: `sysrq-trigger can't be written: ${sysrqError}`,
    advice: 'Run the guard as root with a writable /proc (systemd/README.md, "Drop-ins"), or leave --kernel-oom out.',
  });
}
