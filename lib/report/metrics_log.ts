/**
 * metrics.jsonl: what a run measured, one JSON object a line, in the order of its steps:
 *
 *     {"step":200,"epoch":0.2,"seconds":1.84,"loss":2.31,"rate":3.02}
 *
 * JSON has no NaN and no infinities; they are written as the strings "NaN", "Infinity" and "-Infinity".
 */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { BinceError, describe, invalidArgument } from '../errors.js';

/** One line: the step it belongs to, the epoch (a fraction within one), seconds since the run began, and numbers. */
export interface MetricsLine {
  readonly step: number;
  readonly epoch: number;
  readonly seconds: number;
  readonly [name: string]: number;
}

export interface MetricsLogOptions {
  /** Lines wait at most this long in memory before they are written; 0 writes each at once. Default 1000. */
  readonly flushMs?: number;
}

const kNewline = 10;
const kFlushMs = 1000;
/** Lines that wait are written when they reach this many characters, however young they are. */
const kFlushCharacters = 1 << 16;
const fixedNames = ['step', 'epoch', 'seconds'] as const;

/**
 * Appends to a metrics.jsonl. Call `flush()` before a checkpoint is written, so that no step at or before it is
 * missing after a kill; call `close()` at the end.
 */
export class MetricsLog {
  readonly path: string;
  readonly #file: number;
  readonly #flushMs: number;
  #waiting = '';
  #timer: NodeJS.Timeout | undefined;
  #written = performance.now();
  #last: MetricsLine | undefined;
  #closed = false;

  private constructor(path: string, file: number, last: MetricsLine | undefined, options: MetricsLogOptions) {
    this.path = path;
    this.#file = file;
    this.#last = last;
    this.#flushMs = options.flushMs ?? kFlushMs;
  }

  /** Begins a new file. Throws BINCE_IO when there is one already, unless `overwrite` is set. */
  static create(
    path: string,
    options: MetricsLogOptions & { readonly overwrite?: boolean } = {},
  ): MetricsLog {
    if (!options.overwrite && existsSync(path))
      throw new BinceError('BINCE_IO', `${path} exists already`, {
        hint: 'resume that run, or write to another folder',
      });
    return new MetricsLog(path, openSync(path, 'w'), undefined, options);
  }

  /**
   * Goes on with a file after `step`: lines of later steps, which the run will make again, are cut off, and so is a
   * last line that a kill left torn. A file that is missing is begun.
   */
  static resume(path: string, step: number, options: MetricsLogOptions = {}): MetricsLog {
    if (!Number.isSafeInteger(step) || step < 0) invalidArgument('step', 'an integer of at least 0', step);
    if (!existsSync(path)) return MetricsLog.create(path, options);
    const parsed = parseMetrics(readFileSync(path), path);
    const keep = parsed.lines.findIndex((line) => line.step > step);
    const kept = keep < 0 ? parsed.lines : parsed.lines.slice(0, keep);
    const file = openSync(path, 'r+');
    ftruncateSync(file, kept.length === 0 ? 0 : parsed.ends[kept.length - 1]!);
    closeSync(file);
    return new MetricsLog(path, openSync(path, 'a'), kept.at(-1), options);
  }

  /** The last line that was appended, or was there when the file was resumed. */
  get last(): MetricsLine | undefined {
    return this.#last;
  }

  /**
   * Appends a line. Several lines may belong to one step (training and evaluation); a step before the last one
   * is an error.
   */
  append(line: MetricsLine): void {
    if (this.#closed) throw new BinceError('BINCE_IO', `${this.path} is closed`);
    const fault = lineFault(line);
    if (fault) throw new BinceError('BINCE_INVALID_ARGUMENT', `metrics: ${fault}`);
    if (this.#last && line.step < this.#last.step)
      invalidArgument('metrics step', `at least ${this.#last.step}, the last step written`, line.step);
    this.#last = line;
    this.#waiting += `${JSON.stringify(line, nonFiniteAsText)}\n`;
    const age = performance.now() - this.#written;
    if (age >= this.#flushMs || this.#waiting.length >= kFlushCharacters) this.flush();
    // A loop that awaits leaves the timer its turn: the last lines before a long pause are written too.
    else this.#timer ??= setTimeout(() => this.flush(), this.#flushMs).unref();
  }

  /** Writes the lines that wait. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#written = performance.now();
    if (this.#closed || this.#waiting === '') return;
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = '';
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }

  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    closeSync(this.#file);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Reads a metrics.jsonl. A last line that is torn, because the run was killed or is being written, is left out; any
 * other line that is no metrics line throws BINCE_CORRUPT_DATA with its number.
 */
export async function readMetrics(path: string): Promise<MetricsLine[]> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new BinceError('BINCE_IO', message, { cause });
    throw new BinceError('BINCE_NOT_FOUND', `${path}: no such file`, {
      hint: 'name the metrics.jsonl of a run folder',
      cause,
    });
  }
  return parseMetrics(bytes, path).lines;
}

/** One metric against the step, from the lines that have it. */
export function metricSeries(lines: readonly MetricsLine[], name: string): { x: number[]; y: number[] } {
  const having = lines.filter((line) => line[name] !== undefined);
  return { x: having.map(({ step }) => step), y: having.map((line) => line[name]!) };
}

/** The names of all metrics in the order in which they first appear, without step, epoch and seconds. */
export function metricNames(lines: readonly MetricsLine[]): string[] {
  const names = new Set(lines.flatMap((line) => Object.keys(line)));
  for (const name of fixedNames) names.delete(name);
  return [...names];
}

interface ParsedMetrics {
  readonly lines: MetricsLine[];
  /** Offset after the newline of each line. */
  readonly ends: number[];
}

function parseMetrics(bytes: Buffer, path: string): ParsedMetrics {
  const lines: MetricsLine[] = [];
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(kNewline, at);
    if (newline < 0) break; // torn
    const parsed = parseLine(bytes.toString('utf8', at, newline), lines.at(-1)?.step ?? 0);
    if (typeof parsed === 'string') {
      // A power failure may leave a last line of the right length with the wrong bytes.
      if (newline === bytes.length - 1) break;
      throw new BinceError('BINCE_CORRUPT_DATA', `${path} line ${lines.length + 1}: ${parsed}`, {
        hint: 'remove the line, or take the file from a copy',
      });
    }
    lines.push(parsed);
    at = newline + 1;
    ends.push(at);
  }
  return { lines, ends };
}

/** The line, or what is wrong with it. */
function parseLine(text: string, lastStep: number): MetricsLine | string {
  let value: unknown;
  try {
    value = JSON.parse(text, (_, item) => nonFiniteTexts.get(item) ?? item);
  } catch {
    return `expected a JSON object, found ${describe(text)}`;
  }
  const fault = lineFault(value);
  if (fault) return fault;
  const line = value as MetricsLine;
  return line.step < lastStep ? `step ${line.step} comes after step ${lastStep}` : line;
}

function lineFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return `expected an object, received ${describe(value)}`;
  const { step } = value as { step?: unknown };
  if (!Number.isSafeInteger(step) || (step as number) < 0)
    return `step: expected an integer of at least 0, received ${describe(step)}`;
  for (const name of fixedNames)
    if (!(name in value)) return `${name}: expected a number, received undefined`;
  for (const [name, number] of Object.entries(value))
    if (typeof number !== 'number') return `${name}: expected a number, received ${describe(number)}`;
  return undefined;
}

const nonFiniteTexts = new Map<unknown, number>(
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => [String(value), value]),
);

function nonFiniteAsText(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
