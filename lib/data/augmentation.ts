/**
 * Augmentations as plain data: an array of tagged steps that can be written to JSON and back. Every parameter that is
 * a range is drawn uniformly from it, anew for every image, epoch and view.
 */

/** A number r stands for [-r, r] (degrees, shear). */
export type Symmetric = number | readonly [low: number, high: number];

export interface Chance {
  /** Probability of the step, 1 by default (0.5 for flip and erase). */
  readonly p?: number;
  /** Draw once for all views of an image, instead of for each. */
  readonly shared?: boolean;
}

/**
 * Rotation, translation, shear and scale about the centre in one inverse warp, with the parameters of torchvision's
 * RandomAffine: translations are whole pixels, a single shear is along x.
 */
export interface AffineStep extends Chance {
  readonly degrees?: Symmetric;
  /** The largest translation as a share of width and height, or of each. */
  readonly translate?: number | readonly [x: number, y: number];
  /** Degrees: along x, or [x low, x high], or [x low, x high, y low, y high]. */
  readonly shear?: Symmetric | readonly [number, number, number, number];
  readonly scale?: readonly [low: number, high: number];
  /** 'bilinear' by default. */
  readonly interpolation?: 'bilinear' | 'nearest';
  /** What stands outside the image, 0 by default. */
  readonly fill?: number;
}

/** What stands outside the image: it mirrored (its edge not repeated), a constant, or its edge. */
export type BorderMode = 'reflect' | 'constant' | 'edge';

/** A translation by whole pixels, each axis from -pixels to pixels. */
export interface TranslateStep extends Chance {
  readonly pixels: number;
  /** 'reflect' by default. */
  readonly border?: BorderMode;
  /** The constant, 0 by default. */
  readonly value?: number;
}

export type Size = number | readonly [height: number, width: number];

/**
 * A random crop, resized (torchvision's RandomResizedCrop): `scale` is its share of the area, [0.08, 1] by default,
 * `ratio` width to height, [3/4, 4/3] by default, uniform in its logarithm. Filtered bilinearly, without aliasing.
 */
export interface CropStep extends Chance {
  readonly scale?: readonly [low: number, high: number];
  readonly ratio?: readonly [low: number, high: number];
  /** Of the result; by default the image's. */
  readonly size?: Size;
}

/**
 * Brightness, contrast, saturation and hue in a random order (torchvision's ColorJitter): factors from
 * [max(0, 1 - s), 1 + s], the hue turned by up to `hue` (at most 0.5) of the circle. Values are clamped to [0, 1].
 * Grey images have brightness and contrast alone.
 */
export interface JitterStep extends Chance {
  readonly brightness?: number;
  readonly contrast?: number;
  readonly saturation?: number;
  readonly hue?: number;
}

/** A Gaussian blur; the image is mirrored outside. */
export interface BlurStep extends Chance {
  /** Standard deviation in pixels, [0.1, 2] by default. */
  readonly sigma?: readonly [low: number, high: number];
  /** Taps of the kernel, an odd number; by default up to 3 sigma to either side. */
  readonly size?: number;
}

/** A box gets a value (torchvision's RandomErasing): scale [0.02, 0.33], ratio [0.3, 3.3], p 0.5 by default. */
export interface EraseStep extends Chance {
  readonly scale?: readonly [low: number, high: number];
  readonly ratio?: readonly [low: number, high: number];
  /** 0 by default. */
  readonly value?: number;
}

/** (x - mean) / std, one number for all channels or one a channel. */
export interface NormaliseStep {
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
}

export interface PadStep {
  /** All sides, or [top and bottom, left and right], or [top, right, bottom, left]. */
  readonly pixels: number | readonly [number, number] | readonly [number, number, number, number];
  /** 'constant' by default. */
  readonly mode?: BorderMode;
  /** The constant, 0 by default. */
  readonly value?: number;
}

export interface ResizeStep {
  readonly size: Size;
}

/**
 * A pose normaliser without learned parameters, computed from the image alone: one bilinear resample brings the
 * centroid of its values (all channels; below 0 counts as 0) to the centre, their RMS radius (the root of half the trace
 * of their covariance) to `radius`, and removes a share of the anisotropy: standard deviations s1 >= s2 along the
 * principal axes get the ratio (s1 / s2)^(1 - anisotropy). The axes stay, so nothing is rotated. Outside is 0; an image
 * of zeros stays as it is. 1e-3 (half the shorter side)^2 is added to both variances first, so that specks stay small.
 */
export interface MomentsStep extends Chance {
  /** As a share of half the shorter side, 0.4 by default. */
  readonly radius?: number;
  /** From 0 (none) to 1 (all, a round distribution), 0.7 by default; or a range from which it is drawn. */
  readonly anisotropy?: number | readonly [low: number, high: number];
}

/**
 * A smooth random displacement, in the manner of Simard et al. (2003): the nodes of a grid over the image, from corner
 * to corner, get normal displacements along both axes, bilinearly interpolated to every pixel. Outside is 0.
 */
export interface ElasticStep extends Chance {
  /** Nodes a side, 5 by default. */
  readonly grid?: number;
  /** Standard deviation as a share of half the shorter side, 0.08 by default. */
  readonly sigma?: number;
}

/** One step: an object of a single key that names it. */
export type AugmentationStep =
  | { readonly affine: AffineStep }
  | { readonly translate: TranslateStep }
  | { readonly crop: CropStep }
  | { readonly flip: Chance }
  | { readonly jitter: JitterStep }
  | { readonly grey: Chance }
  | { readonly blur: BlurStep }
  | { readonly erase: EraseStep }
  | { readonly normalise: NormaliseStep }
  | { readonly pad: PadStep }
  | { readonly resize: ResizeStep }
  | { readonly moments: MomentsStep }
  | { readonly elastic: ElasticStep };

/** Steps in the order in which they are applied. */
export type Augmentation = readonly AugmentationStep[];

/** Published augmentations. */
export const augmentations = {
  /**
   * Augmented MNIST of "Lossy compression for lossless prediction" (Dubois et al. 2021): rotation +-45 degrees,
   * translation +-25% each axis, shear +-25 degrees, scale 0.6 to 1.4. One bilinear warp; the published code applies
   * five, each rounding to the nearest pixel.
   */
  mnist: [{ affine: { degrees: 45, translate: 0.25, shear: 25, scale: [0.6, 1.4] } }],
  /**
   * Views of augmented MNIST for BINCE: its affine, then the pose normaliser with a random share of anisotropy, then an
   * elastic displacement. In trials in PyTorch (a CNN of 0.9 M multiplications, 3 epochs, batch 128; both resamples in
   * one, deviations mixed linearly instead of by powers) random share and displacement (0.08) took the linear probe
   * from 92.8% at 33.6 bits to 94.2% at 30.8; with 0.1 and temperature 0.5 it was 95.0% at 26.4. Evaluate on `mnist`
   * with `{ moments: {} }` behind it.
   */
  mnistViews: [
    { affine: { degrees: 45, translate: 0.25, shear: 25, scale: [0.6, 1.4] } },
    { moments: { anisotropy: [0.4, 1] } },
    { elastic: { sigma: 0.1 } },
  ],
  /** AMDIM (Bachman et al. 2019) for small images: a flip that both views share, then each view's own draws. */
  amdim: [
    { flip: { shared: true } },
    { translate: { pixels: 4, border: 'reflect', p: 0.8 } },
    { jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2, p: 0.8 } },
    { grey: { p: 0.25 } },
  ],
  /** SimCLR (Chen et al. 2020) in its form for 32 x 32 pixels: colour strength 0.5, no blur. */
  simclr: [
    { crop: { scale: [0.08, 1], ratio: [3 / 4, 4 / 3] } },
    { flip: {} },
    { jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, p: 0.8 } },
    { grey: { p: 0.2 } },
  ],
} as const satisfies Record<string, Augmentation>;

/**
 * What remains of an augmentation without chance, so that images that were not augmented have the same size: pad and
 * resize as they are, crop as a resize of the whole image. Normalisation is kept where asked for, and so is `moments`
 * (option `pose`), with the mean of its range of anisotropy: it is left out by default, so that images stay in their own
 * frame.
 */
export function plainSteps(
  steps: Augmentation,
  options: { normalise?: boolean; pose?: boolean } = {},
): Augmentation {
  return steps.flatMap((step): AugmentationStep[] => {
    if ('pad' in step || 'resize' in step) return [step];
    if ('normalise' in step) return options.normalise ? [step] : [];
    if ('moments' in step) return options.pose ? [{ moments: plainMoments(step.moments) }] : [];
    if ('crop' in step && step.crop.size !== undefined) return [{ resize: { size: step.crop.size } }];
    return [];
  });
}

function plainMoments({ radius, anisotropy }: MomentsStep): MomentsStep {
  const share = typeof anisotropy === 'object' ? (anisotropy[0] + anisotropy[1]) / 2 : anisotropy;
  return { ...(radius !== undefined && { radius }), ...(share !== undefined && { anisotropy: share }) };
}
