/* Findings on PSI rules: one for each that is in force. Pure. */
import type { Facts, RuleFacts } from './facts.js';
import { counted, type Finding, finding } from './finding.js';

const WHY = 'A PSI rule ends what the limits see too late or not at all: a machine, or a cgroup, that thrashes.';

/** All of them, in the order of the rules; a note where there is none. */
export function ruleFindings({ rules, pressure, cgroup }: Facts): Finding[] {
  if (rules.length === 0) {
    return [finding('psi-rule', WHY, { severity: 'note', found: 'no PSI rule is in force: the limits alone decide' })];
  }
  return rules.map((rule) => {
    if (rule.cgroup === null) return machineRule(rule, pressure.readError);
    if (rule.matches === null) return noTree(rule, cgroup === null);
    return cgroupRule(rule, rule.cgroup, rule.matches);
  });
}

function machineRule({ name, words }: RuleFacts, readError: string | null): Finding {
  if (readError === null) return finding('psi-rule', WHY, { severity: 'ok', found: `"${name}": ${words}` });
  return finding('psi-rule', WHY, {
    severity: 'warning',
    found: `"${name}" can not work: memory pressure can't be read: ${readError}`,
    advice: 'See the finding psi; or switch it off: --no-psi-rule for the default rule.',
  });
}

function noTree({ name }: RuleFacts, unknown: boolean): Finding {
  if (unknown) {
    return finding('psi-rule', WHY, { severity: 'note', found: `"${name}": not known: the tree shows no mounts` });
  }
  return finding('psi-rule', WHY, {
    severity: 'warning',
    found: `"${name}" can not work: cgroup v2 is not mounted, or can't be read`,
    advice: 'systemd.unified_cgroup_hierarchy=1 on the kernel command line.',
  });
}

function cgroupRule({ name, words, whole, unreadable, unkillable }: RuleFacts, glob: string, matches: number): Finding {
  if (matches === 0) {
    return finding('psi-rule', WHY, {
      severity: 'note',
      found: `"${name}": no cgroup matches '${glob}' now`,
      advice: 'If there should be one: `systemd-cgls` shows their names; * and ? do not match a slash.',
    });
  }
  const cgroups = counted(matches, 'cgroup matches', 'cgroups match');
  if (unreadable > 0) {
    return finding('psi-rule', WHY, {
      severity: 'warning',
      found: `"${name}": ${cgroups}, and memory.pressure of ${unreadable} of them can't be read`,
      advice: 'Linux 4.20 with CONFIG_PSI, and cgroup.pressure of those cgroups on (1).',
    });
  }
  if (whole && unkillable > 0) {
    return finding('psi-rule', WHY, {
      severity: 'warning',
      found: `"${name}": ${cgroups}, and ${unkillable} of them have no cgroup.kill: their largest process is killed instead`,
      advice: 'Linux 5.14; or scope = "largest".',
    });
  }
  return finding('psi-rule', WHY, { severity: 'ok', found: `"${name}": ${cgroups}: ${words}` });
}
