import { expect, test } from 'vitest';
import { collectEverything, compileAtNextCall, setEngineFlag } from '../../../native-shims/engine.js';
import { turn } from '../../../native-shims/event-loop.js';

/** Whether what nothing refers to is still there, after `between`. */
async function isAliveAfter(between: () => Promise<void>): Promise<boolean> {
  const reference = new WeakRef({});
  // V8 keeps what a WeakRef was made of until the job ends that made it.
  await turn();
  await between();
  return reference.deref() !== undefined;
}

test('collectEverything collects, before it returns', async () => {
  expect(await isAliveAfter(() => Promise.resolve())).toBe(true);
  expect(await isAliveAfter(collectEverything)).toBe(false);
});

test('and does so whatever the young generation is filled with at that moment', { timeout: 60_000 }, async () => {
  for (let round = 0; round < 100; round++) {
    const kept = Array.from({ length: round * 97 }, (_, i) => ({ i }));
    expect(await isAliveAfter(collectEverything)).toBe(false);
    expect(kept.at(-1)?.i ?? -1).toBe(round * 97 - 1);
  }
});

/** V8's own word for whether a method is compiled (`OptimizationStatus::kTurboFanned`, runtime.h). */
function isCompiled(method: unknown): boolean {
  setEngineFlag('--allow-natives-syntax');
  const status = new Function('method', 'return %GetOptimizationStatus(method)') as (method: unknown) => number;
  setEngineFlag('--no-allow-natives-syntax');
  return (status(method) & (1 << 6)) !== 0;
}

interface Counter {
  first: () => number;
  second: () => number;
  readonly third: number;
}

/**
 * A class with a text of its own, by which V8 does not know it from another test, and methods whose texts are equally long; called, so
 * that there is something to compile it by.
 */
function makeCounter(name: string): { Made: { prototype: Counter }; compiled: () => boolean[] } {
  const Made = new Function(`return class ${name} {
    first() { return 111111; }
    second() { return 22222; }
    get third() { return 3; }
  }`)() as new () => Counter;
  const counter = new Made();
  const callAll = () => counter.first() + counter.second() + counter.third;
  callAll();
  const { first, second } = Made.prototype;
  const third = Object.getOwnPropertyDescriptor(Made.prototype, 'third')?.get;
  const compiled = () => {
    callAll();
    return [first, second, third].map(isCompiled);
  };
  return { Made, compiled };
}

test('compileAtNextCall compiles methods and accessors at their next call', () => {
  const { Made, compiled } = makeCounter('Whole');
  expect(compiled()).toEqual([false, false, false]);
  compileAtNextCall([Made]);
  expect(isCompiled(Made.prototype.first)).toBe(false);
  expect(compiled()).toEqual([true, true, true]);
});

test('and a part at a time, each method in one of them', () => {
  const { Made, compiled } = makeCounter('InParts');
  compileAtNextCall([Made], 0, 3);
  expect(compiled()).toEqual([true, false, false]);
  compileAtNextCall([Made], 1, 3);
  expect(compiled()).toEqual([true, true, false]);
  compileAtNextCall([Made], 2, 3);
  expect(compiled()).toEqual([true, true, true]);
});

test('parts are as long as the text, not as many methods', () => {
  const { Made, compiled } = makeCounter('ByLength');
  const long = { prototype: { long: new Function(`/* ${'x'.repeat(1000)} */`) } };
  compileAtNextCall([Made, long], 0, 2);
  expect(compiled()).toEqual([true, true, true]);
});
