/** How the golden files were made, by the reference encoder alone. */
import { createHash } from 'node:crypto';
import { random, randomSymbols, randomTables } from './random_files.js';
import { Bytes, encodeFile, headerPayload, type ReferenceFormat } from './reference_encoder.js';

/** A golden file and what it holds. */
export interface Golden {
  file: string;
  rows: number;
  channels: number;
  dtype: 'int32' | 'float32';
  blockRows: number;
  lanes: 1 | 4 | 8 | 32;
  coder: 'rans' | 'range';
  /** Rows of each session of writing. */
  sessions: number[];
  /** Whether it opens with recovery alone. */
  cutOff: boolean;
  data: number[];
}

interface Made {
  golden: Golden;
  bytes: Uint8Array;
}

/** The hash of the coding as docs/FORMAT.md defines it. */
function referenceHash(format: ReferenceFormat): string {
  const payload = headerPayload({ ...format, json: {} });
  const flags = payload[13]!;
  const prefix = new Bytes().uint(format.channels, 4).uint(format.tables.offset.length, 4).uint(flags, 1);
  // The JSON of this payload is "{}", two bytes after the 32 fixed ones.
  return createHash('sha256').update(prefix.array).update(payload.subarray(34)).digest('hex');
}

function values(format: ReferenceFormat, symbols: Int32Array): number[] {
  if (format.dtype === 0) return Array.from(symbols);
  const f = Math.fround;
  return Array.from(symbols, (symbol, i) => {
    const c = i % format.channels;
    const scaled = f(f(f(symbol) + (format.median?.[c] ?? 0)) * (format.step?.[c] ?? 1));
    return f(scaled + (format.shift?.[c] ?? 0));
  });
}

/** No symbol but one is outside the table. */
const kNever = 1e9;

function make(
  name: string,
  seed: number,
  fields: Partial<ReferenceFormat>,
  sessions: number[],
  rarity = 25,
): Made {
  const next = random(seed);
  const channels = fields.channels ?? 4;
  const tableCount = fields.tableIndex ? Math.max(...fields.tableIndex) + 1 : channels;
  const format: ReferenceFormat = {
    tables: randomTables(next, tableCount, 20),
    channels,
    blockRows: 32,
    lanes: 4,
    coder: 'rans',
    dtype: 1,
    ...fields,
  };
  format.json = { name, method: 'golden', model: referenceHash(format), metadata: {} };
  const parts = sessions.map((rows) => randomSymbols(next, format, rows, rarity));
  // Far symbols stay where float32 holds them exactly, so that encoding the values gives the file again.
  if (format.dtype === 1) {
    for (const part of parts) for (let i = 0; i < part.length; i++) part[i]! %= 2 ** 20;
  }
  if (rarity === kNever) for (const part of parts) part.fill(format.tables.offset[0]!).fill(-5, 100, 101);
  const rows = sessions.reduce((a, b) => a + b, 0);
  const { blockRows, coder, lanes } = format;
  return {
    golden: {
      file: `${name}.bince`,
      ...{ rows, channels, blockRows, coder, sessions, cutOff: false },
      dtype: format.dtype === 0 ? 'int32' : 'float32',
      lanes: lanes as Golden['lanes'],
      data: parts.flatMap((part) => values(format, part)),
    },
    bytes: encodeFile(format, parts),
  };
}

function scalars(seed: number, channels: number): Pick<ReferenceFormat, 'median' | 'step' | 'shift'> {
  const next = random(seed);
  const array = (value: () => number) => Float32Array.from({ length: channels }, value);
  return {
    median: array(() => next() - 0.5),
    step: array(() => 0.1 + next()),
    shift: array(() => 4 * next() - 2),
  };
}

export function goldenFiles(): Made[] {
  const appended = make('appended', 7, { blockRows: 8, ...scalars(7, 4) }, [20, 3, 17]);
  const cut = make('cut_off', 7, { blockRows: 8, ...scalars(7, 4) }, [20, 3, 17]);
  // 20 + 3 + 17 rows are blocks of 8, 8, 4, 3, 8, 8, 1: the last two are lost with the index and the trailer.
  const kept = { ...cut.golden, rows: 31, data: cut.golden.data.slice(0, 31 * 4), cutOff: true };
  const skewedTables = {
    cdf: Int32Array.of(0, 65535, 65536),
    start: Int32Array.of(0, 3),
    offset: Int32Array.of(9),
  };
  const skewed = make(
    'skewed',
    9,
    { tables: skewedTables, channels: 1, dtype: 0, blockRows: 500 },
    [600],
    1e9,
  );
  return [
    make('rans_1_lane', 1, { lanes: 1, ...scalars(1, 4) }, [70]),
    make('rans_4_lanes', 2, { lanes: 4, ...scalars(2, 4) }, [70]),
    make('rans_32_lanes', 3, { lanes: 32, blockRows: 80, ...scalars(3, 4) }, [197]),
    make('range', 4, { lanes: 1, coder: 'range', ...scalars(4, 4) }, [70]),
    make('symbols', 5, { dtype: 0, channels: 3 }, [50], 3),
    make('shared_tables', 6, { channels: 5, tableIndex: Int32Array.of(1, 0, 0, 1, 0), lanes: 8 }, [40]),
    appended,
    make('one_row', 8, { channels: 1 }, [1]),
    make('no_rows', 8, { channels: 2 }, [0]),
    skewed,
    { golden: kept, bytes: cut.bytes.subarray(0, cut.bytes.length - 28 - 60) },
  ];
}
