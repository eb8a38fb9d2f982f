// Puts the built addon where node-gyp-build finds it in the published package: prebuilds/<platform>-<arch>/.
import { copyFileSync, mkdirSync } from 'node:fs';
import { root } from './steps.mjs';

const folder = `${root}prebuilds/${process.platform}-${process.arch}`;
const libc = process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
mkdirSync(folder, { recursive: true });
copyFileSync(`${root}build/Release/bince.node`, `${folder}/bince.napi.${libc}.node`);
console.log(`${folder}/bince.napi.${libc}.node`);
