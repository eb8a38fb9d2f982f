// Prints the native sources of one target (core, avx2, avx512, avx512_vnni, neon, addon) for binding.gyp, which has no
// globs. CMakeLists.txt picks them by the same suffixes.
import { readdirSync } from 'node:fs';

const kind = process.argv[2];
const cores = ['core', 'contrastive', 'entropy', 'coding', 'dense', 'tensor', 'augment'];
const folders = kind === 'addon' ? ['addon'] : cores;
const suffix = /_(avx2|avx512|avx512_vnni|neon)\.cc$/;
for (const folder of folders) {
  for (const name of readdirSync(new URL(`../native/${folder}/`, import.meta.url)).sort()) {
    if (!name.endsWith('.cc')) continue;
    const target = suffix.exec(name)?.[1] ?? 'core';
    if (kind === 'addon' || target === kind) console.log(`native/${folder}/${name}`);
  }
}
