/**
 * What the screenshots show: a small team that tunes two models, told through the API and the store, with the same names and
 * numbers each time. Its times are set afterwards (times.ts).
 */
import { createHash } from "node:crypto";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  createFineTuneMutation,
  FakeWorker,
  modelRow,
  type CreatedFineTune,
  type TestServer,
} from "../../server/harness.ts";
import { FakeLane } from "../../server/fake-lane.ts";
import { everything } from "../../support/claims.ts";
import { rateAdvice } from "../../../schema/rate-advice.ts";
import { divergedMessage } from "../../../worker/jobs/divergence.ts";

type RunInState = "queued" | "running" | "paused" | "failed" | "diverged";

export interface Story {
  /** Ids of the API, by what the pages are to show. */
  readonly runs: Readonly<Record<"best" | "other" | RunInState, string>>;
  readonly dataset: string;
  readonly sweep: string;
  readonly lane: FakeLane;
  /** Ends what reports that it is alive. */
  readonly stop: () => Promise<void>;
}

const device = "native: 16 threads of AVX-512, the fastest here";
const version = "0.1.0";
const worker = { id: "00000000-0000-4000-8000-000000000001", name: "gpu-01.2214", version };
export const small = "SmolLM2-135M";
const large = "Qwen3-0.6B";

export async function tellStory(server: TestServer): Promise<Story> {
  await addModels(server);
  const stopBeating = await startBeating(server);
  const films = await addDataset(server, "film reviews", await linesOf("train.jsonl", 800));
  const heldBack = await addDataset(server, "film reviews, held back", await linesOf("validation.jsonl", 200));
  const tickets = await addDataset(server, "support tickets", ticketLines(0, 240));
  const ticketsHeldBack = await addDataset(server, "support tickets, held back", ticketLines(240, 60));
  const reviews = {
    baseModel: small,
    dataset: films,
    validationDataset: heldBack,
    labelWords: [" great", " terrible"],
  };
  const sorting = {
    baseModel: small,
    dataset: tickets,
    validationDataset: ticketsHeldBack,
    labelWords: products,
    tags: ["tickets"],
  };
  const lora = { method: "LORA", steps: 1_000, evaluateEvery: 100, checkpointEvery: 200 };

  const best = await trainRun(server, { ...reviews, name: "reviews, LoRA 8", tags: ["reviews"] }, lora, {
    losses: falling({ from: 0.74, to: 0.21, over: 260, seed: 1 }),
    accuracies: [0.54, 0.61, 0.7, 0.78, 0.84, 0.865, 0.89, 0.915, 0.905, 0.92, 0.92],
  });
  const other = await trainRun(
    server,
    { ...reviews, name: "reviews, LoRA 8, lower rate", tags: ["reviews"] },
    { ...lora, learningRate: 1e-5 },
    {
      losses: falling({ from: 0.74, to: 0.4, over: 520, seed: 2 }),
      accuracies: [0.54, 0.56, 0.59, 0.63, 0.67, 0.7, 0.725, 0.75, 0.77, 0.785, 0.79],
    },
  );
  const failed = await failRun(server, { ...reviews, name: "reviews, rate too high", tags: ["reviews"] }, lora);
  const diverged = await divergeRun(server, { ...reviews, name: "reviews, rate rather high", tags: ["reviews"] }, lora);
  const cancelled = await addRun(server, { ...reviews, name: "first try" }, { steps: 4_000 });
  await server.ask("mutation ($id: ID!) { cancelFineTune(id: $id) { id } }", { id: cancelled });
  const sweep = await trainSweep(server, { ...reviews, name: "reviews", tags: ["rates"] }, lora);
  const paused = await pauseRun(server, { ...sorting, name: "tickets, LoRA 16" }, { ...lora, loraRank: 16 });
  const running = await addRun(server, { ...sorting, name: "tickets, LoRA 8" }, lora);
  await trainSome(server, 410, {
    losses: falling({ from: 1.3, to: 0.5, over: 300, seed: 4 }),
    accuracies: [0.25, 0.35, 0.52, 0.63, 0.71],
  });
  const queued = await addRun(server, { ...sorting, name: "tickets, all weights" }, { steps: 2_000 });
  await addRun(
    server,
    { name: "tickets, larger model", baseModel: large, dataset: tickets },
    { ...lora, steps: 2_000, evaluateEvery: 0 },
  );

  await pointAlias(server, "reviews-live", best);
  const lane = await FakeLane.start(server.store, {
    name: "gpu-02.871",
    device,
    version,
    memoryBytes: 24e9,
    kinds: ["COMPLETE"],
  });
  return {
    runs: { best, other, queued, running, paused, failed, diverged },
    dataset: films,
    sweep,
    lane,
    stop: async () => {
      await lane.stop();
      stopBeating();
    },
  };
}

const hashOf = (name: string) => createHash("sha256").update(name).digest("hex");

async function addModels({ modelsDir, store }: TestServer): Promise<void> {
  const sizes = {
    [small]: { family: "llama", parameters: 134_515_008, bytes: 269_060_552, contextLength: 2_048 },
    [large]: { family: "qwen3", parameters: 596_049_920, bytes: 1_503_300_328, contextLength: 32_768 },
  };
  for (const [name, size] of Object.entries(sizes)) {
    // A tokenizer of words, so that rows look as models see them.
    await cp("demo/base", join(modelsDir, name), { recursive: true });
    await store.baseModels.register({ ...modelRow(name), hash: hashOf(name), dtype: "BF16", ...size });
  }
}

/** A worker that is alive. A report holds for some seconds only. */
async function startBeating({ store }: TestServer): Promise<() => void> {
  const beat = async () => {
    await store.workers.report({ ...worker, device, ...(await everything(store)), memoryBytes: 64e9 });
  };
  await beat();
  const timer = setInterval(() => void beat().catch(() => undefined), 3_000);
  return () => clearInterval(timer);
}

async function linesOf(file: string, count: number): Promise<string> {
  return (await readFile(join("demo", file), "utf8")).split("\n").slice(0, count).join("\n");
}

const products = [" phone", " camera", " keyboard", " speaker"];
const signs = [
  ["the screen went dark", "calls are too quiet", "the battery is empty after an hour"],
  ["pictures are not sharp", "the lens is broken", "it takes no pictures in the evening"],
  ["two keys are stuck", "the left half does nothing", "the light below the keys is gone"],
  ["the music is too quiet", "there is noise in the left one", "it made no sound in the rain"],
] as const;
const openings = ["Hello,", "I am annoyed:", "Please help:", "Since Monday,", "After the update,"];

function ticketLines(first: number, count: number): string {
  return Array.from({ length: count }, (_, offset) => {
    const number = first + offset;
    const product = number % products.length;
    const sign = signs[product]?.[Math.floor(number / 4) % 3];
    const prompt = `${openings[number % openings.length]} ${sign}, order ${1_000 + number}. Product:`;
    return JSON.stringify({ prompt, completion: products[product] });
  }).join("\n");
}

async function addDataset(server: TestServer, name: string, jsonl: string): Promise<string> {
  const query = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { id } }";
  return (await server.ask<{ createDataset: { id: string } }>(query, { input: { name, jsonl } })).createDataset.id;
}

async function addRun(server: TestServer, input: object, hyperparameters: object): Promise<string> {
  const variables = { input: { ...input, hyperparameters } };
  return (await server.ask<CreatedFineTune>(createFineTuneMutation, variables)).createFineTune.fineTune.id;
}

interface Course {
  readonly losses: (step: number) => number;
  /** At step 0, 100, 200 and so on. */
  readonly accuracies: readonly number[];
}

async function trainRun(server: TestServer, input: object, hyperparameters: object, course: Course): Promise<string> {
  const id = await addRun(server, input, hyperparameters);
  const trainer = await trainSome(server, 1_000, course);
  await trainer.succeed();
  return id;
}

/** Accuracies at the end, of three rates with two ranks each. */
const swept = [0.69, 0.71, 0.845, 0.88, 0.76, 0.615];

async function trainSweep(server: TestServer, run: object, hyperparameters: object): Promise<string> {
  const query = "mutation ($input: CreateSweepInput!) { createSweep(input: $input) { sweep { id } } }";
  const vary = { grid: { learningRate: [1e-5, 3e-5, 1e-4], loraRank: [4, 8] } };
  const input = { name: "rates and ranks", run: { ...run, hyperparameters }, vary };
  const { createSweep } = await server.ask<{ createSweep: { sweep: { id: string } } }>(query, { input });
  for (const [seed, best] of swept.entries()) {
    const losses = falling({ from: 0.74, to: 1.2 - best, over: 300, seed: 20 + seed });
    const trainer = await trainSome(server, 1_000, { losses, accuracies: [0.54, (0.54 + best) / 2, best] });
    await trainer.succeed();
  }
  return createSweep.sweep.id;
}

async function trainSome({ store }: TestServer, steps: number, { losses, accuracies }: Course): Promise<FakeWorker> {
  const trainer = await FakeWorker.claim(store, 3e-5, worker.name);
  const measured = (step: number) => ({
    loss: losses(step),
    projectedGradient: 8 * noiseOf(step, 7),
    learningRate: 3e-5 * (1 - step / 1_000),
    seconds: 0.98 + 0.06 * noiseOf(step, 8),
  });
  for (const [hundreds, accuracy] of accuracies.entries()) {
    const step = 100 * hundreds;
    if (step > 0) await trainer.train(step - trainer.step, measured);
    const loss = 1.5 - accuracy;
    await store.recordEvaluation(trainer.job, { entries: step, step, rows: 200, loss, accuracy });
    if (step > 0 && step % 200 === 0) await trainer.checkpoint();
  }
  if (steps > trainer.step) await trainer.train(steps - trainer.step, measured);
  return trainer;
}

async function failRun(server: TestServer, input: object, hyperparameters: object): Promise<string> {
  const id = await addRun(server, input, { ...hyperparameters, learningRate: 1e-2 });
  const losses = (step: number) =>
    falling({ from: 0.74, to: 0.6, over: 40, seed: 3 })(step) + Math.exp((step - 180) / 20);
  const trainer = await trainSome(server, 212, { losses, accuracies: [0.54, 0.575, 0.5] });
  await server.store.finishFineTune(trainer.job, {
    status: "FAILED",
    code: "LOSS_NOT_FINITE",
    message: "The loss was not finite at steps 210, 211 and 212. Try a learning rate that is ten times lower.",
    issues: [],
  });
  return id;
}

/** Told in the words of a worker. */
async function divergeRun(server: TestServer, input: object, hyperparameters: object): Promise<string> {
  const id = await addRun(server, input, { ...hyperparameters, learningRate: 1e-3 });
  const losses = (step: number) => falling({ from: 0.74, to: 0.45, over: 120, seed: 5 })(step) + (step / 400) ** 3;
  const trainer = await trainSome(server, 512, { losses, accuracies: [0.54, 0.63, 0.71, 0.66, 0.58, 0.5] });
  const message = `${divergedMessage({
    measure: "training loss",
    start: { value: 0.71, firstStep: 1, lastStep: 64 },
    best: { value: 0.52, firstStep: 193, lastStep: 256 },
    now: { value: 2.21, firstStep: 449, lastStep: 512 },
  })} ${rateAdvice(1e-3, 200)}`;
  await server.store.finishFineTune(trainer.job, { status: "FAILED", code: "DIVERGED", message, issues: [] });
  return id;
}

async function pauseRun(server: TestServer, input: object, hyperparameters: object): Promise<string> {
  const id = await addRun(server, input, hyperparameters);
  const losses = falling({ from: 1.3, to: 0.6, over: 300, seed: 6 });
  await trainSome(server, 240, { losses, accuracies: [0.25, 0.37, 0.5] });
  await server.ask("mutation ($id: ID!) { pauseFineTune(id: $id) { id } }", { id });
  return id;
}

/** A loss that falls as losses do. */
function falling({ from, to, over, seed }: { from: number; to: number; over: number; seed: number }) {
  return (step: number) => to + (from - to) * Math.exp(-step / over) + 0.12 * noiseOf(step, seed);
}

/** Between -0.5 and 0.5. */
function noiseOf(step: number, seed: number): number {
  const far = Math.sin(step * 12.9898 + seed * 78.233) * 43_758.5453;
  return far - Math.floor(far) - 0.5;
}

async function pointAlias(server: TestServer, name: string, run: string): Promise<void> {
  const query = "query ($id: ID!) { fineTune(id: $id) { checkpoints { nodes { id step } } } }";
  type Answer = { fineTune: { checkpoints: { nodes: readonly { id: string; step: number }[] } } };
  const { fineTune } = await server.ask<Answer>(query, { id: run });
  const mutation = "mutation ($name: String!, $model: ModelInput!) { setAlias(name: $name, model: $model) { name } }";
  await server.ask(mutation, { name, model: { checkpoint: fineTune.checkpoints.nodes[0]?.id } });
}
