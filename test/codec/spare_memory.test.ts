import { describe, expect, it } from 'vitest';
import { leaveMemory, takeMemory } from '../../lib/codec/spare_memory.js';
import { StageClock } from '../../lib/codec/stage_clock.js';

const MB = 2 ** 20;

describe('memory between two uses', () => {
  it('is given to the next that wants about as much, once', () => {
    const memory = takeMemory(3 * MB + 1);
    expect(memory.byteLength).toBeGreaterThan(3 * MB);
    leaveMemory(memory);
    expect(takeMemory(MB)).not.toBe(memory); // far too large for that
    expect(takeMemory(4 * MB)).not.toBe(memory);
    expect(takeMemory(2 * MB)).toBe(memory);
    expect(takeMemory(2 * MB)).not.toBe(memory);
  });

  it('is the smallest that fits', () => {
    const [large, small] = [takeMemory(30 * MB), takeMemory(20 * MB)];
    leaveMemory(large);
    leaveMemory(small);
    expect(takeMemory(18 * MB)).toBe(small);
    expect(takeMemory(18 * MB)).toBe(large);
  });

  it('is not what was transferred to somebody else, shared, or too small to be worth it', () => {
    const memory = takeMemory(5 * MB);
    leaveMemory(memory);
    structuredClone(memory, { transfer: [memory] });
    expect(takeMemory(5 * MB).byteLength).toBeGreaterThanOrEqual(5 * MB);
    leaveMemory(new SharedArrayBuffer(6 * MB));
    expect(takeMemory(6 * MB)).toBeInstanceOf(ArrayBuffer);
    const small = new ArrayBuffer(100);
    leaveMemory(small);
    leaveMemory(undefined);
    expect(takeMemory(100)).not.toBe(small);
    expect(takeMemory(0).byteLength).toBeGreaterThan(0);
  });
});

describe('the clock of a stage', () => {
  const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));

  it('counts steps that overlap once, and failed ones too', async () => {
    const clock = new StageClock();
    expect(clock.seconds).toBe(0);
    const before = performance.now();
    await Promise.all([clock.time(() => wait(30)), clock.time(() => wait(30))]);
    await expect(clock.time(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    const passed = (performance.now() - before) / 1000;
    expect(clock.seconds).toBeGreaterThan(0.02);
    expect(clock.seconds).toBeLessThanOrEqual(passed);
    const seen = clock.seconds;
    await wait(10);
    expect(clock.seconds).toBe(seen);
    expect(await clock.time(async () => 7)).toBe(7);
  });
});
