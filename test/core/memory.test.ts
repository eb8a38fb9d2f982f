import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, describe as group, it } from 'vitest';

group('memory', () => {
  it('stays flat over ten thousand calls of every kind', { timeout: 300_000 }, () => {
    const script = fileURLToPath(new URL('./memory_loop.mjs', import.meta.url));
    const output = execFileSync(process.execPath, ['--expose-gc', script], { encoding: 'utf8' });
    const { before, after } = JSON.parse(output.trim().split('\n').at(-1)!) as {
      before: number;
      after: number;
    };
    // One leaked 16 KB result a call would show as 80 MB here.
    expect(after - before).toBeLessThan(16e6);
  });
});
