/*
 * What the path of a cgroup tells of who made it: the systemd unit, the user's unit and the container.
 *
 *   /system.slice/postgresql.service                                        unit
 *   /user.slice/user-1000.slice/user@1000.service/app.slice/firefox.scope   unit user@1000.service, its user's unit firefox.scope
 *   /system.slice/docker-<id>.scope   /docker/<id>   /kubepods/burstable/pod<uid>/<id>
 *   /kubepods.slice/kubepods-pod<uid>.slice/cri-containerd-<id>.scope       container, whose id is 64 hexadecimal digits
 *   /machine.slice/libpod-<id>.scope/container
 *   /lxc/web   /lxc.payload.web   /lxc.payload/web                          container web
 *
 * The first name that tells something counts, because what is further down is made by whoever got the upper part: a user
 * below user@UID.service, a container below its own cgroup.
 * A unit is what systemd takes for one: slices first, then the first name with another unit's suffix, less the underscore that it
 * puts before names that the kernel uses (cgroup.service is _cgroup.service).
 */

const SLASH = 0x2f;
const UNDERSCORE = 0x5f;
const HYPHEN = 0x2d;
const COLON = 0x3a;
const ID_DIGITS = 64;

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const SLICE = ascii('.slice');
const SCOPE = ascii('.scope');
const UNIT_SUFFIXES = ['.service', '.scope', '.socket', '.mount', '.swap'].map(ascii);
const USER_MANAGER = ascii('user@');
const SERVICE = ascii('.service');
const CONMON = ascii('conmon-');
const LXC = ascii('lxc');
const LXC_PAYLOAD = ascii('lxc.payload');
const LXC_PAYLOAD_OF = ascii('lxc.payload.');

/* Which unit is to come next in the path. */
const SYSTEM_UNIT = 0;
const USER_UNIT = 1;
const NO_UNIT = 2;

/** A piece of the path's bytes; `end` 0 for none. */
class Piece {
  start = 0;
  end = 0;

  set(start: number, end: number): void {
    this.start = start;
    this.end = end;
  }
}

export class CgroupNames {
  readonly unit = new Piece();
  readonly userUnit = new Piece();
  readonly container = new Piece();
  private expected: number = SYSTEM_UNIT;
  private lxcNameFollows = false;

  /** Reads a path, `bytes[start .. end)`. The pieces are of the same bytes. */
  read(bytes: Uint8Array, start: number, end: number): void {
    this.unit.set(0, 0);
    this.userUnit.set(0, 0);
    this.container.set(0, 0);
    this.expected = SYSTEM_UNIT;
    this.lxcNameFollows = false;
    for (let from = start; from < end; ) {
      let to = from;
      while (to < end && bytes[to] !== SLASH) to++;
      if (to > from) this.readName(bytes, from, to);
      from = to + 1;
    }
  }

  private readName(bytes: Uint8Array, start: number, end: number): void {
    if (this.expected !== NO_UNIT) this.readUnit(bytes, bytes[start] === UNDERSCORE ? start + 1 : start, end);
    if (this.container.end === 0) this.readContainer(bytes, start, end);
  }

  private readUnit(bytes: Uint8Array, start: number, end: number): void {
    if (endsWith(bytes, start, end, SLICE)) return;
    const isUnit = isUnitName(bytes, start, end);
    if (isUnit && this.expected === SYSTEM_UNIT) this.unit.set(start, end);
    if (isUnit && this.expected === USER_UNIT) this.userUnit.set(start, end);
    const isManager =
      this.expected === SYSTEM_UNIT &&
      startsWith(bytes, start, end, USER_MANAGER) &&
      endsWith(bytes, start, end, SERVICE);
    this.expected = isManager ? USER_UNIT : NO_UNIT;
  }

  private readContainer(bytes: Uint8Array, start: number, end: number): void {
    if (this.lxcNameFollows) return this.container.set(start, end);
    const isPayload = startsWith(bytes, start, end, LXC_PAYLOAD_OF) && end - start > LXC_PAYLOAD_OF.length;
    if (isPayload) return this.container.set(start + LXC_PAYLOAD_OF.length, end);
    this.lxcNameFollows = equals(bytes, start, end, LXC) || equals(bytes, start, end, LXC_PAYLOAD);
    const to = endsWith(bytes, start, end, SCOPE) ? end - SCOPE.length : end;
    const from = to - ID_DIGITS;
    if (from < start || !isHex(bytes, from, to)) return;
    if (from === start) return this.container.set(from, to);
    const before = bytes[from - 1];
    // libpod-conmon-ID is who watches over the container.
    if ((before === HYPHEN || before === COLON) && !endsWith(bytes, start, from, CONMON)) this.container.set(from, to);
  }
}

function isUnitName(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = 0; i < UNIT_SUFFIXES.length; i++) {
    const suffix = UNIT_SUFFIXES[i] as Uint8Array;
    if (end - start > suffix.length && endsWith(bytes, start, end, suffix)) return true;
  }
  return false;
}

function startsWith(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}

function endsWith(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  return end - start >= text.length && startsWith(bytes, end - text.length, end, text);
}

function equals(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  return end - start === text.length && startsWith(bytes, start, end, text);
}

function isHex(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) return false;
  }
  return true;
}
