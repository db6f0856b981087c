/** A model on a device: its weights loaded, its passes run, its log applied. */
import { createHash } from "node:crypto";
import { invariant } from "../../schema/errors.ts";
import type { LogEntry, TrainableTensor } from "../../schema/step-log.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import type { Device, Pass, Perturbation, Weight, WeightDtype } from "../devices/device.ts";
import type { Noise } from "../noise.ts";
import type { ModelFolder } from "./folder.ts";
import { hashLine } from "./folder.ts";
import { widenHalf } from "./half.ts";
import type { TensorLocation } from "./safetensors.ts";
import { readTensor } from "./safetensors.ts";

/** Loss of each scored token, in nats, in the order of the rows and their positions. */
export interface TokenLosses {
  readonly plus: Float64Array;
  readonly minus: Float64Array;
}

export interface Model {
  readonly folder: ModelFolder;
  readonly device: Device;
  /** What the noise and the log reach, in order of stored name. */
  readonly trainable: readonly TrainableTensor[];
  /** Losses under w + e*n and w - e*n. */
  perturbedLosses(rows: readonly EncodedRow[], perturbation: Perturbation): Promise<TokenLosses>;
  losses(rows: readonly EncodedRow[]): Promise<Float64Array>;
  /** Scores of the next token after `ids`: [vocab]. */
  nextLogits(ids: Int32Array): Promise<Float32Array>;
  /** Applies log entries, in order: the only way in which the weights change. */
  update(entries: readonly LogEntry[]): void;
  /** The stored bytes of a trainable tensor, by its stored name. */
  read(name: string): Promise<Uint8Array>;
  /** Weights digest: the base hash's rule over the trainable tensors as they are now. Hex. */
  digest(): Promise<string>;
}

/** Loads every tensor. Full-parameter training: all of them are trainable. */
export async function loadModel(folder: ModelFolder, device: Device, noise: Noise): Promise<Model> {
  const weights = new Map<string, Weight>();
  for (const definition of folder.architecture.tensors) {
    const tensor = locationOf(folder, definition.name);
    const spec = { name: tensor.name, shape: tensor.shape, dtype: trainedDtype(tensor), trainable: true };
    weights.set(definition.name, device.createWeight(spec, await readForTraining(tensor)));
  }
  return modelOf(folder, device, noise, weights);
}

function locationOf(folder: ModelFolder, name: string): TensorLocation {
  const tensor = folder.locations.get(name);
  invariant(tensor, `${name} was matched when the folder was opened`);
  return tensor;
}

/** float16 base tensors are trained as float32. */
function trainedDtype(tensor: { dtype: string }): WeightDtype {
  return tensor.dtype === "BF16" ? "BF16" : "F32";
}

export async function readForTraining(tensor: TensorLocation): Promise<Uint8Array> {
  const bytes = await readTensor(tensor);
  return tensor.dtype === "F16" ? widenHalf(bytes) : bytes;
}

/** The tensors that full-parameter training reaches, as a log's header lists them: in order of stored name. */
export function trainableTensors(folder: ModelFolder): TrainableTensor[] {
  const read = new Set(folder.locations.values());
  return folder.tensors
    .filter((tensor) => read.has(tensor))
    .map((tensor) => ({ name: tensor.name, shape: [...tensor.shape], dtype: trainedDtype(tensor) }));
}

function modelOf(folder: ModelFolder, device: Device, noise: Noise, weights: ReadonlyMap<string, Weight>): Model {
  const { architecture } = folder;
  const trainable = trainableTensors(folder);
  const lookup = (name: string): Weight => {
    const weight = weights.get(name);
    invariant(weight, `${name} is a tensor of ${architecture.family}`);
    return weight;
  };
  const stored = new Map([...weights.values()].map((weight) => [weight.name, weight]));
  const read = (name: string): Promise<Uint8Array> => {
    const weight = stored.get(name);
    invariant(weight, `${name} is a stored tensor`);
    return device.readWeight(weight);
  };
  const run = async <T>(perturbation: Perturbation | null, use: (pass: Pass) => Promise<T>): Promise<T> => {
    const pass = device.begin(perturbation);
    try {
      return await use(pass);
    } finally {
      pass.end();
    }
  };
  const measure = (rows: readonly EncodedRow[], perturbation: Perturbation | null): Promise<Float64Array> =>
    run(perturbation, (pass) => {
      const packed = pack(rows);
      const hidden = architecture.forward(pass, lookup, packed, packed.positions);
      return pass.losses(hidden, lookup(architecture.head), packed.targets);
    });
  return {
    folder,
    device,
    trainable,
    async perturbedLosses(rows, perturbation) {
      const losses = await measure(rows, perturbation);
      const half = losses.length / 2;
      return { plus: losses.subarray(0, half), minus: losses.subarray(half) };
    },
    losses: (rows) => measure(rows, null),
    nextLogits: (ids) =>
      run(null, (pass) => {
        const last = Int32Array.of(ids.length - 1);
        const hidden = architecture.forward(pass, lookup, { ids, lengths: [ids.length] }, last);
        return pass.logits(hidden, lookup(architecture.head));
      }),
    update: (entries) => device.update([...weights.values()], entries, noise),
    read,
    digest: () => weightsDigest(trainable, read),
  };
}

async function weightsDigest(
  trainable: readonly TrainableTensor[],
  read: (name: string) => Promise<Uint8Array>,
): Promise<string> {
  const lines = createHash("sha256");
  for (const { name, dtype, shape } of trainable) {
    const bytes = createHash("sha256")
      .update(await read(name))
      .digest("hex");
    lines.update(hashLine(name, dtype, shape, bytes));
  }
  return lines.digest("hex");
}

/** Rows one after the other, their scored positions counted over all of them. */
function pack(rows: readonly EncodedRow[]) {
  const lengths = rows.map((row) => row.ids.length);
  const starts = lengths.map((_, index) => lengths.slice(0, index).reduce((sum, length) => sum + length, 0));
  return {
    lengths,
    ids: Int32Array.from(rows.flatMap((row) => [...row.ids])),
    positions: Int32Array.from(rows.flatMap((row, i) => Array.from(row.positions, (at) => at + (starts[i] ?? 0)))),
    targets: Int32Array.from(rows.flatMap((row) => [...row.targets])),
  };
}
