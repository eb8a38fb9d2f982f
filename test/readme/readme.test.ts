/**
 * README.md is true: every TypeScript block and every line of the commands runs, in a temporary folder that has bince
 * installed (a link to the checkout) and embeddings.npy and other-views.npy in it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { finished } from '../cli/run_cli.js';
import { normalRows, temporaryFolder, writeNpy } from '../data/files.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join(root, 'dist/cli/main.js');

interface Block {
  readonly language: string;
  readonly heading: string;
  readonly line: number;
  readonly text: string;
}

/** The fenced blocks of a Markdown text, with the heading that each stands under. */
function codeBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  let open: { language: string; line: number; text: string[] } | undefined;
  for (const [i, line] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (open && fence) {
      blocks.push({ ...open, heading, text: open.text.join('\n') });
      open = undefined;
    } else if (open) open.text.push(line);
    else if (fence) open = { language: fence[1]!, line: i + 1, text: [] };
    else heading = /^#+ +(.*)/.exec(line)?.[1] ?? heading;
  }
  return blocks;
}

/** Words of a simple command line: quotes group, comments end it. */
function words(line: string): string[] {
  const found = line.replace(/(^|\s)#.*$/, '').matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g);
  return [...found].map(([, double, single, plain]) => double ?? single ?? plain ?? '');
}

const markdown = readFileSync(join(root, 'README.md'), 'utf8');
const readme = codeBlocks(markdown);
const scripts = readme.filter(({ language }) => language === 'ts');
const commands = readme
  .filter(({ language, heading }) => language === 'sh' && heading === 'Commands')
  .flatMap(({ text }) => text.split('\n'))
  .map((line) => words(line.replace(/^(\$ )?(npx )?/, '')))
  .filter(([program]) => program === 'bince');

/** A folder as a reader of README.md would have it. */
function readersFolder(): string {
  const folder = temporaryFolder();
  writeNpy(join(folder, 'embeddings.npy'), normalRows(2000 * 64, 21), 64);
  writeNpy(join(folder, 'other-views.npy'), normalRows(2000 * 64, 22), 64);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/bince'), 'dir');
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  return folder;
}

function runNode(folder: string, args: string[]) {
  const env = { ...process.env, NO_COLOR: '1' };
  return finished(spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

describe('README.md', () => {
  it('closes every block', () => {
    expect(readme.every(({ text }) => !text.includes('```'))).toBe(true);
    expect((markdown.match(/^```/gm) ?? []).length).toBe(2 * readme.length);
  });

  const folder = readersFolder();

  // These need what a test has not: the data of the demo, a compiler.
  const untested = ['demo', 'build'];

  it.each(commands.map((command) => [command.join(' '), command] as const))('%s', async (_, command) => {
    const [, name = '', ...args] = command;
    const asked = untested.includes(name) ? [name, '--help'] : [name, ...args];
    const { code, stderr } = await runNode(folder, [main, ...asked]);
    expect(stderr).not.toContain('error:');
    expect(code).toBe(0);
  });

  it.each(scripts.map(({ line, text }) => [line, text] as const))(
    'TypeScript of line %i',
    async (line, text) => {
      const file = join(folder, `line${line}.js`);
      writeFileSync(file, text);
      const { code, stderr } = await runNode(folder, [file]);
      expect(stderr).toBe('');
      expect(code).toBe(0);
    },
  );
});

describe('the reading of Markdown', () => {
  it('finds blocks and their headings', () => {
    const blocks = codeBlocks('# A\n```ts\nx\n# no heading\n```\n## B c\ntext\n```sh\ny\n```\n');
    expect(blocks).toEqual([
      { language: 'ts', heading: 'A', line: 2, text: 'x\n# no heading' },
      { language: 'sh', heading: 'B c', line: 8, text: 'y' },
    ]);
  });

  it('splits command lines', () => {
    expect(words('bince fit "a b.npy" -o m  # a comment')).toEqual(['bince', 'fit', 'a b.npy', '-o', 'm']);
  });
});
