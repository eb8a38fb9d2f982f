/** The trained networks of the four systems: what they have in common and what each adds. */
import { EntropyBottleneck, Hyperprior, type Layer, Module, Parameter } from '../../nn/index.js';
import { full, type Tensor } from '../../tensor/index.js';
import type { ExperimentConfig } from './config.js';
import { type ExampleShape, makeDecoder, makeEncoder, makeProjector } from './networks.js';

/** z after the bottleneck, and what it costs. */
export interface Latents {
  /** [N][Z], with noise in training, rounded otherwise, in the units of z. */
  readonly zHat: Tensor;
  /** [N] bits. */
  readonly bits: Tensor;
}

/**
 * Encoder and bottleneck; a decoder for the systems that reconstruct (vc, vic), a projector and a temperature for the
 * contrastive one (bince).
 */
export class Compressor extends Module {
  readonly encoder: Layer | undefined;
  readonly bottleneck: EntropyBottleneck | Hyperprior;
  readonly decoder: Layer | undefined;
  readonly projector: Layer | undefined;
  /** [1] log of one over the temperature, where that is learned. */
  readonly logScale: Parameter | undefined;
  /** Z */
  readonly latents: number;

  constructor(config: ExperimentConfig, shape: ExampleShape) {
    super();
    this.encoder = makeEncoder(config, shape);
    this.latents = this.encoder ? config.z : shape.reduce((product, n) => product * n, 1);
    this.bottleneck =
      config.rateModel === 'hyperprior' ? new Hyperprior(this.latents) : new EntropyBottleneck(this.latents);
    if (config.system === 'vc' || config.system === 'vic') this.decoder = makeDecoder(config, shape);
    if (config.system === 'bince') {
      if (config.projector > 0) this.projector = makeProjector(config);
      if (config.learnTemperature) this.logScale = new Parameter(full([1], -Math.log(config.temperature)));
    }
  }

  /** z before the bottleneck: [N][Z]. */
  encode(x: Tensor): Tensor {
    return this.encoder ? this.encoder.forward(x) : x;
  }

  override forward(x: Tensor): Latents {
    return this.bottleneck.forward(this.encode(x));
  }
}
