/*
 * Runs a pattern over bytes in time linear in them, and without memory of its own: Thompson's simulation. All ways through the
 * pattern are followed at once, one byte of the text after the other, and none twice at the same byte, so that a text of n bytes
 * takes at most n times the steps of the program, whatever the pattern and whoever wrote the text.
 *
 * That is why libc's regexec does not do for text that others choose. glibc 2.39, 4 KiB of arguments (measured):
 *
 *   (a|b)*a(a|b){40}c      1.9 s, and 182 MiB that are kept until regfree: it makes a state for each set of ways it meets
 *   (a|b)*a(a|b){14}c      0.1 s, and 21 MiB
 *   (a{1,100}){1,100}c     4.8 s, and 500 MiB; regcomp takes another 10
 *   ((a|aa)*)\1\1c         0.1 s for 300 bytes, no end in sight for 4,096
 *   ((a*)*)*c              nothing: nested stars alone do no harm
 *
 * And it takes memory at each call, when there is none. (For names, of 15 bytes, it is used all the same: native-shims/regex.ts.)
 * Here the dearest pattern that is accepted takes 50 ms for 4 KiB, an ordinary one 0.005 (bench/micro.bench.ts), and no memory.
 */
import { type Node, PatternError } from './syntax.js';

/** Steps that a program may have: the longest pattern without repetitions, or a {255} of four characters. */
const STEPS_MAX = 1024;

/** Nodes that are looked at while it is made: ((){255}){255} makes no step, 65,025 times. */
const VISITS_MAX = 16 * STEPS_MAX;

/* What a step does. */
const BYTE = 0; // takes the byte `a`
const SET = 1; // takes a byte of set number `a`
const FORK = 2; // goes on at `a` and at `b`
const BEGIN = 3; // nothing, at the text's beginning
const END = 4; // nothing, at its end
const FOUND = 5;

const SET_BYTES = 256;

/** Passes before their numbers begin again: a small integer in V8. */
const PASSES_MAX = 1 << 30;

export class Program {
  private readonly codes: Uint8Array;
  private readonly a: Int32Array;
  private readonly b: Int32Array;
  private readonly sets: Uint8Array;
  /** The steps that wait for a byte: now, and for the next one. */
  private readonly lists: [Int32Array, Int32Array];
  /** In which pass a step was reached last. */
  private readonly reached: Int32Array;
  private readonly stack: Int32Array;
  /** The bytes by which a match can begin after the beginning of a text; null where it can begin without any. */
  private readonly first: Uint8Array | null;
  private pass = 0;

  private constructor(steps: Steps) {
    const count = steps.codes.length;
    this.codes = Uint8Array.from(steps.codes);
    this.a = Int32Array.from(steps.a);
    this.b = Int32Array.from(steps.b);
    this.sets = new Uint8Array(steps.sets.length * SET_BYTES);
    for (const [index, set] of steps.sets.entries()) this.sets.set(set, index * SET_BYTES);
    this.lists = [new Int32Array(count), new Int32Array(count)];
    this.reached = new Int32Array(count);
    // Each step is pushed once by each that leads to it, two at most.
    this.stack = new Int32Array(2 * count + 1);
    this.first = this.firstBytes();
  }

  /** @throws PatternError if it would be too large */
  static of(node: Node): Program {
    const steps = new Steps();
    steps.add(node);
    steps.push(FOUND);
    return new Program(steps);
  }

  /** Whether `bytes[start .. end)` holds a match. */
  matches(bytes: Uint8Array, start: number, end: number): boolean {
    let list = this.lists[0];
    let next = this.lists[1];
    let count = 0;
    for (let at = start; ; at++) {
      if (count === 0 && at > start && this.first !== null) {
        at = skip(bytes, at, end, this.first);
        this.nextPass();
      }
      // A match may begin here; where the program begins with BEGIN nothing comes of it after the first byte.
      const begins = at === start || this.codes[0] !== BEGIN;
      if (at === start) this.nextPass();
      if (begins) count = this.follow(0, list, count, at === start, at === end);
      if (count < 0) return true;
      if (at === end || (count === 0 && !begins)) return false;
      const byte = bytes[at] as number;
      this.nextPass();
      let nextCount = 0;
      for (let i = 0; i < count && nextCount >= 0; i++) {
        const step = list[i] as number;
        if (this.takes(step, byte)) nextCount = this.follow(step + 1, next, nextCount, false, at + 1 === end);
      }
      if (nextCount < 0) return true;
      const swapped = list;
      list = next;
      next = swapped;
      count = nextCount;
    }
  }

  private firstBytes(): Uint8Array | null {
    const first = new Uint8Array(SET_BYTES);
    this.nextPass();
    const [list] = this.lists;
    const count = this.follow(0, list, 0, false, true);
    if (count < 0) return null;
    for (const step of list.subarray(0, count)) {
      for (let byte = 0; byte < SET_BYTES; byte++) if (this.takes(step, byte)) first[byte] = 1;
    }
    return first;
  }

  private takes(step: number, byte: number): boolean {
    const a = this.a[step] as number;
    return this.codes[step] === BYTE ? a === byte : this.sets[a * SET_BYTES + byte] === 1;
  }

  /**
   * Goes on from `step` as far as it gets without a byte; puts the steps that wait for one on the list. Returns how many are on it,
   * or -1 for a match.
   */
  private follow(step: number, list: Int32Array, count: number, atBegin: boolean, atEnd: boolean): number {
    const { stack, reached, codes, pass } = this;
    let onList = count;
    let depth = 0;
    stack[depth++] = step;
    while (depth > 0) {
      const at = stack[--depth] as number;
      if (reached[at] === pass) continue;
      reached[at] = pass;
      switch (codes[at]) {
        case FOUND:
          return -1;
        case FORK:
          stack[depth++] = this.b[at] as number;
          stack[depth++] = this.a[at] as number;
          break;
        case BEGIN:
          if (atBegin) stack[depth++] = at + 1;
          break;
        case END:
          if (atEnd) stack[depth++] = at + 1;
          break;
        default:
          list[onList++] = at;
      }
    }
    return onList;
  }

  private nextPass(): void {
    if (this.pass === PASSES_MAX) {
      this.reached.fill(0);
      this.pass = 0;
    }
    this.pass++;
  }
}

/** Where the first byte of a set is in `bytes[at .. end)`, or `end`. */
function skip(bytes: Uint8Array, at: number, end: number, set: Uint8Array): number {
  let to = at;
  while (to < end && set[bytes[to] as number] === 0) to++;
  return to;
}

/** The steps of a program while it is made. */
class Steps {
  readonly codes: number[] = [];
  readonly a: number[] = [];
  readonly b: number[] = [];
  readonly sets: Uint8Array[] = [];
  private visits = 0;

  push(code: number, a = 0, b = 0): number {
    if (this.codes.length === STEPS_MAX) throw new PatternError(`too large: it takes more than ${STEPS_MAX} steps`);
    this.codes.push(code);
    this.a.push(a);
    this.b.push(b);
    return this.codes.length - 1;
  }

  add(node: Node): void {
    if (++this.visits > VISITS_MAX) throw new PatternError('too large: it repeats too much');
    switch (node.kind) {
      case 'bytes':
        for (const byte of node.bytes) this.push(BYTE, byte);
        return;
      case 'set':
        this.push(SET, this.setNumber(node.set));
        return;
      case 'begin':
        this.push(BEGIN);
        return;
      case 'end':
        this.push(END);
        return;
      case 'sequence':
        for (const each of node.nodes) this.add(each);
        return;
      case 'choice':
        return this.addChoice(node.nodes);
      case 'repeat':
        return this.addRepeat(node.node, node.min, node.max);
    }
  }

  /** fork(first, fork(second, ...)), each but the last followed by a jump to the end. */
  private addChoice(nodes: readonly Node[]): void {
    const jumps: number[] = [];
    for (const [index, node] of nodes.entries()) {
      if (index === nodes.length - 1) {
        this.add(node);
        break;
      }
      const fork = this.push(FORK, this.codes.length + 1);
      this.add(node);
      jumps.push(this.push(FORK));
      this.b[fork] = this.codes.length;
    }
    for (const jump of jumps) this.jump(jump, this.codes.length);
  }

  private addRepeat(node: Node, min: number, max: number | null): void {
    for (let time = 0; time < min; time++) this.add(node);
    if (max === null) {
      const fork = this.push(FORK, this.codes.length + 1);
      this.add(node);
      this.jump(this.push(FORK), fork);
      this.b[fork] = this.codes.length;
      return;
    }
    const forks: number[] = [];
    for (let time = min; time < max; time++) {
      forks.push(this.push(FORK, this.codes.length + 1));
      this.add(node);
    }
    for (const fork of forks) this.b[fork] = this.codes.length;
  }

  private jump(step: number, to: number): void {
    this.a[step] = to;
    this.b[step] = to;
  }

  private setNumber(set: Uint8Array): number {
    const known = this.sets.indexOf(set);
    return known === -1 ? this.sets.push(set) - 1 : known;
  }
}
