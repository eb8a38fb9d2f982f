import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { MetricsLog, metricNames, metricSeries, readMetrics } from '../../lib/report/index.js';
import { temporaryFolder } from '../data/files.js';

const folder = temporaryFolder();
let files = 0;
const newPath = () => join(folder, `${files++}.jsonl`);
const line = (step: number, more = {}) => ({
  step,
  epoch: step / 100,
  seconds: step / 50,
  loss: 1 / (step + 1),
  ...more,
});

function written(steps: readonly number[]): string {
  const path = newPath();
  using log = MetricsLog.create(path);
  for (const step of steps) log.append(line(step));
  return path;
}

describe('MetricsLog', () => {
  it('writes one JSON object a line, which come back', async () => {
    const path = newPath();
    using log = MetricsLog.create(path);
    log.append(line(0));
    log.append(line(10, { rate: 2.5 }));
    log.flush();
    const [first] = readFileSync(path, 'utf8').split('\n');
    expect(first).toBe('{"step":0,"epoch":0,"seconds":0,"loss":1}');
    const lines = await readMetrics(path);
    expect(lines).toEqual([line(0), line(10, { rate: 2.5 })]);
    expect(metricNames(lines)).toEqual(['loss', 'rate']);
    expect(metricSeries(lines, 'rate')).toEqual({ x: [10], y: [2.5] });
  });

  it('keeps numbers that JSON does not have', async () => {
    const path = newPath();
    using log = MetricsLog.create(path);
    log.append(line(1, { a: Number.NaN, b: Number.POSITIVE_INFINITY, c: Number.NEGATIVE_INFINITY }));
    log.flush();
    expect((await readMetrics(path))[0]).toMatchObject({ a: Number.NaN, b: Infinity, c: -Infinity });
  });

  it('holds lines back until it is time, and no longer', async () => {
    const path = newPath();
    using log = MetricsLog.create(path, { flushMs: 30 });
    log.append(line(1));
    expect(readFileSync(path, 'utf8')).toBe('');
    await wait(150);
    expect(await readMetrics(path)).toHaveLength(1);
    using eager = MetricsLog.create(path, { flushMs: 0, overwrite: true });
    eager.append(line(2));
    expect(await readMetrics(path)).toEqual([line(2)]);
  });

  it('does not begin over a file that is there', () => {
    const path = written([1]);
    expect(() => MetricsLog.create(path)).toThrow(expect.objectContaining({ code: 'BINCE_IO' }));
  });

  it.each([
    [line(-1), /step: expected an integer of at least 0, received -1/],
    [line(1.5), /step: expected an integer/],
    [{ step: 1, epoch: 0 }, /seconds: expected a number, received undefined/],
    [line(1, { loss: '3' }), /loss: expected a number, received '3'/],
  ])('refuses line %#', (bad, message) => {
    using log = MetricsLog.create(newPath());
    expect(() => log.append(bad as never)).toThrow(message);
  });

  it('takes several lines of one step, and none of an earlier step or after close()', () => {
    using log = MetricsLog.create(newPath());
    log.append(line(5));
    log.append(line(5, { accuracy: 1 }));
    expect(() => log.append(line(4))).toThrow(/metrics step: expected at least 5/);
    log.close();
    expect(() => log.append(line(6))).toThrow(/is closed/);
  });
});

describe('resume', () => {
  it('cuts what comes after the step, so that no step appears twice', async () => {
    const path = written([10, 20, 30, 40, 50]);
    using log = MetricsLog.resume(path, 30);
    expect(log.last).toEqual(line(30));
    for (const step of [40, 50, 60]) log.append(line(step, { again: 1 }));
    log.close();
    const lines = await readMetrics(path);
    expect(lines.map(({ step }) => step)).toEqual([10, 20, 30, 40, 50, 60]);
    expect(lines.map(({ again }) => again)).toEqual([undefined, undefined, undefined, 1, 1, 1]);
  });

  it('gives the file of a run that was never stopped', () => {
    const whole = readFileSync(written([1, 2, 3, 4, 5, 6]), 'utf8');
    for (const stopped of [0, 2, 4, 6]) {
      const path = written([1, 2, 3, 4, 5, 6].filter((step) => step <= stopped + 1));
      using log = MetricsLog.resume(path, stopped);
      for (let step = stopped + 1; step <= 6; step++) log.append(line(step));
      log.close();
      expect(readFileSync(path, 'utf8')).toBe(whole);
    }
  });

  it.each(['{"step":40,"epo', '{"step":40,"epoch":0.4,"seconds":1}', '\0\0\0\0\n', '{"step":1}\n'])(
    'cuts the torn last line %j',
    async (torn) => {
      const path = written([10, 20]);
      appendFileSync(path, torn);
      expect(await readMetrics(path)).toHaveLength(2);
      using log = MetricsLog.resume(path, 100);
      log.append(line(110));
      log.close();
      expect((await readMetrics(path)).map(({ step }) => step)).toEqual([10, 20, 110]);
    },
  );

  it('from step 0, or where the file is missing, begins anew', async () => {
    const path = written([10]);
    MetricsLog.resume(path, 0).close();
    expect(await readMetrics(path)).toEqual([]);
    const missing = newPath();
    MetricsLog.resume(missing, 5).close();
    expect(await readMetrics(missing)).toEqual([]);
    expect(() => MetricsLog.resume(path, -1)).toThrow(/step: expected an integer/);
  });
});

describe('readMetrics', () => {
  it('tells which file is missing', async () => {
    await expect(readMetrics(newPath())).rejects.toMatchObject({ code: 'BINCE_NOT_FOUND' });
  });

  it.each([
    [
      '{"step":1,"epoch":0,"seconds":0}\nnonsense\n{"step":2,"epoch":0,"seconds":0}\n',
      /line 2: expected a JSON object, found 'nonsense'/,
    ],
    ['[1]\n{}\n', /line 1: expected an object, received Array\(1\)/],
    ['{"step":1,"epoch":0}\n{}\n', /line 1: seconds: expected a number/],
    [
      '{"step":5,"epoch":0,"seconds":0}\n{"step":4,"epoch":0,"seconds":0}\n{}\n',
      /line 2: step 4 comes after step 5/,
    ],
    ['{"step":5,"epoch":0,"seconds":"x"}\n{}\n', /line 1: seconds: expected a number, received 'x'/],
  ])('refuses corrupt lines, %#', async (content, message) => {
    const path = newPath();
    writeFileSync(path, content);
    await expect(readMetrics(path)).rejects.toMatchObject({ code: 'BINCE_CORRUPT_DATA' });
    await expect(readMetrics(path)).rejects.toThrow(message);
  });
});
