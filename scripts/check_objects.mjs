// What the built objects must not contain: weak symbols in SIMD files (the linker could keep their copy of a common
// template and run it on a machine without the instructions), system libraries beyond the C and C++ run time, and
// symbol versions newer than the oldest system that is promised.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { has, root, run } from './steps.mjs';

const kGlibcFloor = [2, 34];
const kAllowed = /^(libstdc\+\+|libm|libgcc_s|libpthread|libdl|libc|ld-linux-x86-64|ld-linux-aarch64)\.so/;

function* objects(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (/_(avx2|avx512|avx512_vnni|neon)\.cc\.o$/.test(entry.name)) yield join(entry.parentPath, entry.name);
  }
}

/** In the SIMD files of a build; `prefix` names the binutils of another processor. */
export async function checkNoWeakSymbols(tally, folder, prefix = '') {
  for (const object of objects(folder)) {
    const { output } = await run(`${prefix}nm`, ['-C', object]);
    const weak = output.split('\n').filter((line) => / [VWu] /.test(line));
    tally.check(`no weak symbols in ${object.split('/').pop()}`, weak.length === 0, weak.join('\n'));
  }
}

/** The names that a shared object shows. */
export async function exportedNames(path, prefix = '') {
  const { output } = await run(`${prefix}nm`, ['-D', '--defined-only', path]);
  const lines = output.split('\n').filter(Boolean);
  return lines.map((line) => line.split(' ').pop()).sort();
}

/** The libraries that a file needs beyond the C and C++ run time; a file that cannot be read needs itself. */
export async function foreignLibraries(path, prefix = '') {
  const { output } = await run(`${prefix}objdump`, ['-p', path]);
  const needed = [...output.matchAll(/NEEDED\s+(\S+)/g)].map((match) => match[1]);
  return needed.length ? needed.filter((name) => !kAllowed.test(name)) : [path];
}

/** What a built addon needs of the system that loads it. */
export async function checkAddonNeeds(tally, addon, prefix = '') {
  const foreign = await foreignLibraries(addon, prefix);
  tally.check('the addon needs the C and C++ run time alone', !foreign.length, foreign.join('\n'));
  const { output } = await run(`${prefix}objdump`, ['-p', addon]);
  const tooNew = [...output.matchAll(/GLIBC_(\d+)\.(\d+)/g)].filter(
    ([, major, minor]) => Number(major) * 1000 + Number(minor) > kGlibcFloor[0] * 1000 + kGlibcFloor[1],
  );
  tally.check(
    `the addon runs on glibc ${kGlibcFloor.join('.')}`,
    !tooNew.length,
    tooNew.map(String).join('\n'),
  );
}

export async function checkObjects(tally) {
  if (!has('nm') || !has('objdump')) return tally.skip('object files', 'binutils are not installed');
  await checkNoWeakSymbols(tally, `${root}build-native`);
  await checkAddonNeeds(tally, `${root}build/Release/bince.node`);
}
