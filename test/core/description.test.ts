import { expect, describe as group, it } from 'vitest';
import { describe } from '../../lib/kernels/index.js';

group('description', () => {
  it('names a backend that is among those that run here', () => {
    const description = describe();
    expect(description.backends).toContain(description.backend);
    expect(description.backends.at(-1)).toBe('ref');
    expect(description.threads).toBeGreaterThan(0);
  });
});
