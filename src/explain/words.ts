/* An incident in plain words. Pure; what strangers chose (names, arguments) is in it as they chose it. */
import { memAvailablePercent, swapFreePercent, userMemTotalKib } from '../decide/limits.js';
import type { IncidentPressure, IncidentRecord, StepName } from '../shared/incident.js';
import { adviceFor } from './advice.js';

export interface Section {
  title: string;
  lines: string[];
}

const KIB_PER_MIB = 1024;
const US_PER_MS = 1000;
const US_PER_S = 1_000_000;

/** `2026-11-21 18:42:00 UTC` */
export function timeOf(record: IncidentRecord): string {
  const date = new Date(record.atUnixMs);
  if (Number.isNaN(date.getTime())) return 'at an unknown time';
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** One line, for a list. */
export function headline(record: IncidentRecord): string {
  const { id, victim, outcome } = record;
  return `${id}  ${signalsOf(record)} ${victim.pid} "${victim.name}": ${outcome}, ${returned(record)}`;
}

export function explain(record: IncidentRecord): Section[] {
  return [
    { title: 'What happened', lines: whatHappened(record) },
    { title: 'Why this process', lines: whyThis(record) },
    { title: 'Why not the others', lines: whyNotOthers(record) },
    { title: 'How long it took, from the crossing', lines: howLong(record) },
    { title: 'Whether memory came back', lines: whetherBack(record) },
    { title: 'If that was wrong', lines: adviceFor(record).map(({ because, remedy }) => `- ${because} ${remedy}`) },
  ];
}

function whatHappened(record: IncidentRecord): string[] {
  return [reasonOf(record), pressureOf(record), deedOf(record)];
}

function reasonOf({ why, before }: IncidentRecord): string {
  const level = why.level === 'kill' ? 'SIGKILL' : 'SIGTERM';
  const available = `${mib(before.memAvailableKib)} of ${mib(userMemTotalKib(before))} (${percent(memAvailablePercent(before))}) were available`;
  const swap =
    before.swapTotalKib > 0 ? `, ${percent(swapFreePercent(before))} of swap were free` : ', there is no swap';
  if (why.by === 'rule') return `The rule ${why.rule} asked for ${level}: ${available}${swap}.`;
  const { limits } = why;
  const mem = why.level === 'kill' ? limits.memKillPercent : limits.memTermPercent;
  const free = why.level === 'kill' ? limits.swapKillPercent : limits.swapTermPercent;
  const swapLimit = free < 100 ? ` and ${percent(free)} of swap` : '';
  return `Memory had fallen to ${level}'s limit, ${percent(mem)} of memory${swapLimit}: ${available}${swap}.`;
}

function pressureOf({ pressure: { some, full } }: IncidentRecord): string {
  if (some.avg10 === null) return 'Memory pressure (PSI) is not known.';
  return `Memory pressure: ${stall('some', some)}; ${stall('full', full)}.`;
}

function stall(name: string, { avg10, avg60 }: IncidentPressure): string {
  return `${name} ${orUnknown(avg10)} over 10 s, ${orUnknown(avg60)} over 60 s`;
}

function orUnknown(value: number | null): string {
  return value === null ? 'unknown' : percent(value);
}

function deedOf(record: IncidentRecord): string {
  const { victim, outcome, killGroup, errno } = record;
  const who = `process ${victim.pid} "${victim.name}" of uid ${victim.uid ?? 'unknown'}, arguments "${victim.cmdline}"`;
  const group = killGroup ? ' and its process group' : '';
  switch (outcome) {
    case 'exited':
      return `${signalsOf(record)} went to ${who}${group}; it ended.`;
    case 'gone':
      return `Chosen was ${who}; it had ended before the signal.`;
    case 'failed':
      return `Chosen was ${who}; the kill failed (error ${errno ?? 'unknown'}).`;
    case 'outlived SIGTERM':
    case 'outlived SIGKILL':
      return `${signalsOf(record)} went to ${who}${group}; it was still there when the guard gave it up.`;
    case 'dry run':
      return `Chosen was ${who}; it was a dry run, and nobody was signalled.`;
  }
}

function signalsOf({ timelineUs }: IncidentRecord): string {
  const sent = [
    ...(timelineUs.sigterm === null ? [] : ['SIGTERM']),
    ...(timelineUs.sigkill === null ? [] : ['SIGKILL']),
  ];
  return sent.length === 0 ? 'no signal' : sent.join(', then ');
}

const MEASURES = {
  oom_score: "the kernel's oom_score, --prefer and --avoid as 300 points",
  rss: 'resident memory (RSS)',
  memory: 'the memory that its end would give back, weighed',
} as const;

function whyThis({ ranking, victim }: IncidentRecord): string[] {
  const facts = [
    `oom_score ${victim.oomScore ?? 'unknown'}`,
    `oom_score_adj ${victim.oomScoreAdj ?? 'unknown'}`,
    `RSS ${orUnknownMib(victim.rssKib)}`,
    `of its own ${orUnknownMib(victim.anonKib)}`,
    `in swap ${orUnknownMib(victim.swapKib)}`,
  ];
  return [
    `Processes were compared by ${MEASURES[ranking]}. Of those that may be killed its score was the highest: ${shownScore(ranking, victim.score)}.`,
    `It had ${facts.join(', ')}.`,
  ];
}

function whyNotOthers({ ranking, victim, candidates }: IncidentRecord): string[] {
  const others = candidates.filter((each) => each.pid !== victim.pid);
  if (others.length === 0) return ['There was nobody else.'];
  return others.map(({ pid, name, score, anonKib, passedOver }) => {
    const why = passedOver === null ? 'lower in the order' : `passed over: ${passedOver}`;
    return `process ${pid} "${name}": score ${shownScore(ranking, score)}, of its own ${orUnknownMib(anonKib)}; ${why}`;
  });
}

function shownScore(ranking: IncidentRecord['ranking'], score: number | null): string {
  if (score === null) return 'unknown';
  return ranking === 'oom_score' ? String(score) : mib(score);
}

const STEP_WORDS: readonly [StepName, string][] = [
  ['selected', 'the victim was found'],
  ['hookStarted', 'the -P program was started'],
  ['hookEnded', 'the -P program was over, or had had its time'],
  ['sigterm', 'SIGTERM was sent'],
  ['sigkill', 'SIGKILL was sent'],
  ['mrelease', 'the kernel was asked to free its memory (process_mrelease)'],
  ['exited', 'its end was seen'],
  ['memoryBack', 'memory was above the limits again'],
];

function howLong({ timelineUs }: IncidentRecord): string[] {
  return STEP_WORDS.flatMap(([step, words]) => {
    const us = timelineUs[step];
    return us === null ? [] : [`${duration(us)}  ${words}`];
  });
}

function whetherBack(record: IncidentRecord): string[] {
  const { expectedKib, before, after, timelineUs } = record;
  const lines = [
    `${returned(record)}; available were ${mib(before.memAvailableKib)} before and ${mib(after.memAvailableKib)} after.`,
  ];
  if (expectedKib === null) lines.push('How much was to be expected is not known.');
  if (timelineUs.exited !== null && timelineUs.memoryBack === null) {
    lines.push('A second after its end memory was still at or below the limits.');
  }
  return lines;
}

function returned({ gaveBackKib, expectedKib }: IncidentRecord): string {
  if (gaveBackKib === null) return 'nothing was freed';
  const of = expectedKib === null ? '' : ` of ${mib(expectedKib)} expected`;
  return `${mib(gaveBackKib)}${of} came back`;
}

function orUnknownMib(kib: number | null): string {
  return kib === null ? 'unknown' : mib(kib);
}

function mib(kib: number): string {
  return `${Math.floor(kib / KIB_PER_MIB)} MiB`;
}

function percent(value: number): string {
  return `${value.toFixed(2)} %`;
}

/** Right-aligned, in the unit that suits. */
function duration(us: number): string {
  const text = us < US_PER_S ? `${(us / US_PER_MS).toFixed(1)} ms` : `${(us / US_PER_S).toFixed(2)} s`;
  return text.padStart(9);
}
