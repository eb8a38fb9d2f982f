/** Folders of images, one sub-folder a class, decoded and brought to one size by sharp. */
import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';
import { type ImageDataset, imageDataset } from './dataset.js';
import { loadSharp, type Sharp } from './optional_package.js';

const kExtensions: ReadonlySet<string> = new Set('.png .jpg .jpeg .webp .avif .gif .tif .tiff'.split(' '));
const kMostBytes = 2 ** 31;
/** Images that are decoded at the same time. */
const kAtOnce = 8;

export interface ImageFolderOptions {
  /** Height and width of the results; by default those of the first image. */
  readonly size?: readonly [height: number, width: number] | undefined;
  /** 1 (grey) or 3; by default 1 where the first image is grey. */
  readonly channels?: 1 | 3 | undefined;
  readonly signal?: AbortSignal | undefined;
}

async function listFolder(folder: string) {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw fileError('read', folder, cause);
  });
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Reads `folder`/CLASS/IMAGE: classes are numbered by name, images come in the order of their names. */
export async function readImageFolder(
  folder: string,
  options: ImageFolderOptions = {},
): Promise<ImageDataset> {
  const classNames = (await listFolder(folder)).filter((e) => e.isDirectory()).map((e) => e.name);
  const files: { path: string; label: number }[] = [];
  for (const [label, name] of classNames.entries())
    for (const entry of await listFolder(join(folder, name)))
      if (!entry.isDirectory() && kExtensions.has(extname(entry.name).toLowerCase()))
        files.push({ path: join(folder, name, entry.name), label });
  if (files.length === 0) {
    throw new BinceError('BINCE_NOT_FOUND', `${folder}: no images in its sub-folders`, {
      hint: `expected ${join(folder, 'CLASS', 'IMAGE.png')}, or the files of MNIST's format`,
    });
  }
  const sharp = await loadSharp('a folder of images');
  const form = await formOf(sharp, files[0]!.path, options);
  const size = form.height * form.width * form.channels;
  if (files.length * size > kMostBytes) {
    throw new BinceError(
      'BINCE_UNSUPPORTED',
      `${folder}: ${files.length} images of ${size} bytes do not fit`,
      {
        hint: 'choose a smaller size',
      },
    );
  }
  const images = new Uint8Array(files.length * size);
  for (let from = 0; from < files.length; from += kAtOnce) {
    options.signal?.throwIfAborted();
    const group = files.slice(from, from + kAtOnce);
    const decoded = await Promise.all(group.map(({ path }) => decode(sharp, path, form)));
    for (const [i, pixels] of decoded.entries()) images.set(pixels, (from + i) * size);
  }
  const labels = files.map(({ label }) => label);
  return imageDataset({ name: folder, images, ...form, labels, classNames });
}

interface Form {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
}

async function formOf(sharp: Sharp, path: string, options: ImageFolderOptions): Promise<Form> {
  const { height, width, channels } = await sharp(path)
    .metadata()
    .catch((cause: unknown) => undecodable(path, cause));
  const [wantedHeight, wantedWidth] = options.size ?? [height, width];
  return {
    height: wantedHeight,
    width: wantedWidth,
    channels: options.channels ?? (channels <= 2 ? 1 : 3),
  };
}

function undecodable(path: string, cause: unknown): never {
  throw new BinceError(
    'BINCE_CORRUPT_DATA',
    `${path}: cannot be decoded (${cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause)})`,
    { hint: 'remove the file or save it again', cause },
  );
}

async function decode(sharp: Sharp, path: string, { height, width, channels }: Form): Promise<Uint8Array> {
  const image = sharp(path)
    .rotate() // as the camera's orientation says
    .resize(width, height, { fit: 'fill' })
    .flatten()
    .toColourspace(channels === 1 ? 'b-w' : 'srgb');
  const { data, info } = await image
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((cause: unknown) => undecodable(path, cause));
  if (data.length === height * width * channels) return data;
  return undecodable(path, new Error(`${info.width} x ${info.height} x ${info.channels} pixels came out`));
}
