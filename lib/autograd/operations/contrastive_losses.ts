/** The published contrastive losses by name: settings of infoNCE, with the papers' defaults. */
import { invalidArgument } from '../../errors.js';
import { describeShape, sameShape } from '../../tensor/shapes.js';
import type { Tensor } from '../../tensor/tensor.js';
import { checkPlacedTensor } from '../arguments.js';
import { type ContrastiveOptions, infoNCE } from './contrastive.js';
import { concat } from './shape.js';

/** What the named losses leave open. */
export interface NamedLossOptions
  extends Pick<
    ContrastiveOptions,
    | 'scale'
    | 'temperature'
    | 'bias'
    | 'ids'
    | 'threshold'
    | 'negativeLogWeight'
    | 'rowWeight'
    | 'columnWeight'
    | 'reduction'
    | 'check'
    | 'cosine'
  > {
  /** Decoupled contrastive learning: the positives leave the denominator (Yeh et al. 2022). */
  readonly decoupled?: boolean | undefined;
}

function settings(options: NamedLossOptions, scale: number): ContrastiveOptions {
  const { decoupled, ...rest } = options;
  const open = rest.temperature === undefined && rest.scale === undefined;
  return {
    cosine: true,
    ...rest,
    ...(open && { scale }),
    denominator: decoupled ? 'negatives' : 'all',
  };
}

function vectors(name: string, z: Tensor): [number, number] {
  checkPlacedTensor(name, z);
  if (z.rank !== 2 || z.size === 0) invalidArgument(name, 'shape [rows, dim]', describeShape(z.shape));
  return z.shape as unknown as [number, number];
}

/** Symmetric InfoNCE between paired rows (Radford et al. 2021): cosine, scale 1 / 0.07, rows and columns. */
export function clipLoss(q: Tensor, k: Tensor, options: NamedLossOptions = {}): Tensor {
  return infoNCE(q, k, { ...settings(options, 1 / 0.07), symmetric: true });
}

const partners = new Map<number, Int32Array>();

// Row i's partner is row i + N/2: made once a size.
function partnerRows(rows: number): Int32Array {
  let positive = partners.get(rows);
  if (!positive) {
    positive = Int32Array.from({ length: rows }, (_, i) => (i + rows / 2) % rows);
    if (partners.size > 16) partners.clear();
    partners.set(rows, positive);
  }
  return positive;
}

/**
 * NT-Xent of SimCLR (Chen et al. 2020) of two views z1 and z2 [N, D], rows i of both from one example: each of the 2N
 * rows against all others. Cosine, temperature 0.5.
 */
export function ntXent(z1: Tensor, z2: Tensor, options: NamedLossOptions = {}): Tensor {
  const [rows] = vectors('ntXent', z1);
  vectors('ntXent', z2);
  if (!sameShape(z1.shape, z2.shape))
    invalidArgument(
      'ntXent',
      'two views of one shape',
      `${describeShape(z1.shape)} and ${describeShape(z2.shape)}`,
    );
  const z = concat([z1, z2], 0);
  return infoNCE(z, z, { ...settings(options, 2), positive: partnerRows(2 * rows), excludeDiagonal: true });
}

/**
 * Supervised contrastive loss, L_out (Khosla et al. 2020), of z [N, D] with labels int32 [N] (negative: no label): the
 * other rows of a row's label are its positives. Cosine, temperature 0.1.
 */
export function supCon(z: Tensor, labels: Int32Array | Tensor, options: NamedLossOptions = {}): Tensor {
  vectors('supCon', z);
  return infoNCE(z, z, {
    ...settings(options, 10),
    groups: { rows: labels, columns: labels },
    excludeDiagonal: true,
  });
}

/** MoCo (He et al. 2020): row i against its own key k_i and the queue [Q, D]. Cosine, temperature 0.07. */
export function moco(q: Tensor, k: Tensor, queue: Tensor, options: NamedLossOptions = {}): Tensor {
  return infoNCE(q, k, { ...settings(options, 1 / 0.07), queue, ownKey: true });
}

export interface AmdimLossOptions extends NamedLossOptions {
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
export function amdim(q: Tensor, k: Tensor, options: AmdimLossOptions = {}): Tensor {
  const { queryLocations = 1, keyLocations, clip = 20, regularizer = 0.05, ...rest } = options;
  const [queries, dim] = vectors('amdim', q);
  const [keys] = vectors('amdim', k);
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
  const chosen = settings({ cosine: false, ...rest }, 1 / Math.sqrt(dim));
  return infoNCE(q, k, { ...chosen, clip, regularizer, groups, denominator: 'each' });
}

/** SigLIP (Zhai et al. 2023): pairwise sigmoid loss, summed over columns, mean over rows. Cosine, scale 10, bias -10. */
export function sigLIP(q: Tensor, k: Tensor, options: NamedLossOptions = {}): Tensor {
  return infoNCE(q, k, { bias: -10, ...settings(options, 10), denominator: 'sigmoid' });
}
