/*
 * The same as floor.c in Node and koffi: what no guard in Node can be cheaper than. The path of koffi is an argument; after it
 * `asleep` for one that only sleeps.
 */
const { openSync } = require('node:fs');
const koffi = require(process.argv[2]);

const libc = koffi.load(null);
const poll = libc.func('int poll(void *fds, unsigned long nfds, int timeout)');
const pread = libc.func('int64_t pread(int fd, void *buf, size_t count, int64_t offset)');

const looks = process.argv[3] !== 'asleep';
const meminfo = openSync('/proc/meminfo');
const text = Buffer.from(new ArrayBuffer(4096));

/** Until V8 has compiled it. */
const WARM_UP = 10_000;
for (let tick = 0; ; tick++) {
  poll(text, 0, tick < WARM_UP ? 0 : 1000);
  if (looks) pread(meminfo, text, text.length, 0);
}
