/** A model that comes while the service runs: found, asked for, fine-tuned, with no process started again. */
import { cp, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { packagePath } from "../../schema/package.ts";
import { filesOf, repositoryOf, testHub } from "../support/hub.ts";
import { firstTry } from "../support/first-try.ts";
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

describe("a worker that is killed in the middle of a file", () => {
  interface Download {
    readonly status: string;
    readonly file: { readonly name: string; readonly doneBytes: number; readonly totalBytes: number } | null;
    readonly error: { readonly message: string } | null;
    readonly baseModel: { readonly hash: string } | null;
  }
  interface Downloads {
    readonly modelDownloads: readonly Download[];
  }
  const query = "{ modelDownloads { status file { name doneBytes totalBytes } error { message } baseModel { hash } } }";
  /** Of 1.3 MB: then the hub says no more, so that the kill is in mid-file for certain. */
  const heldAt = 600_000;

  test.each([
    ["another with the same folder goes on where it was", (models: string) => models, heldAt],
    ["another with a folder of its own begins again", (models: string) => `${models}-2`, 0],
  ])(
    "%s; nothing half done is a model, and nothing half done is left",
    { ...firstTry, timeout: 120_000 },
    async (_, folderOf, from) => {
      const base = packagePath("demo/base");
      const hub = await testHub({ "tiny/base": repositoryOf(await filesOf(base)) });
      hub.faults.heldAt = heldAt;
      const service = await testService(undefined, { HF_ENDPOINT: hub.url });
      const models = join(service.folder, "models");
      const next = folderOf(models);
      const { client } = await service.startServer();
      const killed = await service.startWorker();
      await client.query('mutation { addBaseModel(input: { repository: "tiny/base" }) { status } }');
      const state = async () => (await client.query<Downloads>(query)).modelDownloads[0];
      await until("half of the file", 30_000, async () => (await state())?.file?.doneBytes === heldAt);
      await killed.kill("SIGKILL");
      expect(await readdir(models)).not.toContain("base");
      expect(await stat(join(models, ".steplog/partial/base/model.safetensors.part"))).toMatchObject({ size: heldAt });

      hub.faults.heldAt = null;
      hub.seen.length = 0;
      const worker = await service.startWorker({ STEPLOG_MODELS: next });
      await until("the model", 60_000, async () => (await state())?.status !== "RUNNING");
      const hash = await baseHash(await openModelFolder(base));
      expect(await state()).toEqual({ status: "SUCCEEDED", file: null, error: null, baseModel: { hash } });
      // Its library asks for the first byte too, to see what there is.
      const asked = hub.seen.filter(({ server, range }) => server === "storage" && range !== "bytes=0-0");
      expect(asked.map(({ range = "bytes=0-" }) => range)).toEqual([expect.stringMatching(`^bytes=${from}-`)]);
      expect(await readdir(join(next, ".steplog/partial"))).toEqual([]);
      expect(await worker.kill("SIGTERM")).toBe(0);
    },
  );
});
