/** State dicts: named arrays that training can go on from, of modules and of optimisers, and their files. */
import { SafetensorsFile, type TensorData, writeSafetensors } from '../codec/safetensors.js';
import { BinceError, invalidArgument } from '../errors.js';

/** An array of a state dict, row-major. */
export type StateTensor =
  | { readonly dtype: 'float32'; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'int32'; readonly shape: readonly number[]; readonly data: Int32Array }
  | { readonly dtype: 'uint8'; readonly shape: readonly number[]; readonly data: Uint8Array };

/** Arrays by name; copies, which nothing else changes. */
export type StateDict = Map<string, StateTensor>;

export interface LoadOptions {
  /** Whether the names must be the same on both sides. Default true; without it, what is on one side alone is left. */
  readonly strict?: boolean;
}

const kFileDtype = { float32: 'F32', int32: 'I32', uint8: 'U8' } as const;

/**
 * Writes a state dict as .safetensors, whole or not at all: under a temporary name that is then renamed.
 * @param metadata strings that go into the file
 */
export async function saveState(
  path: string,
  state: ReadonlyMap<string, StateTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const [key, value] of Object.entries(metadata))
    if (typeof value !== 'string') invalidArgument(`metadata.${key}`, 'a string', value);
  const tensors: Record<string, TensorData> = {};
  for (const [name, { dtype, shape, data }] of state)
    tensors[name] = { dtype: kFileDtype[dtype], shape, data };
  await writeSafetensors(path, tensors, metadata);
}

/** What {@link loadState} found in a file. */
export interface LoadedState {
  readonly state: StateDict;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads all arrays of a .safetensors file: integers as int32 (bytes as uint8), floats as float32. Throws
 * BINCE_CORRUPT_DATA for a file that is damaged and BINCE_NOT_FOUND where there is none.
 */
export async function loadState(path: string): Promise<LoadedState> {
  await using file = await SafetensorsFile.open(path);
  const state: StateDict = new Map();
  for (const { name, dtype, shape } of file.tensors.values()) {
    if (dtype === 'U8') state.set(name, { dtype: 'uint8', shape, data: await file.readBytes(name) });
    else if (/^[IU]|^BOOL$/.test(dtype))
      state.set(name, { dtype: 'int32', shape, data: await file.readInt32(name) });
    else state.set(name, { dtype: 'float32', shape, data: await file.readFloat32(name) });
  }
  return { state, metadata: file.metadata };
}

/**
 * Checks that a state dict has what is expected, before anything is changed. Throws BINCE_INVALID_ARGUMENT with the
 * names that lack or do not belong, or the first array whose shape or type is another one.
 * @param owner what the state is of, for messages
 * @returns the names that are on both sides
 */
export function matchState(
  owner: string,
  expected: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: string }>,
  state: ReadonlyMap<string, StateTensor>,
  { strict = true }: LoadOptions = {},
): string[] {
  if (!(state instanceof Map)) invalidArgument('state', 'a Map of arrays', state);
  const lacking = [...expected.keys()].filter((name) => !state.has(name));
  const strange = [...state.keys()].filter((name) => !expected.has(name));
  if (strict && lacking.length + strange.length > 0) {
    const parts = [
      ...(lacking.length > 0 ? [`lacks ${someNames(lacking)}`] : []),
      ...(strange.length > 0 ? [`has ${someNames(strange)}, which ${owner} has not`] : []),
    ];
    throw new BinceError('BINCE_INVALID_ARGUMENT', `the state of ${owner} ${parts.join(' and ')}`, {
      hint: 'build it with the options that it was saved with, or load with { strict: false }',
    });
  }
  const common = [...expected.keys()].filter((name) => state.has(name));
  for (const name of common) {
    const want = expected.get(name)!;
    const have = state.get(name)!;
    const count = have.shape.reduce((a: number, b: number) => a * b, 1);
    if (want.dtype !== have.dtype || want.shape.join() !== have.shape.join() || count !== have.data.length) {
      throw new BinceError(
        'BINCE_INVALID_ARGUMENT',
        `the state of ${owner}: '${name}' expected ${described(want)}, received ${described(have)}`,
      );
    }
  }
  return common;
}

function described({ dtype, shape }: { readonly dtype: string; readonly shape: readonly number[] }): string {
  return `${dtype} [${shape.join(', ')}]`;
}

function someNames(names: readonly string[]): string {
  const some = names.slice(0, 6).map((name) => `'${name}'`);
  return some.join(', ') + (names.length > 6 ? `, ... (${names.length} in all)` : '');
}
