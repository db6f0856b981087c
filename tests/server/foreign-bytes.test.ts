/** Foreign bytes cost their own process time and memory, and nobody else's. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { makeDataset } from "../../dataset/tasks.ts";
import { limitsFor } from "../../sandbox/limits.ts";
import type { Task } from "../../sandbox/messages.ts";
import type { Work } from "../../sandbox/sandbox.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { programPath } from "../../schema/package.ts";
import { golden, scratch } from "../support/models.ts";
import { createDataset, testServer } from "./harness.ts";

const endless = golden("datasets", "endless.parquet");

test("a parquet file that its reader never ends is refused", async () => {
  const sandbox = new Sandbox();
  onTestFinished(() => sandbox.close());
  const read = sandbox.run<typeof makeDataset>({
    file: programPath("dataset/tasks"),
    name: "makeDataset",
    input: { path: endless, preparation: null, to: join(await scratch(), "rows.jsonl") },
    limits: { ...limitsFor(1), stalledMs: 500 },
    blame: { code: "DATASET_INVALID", doing: "Reading the dataset" },
  });
  await expect(read).rejects.toMatchObject({
    code: "DATASET_INVALID",
    message: expect.stringMatching(/^Reading the dataset was given up: nothing happened for [\d.]+ s\.$/u) as unknown,
  });
});

/** Has no limits of time. */
class PatientSandbox extends Sandbox {
  override run<T extends Task>({ limits, ...work }: Work<T>) {
    return super.run({ ...work, limits: { ...limits, stalledMs: Infinity, totalMs: 2 ** 30 } });
  }
}

test("it is no longer read once its client has left", async () => {
  // Only one file at a time is read, so the next dataset is stored when the reading has ended.
  const sandbox = new PatientSandbox({ places: 1 });
  const server = await testServer({ sandbox });
  onTestFinished(async () => {
    sandbox.close();
    await server.dispose();
  });
  await createDataset(server);
  const body = await readFile(endless);
  const leaving = new AbortController();
  const sent = fetch(`${server.url}/datasets?name=p`, { method: "POST", body, signal: leaving.signal });
  const outcome = sent.then(
    () => "answered",
    () => "left",
  );
  await delay(200);
  leaving.abort();
  expect(await outcome).toBe("left");
  await createDataset(server);
});
