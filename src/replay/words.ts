/* What a replay found, in plain words. Pure; names are in it as strangers chose them. */
import type { TraceHeader } from '../shared/trace.js';
import type { Decision, Difference, Replay } from './replay.js';

/** What `replay --json` prints. */
export interface ReplayDocument extends Replay {
  same: boolean;
  trace: {
    version: string;
    machine: TraceHeader['machine'];
    lengthUs: number;
    looks: number;
    missingLines: number;
    full: boolean;
    torn: boolean;
  };
}

const US_PER_S = 1_000_000;
const WIDTH = 50;

export function replayWords(document: ReplayDocument): string[] {
  const { trace, same, difference } = document;
  const { kernel, arch, memTotalKib } = trace.machine;
  const machine = `Linux ${kernel} ${arch}, ${Math.floor(memTotalKib / 1024)} MiB`;
  return [
    `${seconds(trace.lengthUs)}, ${trace.looks} looks, oom-backstop ${trace.version}, ${machine}`,
    ...doubts(document),
    '',
    `${'time'.padStart(10)}  ${'done'.padEnd(WIDTH)}  replayed`,
    ...rows(document),
    '',
    ...(same || difference === null ? ['The same decisions.'] : verdict(difference)),
  ];
}

function doubts({ trace }: ReplayDocument): string[] {
  return [
    ...(trace.missingLines > 0
      ? [`${trace.missingLines} lines are missing: the guard could not get rid of them.`]
      : []),
    ...(trace.full ? ['The trace has reached its bound; what came later is not in it.'] : []),
    ...(trace.torn ? ['Its last line is torn, and is left out.'] : []),
  ];
}

function rows({ recorded, replayed, difference }: ReplayDocument): string[] {
  const untilUs = difference?.tUs ?? Number.POSITIVE_INFINITY;
  const times = [...new Set([...recorded, ...replayed].map((each) => each.tUs))].sort((a, b) => a - b);
  return times.map((tUs) => {
    const done = recorded.find((each) => each.tUs === tUs);
    const again = replayed.find((each) => each.tUs === tUs);
    const right = tUs > untilUs ? '?' : inWords(again);
    return `${seconds(tUs).padStart(10)}  ${inWords(done).padEnd(WIDTH)}  ${right}`;
  });
}

function inWords(decision: Decision | undefined | null): string {
  if (decision === undefined || decision === null) return '-';
  const { deed, victim } = decision;
  return victim === null ? deed : `${deed}: process ${victim.pid} "${victim.name}"`;
}

/** What differs, and from where on nothing can be told. */
function verdict({ kind, tUs, recorded, replayed, leadUs }: Difference): string[] {
  const at = `At ${seconds(tUs)} `;
  switch (kind) {
    case 'earlier': {
      const lead = leadUs === null ? 'where nothing was done at all' : `${seconds(leadUs)} before anything was done`;
      return [
        `Earlier: ${at}${inWords(replayed)}, ${lead}.`,
        `From there on the trace can't tell: memory went on without that.`,
      ];
    }
    case 'later or never':
      return [
        `Later, or never: ${at}${inWords(recorded)} was done, and this policy would have waited.`,
        `From there on the trace can't tell: memory is what that left.`,
      ];
    case 'another victim':
      return [
        `Another victim: ${at}${inWords(recorded)} was done, and this policy would have done ${inWords(replayed)}.`,
        `From there on the trace can't tell: a different process would have ended.`,
      ];
    case 'nobody':
      return [
        `Nobody: ${at}${inWords(recorded)} was done, and by this policy nobody could have been chosen.`,
        `From there on the trace can't tell: that process would have lived on.`,
      ];
    case 'another signal':
      return [
        `Another signal: ${at}${inWords(recorded)} was done, and this policy would have done ${inWords(replayed)}.`,
        `From there on the trace can't tell: the process might have ended otherwise.`,
      ];
    case 'unknown':
      return [
        `${at}somebody would be chosen, and the trace does not say between whom: its table of candidates is missing.`,
      ];
  }
}

function seconds(us: number): string {
  return `${(us / US_PER_S).toFixed(3)} s`;
}
