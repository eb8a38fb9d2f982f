/** Opens what a person named as a model; errors say how to get one. */
import { type CodecModel, loadModel } from '../codec/index.js';
import { BinceError } from '../errors.js';
import { checkInput } from './files.js';

export async function openModel(path: string): Promise<CodecModel> {
  await checkInput(path, 'a model, .safetensors');
  try {
    return await loadModel(path);
  } catch (error) {
    if (!(error instanceof BinceError) || error.hint) throw error;
    const hint = 'a model is a .safetensors file made by `bince fit` or `bince import`';
    throw new BinceError(error.code, error.message, { hint, cause: error });
  }
}
