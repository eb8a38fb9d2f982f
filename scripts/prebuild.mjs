// Puts the built addon where node-gyp-build finds it in the published package: prebuilds/<platform>-<arch>/.
//   node scripts/prebuild.mjs [--cuda [FILE]]
// With --cuda the CUDA library too, where the addon looks for it; FILE is build/Release/libbince_cuda.so unless given.
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { root } from './steps.mjs';

const folder = `${root}prebuilds/${process.platform}-${process.arch}`;
const libc = process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
const cudaAt = process.argv.indexOf('--cuda');

function add(from, name, hint) {
  if (!existsSync(from)) {
    console.error(`error: ${from} is not there\nhint: ${hint}`);
    process.exit(1);
  }
  copyFileSync(from, `${folder}/${name}`);
  console.log(`${folder}/${name}: ${(statSync(from).size / 1e6).toFixed(1)} MB`);
}

mkdirSync(folder, { recursive: true });
add(`${root}build/Release/bince.node`, `bince.napi.${libc}.node`, 'build it with: npm run build');
const library = 'libbince_cuda.so';
if (cudaAt >= 0) {
  const from = process.argv[cudaAt + 1] ?? `${root}build/Release/${library}`;
  add(from, library, 'build it with: npm run build -- --cuda');
} else {
  rmSync(`${folder}/${library}`, { force: true }); // one of an earlier release would be packed
}
