import { type FileHandle, open, stat } from 'node:fs/promises';
import { BinceError } from '../errors.js';
import { readFvecsLayout } from './fvecs_reader.js';
import { readNpyLayout } from './npy_reader.js';
import { type RowLayout, readFully, VectorFile } from './row_file.js';
import { readSafetensorsLayout } from './safetensors_reader.js';

export interface OpenVectorsOptions {
  /** Which tensor of a .safetensors file; needed when it holds more than one matrix. */
  readonly tensor?: string | undefined;
}

/**
 * Opens a matrix of floats, one vector a row: .npy (f4, f2, f8), .safetensors or .fvecs, told apart by magic number
 * or extension. Only the header is read; the rows come in batches. Throws a BinceError that says what to do when
 * the file is missing, damaged, empty or of another type.
 */
export async function openVectors(path: string, options: OpenVectorsOptions = {}): Promise<VectorFile> {
  const bytes = await fileBytes(path);
  const file = await open(path, 'r').catch((cause: unknown) => cannotOpen(path, cause));
  try {
    return new VectorFile(path, file, await readLayout(file, bytes, path, options.tensor));
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The size of an ordinary file. Looks before opening: opening a pipe would wait for its writer. */
async function fileBytes(path: string): Promise<number> {
  const found = await stat(path).catch((cause: unknown) => cannotOpen(path, cause));
  if (found.isFile()) return found.size;
  if (found.isDirectory()) {
    throw new BinceError('BINCE_IO', `${path}: is a folder, expected a file of vectors`, {
      hint: 'name the file in it: .npy, .safetensors or .fvecs',
    });
  }
  throw new BinceError('BINCE_UNSUPPORTED', `${path}: is no ordinary file`, {
    hint: 'vectors are read by position; save the pipe to a file first',
  });
}

function cannotOpen(path: string, cause: unknown): never {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') {
    throw new BinceError('BINCE_NOT_FOUND', `${path}: no such file`, {
      hint: 'check the name and the folder you are in',
      cause,
    });
  }
  throw new BinceError('BINCE_IO', `${path}: cannot be opened (${code ?? String(cause)})`, { cause });
}

async function readLayout(
  file: FileHandle,
  bytes: number,
  path: string,
  tensor: string | undefined,
): Promise<RowLayout> {
  const magic = new Uint8Array(6);
  if (bytes >= 6) await readFully(file, magic, 0, path);
  const isNpy = new TextDecoder('latin1').decode(magic) === '\u0093NUMPY' || magic[0] === 0x93;
  if (tensor !== undefined && !path.endsWith('.safetensors')) {
    throw new BinceError('BINCE_USAGE', `${path}: --tensor is for .safetensors files`);
  }
  if (isNpy) return readNpyLayout(file, bytes, path);
  if (path.endsWith('.safetensors')) return readSafetensorsLayout(path, tensor);
  if (path.endsWith('.fvecs')) return readFvecsLayout(file, bytes, path);
  if (path.endsWith('.npy')) {
    throw new BinceError('BINCE_CORRUPT_DATA', `${path}: does not begin as a .npy file does`, {
      hint: bytes === 0 ? 'the file is empty; write it again with numpy.save' : 'write it with numpy.save',
    });
  }
  throw new BinceError('BINCE_UNSUPPORTED', `${path}: not a file of vectors that is known here`, {
    hint: 'known are .npy (float32, float16), .safetensors and .fvecs; for example np.save("x.npy", x.astype(np.float32))',
  });
}
