/** What `bince eval` measured, as a table with a line of explanation for each number. */
import { textTable } from '../report/index.js';
import type { Evaluation } from '../systems/lossless-prediction/index.js';
import { bytes, count, duration, significant } from './terminal.js';

type Row = readonly [measure: string, value: string, meaning: string];

export function evaluationTable(evaluation: Evaluation): string {
  const { system, data, examples, seconds } = evaluation;
  const rows = [...sizes(evaluation), ...quality(evaluation), ...invariance(evaluation)];
  const columns = [{ title: 'measure' }, { title: 'value', align: 'right' as const }];
  const meaning = { title: 'meaning', align: 'left' as const };
  return [
    `${system} on ${data}, ${count(examples)} test examples (${duration(seconds)})`,
    '',
    textTable({ columns: [...columns, meaning], rows }),
  ].join('\n');
}

function sizes(evaluation: Evaluation): Row[] {
  const { rawBits, pngBits, webpBits, modelBits, fileBits, fileBytes, distinctCodes } = evaluation;
  const bits = (name: string, value: number | undefined, meaning: string): Row[] =>
    value === undefined ? [] : [[`${name}, bits`, significant(value), meaning]];
  return [
    ...bits('raw', rawBits, 'an example as it is'),
    ...bits('PNG', pngBits, 'a file an image, the smallest of six filterings'),
    ...bits('WebP', webpBits, 'a file an image, lossless'),
    ...bits('model', modelBits, 'cross-entropy of its code under the model'),
    ...bits('file', fileBits, `the .bince file of all, ${bytes(fileBytes)}, shared out`),
    ['distinct codes', count(distinctCodes), 'of all test examples'],
  ];
}

function quality(evaluation: Evaluation): Row[] {
  const { distortion, meanSquaredError, linearProbe, mlpProbe } = evaluation;
  const { reconstructionAccuracy, excessBayesRisk } = evaluation;
  const number = (name: string, value: number | undefined, meaning: string): Row[] =>
    value === undefined ? [] : [[name, significant(value), meaning]];
  const share = (name: string, value: number | undefined, meaning: string): Row[] =>
    value === undefined ? [] : [[name, `${(100 * value).toFixed(2)}%`, meaning]];
  return [
    ...number('distortion', distortion, 'as the training measures it'),
    ...number('mean squared error', meanSquaredError, 'of a value of the reconstruction'),
    ...share('linear probe', linearProbe, 'accuracy of a linear classifier on the codes'),
    ...share('MLP probe', mlpProbe, 'accuracy of an MLP on the codes'),
    ...share('from reconstruction', reconstructionAccuracy, 'accuracy of a CNN on what is decoded'),
    ...share('excess Bayes risk', excessBayesRisk, 'share a code with an example of another label'),
  ];
}

function invariance({ rateInvariance }: Evaluation): Row[] {
  if (!rateInvariance) return [];
  const { kind, entropy, bound, bitsAbove, squaredError } = rateInvariance;
  const error = squaredError === undefined ? '' : ` at the squared error ${significant(squaredError)}`;
  const name = kind === 'discrete' ? 'entropy of M, bits' : 'differential entropy of M, bits';
  return [
    [name, significant(entropy), 'of the maximal invariant'],
    ['least rate, bits', significant(bound), `that invariant tasks need${error}`],
    ['above it, bits', significant(bitsAbove), 'what the rate could still lose'],
  ];
}
