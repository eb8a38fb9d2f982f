// Puts the built addon where node-gyp-build finds it in the published package: prebuilds/<platform>-<arch>/.
//   node scripts/prebuild.mjs [--cuda [FILE]]
//   node scripts/prebuild.mjs --arch arm64      what build_native.mjs --arch arm64 has built
// With --cuda the CUDA library too, where the addon looks for it; FILE is build/Release/libbince_cuda.so unless given.
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { root } from './steps.mjs';

const archAt = process.argv.indexOf('--arch');
const arch = archAt >= 0 ? process.argv[archAt + 1] : process.arch;
if (arch !== process.arch && arch !== 'arm64') {
  console.error(`error: --arch: expected arm64, received ${arch ?? 'nothing'}`);
  process.exit(2);
}
const crossed = arch !== process.arch;
const folder = `${root}prebuilds/${process.platform}-${arch}`;
const ownLibc = process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
const libc = crossed ? 'glibc' : ownLibc; // the toolchain's
const cudaAt = process.argv.indexOf('--cuda');
if (crossed && cudaAt >= 0) {
  console.error('error: --cuda: the CUDA library is built for this machine, not for another');
  process.exit(2);
}

function add(from, name, hint) {
  if (!existsSync(from)) {
    console.error(`error: ${from} is not there\nhint: ${hint}`);
    process.exit(1);
  }
  mkdirSync(folder, { recursive: true });
  copyFileSync(from, `${folder}/${name}`);
  console.log(`${folder}/${name}: ${(statSync(from).size / 1e6).toFixed(1)} MB`);
}

const built = crossed ? `build/${arch}/Release/bince.node` : 'build/Release/bince.node';
const hint = crossed
  ? `build it with: node scripts/build_native.mjs --arch ${arch}`
  : 'build it with: npm run build';
add(`${root}${built}`, `bince.napi.${libc}.node`, hint);
const library = 'libbince_cuda.so';
if (cudaAt >= 0) {
  const from = process.argv[cudaAt + 1] ?? `${root}build/Release/${library}`;
  add(from, library, 'build it with: npm run build -- --cuda');
} else {
  rmSync(`${folder}/${library}`, { force: true }); // one of an earlier release would be packed
}
