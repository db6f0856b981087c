/**
 * Compares gradient estimators by what they need to learn the demo's task: forward passes and steps until 95 % of the validation
 * rows are right. SPSA as in MeZO, n-SPSA, and two later methods, emulated here by their published rules: FZOO
 * (arXiv 2506.09034) and LOZO (arXiv 2410.07698). docs/decisions/0009-estimators.md has the results.
 */
import { createReadStream } from "node:fs";
import { encodeRows } from "../dataset/fit.ts";
import type { EncodedRow } from "../dataset/encode.ts";
import { readRows } from "../dataset/jsonl.ts";
import type { Row } from "../dataset/jsonl.ts";
import { loadTokenizer } from "../dataset/tokenizer.ts";
import type { Device } from "../engine/devices/device.ts";
import type { EvaluationSet } from "../engine/objective/evaluate.ts";
import { evaluate, prepareEvaluation } from "../engine/objective/evaluate.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import type { Model } from "../engine/model/model.ts";
import { loadModel } from "../engine/model/model.ts";
import type { Noise } from "../engine/numbers/noise.ts";
import { Philox, sigma } from "../engine/numbers/noise.ts";
import { batchRows } from "../engine/train/batches.ts";
import { perturbationSize, toBfloat16 } from "../engine/numbers/scalar.ts";
import { ruleSeed } from "../schema/step-log.ts";
import { openDevice } from "./device.ts";
import { deviation } from "./measure.ts";
import { packagePath } from "../schema/package.ts";

const demo = (name: string) => packagePath(`demo/${name}`);
const labelWords = [" great", " terrible"];
const batchSize = 16;
const epsilon = 1e-3;
const target = 0.95;

/** The weights of one run, and a step of a method on them. A step costs `passes` forward passes of a batch. */
interface Run {
  readonly passes: number;
  /** @returns whether the scalars of the step are finite */
  step(batch: readonly EncodedRow[], t: number): Promise<boolean>;
  judge(set: EvaluationSet): Promise<number>;
  free(): void;
}

interface Subject {
  readonly name: string;
  readonly rates: readonly number[];
  begin(folder: ModelFolder, device: Device, rate: number, seed: number): Promise<Run>;
}

const subjects: readonly Subject[] = [
  spsa("SPSA, rademacher", "rademacher", 1, [3e-5, 1e-4, 2e-4, 3e-4]),
  spsa("SPSA, normal", "normal", 1, [3e-5, 1e-4, 2e-4, 3e-4]),
  spsa("n-SPSA, n = 4", "rademacher", 4, [1e-4, 2e-4, 3e-4, 6e-4]),
  fzoo(4, [1e-3, 3e-3, 1e-2, 3e-2]),
  fzoo(8, [1e-3, 3e-3, 1e-2, 3e-2]),
  lozo(1, 50, [3e-5, 1e-4, 2e-4, 3e-4]),
  lozo(4, 50, [3e-5, 1e-4, 2e-4, 3e-4]),
];

function spsa(name: string, noise: Noise, estimates: number, rates: readonly number[]): Subject {
  return {
    name,
    rates,
    async begin(folder, device, rate, seed) {
      const model = await loadModel(folder, device, noise);
      const size = perturbationSize(epsilon, noise);
      const step = async (batch: readonly EncodedRow[], t: number) => {
        const seeds = Array.from({ length: estimates }, (_, i) => ruleSeed(seed, t * estimates + i));
        const scalars: number[] = [];
        for (const one of seeds) {
          const { plus, minus } = await model.perturbedLosses(batch, { seed: one, size, noise });
          const gradient = (mean(plus) - mean(minus)) / (2 * size * sigma[noise]);
          scalars.push(toBfloat16((rate * gradient) / estimates / sigma[noise]));
        }
        return apply(model, seeds, scalars);
      };
      return { passes: 2 * estimates, step, ...judging(model) };
    },
  };
}

/**
 * FZOO, algorithm 1: n one-sided losses L_i along rademacher noise z_i; the step is the mean of (L_i - L) z_i, divided by the
 * standard deviation of the losses.
 */
function fzoo(estimates: number, rates: readonly number[]): Subject {
  return {
    name: `FZOO, n = ${estimates}`,
    rates,
    async begin(folder, device, rate, seed) {
      const noise = "rademacher";
      const model = await loadModel(folder, device, noise);
      const size = perturbationSize(epsilon, noise);
      const step = async (batch: readonly EncodedRow[], t: number) => {
        const seeds = Array.from({ length: estimates }, (_, i) => ruleSeed(seed, t * estimates + i));
        const middle = mean(await model.losses(batch));
        const losses: number[] = [];
        for (const one of seeds)
          losses.push(mean((await model.perturbedLosses(batch, { seed: one, size, noise })).plus));
        const spread = deviation(losses);
        return apply(
          model,
          seeds,
          losses.map((loss) => toBfloat16(spread > 0 ? (rate * (loss - middle)) / (estimates * spread) : 0)),
        );
      };
      return { passes: estimates + 1, step, ...judging(model) };
    },
  };
}

/** LOZO, algorithm 1: matrices are perturbed by u v', with a new u [outputs, rank] each step and v [inputs, rank] every `lazy` steps. */
function lozo(rank: number, lazy: number, rates: readonly number[]): Subject {
  return {
    name: `LOZO, rank ${rank}, every ${lazy} steps`,
    rates,
    async begin(folder, device, rate, seed) {
      const weights = new Map<string, Float32Array>();
      for (const [name, values] of await weightsOf(folder, device)) weights.set(name, values);
      const shapes = new Map(folder.tensors.map(({ name, shape }) => [name, shape]));
      const known = new Map<string, Float32Array>();
      let latest = -1;
      const direction = (name: string, t: number): Float32Array => {
        if (t !== latest) known.clear();
        latest = t;
        const along = known.get(name) ?? drawn(name, t);
        known.set(name, along);
        return along;
      };
      const drawn = (name: string, t: number): Float32Array => {
        const [rows = 1, columns] = shapes.get(name) ?? [];
        if (columns === undefined) return signs(ruleSeed(seed, t), name, rows);
        const u = signs(ruleSeed(seed, t), `${name} u`, rows * rank);
        const v = signs(ruleSeed(seed, Math.floor(t / lazy)), `${name} v`, columns * rank);
        const out = new Float32Array(rows * columns);
        const scale = 1 / Math.sqrt(rank);
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            let sum = 0;
            for (let r = 0; r < rank; r++) sum += (u[i * rank + r] ?? 0) * (v[j * rank + r] ?? 0);
            out[i * columns + j] = scale * sum;
          }
        }
        return out;
      };
      const lossAt = async (batch: readonly EncodedRow[], t: number, size: number) => {
        const model = await modelWith(folder, device, (name) => moved(weights, name, direction(name, t), size));
        const loss = mean(await model.losses(batch));
        model.free();
        return loss;
      };
      const step = async (batch: readonly EncodedRow[], t: number) => {
        const [plus, minus] = [await lossAt(batch, t, epsilon), await lossAt(batch, t, -epsilon)];
        const scalar = toBfloat16((rate * (plus - minus)) / (2 * epsilon));
        for (const name of weights.keys()) weights.set(name, moved(weights, name, direction(name, t), -scalar));
        return Number.isFinite(scalar);
      };
      return {
        passes: 2,
        step,
        async judge(set) {
          const model = await modelWith(folder, device, (name) => weights.get(name) ?? new Float32Array());
          const { accuracy } = await evaluate(model, set);
          model.free();
          return accuracy ?? 0;
        },
        free: () => weights.clear(),
      };
    },
  };
}

function apply(model: Model, seeds: readonly bigint[], scalars: readonly number[]): boolean {
  if (!scalars.every((scalar) => Number.isFinite(scalar))) return false;
  model.update(seeds.map((seed, i) => ({ seed, scalar: scalars[i] ?? 0 })));
  return true;
}

function judging(model: Model): Pick<Run, "judge" | "free"> {
  return { judge: async (set) => (await evaluate(model, set)).accuracy ?? 0, free: () => model.free() };
}

function moved(
  weights: ReadonlyMap<string, Float32Array>,
  name: string,
  along: Float32Array,
  by: number,
): Float32Array {
  const out = Float32Array.from(weights.get(name) ?? []);
  for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) + by * (along[i] ?? 0);
  return out;
}

/** The model with other weights than its folder's. */
function modelWith(folder: ModelFolder, device: Device, weightsOf: (name: string) => Float32Array): Promise<Model> {
  const createWeight: Device["createWeight"] = (spec) => {
    const values = weightsOf(spec.name);
    return device.createWeight(spec, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  };
  // Without mapWeight, every weight is created by createWeight.
  const replaced: Device = { ...device, createWeight };
  delete (replaced as { mapWeight?: unknown }).mapWeight;
  return loadModel(folder, replaced, "rademacher");
}

async function weightsOf(folder: ModelFolder, device: Device): Promise<Map<string, Float32Array>> {
  const model = await loadModel(folder, device, "rademacher");
  const weights = new Map<string, Float32Array>();
  for (const { name } of model.trainable) weights.set(name, new Float32Array((await model.read(name)).slice().buffer));
  model.free();
  return weights;
}

function signs(seed: bigint, name: string, count: number): Float32Array {
  const blocks = Math.ceil(count / 128);
  const words = new Uint32Array(4 * blocks);
  let id = 0;
  for (const char of name) id = (Math.imul(id, 31) + char.charCodeAt(0)) >>> 0;
  new Philox(seed, id, 1).blocks(0, blocks, words);
  return Float32Array.from({ length: count }, (_, i) => 1 - 2 * (((words[i >> 5] ?? 0) >>> (i & 31)) & 1));
}

// Measuring

export interface EstimatorOptions {
  readonly device: string;
  readonly seeds: number;
  /** A run fails after this many forward passes of a batch. */
  readonly passes: number;
}

interface EstimatorRow {
  readonly name: string;
  /** The best rate of the grid, and with how many seeds it reached the target. */
  readonly rate: number;
  readonly reached: number;
  /** Mean and standard deviation over the runs that reached the target. */
  readonly passes: readonly [number, number];
  readonly steps: readonly [number, number];
}

export async function benchEstimators({ device: name, seeds, passes }: EstimatorOptions): Promise<EstimatorRow[]> {
  const device = await openDevice({ device: name });
  const folder = await openModelFolder(demo("base"));
  const data = await readDemo(folder);
  const rows: EstimatorRow[] = [];
  for (const subject of subjects) {
    const measure = (rate: number, count: number) => measured(subject, folder, device, data, { rate, count, passes });
    let best: EstimatorRow | null = null;
    for (const rate of subject.rates) {
      const row = await measure(rate, Math.min(seeds, tuningSeeds));
      if (!best || isBetter(row, best)) best = row;
    }
    if (best) rows.push(await measure(best.rate, seeds));
    console.error(`${subject.name}: ${JSON.stringify(rows.at(-1))}`);
  }
  device.dispose();
  return rows;
}

/** Seeds used to choose a rate. */
const tuningSeeds = 2;

async function measured(
  subject: Subject,
  folder: ModelFolder,
  device: Device,
  data: DemoData,
  { rate, count, passes }: { rate: number; count: number; passes: number },
): Promise<EstimatorRow> {
  const runs: { steps: number; passes: number }[] = [];
  for (let seed = 1; seed <= count; seed++) {
    const run = await subject.begin(folder, device, rate, seed);
    const steps = await stepsToTarget(run, data, seed, passes);
    run.free();
    if (steps !== null) runs.push({ steps, passes: steps * run.passes });
  }
  return rowOf(subject.name, rate, runs);
}

function rowOf(name: string, rate: number, runs: readonly { steps: number; passes: number }[]): EstimatorRow {
  const of = (key: "steps" | "passes") => runs.map((run) => run[key]);
  const spread = (values: readonly number[]) => [mean(values), deviation(values)] as const;
  return { name, rate, reached: runs.length, passes: spread(of("passes")), steps: spread(of("steps")) };
}

function isBetter(a: EstimatorRow, b: EstimatorRow): boolean {
  return a.reached === b.reached ? a.passes[0] < b.passes[0] : a.reached > b.reached;
}

/** Evaluates about every 40 forward passes, so that all methods are judged equally often. */
async function stepsToTarget(run: Run, { rows, set }: DemoData, seed: number, most: number): Promise<number | null> {
  const every = Math.max(1, Math.round(40 / run.passes));
  for (let t = 0; (t + 1) * run.passes <= most; t++) {
    if (!(await run.step(batchRows(rows, batchSize, seed, t), t))) return null;
    if ((t + 1) % every === 0 && (await run.judge(set)) >= target) return t + 1;
  }
  return null;
}

interface DemoData {
  readonly rows: readonly EncodedRow[];
  readonly set: EvaluationSet;
}

async function readDemo(folder: ModelFolder): Promise<DemoData> {
  const tokenizer = await loadTokenizer(folder.path);
  const read = async (name: string) => {
    const source: Row[] = [];
    const keep = async function* () {
      for await (const numbered of readRows(createReadStream(demo(name)))) {
        source.push(numbered.row);
        yield numbered;
      }
    };
    const encoded = await encodeRows({ tokenizer, bounds: folder.architecture, rows: keep(), labelWords });
    return encoded.flatMap((value, index) => {
      const row = source[index];
      return row ? [{ row, encoded: value }] : [];
    });
  };
  const settings = { tokenizer, kind: "causal", labelWords, calibrationPrompt: null, answerTokens: 0 } as const;
  return {
    rows: (await read("train.jsonl")).map(({ encoded }) => encoded),
    set: prepareEvaluation(await read("validation.jsonl"), settings),
  };
}

function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

/** As Markdown. */
export function estimatorTable(rows: readonly EstimatorRow[], seeds: number): string {
  const cell = ([middle, spread]: readonly [number, number]) => `${middle.toFixed(0)} ± ${spread.toFixed(0)}`;
  const lines = rows.map(({ name, rate, reached, passes, steps }) => {
    return `| ${[name, rate, `${reached} of ${seeds}`, cell(passes), cell(steps)].join(" | ")} |`;
  });
  return ["| method | rate | reached by | forward passes | steps |", "|---|---|---|---|---|", ...lines].join("\n");
}
