/** What optimisers have in common: groups of parameters, steps, state dicts. */
import { BinceError, describe, invalidArgument } from '../errors.js';
import { type LoadOptions, matchState, type StateDict, type StateTensor } from '../nn/state_dict.js';
import { zeros } from '../tensor/factories.js';
import { keep } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';

/** Parameters with settings of their own. */
export interface ParameterGroup {
  readonly params: Iterable<Tensor>;
  /** The optimiser's unless given. */
  readonly lr?: number;
  /** The optimiser's unless given. */
  readonly weightDecay?: number;
}

/** Parameters, or groups of them. */
export type Parameters = Iterable<Tensor> | readonly ParameterGroup[];

/** What all optimisers take. */
export interface OptimizerOptions {
  /** Learning rate. */
  readonly lr?: number;
  readonly weightDecay?: number;
}

export interface StepOptions {
  /** Gradients are multiplied by this, as clipping or an average over parts of a batch needs. Default 1. */
  readonly gradScale?: number;
}

/** A group as the optimiser holds it; lr and weightDecay may be changed between steps. */
export interface Group {
  readonly params: readonly Tensor[];
  lr: number;
  weightDecay: number;
}

/** One parameter, the state kept for it, and how many steps it took. */
interface Slot {
  readonly parameter: Tensor;
  readonly group: Group;
  state: readonly Tensor[] | undefined;
  steps: number;
}

/** What one update of one parameter needs. */
export interface Update {
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  /** Kept from step to step, 0 at first. */
  readonly state: readonly Tensor[];
  /** This step's number for this parameter, from 1. */
  readonly step: number;
  readonly lr: number;
  readonly weightDecay: number;
  readonly gradScale: number;
}

/**
 * Updates parameters by their gradients. A parameter without a gradient is left as it is, and its steps do not count.
 * The state it keeps lives until `dispose()`.
 */
export abstract class Optimizer {
  readonly groups: readonly Group[];
  /** Every group's learning rate is multiplied by this: what a schedule sets before a step. */
  lrScale = 1;
  readonly #slots: readonly Slot[];
  readonly #names: readonly string[];

  /** `names` are those of the state tensors that the optimiser keeps for each parameter. */
  protected constructor(
    params: Parameters,
    settings: { readonly lr: number; readonly weightDecay: number },
    names: readonly string[],
  ) {
    this.groups = makeGroups(params, settings);
    this.#names = names;
    this.#slots = this.groups.flatMap((group) =>
      group.params.map((parameter) => ({ parameter, group, state: undefined, steps: 0 })),
    );
    const seen = new Set<Tensor>();
    for (const [i, { parameter }] of this.#slots.entries()) {
      if (seen.has(parameter))
        throw new BinceError(
          'BINCE_INVALID_ARGUMENT',
          `params: expected each once, parameter ${i} is there twice`,
        );
      seen.add(parameter);
    }
  }

  /** Changes one parameter in place. */
  protected abstract update(update: Update): void;

  /** One step for every parameter that has a gradient. */
  step(options: StepOptions = {}): void {
    const gradScale = checkRate('gradScale', options.gradScale ?? 1);
    const rates = new Map(this.groups.map((group) => [group, this.#rates(group)]));
    for (const slot of this.#slots) {
      const { parameter, group } = slot;
      const gradient = parameter.grad;
      if (gradient === undefined) continue;
      slot.state ??= this.#makeState(parameter);
      slot.steps += 1;
      const { lr, weightDecay } = rates.get(group)!;
      this.update({ parameter, gradient, state: slot.state, step: slot.steps, lr, weightDecay, gradScale });
    }
  }

  /** Checked each step: schedules and callers may set anything. */
  #rates({ lr, weightDecay }: Group): { lr: number; weightDecay: number } {
    const scaled = checkRate('lr', lr) * checkRate('lrScale', this.lrScale);
    return { lr: scaled, weightDecay: checkRate('weightDecay', weightDecay) };
  }

  #makeState(parameter: Tensor): Tensor[] {
    return this.#names.map(() => keep(zeros(parameter.shape)));
  }

  /** Frees the gradients of all parameters. */
  zeroGrad(): void {
    for (const { parameter } of this.#slots) {
      parameter.grad?.dispose();
      parameter.grad = undefined;
    }
  }

  /** Copies of the state: `steps` [parameters], and `<i>.<name>` for parameter i, counted through the groups. */
  stateDict(): StateDict {
    const steps = Int32Array.from(this.#slots, (slot) => slot.steps);
    const state: StateDict = new Map([['steps', { dtype: 'int32', shape: [steps.length], data: steps }]]);
    for (const [i, slot] of this.#slots.entries())
      slot.state?.forEach((tensor, k) => {
        const data = tensor.floats();
        state.set(`${i}.${this.#names[k]}`, { dtype: 'float32', shape: [...tensor.shape], data });
      });
    return state;
  }

  /**
   * Goes on from a state of the same optimiser over parameters of the same shapes. Learning rates and other settings are
   * not part of it. Throws BINCE_INVALID_ARGUMENT, and changes nothing, where something does not fit.
   */
  loadStateDict(state: ReadonlyMap<string, StateTensor>, options: LoadOptions = {}): void {
    const owner = `${this.constructor.name} over ${this.#slots.length} parameters`;
    const steps = state.get('steps');
    const expected = new Map<string, { shape: readonly number[]; dtype: string }>();
    expected.set('steps', { shape: [this.#slots.length], dtype: 'int32' });
    for (const [i, { parameter }] of this.#slots.entries()) {
      if (!((steps?.data[i] ?? 0) > 0)) continue;
      for (const name of this.#names)
        expected.set(`${i}.${name}`, { shape: parameter.shape, dtype: 'float32' });
    }
    const names = new Set(matchState(owner, expected, state, options));
    const bad = steps?.data.find((count) => count < 0);
    if (bad !== undefined) invalidArgument('steps', 'counts of at least 0', bad);
    for (const [i, slot] of this.#slots.entries()) {
      slot.steps = steps?.data[i] ?? slot.steps;
      const keys = this.#names.map((name) => `${i}.${name}`).filter((key) => names.has(key));
      if (keys.length < this.#names.length) continue;
      slot.state ??= this.#makeState(slot.parameter);
      for (const [k, key] of keys.entries()) slot.state[k]!.write(state.get(key)!.data);
    }
  }

  /** Frees the state that is kept; the parameters stay. */
  dispose(): void {
    for (const slot of this.#slots) {
      for (const tensor of slot.state ?? []) tensor.dispose();
      slot.state = undefined;
      slot.steps = 0;
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function makeGroups(
  params: Parameters,
  { lr, weightDecay }: { readonly lr: number; readonly weightDecay: number },
): Group[] {
  if (typeof (params as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function')
    invalidArgument('params', 'parameters or groups of them', params);
  const given = [...(params as Iterable<Tensor | ParameterGroup>)];
  const grouped = given.some((each) => !(each instanceof Tensor));
  const groups = grouped ? (given as ParameterGroup[]) : [{ params: given as Tensor[] }];
  const made = groups.map((group, i) => {
    if (group === null || typeof group !== 'object' || group instanceof Tensor)
      invalidArgument(`params[${i}]`, 'a group like the others, { params }', group);
    const list = [...(group.params ?? [])];
    for (const each of list)
      if (!(each instanceof Tensor) || each.dtype !== 'float32')
        invalidArgument(
          'params',
          'float32 tensors',
          each instanceof Tensor ? each.toString() : describe(each),
        );
    return {
      params: list,
      lr: checkRate('lr', group.lr ?? lr),
      weightDecay: checkRate('weightDecay', group.weightDecay ?? weightDecay),
    };
  });
  if (made.every(({ params: list }) => list.length === 0))
    throw new BinceError('BINCE_INVALID_ARGUMENT', 'params: expected at least one parameter, received none');
  return made;
}

/** A finite number of at least 0. */
export function checkRate(name: string, value: number): number {
  return typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY
    ? value
    : invalidArgument(name, 'a finite number of at least 0', value);
}

/** A number of at least 0 and below 1. */
export function checkDecay(name: string, value: number): number {
  return typeof value === 'number' && value >= 0 && value < 1
    ? value
    : invalidArgument(name, 'a number from 0 to below 1', value);
}
