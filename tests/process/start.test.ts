/** `steplog tune` against a service of real processes. */
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { demoBase } from "../../cli/service.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";
import { runSteplog, startSteplog } from "../support/processes.ts";
import type { TestService } from "./service.ts";
import { createRun, testService, until } from "./service.ts";

describe("steplog tune", () => {
  // In one test, since each process costs two seconds.
  test(
    "creates, follows, writes the log and exits with the outcome; with 5 when the run is cancelled and 4 when it fails",
    { timeout: 180_000 },
    async () => {
      const service = await testService();
      await cp(demoBase, join(service.folder, "models", "demo"), { recursive: true });
      await addBrokenModel(service);
      const { url, client } = await service.startServer();
      const worker = await service.startWorker();
      await tuneToTheEnd(service, url);
      expect(await worker.kill("SIGTERM")).toBe(0); // It has registered the models, and runs stay queued now.
      await createRun(service, client, 5);
      await tuneAndCancel(service, url);
      const failing = startSteplog(["tune", await taskFile(service, brokenTask), "--url", url], {});
      await service.startWorker();
      expect(await failing.ended).toBe(4);
      expect(failing.output()).toContain("LOSS_NOT_FINITE");
    },
  );

  test("says when no service answers", async () => {
    const folder = await scratch();
    await writeFile(join(folder, "task.json"), JSON.stringify({ baseModel: "demo", dataset: { id: "x" } }));
    const { code, stderr } = await steplogHere(["tune", join(folder, "task.json"), "--url", "http://127.0.0.1:9"]);
    expect(code).toBe(3);
    expect(stderr).toContain("does not answer");
  });

  test("says which field of the file is wrong", async () => {
    const folder = await scratch();
    await writeFile(join(folder, "task.json"), JSON.stringify({ baseModl: "demo", dataset: "x" }));
    const { code, stderr } = await steplogHere(["tune", join(folder, "task.json")]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/baseModel/u);
  });
});

async function taskFile(service: TestService, task: object): Promise<string> {
  const path = join(service.folder, "task.json");
  await writeFile(path, JSON.stringify(task));
  return path;
}

/** A model with a weight that is not a number. */
async function addBrokenModel(service: TestService): Promise<void> {
  const broken = join(service.folder, "models", "broken");
  await cp(service.modelPath, broken, { recursive: true });
  const weights = await readFile(join(broken, "model.safetensors"));
  weights.writeFloatLE(Number.NaN, weights.length - 4);
  await writeFile(join(broken, "model.safetensors"), weights);
}

const brokenTask = { baseModel: "broken", dataset: "rows.jsonl", hyperparameters: { steps: 5, learningRate: 1e-4 } };

async function tuneToTheEnd(service: TestService, url: string): Promise<void> {
  await mkdir(join(service.folder, "data"));
  await writeFile(join(service.folder, "data", "rows.jsonl"), '{"prompt":"It was","completion":" great"}\n');
  const describeRun = {
    baseModel: "demo",
    dataset: "data/rows.jsonl",
    hyperparameters: { steps: 3, batchSize: 2, learningRate: 1e-5 },
    log: "out.steplog",
  };
  const { code, stdout, stderr } = await runSteplog(["tune", await taskFile(service, describeRun), "--url", url]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toContain("SUCCEEDED after 3 steps");
  expect(decodeStepLog(await readFile(join(service.folder, "out.steplog"))).entries).toHaveLength(3);

  const wrong = { ...describeRun, hyperparameters: { steps: 3, learningRate: 1e-5, epsilon: 5 } };
  const refused = await steplogHere(["tune", await taskFile(service, wrong), "--url", url]);
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain("hyperparameters.epsilon");

  await writeFile(join(service.folder, "data", "rows.jsonl"), '{"prompt":"It was"}\n');
  const badRows = await steplogHere(["tune", await taskFile(service, describeRun), "--url", url]);
  expect(badRows.code).toBe(3);
  expect(badRows.stderr).toMatch(/line 1.*completion/u);
}

async function tuneAndCancel(service: TestService, url: string): Promise<void> {
  const long = { baseModel: "tiny", dataset: "rows.jsonl", hyperparameters: { steps: 1000 } };
  const running = startSteplog(["tune", await taskFile(service, long), "--url", url], {});
  await until("the run", 20_000, () => running.output().includes("Fine-tune"));
  const created = /is (\S+)\./u.exec(running.output())?.[1];
  await until("the reason", 20_000, () => running.output().includes("No worker is running."));
  const watching = startSteplog(["follow", created ?? "", "--url", url], {});
  await until("the reason", 20_000, () => watching.output().includes("No worker is running."));
  expect(await watching.kill("SIGINT")).toBe(130);
  expect(watching.output()).toContain(`to stop it:    steplog cancel ${created} --url ${url}`);
  expect((await steplogHere(["cancel", created ?? "", "--url", url])).code).toBe(0);
  expect(await running.ended).toBe(5);
}
