/*
 * A process that thrashes in the cgroups it moves itself into: holds `anonMib` of memory, and reads and writes a file of
 * `fileMib` over and over, which does not fit beside it. Argument: JSON { name, cgroups, anonMib, file, fileMib, seconds }. Says "ready" and waits for
 * a byte on stdin before it begins; ends by itself after `seconds`.
 */
import { openSync, readSync, writeFileSync, writeSync } from 'node:fs';

const { name, cgroups, anonMib, file, fileMib, seconds } = JSON.parse(process.argv[2]);
const MIB = 1 << 20;

writeFileSync('/proc/self/oom_score_adj', '1000');
writeFileSync('/proc/self/comm', name);
for (const cgroup of cgroups) writeFileSync(`${cgroup}/cgroup.procs`, '0');
const held = Buffer.alloc(anonMib * MIB, 1);
const piece = Buffer.alloc(MIB, 2);
writeSync(1, 'ready\n');
readSync(0, Buffer.alloc(1));

const endMs = Date.now() + seconds * 1000;
const fd = fileMib > 0 ? openSync(file, 'w+') : -1;
while (Date.now() < endMs) {
  if (fd === -1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  for (let mib = 0; mib < fileMib && Date.now() < endMs; mib++) {
    // What is read has been dropped since it was written half a file ago: that makes refaults, and stalls.
    readSync(fd, piece, 0, MIB, ((mib + fileMib / 2) % fileMib) * MIB);
    writeSync(fd, piece, 0, MIB, mib * MIB);
  }
}
process.exit(held[0] === 1 ? 3 : 4);
