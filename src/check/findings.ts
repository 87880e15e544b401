/* The judgement: facts and options in, findings and a verdict out. Pure: no file, no clock, no system call. */
import type { GuardOptions } from '../shared/options.js';
import type { Facts } from './facts.js';
import type { Finding, Severity } from './finding.js';
import { kernelFindings } from './kernel-findings.js';
import { matchFindings } from './match-findings.js';
import { memoryFindings } from './memory-findings.js';
import { type OptionMessages, optionFindings } from './option-findings.js';
import { processFindings } from './process-findings.js';
import { ruleFindings } from './rule-findings.js';

/** What all findings come to: ok where nothing is above a note. */
export type Verdict = Exclude<Severity, 'note'>;

/** Judges a machine as the guard with these options would find it; in the order of the table FINDINGS. */
export function examine(facts: Facts, options: GuardOptions, messages: OptionMessages): Finding[] {
  return [
    ...optionFindings(facts, options, messages),
    ...matchFindings(facts, options),
    ...processFindings(facts, options),
    ...kernelFindings(facts),
    ...(options.persona === 'oom-backstop' ? ruleFindings(facts) : []),
    ...memoryFindings(facts, options),
  ];
}

/** The worst of the findings. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  const has = (severity: Severity): boolean => findings.some((each) => each.severity === severity);
  if (has('error')) return 'error';
  return has('warning') ? 'warning' : 'ok';
}
