import { readSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { close } from '../../../native-shims/files.js';
import { openPipe } from '../../../native-shims/pipe.js';
import { NonBlockingWriter } from '../../../native-shims/write.js';
import * as aftermath from '../../../src/report/aftermath-messages.js';
import { JsonLine } from '../../../src/report/json-line.js';
import { JsonLog } from '../../../src/report/json-log.js';
import { Log } from '../../../src/report/log.js';
import * as messages from '../../../src/report/messages.js';
import { sayRuleFired, sayWholeCgroup } from '../../../src/report/rule-messages.js';
import { CandidateTable, NAME_BYTES } from '../../../src/shared/candidates.js';
import { LEVEL_KILL } from '../../../src/shared/limits.js';
import { LOG_TOPICS } from '../../../src/shared/log-record.js';
import { DEFAULT_RULE } from '../../../src/shared/rules.js';
import { emptyVictim } from '../../../src/shared/victim.js';
import { drain, own, unblocked } from '../native-shims/fds.js';
import { recordingLog } from '../recording-log.js';

const MEMORY = { memTotalKib: 5000, memAvailableKib: 3001, anonPagesKib: 99, swapTotalKib: 700, swapFreeKib: 70 };
const LIMITS = { memTermPercent: 10, memKillPercent: 5.25, swapTermPercent: 100, swapKillPercent: 50 };
const VICTIM = { ...emptyVictim(), pid: 7378, uid: 1000, oomScore: 156, oomScoreAdj: -100, rssKib: 4962 };
const CGROUP = { bytes: Buffer.from('a.slice/b.scope'), length: 15 };

function victim(name: Buffer, cmdline: Buffer): typeof VICTIM {
  return { ...VICTIM, name, nameLength: name.length, cmdline, cmdlineLength: cmdline.length };
}

function candidates(): CandidateTable {
  const table = new CandidateTable();
  const row = table.add(42);
  Buffer.from('tail\0').copy(table.names, row * NAME_BYTES);
  Object.assign(table.oomScore, { [row]: 9 });
  Object.assign(table.rssKib, { [row]: 8 });
  Object.assign(table.uid, { [row]: 7 });
  Object.assign(table.oomScoreAdj, { [row]: -6 });
  return table;
}

const FIRED = {
  rule: DEFAULT_RULE,
  corroboration: 0,
  stallPercent: 43.128,
  availablePercent: 6.2,
  refaultsPerS: 8120.4,
} as unknown as Parameters<typeof sayRuleFired>[1];
const MOUNTS = {
  totalKib: 2048,
  mounts: { paths: [Buffer.from('/tmp "x"')], lengths: [8] },
  usedKib: [2048],
  largest: (below: number) => (below > 2048 ? 0 : -1),
} as unknown as Parameters<typeof aftermath.sayFutile>[3];

/** Everything that has a topic, once. */
const SAID: ((log: Log) => void)[] = [
  (log) => messages.sayMemory(log, 'report', MEMORY),
  (log) => messages.sayLimits(log, MEMORY, LIMITS),
  (log) => messages.sayLowMemory(log, LEVEL_KILL, LIMITS),
  (log) => messages.saySending(log, 'SIGTERM', victim(Buffer.from('ta"il'), Buffer.from('tail \n\xff', 'latin1'))),
  (log) => messages.sayGroup(log, 7370, 3),
  (log) => messages.sayExited(log, 7378, 100.4),
  (log) => messages.sayDidNotExit(log, 7378),
  (log) => messages.sayKillFailed(log, 'Operation not permitted'),
  (log) => messages.sayCandidate(log, candidates(), 0, true),
  (log) => aftermath.sayGaveBack(log, 598, 602, 'enough', 0),
  (log) => aftermath.sayHoldsBack(log, 396),
  (log) => aftermath.sayEscalatingWhy(log, 500.2, true, 10_000),
  (log) => aftermath.sayEscalatingByRule(log, 250),
  (log) => aftermath.sayStuck(log, 42),
  (log) => aftermath.sayFutile(log, 2048, 30, MOUNTS),
  (log) => sayRuleFired(log, FIRED, Buffer.from('thrashing'), null),
  (log) => sayRuleFired(log, FIRED, Buffer.from('sessions'), CGROUP),
  (log) => sayWholeCgroup(log, CGROUP, 4),
];

/** `a.b` for what is in an object. */
function namesOf(record: Record<string, unknown>): string[] {
  return Object.entries(record).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null ? namesOf(value as never).map((each) => `${name}.${each}`) : [name],
  );
}

describe('the fields of a topic', () => {
  const { log, fields } = recordingLog();
  for (const say of SAID) say(log);

  it.each(fields.map((each) => [each['topic'] as keyof typeof LOG_TOPICS, each] as const))(
    '%s: those of the table, in its order',
    (topic, { topic: _, ...rest }) => expect(namesOf(rest)).toEqual(Object.keys(LOG_TOPICS[topic].fields)),
  );

  it('no topic of the table is left out, but for the notice of the pipe', () => {
    const topics = new Set([...fields.map((each) => each['topic']), 'dropped']);
    expect([...topics].sort()).toEqual(Object.keys(LOG_TOPICS).sort());
  });

  it('are numbers where they are numbers', () => {
    expect(fields[0]).toEqual({
      topic: 'memory',
      memAvailableKib: 3001,
      userMemTotalKib: 3100,
      swapFreeKib: 70,
      swapTotalKib: 700,
    });
    expect(fields.find((each) => each['topic'] === 'low-memory')).toMatchObject({
      signal: 'SIGKILL',
      memPercent: 5.25,
    });
    expect(fields.find((each) => each['topic'] === 'rule-fired')).toMatchObject({ cgroup: null, stallPercent: 43.13 });
    expect(fields.find((each) => each['topic'] === 'sending')).toMatchObject({
      victim: { pid: 7378, uid: 1000, name: 'ta"il', rssKib: 4962, cmdline: 'tail \n\ufffd' },
    });
  });
});

/** A log on a pipe of one page or more, and what came through it. */
function piped(bytes = 65_536): { log: Log; json: JsonLog; read: () => Record<string, unknown>[]; readFd: number } {
  const pipe = openPipe(bytes);
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  own(pipe.readFd);
  own(pipe.writeFd);
  const log = new Log('oom-backstop');
  const json = new JsonLog(NonBlockingWriter.forOwnFd(pipe.writeFd), 0);
  log.useJson(json);
  const read = (): Record<string, unknown>[] =>
    drain(pipe.readFd)
      .join('')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  return { log, json, read, readFd: pipe.readFd };
}

describe('a log as JSON', () => {
  it('has one record for each line, with its level, its time and its text as it would be without colour', () => {
    const { log, read } = piped();
    const beforeMs = Date.now();
    for (const kind of ['start', 'report', 'warn', 'debug'] as const) log.say(kind, `a ${kind} line`);
    const records = read();
    expect(records.map(({ level, kind, msg }) => [level, kind, msg])).toEqual([
      [30, 'start', 'a start line'],
      [30, 'report', 'a report line'],
      [40, 'warn', 'a warn line'],
      [20, 'debug', 'a debug line'],
    ]);
    for (const { time, schema, event } of records) {
      expect([schema, event]).toEqual([1, 'log']);
      expect(time).toBeGreaterThanOrEqual(beforeMs);
      expect(time).toBeLessThanOrEqual(Date.now());
    }
  });

  it('has the fields of the line and not of the one before', () => {
    const { log, read } = piped();
    messages.sayExited(log, 7, 1000);
    log.say('warn', 'plain');
    const [exited, plain] = read();
    expect(exited).toMatchObject({ topic: 'exited', victim: { pid: 7 }, afterMs: 1000 });
    expect(plain).not.toHaveProperty('topic');
  });

  it.each([
    ['quotes', '"'.repeat(5000)],
    ['control characters', '\u0001'.repeat(5000)],
    ['characters of four bytes', '\u{1f600}'.repeat(2000)],
  ])('cuts a text that is too long, in a record that is whole: %s', (_, text) => {
    const { log, read, json } = piped();
    log.begin('start').foreign(text);
    log.end();
    messages.saySending(log, 'SIGKILL', victim(Buffer.from(text).subarray(0, 16), Buffer.from(text).subarray(0, 256)));
    const [first, sending] = read();
    expect(String(first?.['msg']).length).toBeGreaterThan(500);
    expect(sending).toMatchObject({ topic: 'sending', victim: { pid: 7378 } });
    expect(json.droppedLines).toBe(0);
  });

  it('drops what the pipe does not take, counts it, and says so before the next line, in one piece with it', () => {
    const { log, read } = piped(4096);
    const said = 500;
    unblocked(() => {
      for (let i = 0; i < said; i++) log.say('report', `line ${i} ${'x'.repeat(100)}`);
    });
    const got = read();
    const dropped = said - got.length;
    expect(dropped).toBeGreaterThan(0);
    expect(log.droppedLines).toBe(dropped);
    log.say('report', 'after it');
    log.say('report', 'and another');
    expect(read().map(({ topic, lines, msg }) => [topic, lines, msg])).toEqual([
      ['dropped', dropped, `dropped ${dropped} log lines that nobody read`],
      [undefined, undefined, 'after it'],
      [undefined, undefined, 'and another'],
    ]);
    expect(log.droppedLines).toBe(dropped);
  });

  it('takes records of the event log as they are, and drops one that is too long for a write', () => {
    const { log, read } = piped();
    const event = new JsonLine(8192);
    log.event(event.open('{').key('event').string('crossed').close('}').newline());
    event.clear().open('{').key('event').string('long').key('text').utf8(Buffer.alloc(5000, 0x61), 0, 5000).close('}');
    log.event(event.newline());
    expect(read()).toEqual([{ event: 'crossed' }]);
    expect(log.droppedLines).toBe(1);
  });

  it('in a rehearsal makes all of it and says nothing', () => {
    const { log, read } = piped();
    const rehearsal = Log.rehearsal(log);
    for (const say of SAID) say(rehearsal);
    rehearsal.event(new JsonLine(64).open('{').close('}').newline());
    expect(read()).toEqual([]);
    expect([rehearsal.droppedLines, log.droppedLines]).toEqual([0, 0]);
  });

  it('says what was held, in its order, once', () => {
    const { log, read } = piped();
    log.hold();
    log.release();
    expect(read()).toEqual([]);
    const held = new Log('oom-backstop');
    held.hold();
    held.say('start', 'first \\x1b');
    held.say('warn', 'second');
    const into = piped();
    held.useJson(into.json);
    held.release();
    held.release();
    expect(into.read().map(({ kind, msg }) => [kind, msg])).toEqual([
      ['start', 'first \\x1b'],
      ['warn', 'second'],
    ]);
  });
});

describe('a log as text', () => {
  it('takes no notice of fields and events', () => {
    const log = new Log('oom-backstop');
    log.quiet = true;
    for (const say of SAID) say(log);
    log.event(new JsonLine(64).open('{').close('}').newline());
    expect(log.droppedLines).toBe(0);
    expect(log.writerPid).toBe(0);
  });
});

it('the reader of the pipe is gone: the write says so', () => {
  const pipe = openPipe(4096);
  if (typeof pipe === 'number') throw new Error(`no pipe: ${pipe}`);
  own(pipe.writeFd);
  const json = new JsonLog(NonBlockingWriter.forOwnFd(pipe.writeFd), 0);
  const line = new JsonLine(64).open('{').close('}').newline();
  expect(json.event(line, false)).toBe(true);
  readSync(pipe.readFd, Buffer.alloc(64));
  close(pipe.readFd);
  expect(json.event(line, false)).toBe(false);
  expect(json.droppedLines).toBe(0);
});
