/** `steplog start`: the service as one command, stopped, killed and started again. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { scratch } from "../support/models.ts";
import { startSteplog } from "../support/processes.ts";
import { urlOf } from "./follow.ts";
import { until } from "./service.ts";

test(
  "start keeps the service up, stops cleanly, and goes on with what was unfinished",
  { timeout: 120_000 },
  async () => {
    const folder = await scratch();
    const env = { STEPLOG_DATA: folder, STEPLOG_LOG_LEVEL: "warn", PORT: "0", STEPLOG_DEVICE: "tfjs-wasm" };
    const first = startSteplog(["start"], env);
    const client = new SteplogClient({ url: await urlOf(first) });
    expect(first.output()).toContain("GraphiQL");
    const { baseModels } = await client.query<{ baseModels: { nodes: { name: string }[] } }>(
      "{ baseModels { nodes { name } } }",
    );
    expect(baseModels.nodes).toStrictEqual([{ name: "demo" }]);

    const rows = join(folder, "rows.jsonl");
    await writeFile(rows, '{"prompt":"The soup was","completion":" great"}\n'.repeat(8));
    const { id: dataset } = await client.createDataset({ name: "rows", path: rows });
    const hyperparameters = { steps: 400, batchSize: 8, learningRate: 1e-9 };
    const { createFineTune } = await client.query<{ createFineTune: { fineTune: { id: string } } }>(
      "mutation ($input: CreateFineTuneInput!) { createFineTune(input: $input) { fineTune { id } } }",
      { input: { name: "unfinished", baseModel: "demo", dataset, hyperparameters } },
    );
    const { id } = createFineTune.fineTune;
    await until("some steps", 30_000, async () => (await client.fineTune(id)).progress.step > 10);
    expect(await first.kill("SIGINT")).toBe(0);

    const second = startSteplog(["start"], env);
    const again = new SteplogClient({ url: await urlOf(second) });
    const before = (await again.fineTune(id)).progress.step;
    expect(before).toBeGreaterThan(10);
    await until("the end of the run", 60_000, async () => (await again.fineTune(id)).status === "SUCCEEDED");
    expect((await again.fineTune(id)).progress.step).toBe(400);
    // The rate is far too low, and most of the first steps are the other process'.
    const said: string[] = [];
    for await (const update of again.follow(id)) {
      if (update.type === "event" && update.event.type === "HARDLY_MOVED") said.push(update.event.message);
    }
    expect(said).toStrictEqual([expect.stringContaining("Try learningRate AUTO")]);

    // Killed without a chance to end anything: the next start finds its way all the same.
    await second.kill("SIGKILL");
    const third = startSteplog(["start"], env);
    const last = new SteplogClient({ url: await urlOf(third) });
    expect((await last.fineTune(id)).status).toBe("SUCCEEDED");
    expect(await third.kill("SIGTERM")).toBe(0);
  },
);
