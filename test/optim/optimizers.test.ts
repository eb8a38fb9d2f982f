import { describe, expect, it } from 'vitest';
import { memory, type Tensor, tensor } from '../../lib/index.js';
import { Parameter } from '../../lib/nn/index.js';
import { Adam, AdamW, clipGradNorm, gradNorm, type Optimizer, SGD } from '../../lib/optim/index.js';
import { expectClose, golden, tensorOf } from '../nn/golden.js';

const makers: Record<string, (params: Tensor[]) => Optimizer> = {
  sgd: (p) => new SGD(p, { lr: 0.1 }),
  sgdMomentum: (p) => new SGD(p, { lr: 0.1, momentum: 0.9, weightDecay: 0.01 }),
  sgdDampening: (p) => new SGD(p, { lr: 0.1, momentum: 0.9, dampening: 0.5 }),
  sgdNesterov: (p) => new SGD(p, { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 }),
  adam: (p) => new Adam(p, { lr: 0.05, betas: [0.8, 0.95], weightDecay: 0.1 }),
  adamw: (p) => new AdamW(p, { lr: 0.05, weightDecay: 0.1 }),
  adamwEps: (p) => new AdamW(p, { lr: 0.05, eps: 0.1, weightDecay: 0 }),
};

const { start, gradients, after } = golden.optimizers;

function setGrad(parameter: Tensor, step: number, factor = 1): void {
  parameter.grad?.dispose();
  parameter.grad = tensor(Float32Array.from(gradients[step]!.data, (value) => value * factor));
}

describe('optimisers', () => {
  it.each(Object.keys(makers))('%s: five steps as PyTorch', (name) => {
    const parameter = new Parameter(tensorOf(start));
    const optimizer = makers[name]!([parameter]);
    for (let step = 0; step < 5; step++) {
      setGrad(parameter, step);
      optimizer.step();
      expectClose(parameter, after[name]![step]!);
    }
  });

  it.each(Object.keys(makers))('%s: goes on from its state to the same bits', (name) => {
    const first = new Parameter(tensorOf(start));
    const optimizer = makers[name]!([first]);
    for (let step = 0; step < 3; step++) {
      setGrad(first, step);
      optimizer.step();
    }
    const second = new Parameter(tensor(first.floats()));
    const other = makers[name]!([second]);
    other.loadStateDict(optimizer.stateDict());
    for (const [parameter, each] of [[first, optimizer] as const, [second, other] as const])
      for (let step = 3; step < 5; step++) {
        setGrad(parameter, step);
        each.step();
      }
    expect(second.floats()).toEqual(first.floats());
  });

  it('groups have rates of their own, scaled by lrScale', () => {
    const [a, b] = [new Parameter(tensor([1])), new Parameter(tensor([1]))];
    const optimizer = new SGD([{ params: [a] }, { params: [b], lr: 0.5, weightDecay: 0.2 }], { lr: 0.1 });
    for (const each of [a, b]) each.grad = tensor([1]);
    optimizer.lrScale = 0.5;
    optimizer.step();
    expect(a.item()).toBeCloseTo(0.95, 6);
    expect(b.item()).toBeCloseTo(1 - 0.25 * 1.2, 6);
  });

  it('leaves a parameter without a gradient alone, and does not count its step', () => {
    const [a, b] = [new Parameter(tensor([1])), new Parameter(tensor([1]))];
    const optimizer = new Adam([a, b], { lr: 0.1 });
    a.grad = tensor([3]);
    optimizer.step();
    expect(b.item()).toBe(1);
    expect([...optimizer.stateDict().keys()]).toEqual(['steps', '0.m', '0.v']);
    b.grad = tensor([-5]);
    optimizer.step();
    // The first step of Adam is the learning rate, whatever the gradient.
    expect(b.item()).toBeCloseTo(1.1, 5);
  });

  it('gradScale is the same as scaled gradients', () => {
    const [a, b] = [new Parameter(tensorOf(start)), new Parameter(tensorOf(start))];
    setGrad(a, 0, 0.25);
    setGrad(b, 0);
    new SGD([a], { lr: 0.1 }).step();
    new SGD([b], { lr: 0.1 }).step({ gradScale: 0.25 });
    expectClose(b, { shape: [6], data: [...a.floats()] }, 1e-7);
  });

  it('says what is wrong', () => {
    const p = new Parameter(tensor([1, 2]));
    expect(() => new SGD([])).toThrow('params: expected at least one parameter');
    expect(() => new SGD([p, p])).toThrow('parameter 1 is there twice');
    expect(() => new SGD([p], { lr: Number.NaN })).toThrow('lr: expected a finite number');
    expect(() => new SGD([p], { nesterov: true })).toThrow('nesterov: expected a momentum above 0');
    expect(() => new Adam([p], { betas: [0.9, 1] })).toThrow('betas[1]: expected a number from 0 to below 1');
    const optimizer = new SGD([p]);
    optimizer.lrScale = Number.NaN;
    expect(() => optimizer.step()).toThrow('lrScale: expected a finite number of at least 0, received NaN');
    // @ts-expect-error an array of numbers
    expect(() => new SGD([1, 2])).toThrow('a group like the others');
  });

  it('refuses the state of another optimiser or of other parameters, and changes nothing', () => {
    const p = new Parameter(tensor([1, 2]));
    const adam = new Adam([p]);
    p.grad = tensor([1, 1]);
    adam.step();
    const state = adam.stateDict();
    expect(() => new SGD([p], { momentum: 0.9 }).loadStateDict(state)).toThrow("lacks '0.momentum'");
    const q = new Parameter(tensor([1, 2, 3]));
    const other = new Adam([q]);
    expect(() => other.loadStateDict(state)).toThrow("'0.m' expected float32 [3], received float32 [2]");
    expect(other.stateDict().get('steps')!.data).toEqual(Int32Array.of(0));
    expect(() => new Adam([p, q]).loadStateDict(state)).toThrow("'steps' expected int32 [2]");
  });

  it('clips by the norm of all gradients together', () => {
    const [a, b] = [new Parameter(tensor([0, 0])), new Parameter(tensor([0]))];
    a.grad = tensor([3, 0]);
    b.grad = tensor([4]);
    expect(clipGradNorm([a, b], 10)).toBe(5);
    expect(a.grad.floats()).toEqual(Float32Array.of(3, 0));
    expect(clipGradNorm([a, b], 1)).toBe(5);
    expect(gradNorm([a, b])).toBeCloseTo(1, 6);
    expect(b.grad.item()).toBeCloseTo(0.8, 6);
    b.grad.write(Float32Array.of(Number.NaN));
    expect(clipGradNorm([a, b], 1)).toBeNaN();
    expect(a.grad.floats()[0]).toBeCloseTo(0.6, 6);
    expect(clipGradNorm([new Parameter(tensor([1]))], 1)).toBe(0);
    expect(() => clipGradNorm([a], 0)).toThrow('maxNorm: expected a positive number');
  });

  it('gives its memory back', () => {
    const before = memory().tensors;
    const p = new Parameter(tensor(new Float32Array(1000)));
    const optimizer = new AdamW([p]);
    p.grad = tensor(new Float32Array(1000));
    optimizer.step();
    expect(memory().tensors).toBe(before + 4);
    optimizer.zeroGrad();
    optimizer.dispose();
    p.dispose();
    expect(memory().tensors).toBe(before);
  });
});
