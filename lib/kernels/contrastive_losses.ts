/** The published contrastive losses by name: settings of infoNCE, with the papers' defaults. */
import { invalidArgument } from '../errors.js';
import {
  type AsyncOptions,
  type InfoNCEOptions,
  type InfoNCEResult,
  infoNCE,
  infoNCESync,
  type Vectors,
} from './contrastive.js';

/** What the named losses leave open. */
export interface LossOptions
  extends Pick<
    InfoNCEOptions,
    | 'dim'
    | 'scale'
    | 'bias'
    | 'ids'
    | 'threshold'
    | 'negativeLogWeight'
    | 'rowWeight'
    | 'columnWeight'
    | 'reduction'
    | 'gradients'
    | 'gradLoss'
    | 'check'
    | 'cosine'
  > {
  /** 1 / scale, where that is the habit; not beside `scale`. */
  readonly temperature?: number | undefined;
  /** Decoupled contrastive learning: the positives leave the denominator (Yeh et al. 2022). */
  readonly decoupled?: boolean | undefined;
}

/** Of a loss between the rows of one matrix z [N, D]: one gradient, of both its roles. */
export interface SelfResult extends Omit<InfoNCEResult, 'dq' | 'dk'> {
  /** [N, D] */
  readonly dz?: Float32Array;
}

interface Call {
  readonly q: Vectors;
  readonly k: Vectors;
  readonly options: InfoNCEOptions;
}

/** Symmetric InfoNCE between paired rows (Radford et al. 2021): cosine, scale 1 / 0.07, rows and columns. */
export function clipLossSync(q: Vectors, k: Vectors, options: LossOptions): InfoNCEResult {
  return runSync(clipCall(q, k, options));
}
export function clipLoss(
  q: Vectors,
  k: Vectors,
  options: LossOptions & AsyncOptions,
): Promise<InfoNCEResult> {
  return run(() => clipCall(q, k, options), options);
}

/**
 * NT-Xent of SimCLR (Chen et al. 2020): rows i and i + N/2 of z are views of one example; each row's denominator is all
 * rows but itself. Cosine, temperature 0.5.
 */
export function ntXentSync(z: Vectors, options: LossOptions): SelfResult {
  return selfResult(runSync(ntXentCall(z, options)));
}
export async function ntXent(z: Vectors, options: LossOptions & AsyncOptions): Promise<SelfResult> {
  return selfResult(await run(() => ntXentCall(z, options), options));
}

/**
 * Supervised contrastive loss, L_out (Khosla et al. 2020): positives of a row are the other rows of its label (negative:
 * no label), their mean taken outside the logarithm. Cosine, temperature 0.1.
 */
export function supConSync(z: Vectors, labels: Int32Array, options: LossOptions): SelfResult {
  return selfResult(runSync(supConCall(z, labels, options)));
}
export async function supCon(
  z: Vectors,
  labels: Int32Array,
  options: LossOptions & AsyncOptions,
): Promise<SelfResult> {
  return selfResult(await run(() => supConCall(z, labels, options), options));
}

/**
 * MoCo (He et al. 2020): row i against its own key k_i and the queue. Cosine, temperature 0.07; gradients to q and the
 * scale unless asked otherwise.
 */
export function mocoSync(q: Vectors, k: Vectors, queue: Vectors, options: LossOptions): InfoNCEResult {
  return runSync(mocoCall(q, k, queue, options));
}
export function moco(
  q: Vectors,
  k: Vectors,
  queue: Vectors,
  options: LossOptions & AsyncOptions,
): Promise<InfoNCEResult> {
  return run(() => mocoCall(q, k, queue, options), options);
}

export interface AmdimOptions extends LossOptions {
  /** Consecutive rows of q that belong to one image. Default 1. */
  readonly queryLocations?: number | undefined;
  /** Consecutive rows of k that belong to one image. Default: rows of k by images of q. */
  readonly keyLocations?: number | undefined;
  /** Default 20. */
  readonly clip?: number | undefined;
  /** Default 0.05. */
  readonly regularizer?: number | undefined;
}

/**
 * AMDIM (Bachman et al. 2019): each location of a row's own image alone against all locations of other images; scores
 * scaled by 1 / sqrt(D), squared into the regulariser, then clipped by 20 tanh(s / 20).
 */
export function amdimSync(q: Vectors, k: Vectors, options: AmdimOptions): InfoNCEResult {
  return runSync(amdimCall(q, k, options));
}
export function amdim(q: Vectors, k: Vectors, options: AmdimOptions & AsyncOptions): Promise<InfoNCEResult> {
  return run(() => amdimCall(q, k, options), options);
}

/** SigLIP (Zhai et al. 2023): pairwise sigmoid loss, summed over columns, mean over rows. Cosine, scale 10, bias -10. */
export function sigLIPSync(q: Vectors, k: Vectors, options: LossOptions): InfoNCEResult {
  return runSync(sigLIPCall(q, k, options));
}
export function sigLIP(q: Vectors, k: Vectors, options: LossOptions & AsyncOptions): Promise<InfoNCEResult> {
  return run(() => sigLIPCall(q, k, options), options);
}

function runSync(call: Call): InfoNCEResult {
  return infoNCESync(call.q, call.k, call.options);
}

// `make` runs inside the promise, so that wrong arguments reject it.
async function run(make: () => Call, given: AsyncOptions): Promise<InfoNCEResult> {
  const { q, k, options } = make();
  return infoNCE(q, k, { ...options, signal: given.signal });
}

function settings(options: LossOptions, scale: number): InfoNCEOptions {
  if (typeof options !== 'object' || options === null) invalidArgument('options', 'an object', options);
  const { temperature, decoupled, ...rest } = options;
  if (temperature !== undefined) {
    if (!(temperature > 0 && Number.isFinite(temperature)))
      invalidArgument('temperature', 'a positive number', temperature);
    if (rest.scale !== undefined) invalidArgument('temperature', 'none beside scale', temperature);
  }
  return {
    cosine: true,
    ...rest,
    scale: temperature === undefined ? (rest.scale ?? scale) : 1 / temperature,
    denominator: decoupled ? 'negatives' : 'all',
  };
}

function rowsOf(name: string, data: Vectors, dim: number): number {
  if (!(data instanceof Float32Array) && !(data instanceof Uint16Array))
    invalidArgument(name, 'a Float32Array, or a Uint16Array of bfloat16', data);
  if (!Number.isInteger(dim) || dim < 1) invalidArgument('dim', 'a positive integer', dim);
  if (data.length === 0 || data.length % dim !== 0)
    invalidArgument(name, `a positive multiple of dim (${dim}) elements`, data);
  return data.length / dim;
}

function clipCall(q: Vectors, k: Vectors, options: LossOptions): Call {
  return { q, k, options: { ...settings(options, 1 / 0.07), symmetric: true } };
}

// dz needs both of z's roles.
function bothRoles(options: LossOptions): LossOptions {
  const { gradients } = options ?? {};
  if (!Array.isArray(gradients) || !(gradients.includes('q') || gradients.includes('k'))) return options;
  return { ...options, gradients: [...gradients, 'q', 'k'] };
}

function ntXentCall(z: Vectors, options: LossOptions): Call {
  const chosen = settings(bothRoles(options), 2);
  const rows = rowsOf('z', z, chosen.dim);
  if (rows % 2 !== 0) invalidArgument('z', 'an even number of rows, two views an example', rows);
  const positive = Int32Array.from({ length: rows }, (_, i) => (i + rows / 2) % rows);
  return { q: z, k: z, options: { ...chosen, positive, excludeDiagonal: true } };
}

function supConCall(z: Vectors, labels: Int32Array, options: LossOptions): Call {
  const chosen = settings(bothRoles(options), 10);
  const rows = rowsOf('z', z, chosen.dim);
  if (!(labels instanceof Int32Array) || labels.length !== rows)
    invalidArgument('labels', `an Int32Array of ${rows} elements`, labels);
  return {
    q: z,
    k: z,
    options: { ...chosen, groups: { rows: labels, columns: labels }, excludeDiagonal: true },
  };
}

function mocoCall(q: Vectors, k: Vectors, queue: Vectors, options: LossOptions): Call {
  return {
    q,
    k,
    options: { gradients: ['q', 'scale'], ...settings(options, 1 / 0.07), queue, ownKey: true },
  };
}

function amdimCall(q: Vectors, k: Vectors, options: AmdimOptions): Call {
  const { queryLocations = 1, keyLocations, ...rest } = options ?? {};
  const chosen = settings({ cosine: false, ...rest }, 1 / Math.sqrt(rest.dim));
  const queries = rowsOf('q', q, chosen.dim);
  const keys = rowsOf('k', k, chosen.dim);
  if (!Number.isInteger(queryLocations) || queryLocations < 1 || queries % queryLocations !== 0)
    invalidArgument('queryLocations', `a divisor of the ${queries} rows of q`, queryLocations);
  const images = queries / queryLocations;
  const perImage = keyLocations ?? keys / images;
  if (!Number.isInteger(perImage) || perImage * images !== keys)
    invalidArgument('keyLocations', `${keys} rows of k by ${images} images`, perImage);
  const groups = {
    rows: Int32Array.from({ length: queries }, (_, i) => Math.floor(i / queryLocations)),
    columns: Int32Array.from({ length: keys }, (_, j) => Math.floor(j / perImage)),
  };
  return {
    q,
    k,
    options: { clip: 20, regularizer: 0.05, ...chosen, groups, denominator: 'each' },
  };
}

function sigLIPCall(q: Vectors, k: Vectors, options: LossOptions): Call {
  return { q, k, options: { bias: -10, ...settings(options, 10), denominator: 'sigmoid' } };
}

function selfResult(result: InfoNCEResult): SelfResult {
  const { dq, dk, ...rest } = result;
  if (!dq || !dk) return rest;
  const dz = dq;
  for (let i = 0; i < dz.length; ++i) dz[i]! += dk[i]!;
  return { ...rest, dz };
}
