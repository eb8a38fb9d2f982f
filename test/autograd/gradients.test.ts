import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, describe as group, it } from 'vitest';
import * as bince from '../../lib/index.js';
import { describe } from '../../lib/kernels/index.js';
import { gradientCases } from './gradient_cases.mjs';

group('gradients against differences', () => {
  for (const { name, inputs, fn, options } of gradientCases(bince))
    it(name, () => {
      const { checked } = bince.gradientCheck(fn, inputs, options);
      expect(checked).toBeGreaterThan(0);
    });
});

group('gradients on every backend of this machine', () => {
  const script = fileURLToPath(new URL('./all_gradients.mjs', import.meta.url));
  for (const backend of describe().backends)
    it(backend, () => {
      const env = { ...process.env, BINCE_BACKEND: backend };
      const output = execFileSync(process.execPath, [script], { encoding: 'utf8', env });
      const result = JSON.parse(output.trim().split('\n').at(-1)!);
      expect(result.failures).toEqual([]);
      expect(result.backend).toBe(backend);
      expect(result.checked).toBeGreaterThan(1000);
    });
});
