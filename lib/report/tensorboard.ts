/**
 * TensorBoard event files: TFRecords of `Event` messages (tensorboard/compat/proto/event.proto and summary.proto).
 * One record:
 *
 *     uint64 length | uint32 masked CRC-32C of the length | byte data[length] | uint32 masked CRC-32C of the data
 *
 * little endian; the mask of a CRC is its rotation by 15 bits to the right plus 0xa282ead8.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { encodePng, type PixelImage } from '../data/png.js';
import { crc32c } from '../decoder/crc32c.js';
import { BinceError, invalidArgument } from '../errors.js';
import { ProtobufMessage } from './protobuf.js';

/** Field numbers of the messages. */
const kEvent = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const kSummary = { value: 1 } as const;
const kValue = { tag: 1, simpleValue: 2, image: 4, histogram: 5 } as const;
const kImage = { height: 1, width: 2, colorspace: 3, encoded: 4 } as const;
const kHistogram = { min: 1, max: 2, num: 3, sum: 4, sumSquares: 5, bucketLimit: 6, bucket: 7 } as const;
const kSessionLog = { status: 1 } as const;
const kSessionStart = 1;

const kHistogramBuckets = 40;
const kFlushMs = 2000;
const kFlushBytes = 1 << 18;

export interface EventWriterOptions {
  /**
   * The step after which a resumed run goes on: TensorBoard forgets what an earlier file of the folder has of later
   * steps, which the run will write again.
   */
  readonly resumeStep?: number;
}

/** Tells two writers of one process and second apart. */
let writers = 0;

/** Writes events.out.tfevents.<seconds>.<host>.<process>.<number> into a run folder. */
export class EventWriter {
  readonly path: string;
  readonly #file: number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #written = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Makes the folder where it is missing, and begins a file in it. */
  constructor(folder: string, options: EventWriterOptions = {}) {
    const { resumeStep } = options;
    if (resumeStep !== undefined) checkStep(resumeStep);
    mkdirSync(folder, { recursive: true });
    const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0');
    const host = hostname().replace(/[^\w.-]/g, '_') || 'localhost';
    this.path = join(folder, `events.out.tfevents.${seconds}.${host}.${process.pid}.${writers++}`);
    this.#file = openSync(this.path, 'wx');
    this.#record(event(0).text(kEvent.fileVersion, 'brain.Event:2'));
    if (resumeStep !== undefined) {
      const start = new ProtobufMessage().integer(kSessionLog.status, kSessionStart);
      this.#record(event(resumeStep + 1).message(kEvent.sessionLog, start));
    }
    this.flush();
  }

  /** Named numbers of a step, in float32, each a curve of its own. A slash in a name makes groups. */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const summary = new ProtobufMessage();
    for (const [tag, value] of Object.entries(values)) {
      if (typeof value !== 'number') invalidArgument(tag, 'a number', value);
      summary.message(kSummary.value, tagged(tag).float(kValue.simpleValue, value));
    }
    this.#summary(step, summary);
  }

  /** One image of a step; it is stored as a PNG. */
  image(step: number, tag: string, image: PixelImage): void {
    const message = new ProtobufMessage()
      .integer(kImage.height, image.height)
      .integer(kImage.width, image.width)
      .integer(kImage.colorspace, image.channels)
      .bytes(kImage.encoded, encodePng(image));
    this.#summary(
      step,
      new ProtobufMessage().message(kSummary.value, tagged(tag).message(kValue.image, message)),
    );
  }

  /** The distribution of values at a step, in 40 buckets of one width. Every value must be finite. */
  histogram(step: number, tag: string, values: ArrayLike<number>): void {
    const message = histogramMessage(tag, values);
    this.#summary(
      step,
      new ProtobufMessage().message(kSummary.value, tagged(tag).message(kValue.histogram, message)),
    );
  }

  /** Writes the events that wait. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#written = performance.now();
    if (this.#closed || this.#waitingBytes === 0) return;
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
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

  #summary(step: number, summary: ProtobufMessage): void {
    if (this.#closed) throw new BinceError('BINCE_IO', `${this.path} is closed`);
    checkStep(step);
    this.#record(event(step).message(kEvent.summary, summary));
    const due = performance.now() - this.#written >= kFlushMs || this.#waitingBytes >= kFlushBytes;
    if (due) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), kFlushMs).unref();
  }

  #record(message: ProtobufMessage): void {
    const record = tfRecord(message.finish());
    this.#waiting.push(record);
    this.#waitingBytes += record.length;
  }
}

/** Frames the bytes of one record. */
export function tfRecord(data: Uint8Array): Buffer {
  const record = Buffer.alloc(8 + 4 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return record;
}

function maskedCrc(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function event(step: number): ProtobufMessage {
  return new ProtobufMessage().double(kEvent.wallTime, Date.now() / 1000).integer(kEvent.step, step);
}

function tagged(tag: string): ProtobufMessage {
  if (!tag) invalidArgument('tag', 'a name', tag);
  return new ProtobufMessage().text(kValue.tag, tag);
}

function checkStep(step: number): void {
  if (!Number.isSafeInteger(step) || step < 0) invalidArgument('step', 'an integer of at least 0', step);
}

function histogramMessage(tag: string, values: ArrayLike<number>): ProtobufMessage {
  if (values.length === 0) invalidArgument(tag, 'at least one value', values);
  let [min, max, sum, sumSquares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) invalidArgument(`${tag}[${i}]`, 'a finite number', value);
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    sumSquares += value * value;
  }
  const buckets = max > min ? kHistogramBuckets : 1;
  const counts = new Array<number>(buckets).fill(0);
  const scale = max > min ? buckets / (max - min) : 0;
  for (let i = 0; i < values.length; i++)
    counts[Math.min(buckets - 1, Math.floor((values[i]! - min) * scale))]! += 1;
  const limits = counts.map((_, i) => (i === buckets - 1 ? max : min + (i + 1) / scale));
  return new ProtobufMessage()
    .double(kHistogram.min, min)
    .double(kHistogram.max, max)
    .double(kHistogram.num, values.length)
    .double(kHistogram.sum, sum)
    .double(kHistogram.sumSquares, sumSquares)
    .doubles(kHistogram.bucketLimit, limits)
    .doubles(kHistogram.bucket, counts);
}
