// Formats or checks every C and C++ file.   node scripts/clang_format.mjs --write | --check
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './steps.mjs';

const files = ['native', 'test', 'bench', 'docs'].flatMap((folder) => {
  try {
    return readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.(cc|c|h|cu|cuh)$/.test(name))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
});
const mode = process.argv[2] === '--write' ? ['-i'] : ['--dry-run', '-Werror'];
const { status, output } = await run('clang-format', [...mode, ...files], { cwd: root });
process.stdout.write(output);
process.exitCode = status;
