/*
 * The configuration file: the one table of its sections and keys, with their types, defaults and units and what is said
 * of them. From it come the reader (load.ts), the example file and the tables in the documentation (document.ts).
 *
 * Only what dist/config.cjs is built from imports this file; the guard takes its types, and never loads zod.
 */
import * as z from 'zod';
import { PosixRegex } from '../../native-shims/regex.js';
import { compileCondition, VALID_CONDITIONS } from '../match/conditions.js';
import { parseDurationMs, parseLimit, parseSizeKib } from './quantity.js';
import { lookUpUid } from './users.js';

/* Each schema is used two or three times: compiling it, as zod does by default, would take longer than that. */
z.config({ jitless: true });

/** What is said of a key, in the example file, in the documentation and in messages. */
interface KeyText {
  /** What it does: whole sentences. */
  description: string;
  /** Which values it takes. */
  valid: string;
  /** The command line's option for it. */
  option: string;
  /** A value that differs from the default. */
  example: string | boolean;
}

interface SectionText {
  description: string;
}

const keyTexts = z.registry<KeyText>();
const sectionTexts = z.registry<SectionText>();

const MEM_PERCENT_MAX = 99;
const SWAP_PERCENT_MAX = 100;

/* In single quotes, which TOML has as well: the log escapes double ones. */
const MEMORY = "a share such as '5%' (at most '99%'), or a size such as '512MiB' (KiB, MiB, GiB, TiB)";
const SWAP = "a share such as '10%' (at most '100%'), or a size such as '512MiB' (KiB, MiB, GiB, TiB)";
const TIME = "a time such as '10s' (ms, s, min, h)";
const SIZE = 'a size such as "16MiB" (KiB, MiB, GiB, TiB)';
const RANKING = '"oom_score", "memory" or "rss"';
const SWITCH = 'true or false';
const REGEX = "a POSIX extended regular expression; '' for none";
const PATH = "an absolute path; '' for none";

/** A string that `read` understands; it returns what is wrong in words. */
function read<T>(parse: (text: string) => T | Failure) {
  return z.string().transform((text, context): T => {
    const value = parse(text);
    if (!(value instanceof Failure)) return value;
    context.addIssue({ code: 'custom', message: value.message });
    return z.NEVER;
  });
}

class Failure {
  constructor(readonly message: string) {}
}

function orFailure<T>(value: T | string): T | Failure {
  return typeof value === 'string' ? new Failure(value) : value;
}

const limit = (percentMax: number) => read((text) => orFailure(parseLimit(text, percentMax)));

const size = () => read((text) => orFailure(parseSizeKib(text)));

const duration = () => read((text) => orFailure(parseDurationMs(text)));

/** null for "". */
const regex = () =>
  read((text): string | null | Failure => {
    if (text === '') return null;
    if (text.includes('\0')) return new Failure('holds a NUL');
    return PosixRegex.compile(text) === null ? new Failure('does not compile') : text;
  });

/** null for "". */
const absolutePath = () =>
  read((text): string | null | Failure => {
    if (text === '') return null;
    if (text.includes('\0')) return new Failure('holds a NUL');
    return text.startsWith('/') ? text : new Failure('not an absolute path');
  });

/** null for "". */
const user = () =>
  read((text): number | null | Failure => {
    if (text === '') return null;
    return lookUpUid(text) ?? new Failure('no such user');
  });

/** null for "". */
const cgroup = () =>
  read((text): string | null | Failure => {
    if (text === '') return null;
    const program = compileCondition('cgroup', text);
    return typeof program === 'string' ? new Failure(program) : text;
  });

export const configSchema = z.strictObject({
  memory: z
    .strictObject({
      term: limit(MEM_PERCENT_MAX).prefault('5%').register(keyTexts, {
        description:
          'SIGTERM when available memory is at or below this. A share is of user mem total (MemAvailable + AnonPages); a size is turned into a share of MemTotal at start.',
        valid: MEMORY,
        option: '-m, -M',
        example: '512MiB',
      }),
      kill: limit(MEM_PERCENT_MAX).prefault('3%').register(keyTexts, {
        description:
          'SIGKILL when available memory is at or below this; 0% for never. At most term. Where term is set below the default of kill and kill is not set, it is half of term.',
        valid: MEMORY,
        option: '-m, -M',
        example: '256MiB',
      }),
      count_arc: z.boolean().prefault(true).register(keyTexts, {
        description:
          'What the cache of ZFS holds above its c_min counts as available. It is asked for only when memory is near the limits.',
        valid: SWITCH,
        option: '--no-arc',
        example: false,
      }),
    })
    .prefault({})
    .register(sectionTexts, {
      description: 'Limits on available memory. -m or -M on the command line replaces both keys.',
    }),

  swap: z
    .strictObject({
      term: limit(SWAP_PERCENT_MAX).prefault('100%').register(keyTexts, {
        description:
          'SIGTERM only when free swap is at or below this, too. A share is of SwapTotal at any time; a size is turned into one at start. 100% leaves swap out of the decision.',
        valid: SWAP,
        option: '-s, -S',
        example: '10%',
      }),
      kill: limit(SWAP_PERCENT_MAX).prefault('100%').register(keyTexts, {
        description:
          'SIGKILL only when free swap is at or below this, too. At most term. Where term is set below the default of kill and kill is not set, it is half of term.',
        valid: SWAP,
        option: '-s, -S',
        example: '5%',
      }),
    })
    .prefault({})
    .register(sectionTexts, {
      description: 'Limits on free swap. -s or -S on the command line replaces both keys.',
    }),

  guard: z
    .strictObject({
      report_interval: duration().prefault('1s').register(keyTexts, {
        description: 'A memory report this often, while memory is above the limits; 0s for none.',
        valid: TIME,
        option: '-r',
        example: '1h',
      }),
      dryrun: z.boolean().prefault(false).register(keyTexts, {
        description: 'Say what would be killed, and kill nobody. Hooks do run.',
        valid: SWITCH,
        option: '--dryrun',
        example: true,
      }),
      debug: z.boolean().prefault(false).register(keyTexts, {
        description: 'Debug lines, one for each process looked at.',
        valid: SWITCH,
        option: '-d',
        example: true,
      }),
      syslog: z.boolean().prefault(false).register(keyTexts, {
        description: 'Log to /dev/log instead of stdout and stderr.',
        valid: SWITCH,
        option: '--syslog',
        example: true,
      }),
      kill_group: z.boolean().prefault(false).register(keyTexts, {
        description: "Kill the victim's whole process group.",
        valid: SWITCH,
        option: '-g',
        example: true,
      }),
      kill_after: duration().prefault('10s').register(keyTexts, {
        description: 'SIGKILL for a victim that has ignored SIGTERM for so long while memory is low; 0s for at once.',
        valid: TIME,
        option: '--kill-after',
        example: '3s',
      }),
      kernel_oom: z.boolean().prefault(false).register(keyTexts, {
        description: "Have the kernel's OOM killer choose and kill (Linux 5.17, root).",
        valid: SWITCH,
        option: '--kernel-oom',
        example: true,
      }),
      raise_priority: z.boolean().prefault(false).register(keyTexts, {
        description: 'Niceness -20 and oom_score_adj -100 for the guard. The shipped unit has done as much already.',
        valid: SWITCH,
        option: '-p',
        example: true,
      }),
      runtime_dir: absolutePath().prefault('').register(keyTexts, {
        description:
          'Where the state page, the event log and incident records go, on a file system in memory. If empty: $RUNTIME_DIRECTORY, /run/oom-backstop as root, $XDG_RUNTIME_DIR/oom-backstop otherwise.',
        valid: PATH,
        option: '--runtime-dir',
        example: '/run/oom-backstop',
      }),
    })
    .prefault({})
    .register(sectionTexts, { description: 'The guard itself: what it does and says.' }),

  pressure: z
    .strictObject({
      default_rule: z.boolean().prefault(true).register(keyTexts, {
        description:
          'The default PSI rule, "thrashing": SIGTERM to the largest process when tasks stall for 40% of 500 ms, for 1 s, while at most 15% of memory is available and pages refault.',
        valid: SWITCH,
        option: '--no-psi-rule',
        example: false,
      }),
    })
    .prefault({})
    .register(sectionTexts, {
      description: 'Pressure (PSI): what tasks lose by waiting for memory. More rules are set in [[rule]] tables.',
    }),

  selection: z
    .strictObject({
      ignore_root_user: z.boolean().prefault(false).register(keyTexts, {
        description: 'Never kill processes whose effective user is root.',
        valid: SWITCH,
        option: '--ignore-root-user',
        example: true,
      }),
      rank_by: z.enum(['oom_score', 'memory', 'rss']).prefault('oom_score').register(keyTexts, {
        description:
          "What processes are compared by: the kernel's oom_score, the memory that a kill would give back, or the largest RSS.",
        valid: RANKING,
        option: '--rank-by, --sort-by-rss',
        example: 'memory',
      }),
      floor: size().prefault('4MiB').register(keyTexts, {
        description: 'Who would give back less is passed over unless nobody else is left; 0MiB for nobody.',
        valid: SIZE,
        option: '--floor',
        example: '16MiB',
      }),
      spare_way_in: z.boolean().prefault(true).register(keyTexts, {
        description:
          "The admin's way in is never killed: systemd's services, sshd, logins, multiplexers, display servers, container daemons.",
        valid: SWITCH,
        option: '--no-way-in',
        example: false,
      }),
      prefer: regex().prefault('').register(keyTexts, {
        description: 'oom_score + 300 for processes whose name matches; by rss RSS + 3 GiB, by memory double.',
        valid: REGEX,
        option: '--prefer',
        example: '^(Web Content|Isolated Web Co)$',
      }),
      avoid: regex().prefault('').register(keyTexts, {
        description: 'oom_score - 300 for processes whose name matches; by rss RSS - 3 GiB, by memory half.',
        valid: REGEX,
        option: '--avoid',
        example: '^postgres$',
      }),
      ignore: regex().prefault('').register(keyTexts, {
        description: 'Never kill processes whose name matches.',
        valid: REGEX,
        option: '--ignore',
        example: '^(sshd|systemd)$',
      }),
      only_user: user().prefault('').register(keyTexts, {
        description: "Kill only this user's processes.",
        valid: "a name of /etc/passwd, or a uid; '' for anybody",
        option: '--only-user',
        example: '1000',
      }),
      only_cgroup: cgroup()
        .prefault('')
        .register(keyTexts, {
          description: 'Kill only processes in these cgroups and below.',
          valid: `${VALID_CONDITIONS.cgroup}; '' for any`,
          option: '--only-cgroup',
          example: '/user.slice',
        }),
    })
    .prefault({})
    .register(sectionTexts, {
      description: 'Who is killed. A name is that of /proc/PID/comm, at most 15 bytes.',
    }),

  hooks: z
    .strictObject({
      before_kill: absolutePath().prefault('').register(keyTexts, {
        description: 'A program that is run before each kill, which waits for it for at most 200 ms.',
        valid: PATH,
        option: '-P',
        example: '/usr/local/bin/before-kill',
      }),
      after_kill: absolutePath().prefault('').register(keyTexts, {
        description: 'A program that is run after each kill.',
        valid: PATH,
        option: '-N',
        example: '/usr/local/bin/after-kill',
      }),
      notify_dbus: z.boolean().prefault(false).register(keyTexts, {
        description: 'A D-Bus notification for each kill, by /usr/bin/dbus-send.',
        valid: SWITCH,
        option: '-n',
        example: true,
      }),
    })
    .prefault({})
    .register(sectionTexts, { description: 'What else happens at a kill.' }),
});

/** A configuration with every key set. */
export type Config = z.output<typeof configSchema>;

export type SectionName = keyof Config;

export interface KeyRow extends KeyText {
  name: string;
  default: string | boolean;
}

export interface SectionRow extends SectionText {
  name: string;
  keys: readonly KeyRow[];
}

/** The schema as a table, for what prints it. */
export const CONFIG_TABLE: readonly SectionRow[] = Object.entries(configSchema.shape).map(([name, section]) => ({
  name,
  description: (sectionTexts.get(section) as SectionText).description,
  keys: Object.entries(section.unwrap().shape).map(([key, schema]: [string, z.ZodPrefault]) => ({
    name: key,
    default: schema.def.defaultValue as string | boolean,
    ...(keyTexts.get(schema) as KeyText),
  })),
}));
