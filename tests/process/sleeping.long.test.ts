/** The worker of `steplog start` ends when it is idle and starts when there is work; the service looks whole all the time. */
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { startSteplog } from "../support/processes.ts";
import { directly } from "../store/fixtures.ts";
import { urlOf } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

const slackMs = 30_000;

/** Processes that `pid` has started and that run. */
async function childrenOf(pid = 0): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return children.trim().split(" ").length;
}

test("asleep it is listed, and starts for a run, an estimate and a new model", { timeout: 180_000 }, async () => {
  const service = await testService();
  const start = startSteplog(["start"], { ...service.env, PORT: "0", STEPLOG_WORKER_IDLE: "1" });
  const client = new SteplogClient({ url: await urlOf(start) });
  const workers = async () =>
    (await client.query<{ workers: { name: string; asleep: boolean }[] }>("{ workers { name asleep } }")).workers;
  const asleep = [{ name: expect.stringMatching(new RegExp(`-${start.child.pid}$`, "u")) as string, asleep: true }];
  const fallsAsleep = async () => {
    await until("sleep", slackMs, async () => (await workers())[0]?.asleep === true);
    // The gateway alone is left.
    await until("the end of the process", slackMs, async () => (await childrenOf(start.child.pid)) === 1);
    expect(await workers()).toEqual(asleep);
  };
  await fallsAsleep();

  const id = await createRun(service, client, 5);
  expect((await client.fineTune(id)).waitingReason ?? "A worker starts for it.").toBe("A worker starts for it.");
  await until("the end of the run", slackMs, async () => (await client.fineTune(id)).status === "SUCCEEDED");
  await fallsAsleep();

  const estimate = await client.query<{ estimateFineTune: { workers: unknown } }>(
    `query ($input: CreateFineTuneInput!) { estimateFineTune(input: $input) { workers { lacks seconds { total } } } }`,
    {
      input: {
        name: "estimated",
        baseModel: "tiny",
        dataset: await datasetOf(client),
        hyperparameters: { steps: 100, learningRate: 1e-4 },
      },
    },
  );
  expect(estimate.estimateFineTune.workers).toEqual([{ lacks: [], seconds: { total: expect.any(Number) as number } }]);
  await fallsAsleep();

  await cp(service.modelPath, join(service.folder, "models", "another"), { recursive: true });
  const names = async () => {
    const { baseModels } = await client.query<{ baseModels: { nodes: { name: string }[] } }>(
      "{ baseModels { nodes { name } } }",
    );
    return baseModels.nodes.map(({ name }) => name);
  };
  await until("its registration", slackMs, async () => (await names()).includes("another"));
  await fallsAsleep();

  expect(await start.kill("SIGTERM")).toBe(0);
  const rows = await directly(service.env["DATABASE_URL"] ?? "", (sql) => sql`select name from workers`);
  expect([...rows]).toEqual([]);
});

async function datasetOf(client: SteplogClient): Promise<string> {
  const { datasets } = await client.query<{ datasets: { nodes: { id: string }[] } }>("{ datasets { nodes { id } } }");
  return datasets.nodes[0]?.id ?? "";
}
