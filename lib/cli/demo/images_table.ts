/** The demo's result as a table with a line of explanation for each column. */
import { textTable } from '../../report/table.js';
import type { PixelNumbers } from '../../systems/lossless-prediction/index.js';
import { bytes, count, duration } from '../terminal.js';

/** A trained compressor, measured on the augmented test images. */
export interface TrainedRow {
  readonly system: 'vc' | 'vic' | 'bince';
  /** Test images in its file. */
  readonly examples: number;
  readonly modelBits: number;
  readonly fileBits: number;
  readonly fileBytes: number;
  readonly linearProbe: number;
  readonly trainSeconds: number;
}

export interface ImagesResult {
  readonly pixels: PixelNumbers;
  readonly systems: readonly TrainedRow[];
  readonly quick: boolean;
  readonly seconds: number;
  /** The folder in which everything was kept. */
  readonly out?: string;
}

const kNames = {
  vc: 'VC, reconstructs',
  vic: 'VIC, reconstructs without the augmentation',
  bince: 'BINCE, contrastive',
} as const;
const kColumns = ['', 'bits an image', 'of raw', 'model bits', 'linear probe'];

export function imagesTable(result: ImagesResult): string {
  const { pixels, systems, quick, seconds, out } = result;
  const rows = [...pixelRows(pixels), ...systems.map((row) => trainedRow(row, pixels.rawBits))];
  const last = rows.length - 1;
  return [
    '',
    `${count(systems[0]!.examples)} MNIST test images, augmented (turned, moved, sheared, scaled at random) as the training images are.`,
    '',
    textTable({ columns: kColumns, rows }, { style: (row) => (row === last ? 'green' : undefined) }),
    '',
    ...kExplanations,
    '',
    conclusion(result),
    ...(quick
      ? ['With --quick nothing is trained for long: these figures show that it works, no more.']
      : []),
    `The demo took ${duration(seconds)}; ${systems.map((row) => `${row.system} trained ${duration(row.trainSeconds)}`).join(', ')}.`,
    ...(out === undefined
      ? ['Nothing is kept: bince demo --out FOLDER keeps runs, files and plots.']
      : [`Kept in ${out}: a run folder of each with its test.bince, and plots/.`]),
  ].join('\n');
}

const percent = (share: number, digits: number) => `${(100 * share).toFixed(digits)}%`;

function pixelRows({ rawBits, pngBits, webpBits, linearProbe }: PixelNumbers): string[][] {
  const accuracy = linearProbe === undefined ? '-' : percent(linearProbe, 2);
  const row = (name: string, bits: number | undefined, otherwise: string) => [
    ...[name, bits === undefined ? otherwise : bits.toFixed(1)],
    ...[bits === undefined ? '-' : percent(bits / rawBits, 1), '-', accuracy],
  ];
  return [
    row('raw, 8 bits a pixel', rawBits, '-'),
    row('PNG, a file an image', pngBits, '-'),
    row('WebP lossless, a file an image', webpBits, 'npm i sharp'),
  ];
}

function trainedRow({ system, fileBits, modelBits, linearProbe }: TrainedRow, rawBits: number): string[] {
  return [
    ...[kNames[system], fileBits.toFixed(1), percent(fileBits / rawBits, 1)],
    ...[modelBits.toFixed(1), percent(linearProbe, 2)],
  ];
}

const kExplanations = [
  'bits an image  8 x the bytes of the file / images: of the whole .bince file, header and tables included.',
  'model bits     the cross-entropy of the codes under the trained model: what an ideal coder would write.',
  'linear probe   share of the test images that a linear classifier gets right. For the trained rows it sees what',
  '               is read back from the file, and has learned on codes of augmented training images; for raw, PNG',
  '               and WebP it sees the pixels, which hold everything, but not in a form that it can use.',
  'VIC and BINCE  see an image only after its pose is normalised from its own moments (place, size, stretch). This',
  '               is a part of their encoders and knows no labels; VC has to reconstruct the pose and has none of it.',
];

function conclusion({ pixels, systems }: ImagesResult): string {
  const bince = systems.at(-1)!;
  const times = (bits: number) => (bits / bince.fileBits).toFixed(bits < 100 * bince.fileBits ? 1 : 0);
  const smallest = Math.min(
    pixels.pngBits ?? Number.POSITIVE_INFINITY,
    pixels.webpBits ?? Number.POSITIVE_INFINITY,
  );
  const lossless = Number.isFinite(smallest)
    ? `${times(smallest)} times fewer bits than the smallest lossless format and `
    : '';
  return `BINCE takes ${lossless}${times(pixels.rawBits)} times fewer than the pixels:\n${bytes(bince.fileBytes)} for all ${count(bince.examples)} images.`;
}
