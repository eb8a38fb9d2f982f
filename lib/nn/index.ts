/** Layers: modules with named parameters and buffers, their start values, and their files. */
export { BinceError, type BinceErrorCode } from '../errors.js';
export {
  type ActivationName,
  ELU,
  GELU,
  LeakyReLU,
  makeActivation,
  ReLU,
  Sigmoid,
  SiLU,
  Softplus,
  Tanh,
} from './activations.js';
export type { Pair } from './arguments.js';
export { Conv2d, type ConvOptions, ConvTranspose2d, type ConvTransposeOptions } from './convolution.js';
export {
  type Bottlenecked,
  EntropyBottleneck,
  type EntropyBottleneckOptions,
  shortRowOptions,
} from './entropy_bottleneck.js';
export { GDN, type GDNOptions } from './gdn.js';
export { Hyperprior, type HyperpriorOptions, type HyperpriorOutput } from './hyperprior.js';
export * from './initializers.js';
export { Linear, type WeightOptions } from './linear.js';
export { MLP, type MLPOptions } from './mlp.js';
export { type Layer, loadModule, Module, saveModule } from './module.js';
export { BatchNorm, type BatchNormOptions, LayerNorm } from './normalization.js';
export { Buffer, Parameter } from './parameter.js';
export type { RowQuantizer } from './quantized_rows.js';
export { BasicBlock, ResNet18, type ResNet18Options } from './resnet.js';
export { Residual, Sequential } from './sequential.js';
export {
  AvgPool2d,
  Dropout,
  Flatten,
  GlobalAvgPool,
  Lambda,
  MaxPool2d,
  type PoolOptions,
  Reshape,
  Upsample2d,
} from './shape_layers.js';
export {
  type LoadedState,
  type LoadOptions,
  loadState,
  type StateDict,
  type StateTensor,
  saveState,
} from './state_dict.js';
