/** The bottleneck with a Gaussian model whose mean and scale are told by coded side information. */
import { gaussianBits, slice } from '../autograd/index.js';
import { BinceError, invalidArgument } from '../errors.js';
import { gaussianTables } from '../kernels/build_tables.js';
import { crc32c, decodeSync, encodeSync } from '../kernels/coding.js';
import { gaussianIndexes, scaleTable } from '../kernels/gaussian.js';
import type { CdfTables } from '../kernels/tables.js';
import { full, tensor, zeros } from '../tensor/factories.js';
import { defaultGenerator, type Generator } from '../tensor/generator.js';
import { noGrad, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkPositiveInteger } from './arguments.js';
import { type Bottlenecked, EntropyBottleneck } from './entropy_bottleneck.js';
import { Linear } from './linear.js';
import { MLP } from './mlp.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';
import { dequantizeRows, quantizeRows, type RowQuantizer } from './quantized_rows.js';

export interface HyperpriorOptions {
  /** Dimensions of the side information. Default max(10, floor(channels / 5)). */
  readonly side?: number | undefined;
  /** Widths of the hidden layers of both networks. Default two of max(channels, 256). */
  readonly hidden?: readonly number[] | undefined;
  /** The start of every channel's log gain. Default 1. */
  readonly logGain?: number | undefined;
  /** See {@link EntropyBottleneckOptions}; of the latents and of the side information. Default false. */
  readonly straightThrough?: boolean | undefined;
  /** Of the noise and the start values; the default generator if absent. */
  readonly generator?: Generator | undefined;
}

/** What a hyperprior makes of z. */
export interface HyperpriorOutput extends Bottlenecked {
  /** [N] the part of `bits` that is the side information's. */
  readonly sideBits: Tensor;
}

const kLeastScale = 0.11;
const kGreatestScale = 256;
const kScales = 64;
const kHalfStep = (kGreatestScale / kLeastScale) ** (0.5 / (kScales - 1));
const kPreludeBytes = 20;
const kMagic = 0x31504842;
/** Of one call, so that bytes that lie cannot ask for any memory they like. */
const kMaxLatents = 2 ** 28;

/**
 * z [N, channels] to a quantised z and its rate (Balle et al. 2018, Minnen et al. 2018; on vectors as Dubois et al. 2021):
 *
 *     y = (z - shift) * exp(logGain)     side = bottleneck(encoder(y))     (scale, mean) = predictor(side)
 *     yHat = y + U(-1/2, 1/2) in training, round(y - mean) + mean in evaluation; zHat = yHat * exp(-logGain) + shift
 *     bits = sideBits - sum log2 (Phi((yHat - mean + 1/2) / s) - Phi((yHat - mean - 1/2) / s)),  s = max(scale, 0.11)
 *
 * .bince files hold symbols with one table a channel, so not these, whose table depends on the side information:
 * {@link compress} and {@link decompress} code them to bytes.
 */
export class Hyperprior extends Module {
  readonly channels: number;
  readonly straightThrough: boolean;
  readonly logGain: Parameter;
  readonly shift: Parameter;
  readonly encoder: MLP;
  readonly side: EntropyBottleneck;
  readonly predictor: MLP;
  readonly #generator: Generator;
  readonly #scales = scaleTable({ count: kScales, least: kLeastScale, greatest: kGreatestScale });
  #tables: CdfTables | undefined;

  constructor(channels: number, options: HyperpriorOptions = {}) {
    super();
    this.channels = checkPositiveInteger('channels', channels);
    const { side = Math.max(10, Math.floor(channels / 5)), logGain = 1 } = options;
    const { straightThrough = false, generator = defaultGenerator } = options;
    const width = Math.max(channels, 256);
    const { hidden = [width, width] } = options;
    this.straightThrough = straightThrough;
    this.#generator = generator;
    this.logGain = new Parameter(full([channels], logGain));
    this.shift = new Parameter(zeros([channels]));
    this.encoder = new MLP(channels, checkPositiveInteger('side', side), { hidden, generator });
    // The networks at both sides have gains of their own.
    this.side = new EntropyBottleneck(side, { logGain: 0, straightThrough, generator });
    this.predictor = new MLP(side, 2 * channels, { hidden, generator });
    startWithScaleOne(this.predictor, channels);
  }

  override forward(z: Tensor): HyperpriorOutput {
    this.#check(z);
    const { logGain, shift, training } = this;
    const y = z.sub(shift).mul(logGain.exp());
    const { zHat: side, bits: sideBits } = this.side.forward(this.encoder.forward(y));
    const { scale, mean } = this.#predict(side);
    const { bits, values } = gaussianBits(y, scale, mean, {
      scaleBound: kLeastScale,
      quantize: training ? 'noise' : 'round',
      generator: this.#generator,
    });
    const yHat = training && this.straightThrough ? y.sub(mean).round().add(mean) : values;
    return { zHat: yHat.mul(logGain.neg().exp()).add(shift), bits: bits.add(sideBits), sideBits };
  }

  #predict(side: Tensor): { scale: Tensor; mean: Tensor } {
    const both = this.predictor.forward(side);
    return { scale: slice(both, 1, 0, this.channels), mean: slice(both, 1, this.channels) };
  }

  #check(z: Tensor): void {
    if (z.rank !== 2 || z.shape[1] !== this.channels)
      invalidArgument('z', `[N, ${this.channels}]`, `[${z.shape.join(', ')}]`);
  }

  /**
   * The bytes of z [N, channels]: side information under its own tables, then each latent under the Gaussian table of its
   * scale, the mean removed. Decoding needs the same parameters, and the predictor's means and scales to the last bit:
   * the same backend of this library, which computes the same for any number of threads. Who needs files that every
   * machine can read takes an {@link EntropyBottleneck}.
   *
   *     u32 "BHP1", u32 N, u32 bytes of the side information, u32 bytes of the latents, u32 CRC-32C of all else
   *
   * Throws BINCE_INVALID_VALUE with the row of a value that cannot be coded.
   */
  compress(z: Tensor): Uint8Array {
    this.#check(z);
    const rows = z.shape[0]!;
    if (z.size > kMaxLatents) invalidArgument('z', `at most ${kMaxLatents} values`, z.size);
    const sideTables = this.side.tables();
    const y = this.#latents(z);
    const sideSymbols = scope(() =>
      noGrad(() => this.side.symbols(this.encoder.forward(tensor(y, z.shape)))),
    );
    const { indexes, means } = this.#conditional(sideSymbols, rows);
    const symbols = quantizeRows(
      y.map((value, i) => value - means[i]!),
      unitQuantizer(this.channels),
    );
    const side = encodeSync(sideSymbols, { tables: sideTables });
    const latents = encodeSync(symbols, { tables: this.#gaussianTables(), indexes });
    return joined(rows, side, latents);
  }

  /**
   * zHat [N, channels] of the bytes of {@link compress}. Throws BINCE_CORRUPT_DATA for damaged bytes; bytes of other
   * parameters give that or wrong values.
   */
  decompress(bytes: Uint8Array): Tensor {
    const { rows, side, latents } = parted(bytes, this.channels);
    const sideCount = rows * this.side.channels;
    const sideSymbols = decodeSync(side, { tables: this.side.tables(), count: sideCount });
    const { indexes, means } = this.#conditional(sideSymbols, rows);
    const count = rows * this.channels;
    const symbols = decodeSync(latents, { tables: this.#gaussianTables(), indexes, count });
    const y = dequantizeRows(symbols, unitQuantizer(this.channels)).map((value, i) => value + means[i]!);
    const gain = this.logGain.floats();
    const shift = this.shift.floats();
    const { channels } = this;
    return tensor(
      y.map((value, i) => value * Math.exp(-gain[i % channels]!) + shift[i % channels]!),
      [rows, channels],
    );
  }

  #latents(z: Tensor): Float32Array {
    return scope(() => noGrad(() => z.sub(this.shift).mul(this.logGain.exp()).floats()));
  }

  /** The one way from symbols of the side information to means and table numbers, for both directions. */
  #conditional(sideSymbols: Int32Array, rows: number): { indexes: Int32Array; means: Float32Array } {
    if (rows === 0) return { indexes: new Int32Array(0), means: new Float32Array(0) };
    return scope(() =>
      noGrad(() => {
        const { scale, mean } = this.#predict(this.side.dequantize(sideSymbols));
        // gaussianIndexes takes the next greater scale of the table; half a step less gives the nearest.
        const scales = scale.floats().map((value) => value / kHalfStep);
        return { indexes: gaussianIndexes(scales, this.#scales), means: mean.floats() };
      }),
    );
  }

  #gaussianTables(): CdfTables {
    this.#tables ??= gaussianTables(this.#scales);
    return this.#tables;
  }
}

function unitQuantizer(channels: number): RowQuantizer {
  return {
    median: new Float32Array(channels),
    step: new Float32Array(channels).fill(1),
    shift: new Float32Array(channels),
  };
}

/** Scales begin about 1, where gradients are good, instead of at their bound. */
function startWithScaleOne(predictor: MLP, channels: number): void {
  const last = predictor.layers.layers.at(-1);
  if (!(last instanceof Linear && last.bias)) return;
  const bias = last.bias.floats();
  last.bias.write(bias.fill(1, 0, channels));
}

function joined(rows: number, side: Uint8Array, latents: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(kPreludeBytes + side.length + latents.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of [kMagic, rows, side.length, latents.length].entries())
    view.setUint32(4 * i, value, true);
  bytes.set(side, kPreludeBytes);
  bytes.set(latents, kPreludeBytes + side.length);
  view.setUint32(16, checksum(bytes), true);
  return bytes;
}

function checksum(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(kPreludeBytes), crc32c(bytes.subarray(0, 16)));
}

function parted(
  bytes: Uint8Array,
  channels: number,
): { rows: number; side: Uint8Array; latents: Uint8Array } {
  if (!(bytes instanceof Uint8Array)) invalidArgument('bytes', 'a Uint8Array', bytes);
  const damaged = (what: string): never => {
    throw new BinceError('BINCE_CORRUPT_DATA', `not the bytes of a hyperprior: ${what}`);
  };
  if (bytes.length < kPreludeBytes) damaged(`${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [magic, rows, side, latents] = [0, 4, 8, 12].map((at) => view.getUint32(at, true));
  if (magic !== kMagic) damaged('they begin with something else');
  if (bytes.length !== kPreludeBytes + side! + latents!)
    damaged(`${bytes.length} bytes where ${kPreludeBytes + side! + latents!} were announced`);
  if (view.getUint32(16, true) !== checksum(bytes)) damaged('their checksum is wrong');
  if (rows! * channels > kMaxLatents) damaged(`${rows} rows`);
  return {
    rows: rows!,
    side: bytes.subarray(kPreludeBytes, kPreludeBytes + side!),
    latents: bytes.subarray(kPreludeBytes + side!),
  };
}
