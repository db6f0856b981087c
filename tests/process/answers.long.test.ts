/** An answer whose worker is killed: another goes on, and the text is the one that nobody disturbed. Real processes. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { samplingSchema } from "../../schema/completion.ts";
import { type Store, openStore } from "../../store/store.ts";
import { requestOf, taskOf } from "../store/serving-fixtures.ts";
import { randomModel } from "../support/models.ts";
import { testService, until } from "./service.ts";

const maxTokens = 600;

test.runIf(process.env["STEPLOG_LONG_TESTS"])(
  "kill -9 of the worker in mid-answer: the text is the same in the end, and no piece is lost or doubled",
  { timeout: 120_000 },
  async () => {
    const service = await testService();
    const long = await randomModel("F32", {
      max_position_embeddings: maxTokens + 10,
      hidden_size: 32,
      eos_token_id: 63,
    });
    await cp(long, join(service.folder, "models", "long"), { recursive: true });
    const first = await service.startWorker({ STEPLOG_SERVE: "inference" });
    const store = await openStore({ databaseUrl: service.env["DATABASE_URL"] ?? "", storageDir: service.folder });
    onTestFinished(() => store.close());

    const id = await ask(store);
    const pieces = async () => (await store.completions.get(id))?.pieces ?? 0;
    await until("some pieces", 30_000, async () => (await pieces()) > 3);
    await first.kill("SIGKILL");
    expect(await store.completions.get(id)).toMatchObject({ status: "RUNNING" });
    const before = await pieces();
    const second = await service.startWorker({ STEPLOG_SERVE: "inference" });
    const disturbed = await answerOf(store, id);
    expect(await pieces()).toBeGreaterThan(before);

    const calm = await answerOf(store, await ask(store));
    expect(disturbed).toEqual(calm);
    expect(calm).toHaveLength(maxTokens);
    expect(await second.kill("SIGTERM")).toBe(0);
  },
);

async function ask(store: Store): Promise<string> {
  const model = await store.baseModels.getByName("long");
  if (!model) throw new Error("The worker has registered it.");
  const sampling = samplingSchema.parse({ seed: 3, logitBias: [[63, -100]] });
  const task = taskOf({ maxTokens, sampling });
  const request = { ...(await requestOf(store)), baseModelId: model.id, prompt: [3, 4, 5], task };
  return (await store.completions.create(request)).completion.id;
}

async function answerOf(store: Store, id: string): Promise<readonly number[]> {
  for await (const _ of store.feed.pieces(id, { after: 0 }));
  const row = await store.completions.get(id);
  if (row?.status !== "SUCCEEDED") throw new Error(`It is ${row?.status}: ${row?.errorMessage}`);
  const [choice] = await store.completions.choices(row);
  return choice?.tokens ?? [];
}
