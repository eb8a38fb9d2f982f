// Where the CUDA compiler is.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** nvcc by CUDACXX, on the PATH, or where NVIDIA's packages put it; undefined if there is none. */
export function findNvcc() {
  const folders = [process.env.CUDA_HOME, process.env.CUDA_PATH, '/usr/local/cuda'].filter(Boolean);
  const candidates = [process.env.CUDACXX, 'nvcc', ...folders.map((folder) => join(folder, 'bin/nvcc'))];
  return candidates.find(
    (command) => command && spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0,
  );
}
