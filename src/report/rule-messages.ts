/* What the guard says of PSI rules: a line for each rule at start, and one for each reason to kill. */
import { AT_LIMIT, AVAILABLE_LOW, REFAULTS_RISE, type RuleWatch, SWAP_LOW } from '../decide/pressure-rule.js';
import { type CandidateTable, NAME_BYTES } from '../shared/candidates.js';
import type { PressureRule } from '../shared/rules.js';
import type { Line } from './line.js';
import type { Log } from './log.js';

/** `PSI rule "thrashing": SIGTERM to the largest process when some >= 40 % of 500 ms for 200 ms and available <= 15 %, with refaults` */
export function sayRule(log: Log, rule: PressureRule): void {
  const line = log.begin('start').text('PSI rule "').foreign(rule.name).text('"');
  if (rule.cgroup !== null) line.text(', cgroups ').foreign(rule.cgroup);
  line.text(`: ${ruleWords(rule)}`);
  log.end();
}

/** What a rule does and when, besides its name and its cgroups. */
export function ruleWords(rule: PressureRule): string {
  const whom = rule.scope === 'cgroup' ? 'the whole cgroup' : 'the largest process';
  const bounds = rule.availableBelowPercent === null ? '' : ` and available <= ${rule.availableBelowPercent} %`;
  const evidence = [
    ...(rule.swapFreeBelowPercent === null ? [] : [`free swap <= ${rule.swapFreeBelowPercent} %`]),
    ...(rule.refaults ? ['refaults'] : []),
    ...(rule.cgroup === null ? [] : ['its own limit reached']),
  ];
  const alone = rule.cgroup !== null && rule.availableBelowPercent !== null && !rule.refaults;
  const needed = alone && rule.swapFreeBelowPercent === null ? [] : evidence;
  const signal = rule.action === 'kill' ? 'SIGKILL' : 'SIGTERM';
  const stall = `${rule.kind} >= ${rule.stallPercent} % of ${rule.windowMs} ms for ${rule.forMs} ms`;
  return `${signal} to ${whom} when ${stall}${bounds}${needed.length === 0 ? '' : `, with ${needed.join(' or ')}`}`;
}

/** `PSI rule "thrashing": some 43.1 % of 500 ms, available 6.2 %, refaults 8120/s`, as it was when it fired. */
export function sayRuleFired(log: Log, watch: RuleWatch, name: Uint8Array, cgroup: CgroupName | null): void {
  const { rule, corroboration } = watch;
  const line = log.begin('warn').text('PSI rule "').escaped(name, 0, name.length).text('"');
  if (cgroup !== null) line.text(', cgroup ').escaped(cgroup.bytes, 0, cgroup.length);
  line.text(': ').text(rule.kind).text(' ').fixed(watch.stallPercent, 1).text(' % of ').integer(rule.windowMs);
  line.text(' ms, available ').fixed(watch.availablePercent, 1).text(' %');
  sayEvidence(line, watch, corroboration);
  // Much to do for nothing, in a rehearsal of hundreds of them that is bounded in time.
  if (log.isJson) firedFields(log, watch, name, cgroup);
  log.end();
}

function firedFields(log: Log, watch: RuleWatch, name: Uint8Array, cgroup: CgroupName | null): void {
  const fields = log.about('rule-fired').bytes('rule', name, 0, name.length);
  if (cgroup === null) fields.nothing('cgroup');
  else fields.bytes('cgroup', cgroup.bytes, 0, cgroup.length);
  fields.words('stall', watch.rule.kind).hundredths('stallPercent', Math.round(watch.stallPercent * 100));
  fields.integer('windowMs', watch.rule.windowMs);
  fields.hundredths('availablePercent', Math.round(watch.availablePercent * 100));
  fields.integer('refaultsPerS', Math.round(watch.refaultsPerS));
}

/** A cgroup's path. */
interface CgroupName {
  readonly bytes: Uint8Array;
  readonly length: number;
}

function sayEvidence(line: Line, watch: RuleWatch, corroboration: number): void {
  if ((corroboration & AVAILABLE_LOW) !== 0) line.text(' (low)');
  if ((corroboration & SWAP_LOW) !== 0) line.text(', swap nearly used up');
  if ((corroboration & REFAULTS_RISE) !== 0) line.text(', refaults ').integer(watch.refaultsPerS).text('/s');
  if ((corroboration & AT_LIMIT) !== 0) line.text(', at its own limit');
}

/** `killing whole cgroup user.slice/a.scope, 4 processes` */
export function sayWholeCgroup(log: Log, cgroup: CgroupName, processes: number): void {
  const line = log.begin('warn').text('killing whole cgroup ').escaped(cgroup.bytes, 0, cgroup.length);
  line
    .text(', ')
    .integer(processes)
    .text(processes === 1 ? ' process' : ' processes');
  log.about('whole-cgroup').bytes('cgroup', cgroup.bytes, 0, cgroup.length).integer('processes', processes);
  log.end();
}

/** `cgroup a.scope is not killed as a whole: process 7 "sshd" in it must not be killed (the way in); killing its largest process` */
export function sayNotWhole(log: Log, cgroup: CgroupName, table: CandidateTable, row: number, why: string): void {
  const line = log.begin('warn').text('cgroup ').escaped(cgroup.bytes, 0, cgroup.length);
  line.text(' is not killed as a whole: ');
  if (row === -1) line.text('not all of its processes are known');
  else {
    const start = row * NAME_BYTES;
    line
      .text('process ')
      .integer(table.pid[row] as number)
      .text(' "');
    line.escaped(table.names, start, start + table.nameLength(row)).text('" in it must not be killed (');
    line.text(why).text(')');
  }
  line.text('; killing its largest process');
  log.end();
}
