/*
 * Reads configuration files into the guard's settings, or says everything that is wrong with them.
 *
 *   bytes -> text      bounded, UTF-8
 *   text -> table      TOML; the parser ends at the first mistake of a file
 *   table -> checked   each key of each file by the schema
 *   merged             the last file that sets a key wins, key by key; [[match]] tables are those of all files (match.ts)
 *   settings           limits as percentages of this machine's memory and swap
 *
 * A mistake in one file keeps no mistake in another from being found.
 */
import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import type * as z from 'zod';
import { strerror } from '../../native-shims/errno.js';
import { MATCH_TABLES_MAX, type MatchTable } from '../shared/matching.js';
import type { Settings } from '../shared/options.js';
import { type PressureRule, RULES_MAX } from '../shared/rules.js';
import { EARLYOOM_SELECTION } from '../shared/selection.js';
import { type MatchMistake, readMatches } from './match.js';
import { nearest } from './nearest.js';
import type { Limit } from './quantity.js';
import { mergeRules, type NamedRule, type RuleMistake, readRules } from './rules.js';
import { CONFIG_TABLE, type Config, configSchema, type SectionName } from './schema.js';

/** What the sizes of limits are shares of, in KiB. */
export interface Totals {
  memTotalKib: number;
  swapTotalKib: number;
}

/** One complete line each. */
export type Loaded = { settings: Settings; warnings: string[] } | { errors: string[] };

/** Far more than all keys with their explanations; a larger file is some other file. */
const FILE_BYTES_MAX = 1024 * 1024;

/** A file that is full of mistakes is not read to its end by anybody. */
const ERRORS_MAX = 50;

/** Sections hold keys, and nothing is in them: two levels. More for the parser, so that the schema may say what is wrong. */
const DEPTH_MAX = 32;

/** Of a value or a name in a message. */
const SHOWN_CHARS_MAX = 80;

type Table = Record<string, unknown>;
type LimitSection = 'memory' | 'swap';
type Side = 'term' | 'kill';

/** Not a section: an array of tables. */
const RULES = 'rule';

const SIDES: readonly Side[] = ['term', 'kill'];
const SECTIONS: readonly string[] = CONFIG_TABLE.map((row) => row.name);

interface FileRead {
  file: string;
  /** With the file's name before each. */
  errors: readonly string[];
  /** Those without a mistake. */
  sections: Readonly<Record<string, Table>>;
  /** Those with one; all, where it can't be told. */
  wrong: readonly string[];
  /** [[match]], those without a mistake. */
  matches: readonly MatchTable[];
  /** Its PSI rules; none that is wrong. */
  rules: readonly NamedRule[];
}

/** Where a key is from. */
interface Source {
  file: string;
  value: unknown;
}

/** Reads `files`, the later one over the earlier. */
export function loadConfig(files: readonly string[], totals: Totals): Loaded {
  const read = files.map(readFile);
  const merged = new Merged(read);
  const resolver = new LimitResolver(merged);
  const mem = resolver.memory(totals.memTotalKib);
  const swap = resolver.swap(totals.swapTotalKib);
  const matches = read.flatMap((each) => each.matches);
  const { rules, withoutDefault, tooMany } = mergeRules(read.map((each) => each.rules));
  const many = tooMany ? [`[[rule]]: ${rules.length} rules in all (valid: at most ${RULES_MAX})`] : [];
  const errors = [...read.flatMap((each) => each.errors), ...tooManyMatches(matches), ...resolver.errors, ...many];
  if (errors.length > 0 || mem === null || swap === null) return { errors: atMost(errors, ERRORS_MAX) };
  const settings = settingsOf(merged.config, mem, swap, matches, rules);
  if (withoutDefault) settings.defaultRule = false;
  return { settings, warnings: resolver.warnings };
}

function readFile(file: string): FileRead {
  const whole = readTable(file);
  if (typeof whole === 'string') {
    return { file, errors: [`${file}: ${whole}`], sections: {}, wrong: SECTIONS, matches: [], rules: [] };
  }
  const { match, [RULES]: ruleTables = [], ...table } = whole;
  const matches = readMatches(match);
  const { rules, mistakes } = readRules(ruleTables);
  const issues = issuesOf(table);
  const wrong = issues.map((issue) => issue.path[0] as string | undefined);
  const errors = issues.flatMap((issue) => describe(issue, table));
  return {
    file,
    errors: [...errors, ...matches.mistakes.map(describeMatch), ...mistakes.map(describeRule)].map(
      (error) => `${file}: ${error}`,
    ),
    sections: Object.fromEntries(
      Object.entries(table as Record<string, Table>).filter(
        ([name]) => SECTIONS.includes(name) && !wrong.includes(name),
      ),
    ),
    wrong: SECTIONS.filter((name) => wrong.includes(name)),
    matches: matches.tables,
    rules,
  };
}

function atMost(errors: string[], max: number): string[] {
  if (errors.length <= max) return errors;
  return [...errors.slice(0, max), `and ${errors.length - max} more mistakes in the configuration`];
}

/** The table in `file`, or what is wrong with the file. */
function readTable(file: string): Table | string {
  const bytes = readBounded(file);
  if (typeof bytes === 'string') return bytes;
  if (!isUtf8(bytes)) return `line ${firstInvalidLine(bytes)}: invalid UTF-8 (valid: a TOML file in UTF-8)`;
  try {
    return parse(bytes.toString('utf8'), { maxDepth: DEPTH_MAX });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = (error.message.split('\n')[0] as string).replace(/^Invalid TOML document: /, '');
    return `line ${error.line}, column ${error.column}: ${what} (valid: TOML, see https://toml.io)`;
  }
}

/** The bytes of `file`, or why not. A pipe is refused: without its writer it would pass for an empty file. */
function readBounded(file: string): Buffer | string {
  let fd = -1;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    // /dev/null is a way to say "no configuration".
    if (!stat.isFile() && !stat.isCharacterDevice()) return 'not a regular file (valid: a TOML file)';
    const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
    let length = 0;
    for (let more = -1; more !== 0 && length < bytes.length; length += more)
      more = readSync(fd, bytes, { offset: length });
    if (length > FILE_BYTES_MAX) return `too large (valid: at most ${FILE_BYTES_MAX} bytes)`;
    return bytes.subarray(0, length);
  } catch (error) {
    const { errno = 0 } = error as NodeJS.ErrnoException;
    return `${strerror(-errno)} (valid: a TOML file that the guard's user may read)`;
  } finally {
    if (fd !== -1) closeSync(fd);
  }
}

/** The line, from 1, of the first byte that is no UTF-8; a newline is never part of a longer character. */
function firstInvalidLine(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf('\n', start);
    const end = newline === -1 ? bytes.length : newline;
    if (!isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
  }
  return line;
}

/** Everything that is wrong with the keys of one file. */
function issuesOf(table: Table): readonly z.core.$ZodIssue[] {
  // A date is an object, and as a section it would be one without keys.
  const sections = Object.entries(table).map(([name, value]) => [name, value instanceof Date ? null : value]);
  return configSchema.safeParse(Object.fromEntries(sections)).error?.issues ?? [];
}

function describe(issue: z.core.$ZodIssue, table: Table): string[] {
  const [section, key] = issue.path as string[];
  if (issue.code === 'unrecognized_keys') {
    if (section === undefined) return issue.keys.map((name) => unknownSection(name, table[name]));
    return issue.keys.map((name) => unknownKey(section, name));
  }
  const row = CONFIG_TABLE.find((each) => each.name === section);
  const keyRow = row?.keys.find((each) => each.name === key);
  const value = valueAt(table, issue.path);
  if (keyRow === undefined) {
    const keys = row?.keys.map((each) => each.name).join(', ');
    return [`${section} = ${shown(value)}: not a table (valid: [${section}] with ${keys})`];
  }
  const what = issue.code === 'custom' ? issue.message : `not a ${typeof keyRow.default}`;
  return [`${section}.${key} = ${shown(value)}: ${what} (valid: ${keyRow.valid})`];
}

function describeMatch({ path, value, what, valid }: MatchMistake): string {
  return `${path}${value === undefined ? '' : ` = ${shown(value)}`}: ${what} (valid: ${valid})`;
}

/** Of all files together. */
function tooManyMatches(matches: readonly MatchTable[]): string[] {
  if (matches.length <= MATCH_TABLES_MAX) return [];
  return [`[[match]]: ${matches.length} tables in all files (valid: at most ${MATCH_TABLES_MAX})`];
}

/** Rules are counted from 1, as whoever looks for one in a file does. */
function describeRule({ rule, key, value, what, valid }: RuleMistake): string {
  const table = rule === null ? RULES : `[[rule]] ${rule + 1}`;
  const told = key === null ? table : `${table}: ${shownKey(key)}`;
  return `${told}${value === undefined ? '' : ` = ${shown(value)}`}: ${what} (valid: ${valid})`;
}

function valueAt(table: Table, keys: readonly PropertyKey[]): unknown {
  return keys.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)[key], table);
}

function unknownSection(name: string, value: unknown): string {
  const valid = `valid: ${[...SECTIONS.map((each) => `[${each}]`), '[[match]]', '[[rule]]'].join(', ')}`;
  // [[name]] is an array of tables.
  if (!isTable(Array.isArray(value) ? value[0] : value)) {
    return `${shownKey(name)}: a key outside of a section${didYouMean(name, allKeys())} (${valid})`;
  }
  const suggestion = didYouMean(name, new Map(SECTIONS.map((each) => [each, `[${each}]`])));
  return `[${shownKey(name)}]: unknown section${suggestion} (${valid})`;
}

function unknownKey(section: string, name: string): string {
  const keys = CONFIG_TABLE.find((row) => row.name === section)?.keys.map((row) => row.name) ?? [];
  const own = new Map(keys.map((key) => [key, `${section}.${key}`]));
  // Its own section's first: the first of the nearest ones is suggested.
  const suggestion = didYouMean(name, new Map([...own, ...[...allKeys()].filter(([key]) => !own.has(key))]));
  return `${section}.${shownKey(name)}: unknown key${suggestion} (valid in [${section}]: ${keys.join(', ')})`;
}

/** Each key's path by its name; for a name in several sections, the first. */
function allKeys(): Map<string, string> {
  const paths = CONFIG_TABLE.flatMap((row) => row.keys.map((key) => [key.name, `${row.name}.${key.name}`] as const));
  return new Map(paths.reverse());
}

function didYouMean(name: string, paths: ReadonlyMap<string, string>): string {
  const found = nearest(name, [...paths.keys()]);
  return found === null ? '' : `, did you mean ${paths.get(found)}?`;
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);
}

/** A name as TOML writes it. */
function shownKey(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? cut(name) : shownString(cut(name));
}

/** A value as TOML writes it, or in a word what is too long for a message. */
function shown(value: unknown): string {
  if (isTable(value)) return 'a table';
  if (value instanceof Date) return 'a date';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'string' ? shownString(cut(value)) : String(value);
}

/** In single quotes where TOML allows it: the log escapes double ones. */
function shownString(text: string): string {
  return /^[^'\p{Cc}]*$/u.test(text) ? `'${text}'` : JSON.stringify(text);
}

function cut(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}...`;
}

/** The files as one, without the sections that are wrong. */
class Merged {
  readonly config: Config;
  /** The file that a key is from, by its path. */
  private readonly sources = new Map<string, Source>();
  private readonly wrong: ReadonlySet<string>;

  constructor(files: readonly FileRead[]) {
    const merged: Record<string, Table> = {};
    for (const { file, sections } of files) {
      for (const [section, keys] of Object.entries(sections)) {
        merged[section] = { ...merged[section], ...keys };
        for (const [key, value] of Object.entries(keys)) this.sources.set(`${section}.${key}`, { file, value });
      }
    }
    this.config = configSchema.parse(merged);
    this.wrong = new Set(files.flatMap((each) => each.wrong));
  }

  /** Whether every key of the section is as the files mean it. */
  isWhole(section: SectionName): boolean {
    return !this.wrong.has(section);
  }

  /** Whether a file sets the key. */
  sets(section: SectionName, key: string): boolean {
    return this.sources.has(`${section}.${key}`);
  }

  /** The file that sets the key, and its value there. */
  source(section: SectionName, key: string): Source | undefined {
    return this.sources.get(`${section}.${key}`);
  }
}

interface Percentages {
  term: number;
  kill: number;
}

const WITHOUT_SWAP: Percentages = { term: 100, kill: 100 };

/** Turns limits into percentages, and checks what depends on the machine or on two keys. */
class LimitResolver {
  readonly errors: string[] = [];
  readonly warnings: string[] = [];

  constructor(private readonly merged: Merged) {}

  memory(memTotalKib: number): Percentages | null {
    return this.resolve('memory', memTotalKib, 'MemTotal');
  }

  swap(swapTotalKib: number): Percentages | null {
    const sizes = SIDES.filter((side) => 'kib' in this.merged.config.swap[side]);
    if (swapTotalKib > 0 || sizes.length === 0) return this.resolve('swap', swapTotalKib, 'SwapTotal');
    // Free swap is 0 % then, which is below any limit: whatever the file says, swap is out of the decision.
    for (const side of sizes) {
      this.warnings.push(`${this.told('swap', side)}: total swap is zero, leaving swap out of the decision`);
    }
    return WITHOUT_SWAP;
  }

  /** The section's limits, or null where there is an error. */
  private resolve(section: LimitSection, totalKib: number, totalName: string): Percentages | null {
    const term = this.percent(section, 'term', totalKib, totalName);
    const given = this.percent(section, 'kill', totalKib, totalName);
    if (term === null || given === null || !this.merged.isWhole(section)) return null;
    const kill = given > term && !this.merged.sets(section, 'kill') ? term / 2 : given;
    if (term === 0 && kill === 0) {
      return this.fail(`${this.told(section, 'term')}: zero, and kill as well (valid: more than 0)`);
    }
    if (kill <= term) return { term, kill };
    const limit = this.merged.sets(section, 'term') ? this.value(section, 'term') : `${term}%, the default`;
    return this.fail(`${this.told(section, 'kill')}: more than ${section}.term (valid: at most that, ${limit})`);
  }

  private percent(section: LimitSection, side: Side, totalKib: number, totalName: string): number | null {
    const limit: Limit = this.merged.config[section][side];
    if ('percent' in limit) return limit.percent;
    if (limit.kib <= totalKib) return (100 * limit.kib) / totalKib;
    return this.fail(`${this.told(section, side)}: more than ${totalName} (valid: at most ${totalKib}KiB)`);
  }

  /** File, key and value of a limit that a file sets. */
  private told(section: LimitSection, side: Side): string {
    return `${this.merged.source(section, side)?.file}: ${section}.${side} = ${this.value(section, side)}`;
  }

  private value(section: LimitSection, side: Side): string {
    return shown(this.merged.source(section, side)?.value);
  }

  private fail(what: string): null {
    this.errors.push(what);
    return null;
  }
}

function settingsOf(
  { memory, guard, pressure, selection, hooks }: Config,
  mem: Percentages,
  swap: Percentages,
  matches: readonly MatchTable[],
  rules: readonly PressureRule[],
): Settings {
  return {
    limits: {
      memTermPercent: mem.term,
      memKillPercent: mem.kill,
      swapTermPercent: swap.term,
      swapKillPercent: swap.kill,
    },
    selection: {
      ...EARLYOOM_SELECTION,
      rankBy: selection.rank_by,
      ignoreRootUser: selection.ignore_root_user,
      floorKib: selection.floor,
      onlyUid: selection.only_user ?? -1,
      youngestFirst: true,
    },
    sparesWayIn: selection.spare_way_in,
    patterns: { prefer: selection.prefer, avoid: selection.avoid, ignore: selection.ignore },
    matching: { tables: matches, onlyCgroup: selection.only_cgroup },
    killGroup: guard.kill_group,
    killAfterMs: guard.kill_after,
    countArc: memory.count_arc,
    kernelOom: guard.kernel_oom,
    dryrun: guard.dryrun,
    debug: guard.debug,
    syslog: guard.syslog,
    raisePriority: guard.raise_priority,
    beforeKill: hooks.before_kill,
    afterKill: hooks.after_kill,
    notifyDbus: hooks.notify_dbus,
    reportIntervalMs: guard.report_interval,
    rules,
    defaultRule: pressure.default_rule,
    keepsIncidents: true,
    keepsState: true,
    runtimeDir: guard.runtime_dir,
  };
}
