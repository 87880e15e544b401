/*
 * The configuration's [[rule]] tables: PSI rules, in an array, because there may be any number of them. The table of their
 * keys is here as that of the sections is in schema.ts; load.ts puts files and messages around it.
 *
 * Files add to each other's rules. A rule of a name that an earlier file has used (or that the default rule has) takes that
 * one's place as a whole, so a drop-in changes or switches off a rule by its name.
 */
import * as z from 'zod';
import { globMistake } from '../kernel/cgroup-glob.js';
import { DEFAULT_RULE, type PressureRule, RULES_MAX } from '../shared/rules.js';
import { parseDurationMs, parseLimit } from './quantity.js';

const STALL_PERCENT_MAX = 100;
/** A rule for the machine must not act while there is plenty. */
const AVAILABLE_PERCENT_MAX = 50;
const WINDOW_MS_MIN = 100;
const WINDOW_MS_MAX = 10_000;
const FOR_MS_MAX = 60_000;
const NAME = /^[A-Za-z0-9_.-]{1,32}$/;

const SHARE = "a share such as '40%', from 1% to 100%";
const TIME = "a time such as '500ms' (ms, s)";

/** What is said of a key of a rule. */
export interface RuleKeyRow {
  name: string;
  description: string;
  valid: string;
  /** Where the rule does not set it. */
  default: string | boolean;
  /** In the commented example. */
  example: string | boolean;
}

/** In the order of the documentation. */
export const RULE_KEYS: readonly RuleKeyRow[] = [
  {
    name: 'name',
    description: `What the log calls it; a rule must have one. "${DEFAULT_RULE.name}" is the default rule's: one of that name takes its place.`,
    valid: "1 to 32 letters, digits, '_', '.' or '-', once in a file",
    default: '',
    example: 'sessions',
  },
  {
    name: 'enabled',
    description: 'false switches off what an earlier file has under this name.',
    valid: 'true or false',
    default: true,
    example: true,
  },
  {
    name: 'cgroup',
    description:
      'Watches each cgroup that matches, for itself and with all below it, instead of the machine: a path from the root of cgroup v2, where * and ? match within a name. At most 64 cgroups are watched; new ones are found within 5 s.',
    valid: "a path such as 'user.slice/user-*.slice'; '' for the machine",
    default: '',
    example: 'user.slice/user-*.slice',
  },
  {
    name: 'kind',
    description:
      '"some": at least one task stalls; "full": all that could run do, which one busy task on the machine hides.',
    valid: '"some" or "full"',
    default: DEFAULT_RULE.kind,
    example: 'full',
  },
  {
    name: 'stall',
    description: 'The share of the window that has to be spent stalling.',
    valid: SHARE,
    default: '40%',
    example: '60%',
  },
  {
    name: 'window',
    description: 'What the share is of. It is measured from the total in memory.pressure, not from its averages.',
    valid: `${TIME}, from 100ms to 10s`,
    default: '500ms',
    example: '1s',
  },
  {
    name: 'for',
    description: 'How long it has to hold before the rule acts.',
    valid: `${TIME}, at most 60s`,
    default: '1s',
    example: '500ms',
  },
  {
    name: 'available_below',
    description:
      'Acts only while available memory is at or below this share of user mem total. A rule with a cgroup has no such bound unless it is set.',
    valid: "a share such as '15%', from 1% to 50%",
    default: '15%',
    example: '30%',
  },
  {
    name: 'swap_free_below',
    description: 'Evidence: free swap is at or below this share of all swap. 0% does not ask for it.',
    valid: "a share such as '10%', from 0% to 100%",
    default: '0%',
    example: '10%',
  },
  {
    name: 'refaults',
    description:
      'Evidence: at least 100 pages a second are read again that had just been dropped, or scanned by processes themselves. true unless it is set. A rule acts only with some evidence where it asks for any: this, swap_free_below or, of a cgroup, its own memory at its limit (memory.max, memory.high).',
    valid: 'true or false',
    default: true,
    example: true,
  },
  {
    name: 'action',
    description:
      'The first signal: "term" for SIGTERM (SIGKILL follows when the stall goes on), "kill" for SIGKILL. With scope = "cgroup" it is "kill" unless it is set.',
    valid: '"term" or "kill"; "kill" with scope = "cgroup"',
    default: 'term',
    example: 'term',
  },
  {
    name: 'scope',
    description:
      '"largest": the process that the ranking has first, of the machine or of the cgroup; "cgroup": all of the cgroup (cgroup.kill, Linux 5.14), unless it holds somebody who must not be killed.',
    valid: '"largest"; with a cgroup "cgroup", too',
    default: DEFAULT_RULE.scope,
    example: 'largest',
  },
];

export const RULES_DESCRIPTION =
  'PSI rules, each in a table of its own: kill when tasks stall for memory. Rules of all files add up; one of a name that an earlier file has used replaces that one.';

/** What is wrong with the rules of one file: with the nth, or (null) with all of them. */
export interface RuleMistake {
  rule: number | null;
  /** null: the table itself. */
  key: string | null;
  value: unknown;
  what: string;
  valid: string;
}

/** The rule with each key as it is, or as it is by default. */
export interface NamedRule {
  name: string;
  /** null: what an earlier file has is switched off. */
  rule: PressureRule | null;
}

type Raw = Record<string, unknown>;

const percentOf = (min: number, max: number) =>
  z.string().transform((text, context): number => {
    const share = parseLimit(text, max);
    const message =
      typeof share === 'string'
        ? share
        : 'kib' in share
          ? 'not a share'
          : share.percent < min
            ? `less than ${min}%`
            : null;
    if (message === null && typeof share !== 'string' && 'percent' in share) return share.percent;
    context.addIssue({ code: 'custom', message: message ?? 'not a share' });
    return z.NEVER;
  });

const durationOf = (min: number, max: number) =>
  z.string().transform((text, context): number => {
    const ms = parseDurationMs(text);
    if (typeof ms === 'number' && ms >= min && ms <= max) return ms;
    const message = typeof ms === 'string' ? ms : ms < min ? `less than ${min}ms` : `more than ${max / 1000}s`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

const ruleSchema = z.strictObject({
  name: z.string().refine((name) => NAME.test(name), 'not such a name'),
  enabled: z.boolean().default(true),
  cgroup: z
    .string()
    .superRefine((text, context) => {
      const mistake = text === '' ? null : globMistake(text);
      if (mistake !== null) context.addIssue({ code: 'custom', message: mistake });
    })
    .default(''),
  kind: z.enum(['some', 'full']).default(DEFAULT_RULE.kind),
  stall: percentOf(1, STALL_PERCENT_MAX).default(DEFAULT_RULE.stallPercent),
  window: durationOf(WINDOW_MS_MIN, WINDOW_MS_MAX).default(DEFAULT_RULE.windowMs),
  for: durationOf(0, FOR_MS_MAX).default(DEFAULT_RULE.forMs),
  available_below: percentOf(1, AVAILABLE_PERCENT_MAX).optional(),
  swap_free_below: percentOf(0, 100).default(0),
  refaults: z.boolean().default(true),
  action: z.enum(['term', 'kill']).optional(),
  scope: z.enum(['largest', 'cgroup']).default('largest'),
});

type Checked = z.output<typeof ruleSchema>;

/** Reads what a file has under `rule`. */
export function readRules(value: unknown): { rules: NamedRule[]; mistakes: RuleMistake[] } {
  if (!Array.isArray(value) || !value.every(isTable)) {
    const valid = '[[rule]], in double brackets, once for each rule';
    return { rules: [], mistakes: [{ rule: null, key: null, value, what: 'not an array of tables', valid }] };
  }
  const mistakes: RuleMistake[] = [];
  const rules: NamedRule[] = [];
  for (const [index, raw] of (value as Raw[]).entries()) {
    const parsed = ruleSchema.safeParse(raw);
    if (!parsed.success) {
      mistakes.push(...parsed.error.issues.flatMap((issue) => mistakesOf(issue, index, raw)));
      continue;
    }
    mistakes.push(...contradictions(parsed.data, index, raw));
    if (rules.some(({ name }) => name === parsed.data.name)) {
      mistakes.push(mistake(index, 'name', raw, 'used before in this file'));
    }
    rules.push({ name: parsed.data.name, rule: parsed.data.enabled ? ruleOf(parsed.data) : null });
  }
  return { rules, mistakes };
}

/** The rules of all files, the later ones over the earlier, each in the place of its name. */
export function mergeRules(files: readonly (readonly NamedRule[])[]): {
  rules: PressureRule[];
  /** Somebody has switched the default rule off by its name. */
  withoutDefault: boolean;
  tooMany: boolean;
} {
  const byName = new Map<string, PressureRule | null>();
  for (const { name, rule } of files.flat()) byName.set(name, rule);
  const rules = [...byName.values()].filter((rule) => rule !== null);
  return { rules, withoutDefault: byName.get(DEFAULT_RULE.name) === null, tooMany: rules.length > RULES_MAX };
}

/** What is wrong although each key is right. */
function contradictions(checked: Checked, index: number, raw: Raw): RuleMistake[] {
  const { cgroup, scope, action, refaults, swap_free_below: swapFreeBelow, available_below: availableBelow } = checked;
  const found: RuleMistake[] = [];
  if (scope === 'cgroup' && cgroup === '') found.push(mistake(index, 'scope', raw, 'there is no cgroup'));
  if (scope === 'cgroup' && action === 'term') found.push(mistake(index, 'action', raw, 'cgroup.kill sends SIGKILL'));
  if (cgroup !== '' && !refaults && swapFreeBelow === 0 && availableBelow === undefined) {
    const valid = 'true, or swap_free_below or available_below besides';
    found.push({ ...mistake(index, 'refaults', raw, 'pressure alone is no reason to kill'), valid });
  }
  return found;
}

function ruleOf(checked: Checked): PressureRule {
  const ofMachine = checked.cgroup === '';
  return {
    name: checked.name,
    cgroup: ofMachine ? null : checked.cgroup,
    kind: checked.kind,
    stallPercent: checked.stall,
    windowMs: checked.window,
    forMs: checked.for,
    availableBelowPercent: checked.available_below ?? (ofMachine ? DEFAULT_RULE.availableBelowPercent : null),
    swapFreeBelowPercent: checked.swap_free_below === 0 ? null : checked.swap_free_below,
    refaults: checked.refaults,
    action: checked.action ?? (checked.scope === 'cgroup' ? 'kill' : 'term'),
    scope: checked.scope,
  };
}

function mistakesOf(issue: z.core.$ZodIssue, index: number, raw: Raw): RuleMistake[] {
  if (issue.code === 'unrecognized_keys') {
    const valid = RULE_KEYS.map(({ name }) => name).join(', ');
    return issue.keys.map((key) => ({ rule: index, key, value: raw[key], what: 'unknown key', valid }));
  }
  const key = issue.path[0] as string;
  if (raw[key] === undefined) return [mistake(index, key, raw, 'missing')];
  const row = RULE_KEYS.find(({ name }) => name === key) as RuleKeyRow;
  return [mistake(index, key, raw, issue.code === 'custom' ? issue.message : `not a ${typeof row.default}`)];
}

function mistake(index: number, key: string, raw: Raw, what: string): RuleMistake {
  const row = RULE_KEYS.find(({ name }) => name === key) as RuleKeyRow;
  return { rule: index, key, value: raw[key], what, valid: row.valid };
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
