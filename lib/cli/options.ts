/** Values of options, checked when they are parsed; a wrong one is a usage error that says what was expected. */
import { InvalidArgumentError, Option } from 'commander';

function numberOf(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError('expected a number.');
  return value;
}

export function positiveNumber(text: string): number {
  const value = numberOf(text);
  if (value <= 0) throw new InvalidArgumentError('expected a number above 0.');
  return value;
}

/** A parser of integers from `low` to `high`. */
export function integer(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = numberOf(text);
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`expected an integer from ${low} to ${high}.`);
    return value;
  };
}

export interface RowRange {
  readonly from: number;
  /** Exclusive; undefined: to the end. */
  readonly to: number | undefined;
}

/** `a:b`, `a:` or `:b`: rows a to b - 1, counted from 0. */
export function rowRange(text: string): RowRange {
  const match = /^(\d*):(\d*)$/.exec(text);
  if (!match) throw new InvalidArgumentError('expected a:b, for example 0:100 (rows 0 to 99).');
  const from = match[1] ? Number(match[1]) : 0;
  const to = match[2] ? Number(match[2]) : undefined;
  if (!Number.isSafeInteger(from) || (to !== undefined && !Number.isSafeInteger(to)))
    throw new InvalidArgumentError('the row numbers are too large.');
  if (to !== undefined && to < from)
    throw new InvalidArgumentError(`it ends (${to}) before it begins (${from}).`);
  return { from, to };
}

/** The options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly threads?: number;
  readonly backend?: string;
}

/** On the program itself the environment is left out: it would outdo the flags of the command. */
export function commonOptions(level: 'program' | 'command'): Option[] {
  const threads = new Option(
    '--threads <n>',
    'threads of the kernels; default: the processors allowed',
  ).argParser(integer(1, 1024));
  const backend = new Option(
    '--backend <name>',
    'kernels to use; default: the fastest that runs here',
  ).choices(['ref', 'avx2', 'avx512', 'neon']);
  return [
    new Option('--json', 'write JSON lines to stdout'),
    new Option('-q, --quiet', 'no progress, no remarks'),
    level === 'command' ? threads.env('BINCE_THREADS') : threads,
    level === 'command' ? backend.env('BINCE_BACKEND') : backend,
  ];
}
