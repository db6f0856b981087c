/**
 * steplog demo: the whole path once, with real processes. Postgres, gateway and worker start; a client uploads data,
 * creates a fine-tune, follows it and downloads its log. Then all of them stop, a new process rebuilds the weights from
 * the base and the log, and every byte is compared with the weights that the worker trained.
 *
 * Keeps data/demo/base, data/demo/run.steplog and data/demo/rebuilt.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { SteplogError } from "../../schema/errors.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { packagePath, programPath } from "../../schema/package.ts";
import { SteplogClient, type Checkpoint, type FineTune } from "../../client/index.ts";
import { readConfig } from "../config.ts";
import type { ServiceConfig } from "../config.ts";
import { requireWritable } from "../files.ts";
import { showSteps } from "../follow.ts";
import { print } from "../output.ts";
import { counted, formatBytes } from "../../schema/units.ts";
import { stopSignal } from "../process.ts";
import { demoBase, startService } from "../service.ts";

/** Accuracy on held-out rows that the demo must reach, and by how much it must rise. */
const wantedAccuracy = 0.85;
const wantedRise = 0.15;

const chunkBytes = 1024 * 1024;

const demoFile = (name: string) => packagePath(`demo/${name}`);
const steplog = programPath("cli/steplog");

const taskSchema = z.object({ labelWords: z.array(z.string()), hyperparameters: hyperparametersSchema });

export function define(command: Command): void {
  command
    .description("Run the whole path once: train the demo model, download its log, rebuild it and compare every byte.")
    .addHelpText("after", "\nExample:\n  steplog demo")
    .action(demo);
}

async function demo(): Promise<void> {
  const read = readConfig();
  const folder = join(read.dataDir, "demo");
  const paths = {
    base: join(folder, "base"),
    log: join(folder, "run.steplog"),
    trained: join(folder, "trained.safetensors"),
    rebuilt: join(folder, "rebuilt"),
  };
  await requireWritable(folder, "folder");
  for (const path of Object.values(paths)) await rm(path, { recursive: true, force: true });
  await rm(join(folder, "models"), { recursive: true, force: true });
  await cp(demoBase, paths.base, { recursive: true });
  await cp(demoBase, join(folder, "models", "demo"), { recursive: true });
  const config: ServiceConfig = {
    ...read,
    dataDir: folder,
    modelsDir: join(folder, "models"),
    storageDir: join(folder, "storage"),
    bucket: null,
    cacheDir: join(folder, "cache"),
    host: "127.0.0.1",
    port: 0,
    workerIdleS: 0,
  };

  const { outcome, checkpoint } = await trainWithService(config, paths);
  reportAccuracy(outcome);
  await rebuild(paths, checkpoint);
  await compareBytes(paths.trained, join(paths.rebuilt, "model.safetensors"));
  reportSizes(await stat(paths.trained), checkpoint, outcome);
  await rm(paths.trained);
  const here = (path: string) => relative(process.cwd(), path);
  print(`\nKept: ${here(paths.base)}, ${here(paths.log)}, ${here(paths.rebuilt)}. Now try: npm start`);
}

interface Paths {
  readonly base: string;
  readonly log: string;
  readonly trained: string;
  readonly rebuilt: string;
}

async function trainWithService(config: ServiceConfig, paths: Paths) {
  await mkdir(config.dataDir, { recursive: true });
  const logPath = join(config.dataDir, "service.log");
  const logFile = await open(logPath, "w");
  const signal = stopSignal();
  print("Starting Postgres, the gateway and a worker.");
  const failed = withReject();
  const service = await startService({ config, logTo: logFile.fd, restart: false, onFailure: failed.reject });
  signal.addEventListener("abort", () => failed.reject(new SteplogError("UNAVAILABLE", "The demo was stopped.")));
  print(`The gateway is at ${service.url}, the worker uses ${service.device}.`);
  try {
    return await Promise.race([
      failed.promise,
      tuneAndDownload(new SteplogClient({ url: service.url, token: config.apiToken }), paths),
    ]);
  } finally {
    await service.stop();
    await logFile.close();
  }
}

function withReject(): { promise: Promise<never>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<never>((_, rejectPromise) => (reject = rejectPromise));
  promise.catch(() => {});
  return { promise, reject };
}

async function tuneAndDownload(
  client: SteplogClient,
  paths: Paths,
): Promise<{ outcome: FineTune; checkpoint: Checkpoint }> {
  const task = taskSchema.parse(JSON.parse(await readFile(demoFile("task.json"), "utf8")));
  const train = await client.createDataset({ name: "demo train", path: demoFile("train.jsonl") });
  const validation = await client.createDataset({ name: "demo validation", path: demoFile("validation.jsonl") });
  print(`Uploaded ${counted(train.rows, "training row")} and ${counted(validation.rows, "held-out row")}.`);
  const input = {
    name: "demo",
    baseModel: "demo",
    dataset: train.id,
    validationDataset: validation.id,
    keepWeights: true,
    ...task,
  };
  const fineTune = await client.createFineTune(input);
  print(`Created the fine-tune ${fineTune.id}: ${counted(task.hyperparameters.steps, "step")} of MeZO.`);
  const { outcome } = await showSteps(client, fineTune);
  const [checkpoint] = outcome.checkpoints.nodes;
  if (outcome.status !== "SUCCEEDED" || !checkpoint?.weightsUrl) {
    const { code = outcome.status, message = "no error was recorded" } = outcome.error ?? {};
    throw new SteplogError("INTERNAL", `The fine-tune did not succeed: ${code}, ${message}`);
  }
  await (await client.download(checkpoint.logUrl)).save(paths.log);
  await (await client.download(checkpoint.weightsUrl)).save(paths.trained);
  return { outcome, checkpoint };
}

function reportAccuracy({ evaluations }: FineTune): void {
  const [before, after] = [evaluations[0]?.accuracy ?? 0, evaluations.at(-1)?.accuracy ?? 0];
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  print(`Accuracy on held-out rows: ${percent(before)} before, ${percent(after)} after.`);
  if (after >= wantedAccuracy && after - before >= wantedRise) return;
  throw new SteplogError("INTERNAL", `Accuracy did not clearly rise: ${percent(before)} to ${percent(after)}.`);
}

/** In a new process that knows only the base and the log. */
async function rebuild(paths: Paths, checkpoint: Checkpoint): Promise<void> {
  const { DATABASE_URL: _, ...env } = process.env;
  print("Rebuilding the weights in a new process, from the base and the log alone.");
  const parts = ["--base", paths.base, "--log", paths.log, "--out", paths.rebuilt];
  const child = spawn(
    process.execPath,
    [steplog, "reconstruct", ...parts, "--verify", "--digest", checkpoint.weightsDigest],
    { env, stdio: "inherit" },
  );
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new SteplogError("INTERNAL", `The rebuild ended with exit code ${code}.`);
}

async function compareBytes(trained: string, rebuilt: string): Promise<void> {
  const [a, b] = [await open(trained), await open(rebuilt)];
  try {
    const { size } = await a.stat();
    const seen = (await b.stat()).size;
    if (size !== seen) throw differs(`${size} bytes were trained, ${seen} rebuilt`);
    const [left, right] = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)];
    for (let at = 0; at < size; at += chunkBytes) {
      const length = Math.min(chunkBytes, size - at);
      await a.read(left, 0, length, at);
      await b.read(right, 0, length, at);
      if (left.compare(right, 0, length, 0, length) !== 0) throw differs(`the first difference is after byte ${at}`);
    }
    print(`All ${size} bytes are identical to those that the worker trained.`);
  } finally {
    await a.close();
    await b.close();
  }
}

function differs(how: string): SteplogError {
  return new SteplogError("INTERNAL", `The rebuilt weights differ from the trained ones: ${how}.`);
}

function reportSizes(model: { size: number }, checkpoint: Checkpoint, { progress }: FineTune): void {
  const ratio = Math.round(model.size / checkpoint.logBytes);
  print(
    `model ${formatBytes(model.size)} (${model.size}), log ${formatBytes(checkpoint.logBytes)} (${checkpoint.logBytes})`,
  );
  print(`The log of ${counted(progress.step, "step")} is ${ratio} times smaller than the weights that it rebuilds.`);
}
