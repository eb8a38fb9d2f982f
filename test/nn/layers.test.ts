import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../lib/index.js';
import {
  type ActivationName,
  BasicBlock,
  BatchNorm,
  Conv2d,
  ConvTranspose2d,
  ELU,
  GDN,
  type Layer,
  LayerNorm,
  LeakyReLU,
  Linear,
  type Module,
  makeActivation,
} from '../../lib/nn/index.js';
import {
  channelsLast,
  expectClose,
  type GoldenBatchNorm,
  type GoldenPass,
  type GoldenTensor,
  golden,
  permuted,
  tensorOf,
  weightLast,
} from './golden.js';

function setParameters(module: Module, values: Record<string, GoldenTensor>): void {
  const parameters = module.namedParameters();
  expect([...parameters.keys()].sort()).toEqual(Object.keys(values).sort());
  for (const [name, parameter] of parameters) {
    expect(parameter.shape).toEqual(values[name]!.shape);
    parameter.write(Float32Array.from(values[name]!.data));
  }
}

/** One pass through a layer, checked against PyTorch's: output, gradient of the input and of every parameter. */
function expectPass(
  layer: Layer,
  pass: { x: GoldenTensor; y: GoldenTensor; dy: GoldenTensor; dx: GoldenTensor },
  gradients: Record<string, GoldenTensor>,
  tolerance?: number,
): void {
  layer.zeroGrad();
  const x = tensorOf(channelsLast(pass.x), true);
  const y: Tensor = layer.forward(x);
  expectClose(y, channelsLast(pass.y), tolerance);
  y.backward(tensorOf(channelsLast(pass.dy)));
  expectClose(x.grad, channelsLast(pass.dx), tolerance);
  for (const [name, parameter] of layer.namedParameters())
    expectClose(parameter.grad, gradients[name]!, tolerance);
}

describe('layers against PyTorch', () => {
  it('Linear', () => {
    const { inputs, y, dy, gradients } = golden.linear;
    const layer = new Linear(3, 5);
    const weights = (from: typeof inputs) => ({ weight: weightLast(from['weight']!), bias: from['bias']! });
    setParameters(layer, weights(inputs));
    expectPass(layer, { x: inputs['input']!, y, dy, dx: gradients['input']! }, weights(gradients));
  });

  it.each(golden.conv2d.map((each, i) => [i, each] as const))('Conv2d, case %i', (_, each) => {
    const { inputs, gradients, stride, padding } = each;
    const [outputs, channels, kh, kw] = inputs['weight']!.shape as [number, number, number, number];
    const layer = new Conv2d(channels, outputs, [kh, kw], { stride, padding });
    const weights = (from: typeof inputs) => ({ weight: weightLast(from['weight']!), bias: from['bias']! });
    setParameters(layer, weights(inputs));
    expectPass(layer, { ...each, x: inputs['input']!, dx: gradients['input']! }, weights(gradients));
  });

  it.each(golden.convTranspose2d.map((each, i) => [i, each] as const))(
    'ConvTranspose2d, case %i',
    (_, each) => {
      const { inputs, gradients, stride, padding, outputPadding } = each;
      // PyTorch's is [in, out, kh, kw], ours [kh, kw, out, in].
      const [channels, outputs, kh, kw] = inputs['weight']!.shape as [number, number, number, number];
      const layer = new ConvTranspose2d(channels, outputs, [kh, kw], { stride, padding, outputPadding });
      const weights = (from: typeof inputs) => ({ weight: weightLast(from['weight']!), bias: from['bias']! });
      setParameters(layer, weights(inputs));
      expectPass(layer, { ...each, x: inputs['input']!, dx: gradients['input']! }, weights(gradients));
    },
  );

  const expectBatchNorm = (layer: BatchNorm, values: GoldenBatchNorm) => {
    setParameters(layer, { weight: values.weight, bias: values.bias });
    const gradients = (pass: GoldenPass) => ({ weight: pass.dweight, bias: pass.dbias });
    for (const step of values.steps) {
      if ('dy' in step) expectPass(layer, step, gradients(step), 1e-5);
      else layer.forward(tensorOf(channelsLast(step.x)));
    }
    expectClose(layer.runningMean, values.running.mean);
    expectClose(layer.runningVariance, values.running.variance);
    layer.eval();
    expectPass(layer, values.evaluation, gradients(values.evaluation), 1e-5);
    expectClose(layer.runningMean, values.running.mean);
  };

  it('BatchNorm of rows: three steps, then evaluation', () => {
    expectBatchNorm(new BatchNorm(3), golden.batchNorm.rows);
  });

  it('BatchNorm of images: three steps, then evaluation', () => {
    expectBatchNorm(new BatchNorm(2, { momentum: 0.3 }), golden.batchNorm.images);
  });

  it('BatchNorm with an activation is batch norm and then the activation', () => {
    const { steps, weight, bias } = golden.batchNorm.images;
    const last = steps.at(-1) as GoldenPass;
    const fused = new BatchNorm(2, { activation: 'relu' });
    const plain = new BatchNorm(2);
    const results = [fused, plain].map((layer) => {
      setParameters(layer, { weight, bias });
      const x = tensorOf(channelsLast(last.x), true);
      const y = layer === fused ? layer.forward(x) : layer.forward(x).relu();
      y.backward(tensorOf(channelsLast(last.dy)));
      return [y, x.grad!, layer.weight.grad!, layer.bias.grad!];
    });
    for (const [i, tensor] of results[0]!.entries()) {
      const want = results[1]![i]!;
      expectClose(tensor, { shape: [...want.shape], data: [...want.dataSync()] });
    }
  });

  it('LayerNorm', () => {
    const { inputs, y, dy, gradients } = golden.layerNorm;
    const layer = new LayerNorm(6);
    setParameters(layer, { weight: inputs['weight']!, bias: inputs['bias']! });
    const pass = { x: inputs['input']!, y, dy, dx: gradients['input']! };
    expectPass(layer, pass, { weight: gradients['weight']!, bias: gradients['bias']! }, 1e-5);
  });

  it.each(Object.entries(golden.activations))('%s', (name, { inputs, y, dy, gradients }) => {
    const special: Record<string, Layer> = { leakyRelu: new LeakyReLU(0.1), elu: new ELU(0.75) };
    const layer = special[name] ?? makeActivation(name as ActivationName);
    expectPass(layer, { x: inputs['input']!, y, dy, dx: gradients['input']! }, {}, 1e-6);
  });

  it.each([false, true])('GDN, inverse %s', (inverse) => {
    const { inputs, y, dy, gradients } = inverse ? golden.inverseGdn : golden.gdn;
    const layer = new GDN(3, { inverse });
    const weights = (from: typeof inputs) => ({
      beta: from['beta']!,
      gamma: permuted(from['gamma']!, [1, 0]),
    });
    setParameters(layer, weights(inputs));
    expectPass(layer, { x: inputs['input']!, y, dy, dx: gradients['input']! }, weights(gradients), 1e-5);
  });

  it('GDN begins as CompressAI has it: beta 1, gamma a tenth of the identity', () => {
    const layer = new GDN(4);
    expect(layer.beta.floats()[3]! ** 2).toBeCloseTo(1, 6);
    const gamma = layer.gamma.floats().map((value) => value ** 2);
    expect(gamma[5]).toBeCloseTo(0.1, 6);
    expect(gamma[1]).toBeLessThan(1e-10);
  });

  it('a basic block: output, and gradients of all its parameters', () => {
    const { parameters, gradients, buffers, ...pass } = golden.basicBlock;
    const block = new BasicBlock(3, 4, { stride: 2 });
    const turned = (values: Record<string, GoldenTensor>) =>
      Object.fromEntries(Object.entries(values).map(([name, value]) => [name, weightLast(value)]));
    setParameters(block, turned(parameters));
    expectPass(block, pass, turned(gradients), 1e-5);
    const ours = block.namedBuffers();
    for (const [name, value] of Object.entries(buffers)) {
      const key = name.replace('running_mean', 'runningMean').replace('running_var', 'runningVariance');
      expectClose(ours.get(key), value);
    }
  });
});
