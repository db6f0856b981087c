/** A model that comes while the service runs: found, asked for, fine-tuned, with no process started again. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { randomModel } from "../support/models.ts";
import { createRun, testService, until } from "./service.ts";

test("a model that is added later is registered without a restart", { timeout: 60_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  const worker = await service.startWorker();
  await cp(await randomModel("BF16"), join(service.folder, "models", "later"), { recursive: true });
  interface Found {
    readonly foundModels: readonly { name: string; dtype: string }[];
  }
  const found = async () => (await client.query<Found>("{ foundModels { name dtype } }")).foundModels;
  await until("the worker's look", 20_000, async () => (await found()).length > 0);
  expect(await found()).toStrictEqual([{ name: "later", dtype: "BF16" }]);

  await client.query('mutation { registerBaseModel(name: "later") { foundModel { registering } } }');
  interface Models {
    readonly baseModels: { readonly nodes: readonly { name: string }[] };
  }
  const names = async () =>
    (await client.query<Models>("{ baseModels { nodes { name } } }")).baseModels.nodes.map(({ name }) => name);
  await until("the base model", 10_000, async () => (await names()).includes("later"));
  expect(await found()).toStrictEqual([]);

  const id = await createRun(service, client, 5, { baseModel: "later" });
  await until("the end of the run", 20_000, async () => (await client.fineTune(id)).status === "SUCCEEDED");
  expect(await worker.kill("SIGTERM")).toBe(0);
});
