/** Workers come and go: who is listed, and a run that waits for the right one. Real processes. */
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { liveMs, scanModelsMs } from "../../schema/limits.ts";
import { createRun, testService, until } from "./service.ts";

const slackMs = 20_000;

test(
  "a run waits for a worker that has its model, and says so; a killed worker is no longer listed",
  { timeout: 180_000 },
  async () => {
    const service = await testService();
    const { client } = await service.startServer();
    const models = async () => {
      const query = "{ workers { models { name } job { kind fineTune { name } } } }";
      const { workers } = await client.query<{ workers: readonly { models: readonly { name: string }[] }[] }>(query);
      return workers.map((worker) => worker.models.map(({ name }) => name));
    };
    const first = await service.startWorker();
    await until("the report", slackMs, async () => (await models()).length === 1);
    expect(await models()).toEqual([["tiny"]]);
    expect(await first.kill("SIGTERM")).toBe(0);
    expect(await models()).toEqual([]);

    const id = await createRun(service, client, 5);
    expect((await client.fineTune(id)).waitingReason).toMatch(/^No worker is running\./u);
    const otherModels = join(service.folder, "other-models");
    await mkdir(otherModels);
    const second = await service.startWorker({ STEPLOG_MODELS: otherModels });
    const lacks = /^No live worker has the base model tiny \(hash [0-9a-f]{12}\)/u;
    await until("the reason", slackMs, async () => lacks.test((await client.fineTune(id)).waitingReason ?? ""));
    expect((await client.fineTune(id)).status).toBe("QUEUED");

    await cp(service.modelPath, join(otherModels, "tiny"), { recursive: true });
    await until(
      "the end of the run",
      scanModelsMs + 2 * slackMs,
      async () => (await client.fineTune(id)).status === "SUCCEEDED",
    );
    expect((await client.fineTune(id)).waitingReason).toBeNull();
    expect(await models()).toEqual([["tiny"]]);
    await second.kill("SIGKILL");
    await until("its silence", liveMs + slackMs, async () => (await models()).length === 0);
  },
);
