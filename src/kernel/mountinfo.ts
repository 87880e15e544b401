/*
 * /proc/self/mountinfo (Documentation/filesystems/proc.rst, section 3.5; Linux 2.6.26): what is mounted where, as this
 * process sees it.
 *
 *   24 1 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw,hidepid=invisible
 *   30 25 0:26 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate
 *
 * Before the dash: two ids, the device, the mounted directory, where it is mounted, options and any number of tags.
 * After it: the type, the source and the file system's own options. Blanks in a path are written \040, so the
 * first " - " is the dash. Read once, by a command: this makes strings.
 */

export interface Mount {
  /** The directory of the file system that is mounted: not "/" in a bind mount, or in a cgroup namespace. */
  root: string;
  mountPoint: string;
  /** proc, cgroup2 ... */
  type: string;
  /** The file system's own, as `hidepid=invisible`. */
  superOptions: readonly string[];
}

/** Reads the text of mountinfo, in its order; lines that are none of its kind are passed over. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const dash = line.indexOf(' - ');
    if (dash === -1) return [];
    const [, , , root, mountPoint] = line.slice(0, dash).split(' ');
    const [type, , superOptions] = line.slice(dash + 3).split(' ');
    if (root === undefined || mountPoint === undefined || type === undefined) return [];
    return [
      {
        root: unescapeOctal(root),
        mountPoint: unescapeOctal(mountPoint),
        type,
        superOptions: superOptions?.split(',') ?? [],
      },
    ];
  });
}

/** A path as it is: the kernel writes blanks, newlines and backslashes as \nnn. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
