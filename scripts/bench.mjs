// `npm run bench`: every family beside its peers, alternately in one run; `npm run bench -- --help` tells more.
// Peers that are not installed are left out and named: Debian's python3-torch and libopenblas0-pthread,
// libhtscodecs-dev.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { targetText, verdict } from './bench_targets.mjs';
import { root } from './steps.mjs';

const names = readdirSync(`${root}bench`)
  .filter((name) => name.endsWith('.mjs'))
  .map((name) => name.slice(0, -4))
  .sort();

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    console.error(`error: ${error.message.split('. ')[0]}\nhint: see npm run bench -- --help`);
    process.exit(2);
  }
}

const { positionals: wanted, values } = readArguments();
const { quick, out } = values;
if (values.help) {
  console.log(`usage: npm run bench [-- NAME... [--quick] [--out FILE]]

Times families beside their peers and prints a table each; all of it takes half an hour.
NAME: ${names.join(', ')}

  --quick     small sizes, few rounds
  --out FILE  where the JSON goes; otherwise bench/results/DATE-PROCESSOR-THREADS.json`);
  process.exit(0);
}
const unknown = wanted.find((name) => !names.includes(name));
if (unknown) {
  console.error(`error: unknown benchmark '${unknown}'\nhint: there are ${names.join(', ')}`);
  process.exit(2);
}
const { describe } = await import('../dist/kernels/index.js').catch((error) => {
  console.error(`error: ${error.message}\nhint: npm run build`);
  process.exit(1);
});

const machine = {
  date: new Date().toISOString().slice(0, 10),
  cpu: cpus()[0]?.model ?? 'unknown',
  processors: cpus().length,
  kernel: release(),
  node: process.version,
  ...describe(),
};
console.log(
  `${machine.cpu}, ${machine.processors} processors, backend ${machine.backend}, ${machine.threads} threads\n`,
);

const number = (value) => {
  if (value === undefined || value === null) return '-';
  if (typeof value !== 'number') return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(4);
};
const spread = (side) => (side ? `${number(side.median)} (${number(side.min)}-${number(side.max)})` : '-');

function printTable(rows) {
  const table = [
    ['case', 'unit', 'bince', 'peer', 'peer is', 'ratio', 'target'],
    ...rows.map((r) => [
      r.case,
      r.unit,
      spread(r.ours),
      spread(r.peer),
      r.peer?.name ?? '-',
      number(r.ratio),
      r.target ? `${targetText(r)} ${verdict(r)}` : '-',
    ]),
  ];
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)));
  for (const row of table)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    );
  for (const row of rows) if (row.note) console.log(`  ${row.case}: ${row.note}`);
  console.log();
}

const results = {};
for (const name of wanted.length ? wanted : names) {
  const { default: bench } = await import(`../bench/${name}.mjs`);
  console.log(`${name}: median (least-most)`);
  results[name] = await bench({ quick, log: (text) => process.stderr.write(`  ${text}\n`) });
  printTable(results[name]);
}
const cpu = machine.cpu.replaceAll(/\W+/g, '-').replace(/-$/, '').toLowerCase();
const file = out ?? `${root}bench/results/${machine.date}-${cpu}-${machine.processors}.json`;
mkdirSync(`${root}bench/results`, { recursive: true });
writeFileSync(file, `${JSON.stringify({ machine, quick, results }, null, 1)}\n`);
console.log(file);
