import { expect, test } from 'vitest';
import {
  collectEverything,
  compileAtNextCall,
  compileFromNextCall,
  isCompiling,
  setEngineFlag,
} from '../../../native-shims/engine.js';
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

interface Summer {
  sum: (count: number) => number;
  term: (index: number) => number;
}

/** A class by whose text V8 does not know it from another test, called so often that there is something to compile it by; which takes some ms. */
function makeSummer(name: string): new () => Summer {
  const text = `return class ${name} {
    sum(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += this.term(i);
        ${'sum += this.term(i) - this.term(i);'.repeat(30)}
      }
      return sum;
    }
    term(index) { return index; }
  }`;
  const Made = new Function(text)() as new () => Summer;
  for (let time = 0; time < 5; time++) new Made().sum(3);
  return Made;
}

test('compileAtNextCall compiles before the call returns', () => {
  const Summer = makeSummer('AtNextCall');
  const summer = new Summer();
  expect(isCompiled(Summer.prototype.sum)).toBe(false);
  compileAtNextCall([Summer]);
  expect(isCompiled(Summer.prototype.sum)).toBe(false);
  expect(summer.sum(4)).toBe(6);
  expect(isCompiled(Summer.prototype.sum)).toBe(true);
});

test('compileFromNextCall compiles meanwhile, and isCompiling tells until when', async () => {
  // On a busy machine the thread may be done before it is asked about: then another one.
  let wasCompiling = false;
  for (let attempt = 0; attempt < 100 && !wasCompiling; attempt++) {
    const Summer = makeSummer(`FromNextCall${attempt}`);
    const summer = new Summer();
    compileFromNextCall([Summer], 0);
    expect(isCompiling()).toBe(false);
    const sum = summer.sum(4);
    wasCompiling = isCompiling();
    expect(sum).toBe(6);
    // The last call of each is what takes over what the thread has made.
    await expect.poll(() => summer.sum(4) === 6 && isCompiling()).toBe(false);
    expect(isCompiled(Summer.prototype.sum)).toBe(true);
  }
  expect(wasCompiling).toBe(true);
});

test('compileFromNextCall leaves small methods to those who call them', async () => {
  const Summer = makeSummer('LargeOnly');
  const summer = new Summer();
  compileFromNextCall([Summer], String(Summer.prototype.term).length + 1);
  summer.sum(4);
  await expect.poll(() => summer.sum(4) === 6 && isCompiling()).toBe(false);
  expect(isCompiled(Summer.prototype.sum)).toBe(true);
  expect(isCompiled(Summer.prototype.term)).toBe(false);
});
