/**
 * Machines that share Postgres and an S3, and no file system: a run on a machine that has no models folder, with the S3 away at
 * its end, gives the bytes that a service with one folder gives. Real processes, and a real S3 server.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type FineTune, SteplogClient } from "../../client/index.ts";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";
import { firstTry } from "../support/first-try.ts";
import { startS3, whyNoS3 } from "../support/s3/s3.ts";
import { modelsOf, testService, until } from "./service.ts";

const steps = 12;

test.skipIf(!process.env["STEPLOG_LONG_TESTS"] || whyNoS3 !== null)(
  "three machines share Postgres and an S3 alone, and the weights are those of a shared folder",
  { ...firstTry, timeout: 180_000 },
  async () => {
    const s3 = await startS3();
    onTestFinished(() => s3.end());
    const token = { STEPLOG_API_TOKEN: "open-sesame" };
    const expected = await withSharedFolder();

    const service = await testService();
    const machine = async (name: string) => {
      const folder = join(service.folder, name);
      await mkdir(join(folder, "models"), { recursive: true });
      return { STEPLOG_DATA: folder, ...s3.env("of-tests") };
    };
    const [gateway, owner, other] = [await machine("gateway"), await machine("owner"), await machine("other")];
    await cp(packagePath("demo/base"), join(owner.STEPLOG_DATA, "models", "demo"), { recursive: true });

    const { url } = await service.startServer(0, { ...gateway, ...token });
    const client = new SteplogClient({ url, token: token.STEPLOG_API_TOKEN });
    const first = await service.startWorker(owner);
    const second = await service.startWorker(other);
    // The second has nothing in its folder, so what it can do is what it can copy.
    await until("the model to be stored", 60_000, async () => (await modelsOf(client)).length === 2);
    expect(await first.kill("SIGTERM")).toBe(0);

    const id = await startRun(client);
    await until("steps", 60_000, async () => (await client.fineTune(id)).progress.step > 1);
    await s3.kill();
    await until("all steps", 60_000, async () => (await client.fineTune(id)).progress.step === steps);
    await delay(2_000);
    expect(await client.fineTune(id)).toMatchObject({ status: "RUNNING" });
    await s3.start();
    const run = await client.wait(id);
    expect(run.status).toBe("SUCCEEDED");
    expect(await weightsOf(client, run)).toEqual(expected);
    const rows = [{ prompt: "The soup", completion: " was" }];
    expect(await client.score({ model: { name: "demo" }, rows })).toHaveLength(1);
    expect(await readdir(join(gateway.STEPLOG_DATA, "models"))).toEqual([]);
    expect(await readdir(join(other.STEPLOG_DATA, "models"))).toEqual([]);
    expect(await second.kill("SIGTERM")).toBe(0);
  },
);

/** The weights of the same run where gateway and worker have one folder. */
async function withSharedFolder(): Promise<Record<string, string>> {
  const service = await testService();
  await cp(packagePath("demo/base"), join(service.folder, "models", "demo"), { recursive: true });
  const { client, running } = await service.startServer();
  const worker = await service.startWorker();
  const run = await client.wait(await startRun(client));
  const weights = await weightsOf(client, run);
  await Promise.all([worker.kill("SIGTERM"), running.kill("SIGTERM")]);
  return weights;
}

async function startRun(client: SteplogClient): Promise<string> {
  const { id } = await client.createDataset({ name: "reviews", path: packagePath("demo/train.jsonl") });
  const hyperparameters = { steps, batchSize: 4, learningRate: 1e-4, seed: 11 } as const;
  const settings = { name: "storage", baseModel: "demo", dataset: id, keepWeights: true };
  return (await client.createFineTune({ ...settings, labelWords: [" great", " terrible"], hyperparameters })).id;
}

/** Hashes of the files of the last checkpoint, as a client downloads them, by name. */
async function weightsOf(client: SteplogClient, { checkpoints }: FineTune): Promise<Record<string, string>> {
  const last = checkpoints.nodes.at(-1);
  if (!last) throw new Error("the run has a checkpoint");
  const folder = await scratch();
  await client.downloadWeights(last, folder);
  const names = (await readdir(folder)).toSorted();
  const weights: Record<string, string> = {};
  for (const name of names)
    weights[name] = createHash("sha256")
      .update(await readFile(join(folder, name)))
      .digest("hex");
  return weights;
}
