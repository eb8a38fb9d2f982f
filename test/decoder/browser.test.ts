import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, Script } from 'node:vm';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import type * as Decoder from '../../lib/decoder/index.js';
import { random, randomSymbols, randomTables } from '../codec/random_files.js';
import { encodeFile } from '../codec/reference_encoder.js';

const kRoot = join(dirname(fileURLToPath(import.meta.url)), '../..');
const kEntry = join(kRoot, 'lib/decoder/index.ts');

/** The modules that a file imports at run time. */
function imports(path: string): string[] {
  const { outputText } = transpile(path, ts.ModuleKind.ESNext);
  return ts.preProcessFile(outputText).importedFiles.map(({ fileName }) => fileName);
}

function transpile(path: string, module: ts.ModuleKind): ts.TranspileOutput {
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module,
    verbatimModuleSyntax: module === ts.ModuleKind.ESNext,
  };
  return ts.transpileModule(readFileSync(path, 'utf8'), { compilerOptions });
}

function resolve(from: string, name: string): string {
  return join(dirname(from), name.replace(/\.js$/, '.ts'));
}

/** Every file that the decoder is made of. */
function decoderFiles(): string[] {
  const files = [kEntry];
  for (const file of files) {
    for (const name of imports(file)) {
      expect(name, `${file} imports ${name}`).toMatch(/^\.\.?\//);
      const path = resolve(file, name);
      if (!files.includes(path)) files.push(path);
    }
  }
  return files;
}

describe('the decoder in a browser', () => {
  it('imports nothing but its own files and the errors', () => {
    const outside = decoderFiles()
      .map((file) => relative(kRoot, file))
      .filter((file) => !file.startsWith('lib/decoder/'));
    expect(outside).toEqual(['lib/errors.ts']);
  });

  it("type-checks against a browser's library alone", () => {
    const program = ts.createProgram([kEntry], {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
      types: [],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    });
    const messages = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    expect(messages).toEqual([]);
  });

  it('runs where there is no process, no Buffer and no require', async () => {
    const context = createContext({ TextDecoder });
    const modules = new Map<string, object>();
    const load = (path: string): object => {
      const known = modules.get(path);
      if (known) return known;
      const exports = {};
      modules.set(path, exports);
      const { outputText } = transpile(path, ts.ModuleKind.CommonJS);
      const wrapped = new Script(`(function (exports, require) {${outputText}\n})`).runInContext(context);
      wrapped(exports, (name: string) => load(resolve(path, name)));
      return exports;
    };
    const { BinceFile, decodeFile } = load(kEntry) as typeof Decoder;
    const tables = randomTables(random(1), 3, 9);
    const format = { tables, channels: 3, blockRows: 8, lanes: 4, coder: 'rans' as const, dtype: 0 };
    const symbols = randomSymbols(random(2), format, 21);
    const bytes = encodeFile(format, [symbols]);
    // The context has array classes of its own.
    const inside = new Script('(bytes) => Uint8Array.from(bytes)').runInContext(context)(bytes) as Uint8Array;
    expect(Array.from(decodeFile(inside).data)).toEqual(Array.from(symbols));
    const blob = {
      size: bytes.length,
      slice: (begin: number, end: number) => new Blob([bytes.slice(begin, end)]),
    };
    const file = await BinceFile.open(blob);
    expect(Array.from(await file.rows(5, 20))).toEqual(Array.from(symbols.subarray(15, 60)));
  });
});
