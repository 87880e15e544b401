import { writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { close } from '../../../native-shims/files.js';
import { POLLIN, POLLOUT, PollSet } from '../../../native-shims/poll.js';
import { drain, pipe } from './fds.js';

const POLLHUP = 0x10;
const POLLNVAL = 0x20;

describe('PollSet', () => {
  it('sees nothing in slots that are empty, and comes back after the timeout', () => {
    const pollSet = new PollSet(3);
    expect([pollSet.wait(0), pollSet.wait(5), pollSet.revents(2)]).toEqual([0, 0, 0]);
  });

  it('tells each slot what its fd has, and forgets it when that is over', () => {
    const [a, b] = [pipe(), pipe()];
    const pollSet = new PollSet(4);
    pollSet.watch(0, a.reader, POLLIN);
    pollSet.watch(2, b.reader, POLLIN);
    pollSet.watch(3, b.writer, POLLOUT);
    const seen = (): number[] => [pollSet.wait(0), ...[0, 1, 2, 3].map((slot) => pollSet.revents(slot))];
    expect(seen()).toEqual([1, 0, 0, 0, POLLOUT]);
    writeSync(a.writer, 'x');
    expect(seen()).toEqual([2, POLLIN, 0, 0, POLLOUT]);
    drain(a.reader);
    pollSet.clear(3);
    expect(seen()).toEqual([0, 0, 0, 0, 0]);
    close(b.writer);
    expect(seen()).toEqual([1, 0, 0, POLLHUP, 0]);
  });

  it('does not show what the fd before had in the slot', () => {
    const { reader, writer } = pipe();
    const pollSet = new PollSet(1);
    pollSet.watch(0, writer, POLLOUT);
    pollSet.wait(0);
    pollSet.watch(0, reader, POLLIN);
    expect(pollSet.revents(0)).toBe(0);
  });

  it('says POLLNVAL of an fd that is closed', () => {
    const pollSet = new PollSet(1);
    pollSet.watch(0, 99_999, POLLIN);
    expect([pollSet.wait(1000), pollSet.revents(0)]).toEqual([1, POLLNVAL]);
  });
});
