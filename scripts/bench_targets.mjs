// What a benchmark's case must reach, and the table of it in bench/README.md.
//   node scripts/bench_targets.mjs FILE...      fills the table of bench/README.md from these JSON files of `npm run bench`
//
// A case may have target: { atLeast | atMost: number, of: 'ratio' | 'ours' }, of its ratio to the peer or of its own
// median.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { root } from './steps.mjs';

const figure = (x) => (Math.abs(x) >= 1000 ? x.toFixed(0) : String(Number(x.toPrecision(3))));

/** Targets of a case's own median, or of its ratio. */
export const atLeast = (bound, of = 'ours') => ({ atLeast: bound, of });
export const atMost = (bound, of = 'ours') => ({ atMost: bound, of });

/** The number that a case's target speaks of; undefined where there is no peer to compare with. */
function judgedValue({ target, ratio, ours }) {
  return target.of === 'ratio' ? ratio : ours.median;
}

/** 'met', 'MISSED', or why nobody knows. */
export function verdict(result) {
  const value = judgedValue(result);
  if (value === undefined) return 'no peer';
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = result.target;
  return value >= atLeast && value <= atMost ? 'met' : 'MISSED';
}

/** A target as tables have it, with its unit: ">= 3 x". */
export function targetText({ target, unit }) {
  const sign = target.atLeast === undefined ? '<=' : '>=';
  const bound = target.atLeast ?? target.atMost;
  return `${sign} ${figure(bound)} ${target.of === 'ratio' ? 'x' : unit}`;
}

/** Every case that has a target, with its figure. */
function tableOf(results) {
  const rows = Object.values(results)
    .flat()
    .filter((result) => result.target)
    .map((result) => {
      const value = judgedValue(result);
      const measured = value === undefined ? 'no peer' : figure(value);
      const unit = result.target.of === 'ratio' ? `x ${result.peer?.name ?? ''}` : result.unit;
      return `| ${result.case} | ${`${measured} ${unit}`.trim()} | ${targetText(result)} | ${verdict(result).replace('MISSED', '**missed**')} |`;
    });
  return ['| case | measured | target | |', '|---|---|---|---|', ...rows].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2);
  if (!files.length) {
    console.error('usage: node scripts/bench_targets.mjs FILE...');
    process.exit(2);
  }
  const results = Object.assign({}, ...files.map((file) => JSON.parse(readFileSync(file, 'utf8')).results));
  const readme = `${root}bench/README.md`;
  const [begin, end] = ['<!-- targets -->', '<!-- end of targets -->'];
  const text = readFileSync(readme, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) {
    console.error(`error: bench/README.md has no place between '${begin}' and '${end}'`);
    process.exit(1);
  }
  writeFileSync(readme, `${text.slice(0, from + begin.length)}\n${tableOf(results)}\n${text.slice(to)}`);
  console.log(
    `bench/README.md: ${
      Object.values(results)
        .flat()
        .filter((result) => result.target).length
    } targets`,
  );
}
