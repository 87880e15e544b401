/*
 * /proc/self/smaps (Documentation/filesystems/proc.rst): the mappings of a process, one heading each, as in
 * /proc/self/maps, followed by what is resident of it (Linux 2.6.14; smaps needs CONFIG_PROC_PAGE_MONITOR).
 *
 *   00b72000-025fe000 r-xp 00772000 fe:00 260689                             /usr/bin/node
 *   Rss:               20576 kB
 *   Anonymous:             0 kB
 *   Swap:                  0 kB
 *   VmFlags: rd ex mr mw me
 *   7f8d3c000000-7f8d3c021000 rw-p 00000000 00:00 0
 *   7f8d404ab000-7f8d404ad000 r-xp 00000000 00:00 0                          [vdso]
 *
 * Addresses and the offset are hexadecimal, the inode is decimal. The name goes to the end of the line: it may hold
 * spaces, and ends in " (deleted)" if the file is gone; a newline in it is written `\012`, so no name makes a line.
 * Read once, at start: this makes strings.
 */

/** One mapping: the addresses from `start` up to, not including, `end`. */
export interface Mapping {
  start: number;
  end: number;
  readable: boolean;
  writable: boolean;
  executable: boolean;
  /** Writes go to the file, not to a copy of the page. */
  shared: boolean;
  /** 0: no file behind it. */
  inode: number;
  /** As the kernel writes it: a path, `[heap]` and the like, or nothing. */
  name: string;
  /** Pages written to since they were mapped, whose content the file can't give back, in KiB; NaN where only maps was read. */
  writtenKib: number;
}

const ZERO = 0x30;
const NINE = 0x39;
const LOWER_A = 0x61;
const LOWER_F = 0x66;
const HEADING = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([ps]) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+)(?: +(.*))?$/s;
const WRITTEN = /^(?:Anonymous|Swap): +(\d+) kB$/;

/**
 * Reads the text of maps or smaps. Lines that are none of theirs are passed over, and so are mappings whose addresses
 * JavaScript can't hold exactly (the kernel's own, [vsyscall]).
 */
export function parseMappings(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  let current: Mapping | null = null;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    // smaps has twenty lines for each that matters: no string is made of the others.
    if (isHeading(text, start)) {
      current = mappingOf(HEADING.exec(text.slice(start, end)));
      if (current !== null) mappings.push(current);
    } else if (current !== null && (text.startsWith('Anonymous:', start) || text.startsWith('Swap:', start))) {
      addWritten(current, WRITTEN.exec(text.slice(start, end)));
    }
    start = end + 1;
  }
  return mappings;
}

/** Fields begin with a capital letter, addresses don't. */
function isHeading(text: string, start: number): boolean {
  const first = text.charCodeAt(start);
  return (first >= ZERO && first <= NINE) || (first >= LOWER_A && first <= LOWER_F);
}

function mappingOf(heading: RegExpExecArray | null): Mapping | null {
  if (heading === null) return null;
  const [, from, to, read, write, execute, share, inode, name = ''] = heading;
  const [start, end] = [Number.parseInt(from as string, 16), Number.parseInt(to as string, 16)];
  if (!Number.isSafeInteger(end) || end <= start) return null;
  return {
    start,
    end,
    readable: read === 'r',
    writable: write === 'w',
    executable: execute === 'x',
    shared: share === 's',
    inode: Number(inode),
    name,
    writtenKib: Number.NaN,
  };
}

function addWritten(mapping: Mapping, field: RegExpExecArray | null): void {
  if (field === null) return;
  mapping.writtenKib = Number(field[1]) + (Number.isNaN(mapping.writtenKib) ? 0 : mapping.writtenKib);
}
