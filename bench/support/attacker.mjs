/*
 * Attacks the exporter on 127.0.0.1, for bench:attack: node attacker.mjs PORT. All at once, until it gets SIGTERM, and for a minute and a half at most:
 *
 *   - 1,000 connections that say nothing, opened anew when the exporter closes them (at most 500 a second);
 *   - requests with headers of 64 KiB, 20 a second;
 *   - sockets that send half of a request, close their sending half and stay, 50 a second, 200 at a time;
 *   - 200 scrapes a second, each on a connection of its own.
 *
 * Says "attacking" once the connections have been opened, and at the end what it did in how long, as one JSON object.
 */
import { connect } from 'node:net';

const port = Number(process.argv[2]);
const HELD = 1000;
const REOPENED_EACH_10_MS = 5;
const HALF_CLOSED_MAX = 200;
const ANSWER_MS_MAX = 5000;
const LASTS_MS_MAX = 90_000;

const did = { opened: 0, closedByExporter: 0, hugeHeaders: 0, refused431: 0, halfClosed: 0, scrapes: 0, answered: 0 };
const startedMs = performance.now();

function open(options = {}) {
  const socket = connect({ host: '127.0.0.1', port, ...options });
  socket.on('error', () => undefined);
  return socket;
}

let held = 0;
function hold() {
  held++;
  did.opened++;
  open()
    .on('close', () => {
      held--;
      did.closedByExporter++;
    })
    .resume();
}

/** Sends `text`; `done` gets the first bytes of the answer, or '' if there is none. */
function ask(text, done) {
  const socket = open();
  let answer = '';
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
  socket.on('data', (bytes) => {
    if (answer.length < 100) answer += bytes.toString('latin1');
  });
  socket.on('close', () => done(answer));
  socket.write(text);
}

function hugeHeaders() {
  did.hugeHeaders++;
  ask(`GET /metrics HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(65_536)}\r\n\r\n`, (answer) => {
    if (answer.includes(' 431 ')) did.refused431++;
  });
}

let halfClosed = 0;
function halfClose() {
  if (halfClosed >= HALF_CLOSED_MAX) return;
  halfClosed++;
  did.halfClosed++;
  const socket = open({ allowHalfOpen: true });
  socket.on('close', () => halfClosed--).resume();
  socket.end('GET /metrics HTTP/1.1\r\nHost: a');
}

function scrape() {
  did.scrapes++;
  ask('GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', (answer) => {
    if (answer.startsWith('HTTP/1.1 200 ')) did.answered++;
  });
}

/** Calls `act` so many times a second; what a late timer has missed is made up for. */
function each(perSecond, act) {
  let done = 0;
  const beganMs = performance.now();
  setInterval(() => {
    for (const due = ((performance.now() - beganMs) / 1000) * perSecond; done < due; done++) act();
  }, 5);
}

for (let n = 0; n < HELD; n++) hold();
setInterval(() => {
  for (let n = 0; n < REOPENED_EACH_10_MS && held < HELD; n++) hold();
}, 10);
each(20, hugeHeaders);
each(50, halfClose);
each(200, scrape);
setTimeout(() => console.log('attacking'), 1000);

function end() {
  console.log(JSON.stringify({ seconds: (performance.now() - startedMs) / 1000, ...did }));
  process.exit(0);
}
process.on('SIGTERM', end);
setTimeout(end, LASTS_MS_MAX);
