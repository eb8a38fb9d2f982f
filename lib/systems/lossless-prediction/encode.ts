/** Examples through a trained model, and the codes through a file. */
import { setImmediate } from 'node:timers/promises';
import { BinceReader, BinceWriter, type CodecModel } from '../../codec/index.js';
import { BinceError } from '../../errors.js';
import { shortRowOptions } from '../../nn/index.js';
import { noGrad, scope } from '../../tensor/index.js';
import type { Compressor } from './compressor.js';
import type { ExampleShape } from './networks.js';
import { examples } from './objectives.js';

/** Examples `first` to `first + count`, [count][...shape]. */
export type ExampleReader = (first: number, count: number) => Float32Array | Promise<Float32Array>;

export interface Encoded {
  /** [N][Z] before the bottleneck. */
  readonly z: Float32Array;
  /** [N][Z] rounded, in the units of z. */
  readonly zHat: Float32Array;
  /** Cross-entropy under the model, bits an example. */
  readonly bits: number;
}

const kRows = 500;

/** Encodes examples in evaluation mode, and leaves the model in it. */
export async function encodeExamples(
  model: Compressor,
  shape: ExampleShape,
  count: number,
  read: ExampleReader,
  signal?: AbortSignal,
): Promise<Encoded> {
  const z = new Float32Array(count * model.latents);
  const zHat = new Float32Array(count * model.latents);
  let bits = 0;
  model.eval();
  for (let first = 0; first < count; first += kRows) {
    signal?.throwIfAborted();
    const data = await read(first, Math.min(kRows, count - first));
    scope(() =>
      noGrad(() => {
        const encoded = model.encode(examples(data, shape));
        const latents = model.bottleneck.forward(encoded);
        z.set(encoded.floats(), first * model.latents);
        zHat.set(latents.zHat.floats(), first * model.latents);
        for (const each of latents.bits.floats()) bits += each;
      }),
    );
    await setImmediate();
  }
  return { z, zHat, bits: bits / count };
}

/** Decodes [N][Z] rows: [N][values], probabilities where the decoder makes logits. */
export async function decodeLatents(
  model: Compressor,
  zHat: Float32Array,
  probabilities: boolean,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { latents, decoder } = model;
  if (!decoder)
    throw new BinceError('BINCE_UNSUPPORTED', 'this model reconstructs nothing: it has no decoder');
  const count = zHat.length / latents;
  let out: Float32Array | undefined;
  model.eval();
  for (let first = 0; first < count; first += kRows) {
    signal?.throwIfAborted();
    const rows = Math.min(kRows, count - first);
    const part = scope(() =>
      noGrad(() => {
        const decoded = decoder.forward(
          examples(zHat.subarray(first * latents, (first + rows) * latents), [latents]),
        );
        return (probabilities ? decoded.sigmoid() : decoded).floats();
      }),
    );
    out ??= new Float32Array((part.length / rows) * count);
    out.set(part, first * (part.length / rows));
    await setImmediate();
  }
  return out ?? new Float32Array(0);
}

/** Writes rows of z to a file; returns its bytes. */
export async function writeRows(
  path: string,
  codec: CodecModel,
  z: Float32Array,
  signal?: AbortSignal,
): Promise<number> {
  const rows = z.length / codec.channels;
  const options = { ...shortRowOptions(codec, rows), ...(signal && { signal }) };
  const writer = await BinceWriter.create(path, codec, options);
  await writer.write(z);
  return (await writer.close()).bytes;
}

/** Writes rows of z to a file and reads them back: what is measured later is what was really stored. */
export async function throughFile(
  path: string,
  codec: CodecModel,
  z: Float32Array,
  signal?: AbortSignal,
): Promise<{ readonly zHat: Float32Array; readonly bytes: number }> {
  const bytes = await writeRows(path, codec, z, signal);
  const options = signal ? { signal } : {};
  await using reader = await BinceReader.open(path, options);
  return { zHat: (await reader.rows(0, reader.length, options)) as Float32Array, bytes };
}
