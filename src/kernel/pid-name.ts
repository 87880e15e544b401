/*
 * /proc/PID/comm and /proc/PID/cmdline (proc_pid_comm(5), proc_pid_cmdline(5)): bytes of the process's
 * own choosing. comm is at most 15 bytes and a newline, cut anywhere, in the middle of a UTF-8
 * character too. cmdline is the arguments, each ended by a NUL.
 */

const NEWLINE = 0x0a;
const SPACE = 0x20;

/**
 * The length of the name in the first `length` bytes of a comm file: without the closing newline, and
 * without a UTF-8 character that the kernel cut at the end. 0 for an empty name, which is legal.
 */
export function commLength(bytes: Uint8Array, length: number): number {
  const end = length > 0 && bytes[length - 1] === NEWLINE ? length - 1 : length;
  return end - cutUtf8Tail(bytes, end);
}

/** How many bytes a UTF-8 character has that begins with `first`: 2 to 4, or 1 for ASCII and for what begins none. */
export function utf8Size(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1;
  return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

/** How many of the last bytes of `bytes[start .. end)` are the beginning of a UTF-8 character that is cut off (0 to 3). */
export function cutUtf8Tail(bytes: Uint8Array, end: number, start = 0): number {
  for (let back = 1; back <= 3 && back <= end - start; back++) {
    const byte = bytes[end - back] as number;
    if ((byte & 0xc0) === 0x80) continue; // continues a character: its first byte is further back
    return utf8Size(byte) > back ? back : 0;
  }
  return 0;
}

/**
 * Makes the first `length` bytes of a cmdline file one line: NULs become spaces, those at the end go.
 * Changes `bytes`; returns the new length.
 */
export function joinCmdline(bytes: Uint8Array, length: number): number {
  let end = length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  for (let i = 0; i < end; i++) {
    if (bytes[i] === 0) bytes[i] = SPACE;
  }
  return end - cutUtf8Tail(bytes, end);
}
