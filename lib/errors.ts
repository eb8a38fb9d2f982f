/**
 * The errors of bince. Every one carries a `code` that programs can test and, where a next step is known, a
 * `hint` that tells a person what to type or change.
 */

/** What went wrong; the first eight are the statuses of the C ABI. */
export type BinceErrorCode =
  | 'BINCE_INVALID_ARGUMENT'
  | 'BINCE_INVALID_VALUE'
  | 'BINCE_CORRUPT_DATA'
  | 'BINCE_BUFFER_TOO_SMALL'
  | 'BINCE_UNSUPPORTED'
  | 'BINCE_CANCELLED'
  | 'BINCE_OUT_OF_MEMORY'
  | 'BINCE_INTERNAL'
  | 'BINCE_NOT_FOUND'
  | 'BINCE_IO'
  | 'BINCE_USAGE'
  | 'BINCE_NO_ADDON';

/** An error with a code, and a hint where a next step is known. */
export class BinceError extends Error {
  readonly code: BinceErrorCode;
  readonly hint: string | undefined;

  constructor(code: BinceErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BinceError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** Throws BINCE_INVALID_ARGUMENT as "name: expected E, received R". */
export function invalidArgument(name: string, expected: string, received: unknown): never {
  throw new BinceError(
    'BINCE_INVALID_ARGUMENT',
    `${name}: expected ${expected}, received ${describe(received)}`,
  );
}

/** A short description of a value for messages: `Float32Array(12)`, `'text'`, `3.5`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (ArrayBuffer.isView(value)) {
    const length = (value as { length?: number }).length;
    return `${value.constructor.name}(${length ?? value.byteLength})`;
  }
  if (Array.isArray(value)) return `Array(${value.length})`;
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}...` : value}'`;
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') return value.constructor?.name ?? 'object';
  return String(value);
}
