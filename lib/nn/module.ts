/** Modules: parts of a network, which know their parameters, buffers and parts by name. */
import { BinceError, invalidArgument } from '../errors.js';
import { Tensor } from '../tensor/tensor.js';
import { Buffer, Parameter } from './parameter.js';
import {
  type LoadOptions,
  loadState,
  matchState,
  type StateDict,
  type StateTensor,
  saveState,
} from './state_dict.js';

/** A module from one tensor to one tensor: what {@link Sequential} is made of. */
export type Layer = Module & { forward(x: Tensor): Tensor };

/**
 * A part of a network. What it consists of is found by its own fields: {@link Parameter}s, {@link Buffer}s, other
 * modules, and arrays, Maps and plain objects of them. Their names are the fields' names, joined by dots
 * (`blocks.0.conv1.weight`). What stands in several places counts once, under its first name.
 *
 *     class Encoder extends Module {
 *       readonly hidden = new Linear(784, 128);
 *       readonly latents = new Linear(128, 16);
 *       forward(x: Tensor): Tensor {
 *         return this.latents.forward(relu(this.hidden.forward(x)));
 *       }
 *     }
 */
export abstract class Module {
  /** Whether layers that differ in training (batch norm, dropout, noise) behave as in training. */
  training = true;

  abstract forward(...inputs: never[]): unknown;

  /** This module ('' is its name) and all modules in it, by name. */
  namedModules(): Map<string, Module> {
    const found = new Map<string, Module>();
    walk(this, (name, value) => {
      if (value instanceof Module) found.set(name, value);
    });
    return found;
  }

  /** This module and all modules in it. */
  modules(): Module[] {
    return [...this.namedModules().values()];
  }

  namedParameters(): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    walk(this, (name, value) => {
      if (value instanceof Parameter) found.set(name, value);
    });
    return found;
  }

  parameters(): Parameter[] {
    return [...this.namedParameters().values()];
  }

  namedBuffers(): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    walk(this, (name, value) => {
      if (value instanceof Buffer) found.set(name, value);
    });
    return found;
  }

  /** Copies of all parameters and buffers, by name. */
  stateDict(): StateDict {
    const state: StateDict = new Map();
    for (const [name, { tensor }] of stateEntries(this))
      state.set(name, {
        dtype: tensor.dtype,
        shape: [...tensor.shape],
        data: tensor.dataSync(),
      } as StateTensor);
    return state;
  }

  /**
   * Sets parameters and buffers. Throws BINCE_INVALID_ARGUMENT, and changes nothing, where a name lacks or does not
   * belong (unless `strict` is false) or a shape or type differs.
   */
  loadStateDict(state: ReadonlyMap<string, StateTensor>, options: LoadOptions = {}): void {
    const entries = stateEntries(this);
    for (const name of matchState(this.constructor.name, entries, state, options))
      entries.get(name)!.tensor.write(state.get(name)!.data);
  }

  /** Switches this module and all modules in it to training, or with `false` to evaluation. */
  train(mode = true): this {
    if (typeof mode !== 'boolean') invalidArgument('mode', 'a boolean', mode);
    for (const module of this.modules()) module.setTraining(mode);
    return this;
  }

  /** `train(false)` */
  eval(): this {
    return this.train(false);
  }

  /** One module's part of {@link train}; layers that prepare something for evaluation override it. */
  protected setTraining(mode: boolean): void {
    this.training = mode;
  }

  /** Whether backward() gives the parameters gradients; `false` freezes the module. */
  requireGrad(required = true): this {
    for (const parameter of this.parameters()) {
      parameter.requiresGrad = required;
      if (!required) dropGradient(parameter);
    }
    return this;
  }

  /** Frees the parameters' gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) dropGradient(parameter);
  }

  /** How many numbers are learned. */
  parameterCount(): number {
    return this.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
  }

  /** Frees all parameters and buffers; the module is of no use after it. */
  dispose(): void {
    walk(this, (_, value) => {
      if (value instanceof Tensor) value.dispose();
    });
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function dropGradient(parameter: Parameter): void {
  parameter.grad?.dispose();
  parameter.grad = undefined;
}

/** Calls `visit` with every module, parameter and buffer at and under `root`, once each, in the fields' order. */
function walk(root: Module, visit: (name: string, value: Module | Parameter | Buffer) => void): void {
  const seen = new Set<object>();
  const go = (name: string, value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    const isTensor = value instanceof Tensor;
    if (isTensor && !(value instanceof Parameter || value instanceof Buffer)) return;
    if (!isTensor && !isContainer(value)) return;
    seen.add(value);
    if (isTensor || value instanceof Module) visit(name, value as Module | Parameter | Buffer);
    if (isTensor) return;
    const parts = value instanceof Map ? value.entries() : Object.entries(value);
    for (const [key, part] of parts) go(name === '' ? String(key) : `${name}.${String(key)}`, part);
  };
  go('', root);
}

function isContainer(value: object): boolean {
  if (value instanceof Module || Array.isArray(value) || value instanceof Map) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function stateEntries(
  module: Module,
): Map<string, { tensor: Parameter | Buffer; shape: readonly number[]; dtype: string }> {
  const entries = new Map<string, { tensor: Parameter | Buffer; shape: readonly number[]; dtype: string }>();
  walk(module, (name, value) => {
    if (!(value instanceof Module))
      entries.set(name, { tensor: value, shape: value.shape, dtype: value.dtype });
  });
  return entries;
}

/** Writes a module's state dict as .safetensors, whole or not at all. `metadata` goes into the file. */
export async function saveModule(
  path: string,
  module: Module,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await saveState(path, module.stateDict(), metadata);
}

/**
 * Sets a module's parameters and buffers from a file of {@link saveModule}, and returns the file's metadata. Throws
 * BINCE_CORRUPT_DATA for a damaged file and BINCE_INVALID_ARGUMENT, with the path, for one of another module; the
 * module is then as it was.
 */
export async function loadModule(
  path: string,
  module: Module,
  options: LoadOptions = {},
): Promise<Readonly<Record<string, string>>> {
  const { state, metadata } = await loadState(path);
  try {
    module.loadStateDict(state, options);
  } catch (cause) {
    if (!(cause instanceof BinceError)) throw cause;
    throw new BinceError(cause.code, `${path}: ${cause.message}`, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    });
  }
  return metadata;
}
