/*
 * What the guard says, in earlyoom's words: people grep for these lines, so their form is a contract.
 * Each function builds one line on the log.
 */
import { userMemTotalKib } from '../decide/limits.js';
import type { Meminfo } from '../kernel/meminfo.js';
import { type CandidateTable, NAME_BYTES } from '../shared/candidates.js';
import { LEVEL_KILL, type Level, type Limits } from '../shared/limits.js';
import type { Victim } from '../shared/victim.js';
import type { Fields } from './json-log.js';
import type { Line } from './line.js';
import type { LineKind, Log } from './log.js';

const KIB_PER_MIB = 1024;
const MS_PER_S = 1000;

const mib = (kib: number): number => Math.floor(kib / KIB_PER_MIB);

/** `mem avail: 20012 of 21701 MiB (92.22%), swap free: 5251 of 8191 MiB (64.11%)` */
export function sayMemory(log: Log, kind: LineKind, memory: Meminfo): void {
  log
    .begin(kind)
    .text('mem avail: ')
    .integer(mib(memory.memAvailableKib), 5)
    .text(' of ')
    .integer(mib(userMemTotalKib(memory)), 5)
    .text(' MiB (')
    .share(memory.memAvailableKib, userMemTotalKib(memory), 100)
    .text('), swap free: ')
    .integer(mib(memory.swapFreeKib), 4)
    .text(' of ')
    .integer(mib(memory.swapTotalKib), 4)
    .text(' MiB (')
    .share(memory.swapFreeKib, memory.swapTotalKib, 0)
    .text(')');
  log
    .about('memory')
    .integer('memAvailableKib', memory.memAvailableKib)
    .integer('userMemTotalKib', userMemTotalKib(memory))
    .integer('swapFreeKib', memory.swapFreeKib)
    .integer('swapTotalKib', memory.swapTotalKib);
  log.end();
}

/** The totals and the limits, three lines. */
export function sayLimits(log: Log, memory: Meminfo, limits: Limits): void {
  log
    .begin('start')
    .text('mem total: ')
    .integer(mib(memory.memTotalKib), 4)
    .text(' MiB, user mem total: ')
    .integer(mib(userMemTotalKib(memory)), 4)
    .text(' MiB, swap total: ')
    .integer(mib(memory.swapTotalKib), 4)
    .text(' MiB');
  log
    .about('totals')
    .integer('memTotalKib', memory.memTotalKib)
    .integer('userMemTotalKib', userMemTotalKib(memory))
    .integer('swapTotalKib', memory.swapTotalKib);
  log.end();
  const limit = (line: Line, signal: string, memPercent: number, swapPercent: number): Line =>
    line.text(signal).text(' when mem avail <= ').percent(memPercent).text(' and swap free <= ').percent(swapPercent);
  limit(log.begin('start'), 'sending SIGTERM', limits.memTermPercent, limits.swapTermPercent).text(',');
  limitFields(log.about('limits'), false, limits);
  log.end();
  limit(log.begin('start'), '        SIGKILL', limits.memKillPercent, limits.swapKillPercent);
  limitFields(log.about('limits'), true, limits);
  log.end();
}

function limitFields(fields: Fields, killing: boolean, limits: Limits): void {
  fields
    .words('signal', killing ? 'SIGKILL' : 'SIGTERM')
    .hundredths('memPercent', Math.round((killing ? limits.memKillPercent : limits.memTermPercent) * 100))
    .hundredths('swapPercent', Math.round((killing ? limits.swapKillPercent : limits.swapTermPercent) * 100));
}

/** `low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%` */
export function sayLowMemory(log: Log, level: Level, limits: Limits): void {
  const killing = level === LEVEL_KILL;
  log
    .begin('warn')
    .text('low memory! at or below ')
    .text(killing ? 'SIGKILL' : 'SIGTERM')
    .text(' limits: mem ')
    .percent(killing ? limits.memKillPercent : limits.memTermPercent)
    .text(', swap ')
    .percent(killing ? limits.swapKillPercent : limits.swapTermPercent);
  limitFields(log.about('low-memory'), killing, limits);
  log.end();
}

/** `sending SIGTERM to process 7378 uid 1000 "tail": oom_score 156, oom_score_adj 0, VmRSS 4962 MiB, cmdline "tail /dev/zero"` */
export function saySending(log: Log, signalName: string, victim: Victim): void {
  log
    .begin('warn')
    .text('sending ')
    .text(signalName)
    .text(' to process ')
    .integer(victim.pid)
    .text(' uid ')
    .integer(victim.uid)
    .text(' "')
    .escaped(victim.name, 0, victim.nameLength)
    .text('": oom_score ')
    .integer(victim.oomScore)
    .text(', oom_score_adj ')
    .integer(victim.oomScoreAdj)
    .text(', VmRSS ')
    .integer(mib(victim.rssKib))
    .text(' MiB, cmdline "')
    .escaped(victim.cmdline, 0, victim.cmdlineLength)
    .text('"');
  log
    .about('sending')
    .words('signal', signalName)
    .open('victim')
    .integer('pid', victim.pid)
    .integerUnless('uid', victim.uid, -1)
    .bytes('name', victim.name, 0, victim.nameLength)
    .integer('oomScore', victim.oomScore)
    .integer('oomScoreAdj', victim.oomScoreAdj)
    .integer('rssKib', victim.rssKib)
    .bytes('cmdline', victim.cmdline, 0, victim.cmdlineLength)
    .close();
  log.end();
}

/** `killing whole process group 7370 (-g flag is active)`, or how many of it where some must be spared. */
export function sayGroup(log: Log, pgid: number, members: number): void {
  const line = log.begin('warn');
  if (pgid > 0) line.text('killing whole process group ').integer(pgid);
  else line.text('killing ').integer(members).text(' of the process group');
  line.text(' (-g flag is active)');
  log.about('group').integerUnless('pgid', pgid, 0).integer('processes', members);
  log.end();
}

/** `process 7378 exited after 0.100 seconds` */
export function sayExited(log: Log, pid: number, afterMs: number): void {
  log
    .begin('warn')
    .text('process ')
    .integer(pid)
    .text(' exited after ')
    .fixed(afterMs / MS_PER_S, 3)
    .text(' seconds');
  log.about('exited').open('victim').integer('pid', pid).close().integer('afterMs', Math.round(afterMs));
  log.end();
}

/** `escalating to SIGKILL after 0.500 seconds` */
export function sayEscalating(log: Log, afterMs: number): void {
  log
    .begin('warn')
    .text('escalating to SIGKILL after ')
    .fixed(afterMs / MS_PER_S, 3)
    .text(' seconds');
  log.end();
}

/** `process 7378 did not exit` */
export function sayDidNotExit(log: Log, pid: number): void {
  log.begin('warn').text('process ').integer(pid).text(' did not exit');
  log.about('did-not-exit').open('victim').integer('pid', pid).close();
  log.end();
}

/** `kill failed: Operation not permitted` */
export function sayKillFailed(log: Log, errorText: string): void {
  log.begin('warn').text('kill failed: ').text(errorText);
  log.about('kill-failed').words('error', errorText);
  log.end();
}

/** The debug table's head: one line above those of `sayCandidate`. */
export function sayCandidatesHead(log: Log): void {
  log.say('debug', '  PID OOM_SCORE  RSSkiB   UID OOM_SCORE_ADJ  COMM');
}

/** A process that was looked at, and whether it leads now. */
export function sayCandidate(log: Log, table: CandidateTable, row: number, leads: boolean): void {
  const start = row * NAME_BYTES;
  log
    .begin('debug')
    .integer(table.pid[row] as number, 5)
    .text(' ')
    .integer(table.oomScore[row] as number, 9)
    .text(' ')
    .integer(table.rssKib[row] as number, 7)
    .text(' ')
    .integer(table.uid[row] as number, 5)
    .text(' ')
    .integer(table.oomScoreAdj[row] as number, 13)
    .text(' "')
    .escaped(table.names, start, start + table.nameLength(row))
    .text(leads ? '" <--- new victim' : '"');
  log
    .about('candidate')
    .open('process')
    .integer('pid', table.pid[row] as number)
    .integer('uid', table.uid[row] as number)
    .bytes('name', table.names, start, start + table.nameLength(row))
    .integer('oomScore', table.oomScore[row] as number)
    .integer('oomScoreAdj', table.oomScoreAdj[row] as number)
    .integer('rssKib', table.rssKib[row] as number)
    .close()
    .flag('leads', leads);
  log.end();
}
