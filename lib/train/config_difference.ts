/** How two configurations differ: the keys, and what each has. */

/** One key of nested objects (`optimizer.lr`) and its two values; undefined: it has none. */
export interface ConfigDifference {
  readonly key: string;
  readonly was: unknown;
  readonly is: unknown;
}

/** The keys in which two JSON values differ, in the order of the first and then of the second. */
export function configDifferences(was: unknown, is: unknown, prefix = ''): ConfigDifference[] {
  if (!isObject(was) || !isObject(is)) {
    return JSON.stringify(was) === JSON.stringify(is) ? [] : [{ key: prefix || 'config', was, is }];
  }
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((key) =>
    configDifferences(was[key], is[key], prefix ? `${prefix}.${key}` : key),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `lr was 0.001, is 0.01` for each difference, on one line. */
export function describeDifferences(differences: readonly ConfigDifference[]): string {
  const text = (value: unknown) => (value === undefined ? 'not set' : JSON.stringify(value));
  return differences.map(({ key, was, is }) => `${key} was ${text(was)}, is ${text(is)}`).join('; ');
}
