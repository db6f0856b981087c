/** The pages of base models: the list, folders that are found, one model, and deleting it. */
import { describe, expect, test } from "vitest";
import { chatModel, createFineTune, modelRow } from "../server/harness.ts";
import { everything } from "../support/claims.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();

const row = (name: string) => tests.page.getByRole("row").filter({ has: tests.page.getByText(name, { exact: true }) });

async function reportWorker(): Promise<void> {
  const { store } = tests.server;
  const about = {
    id: "00000000-0000-4000-8000-000000000001",
    name: "gpu-1",
    device: "plain: a test",
    version: "1.2.3",
  };
  await store.workers.report({ ...about, ...(await everything(store)) });
}

describe("the models", () => {
  test("each tells its size, who has it and how many runs it has; one found is registered", async () => {
    const { page, server } = tests;
    await createFineTune(server, {}, "tuned");
    await reportWorker();
    await server.store.baseModels.register(modelRow("nowhere-1.1b"));
    const { hash: _, ...seen } = modelRow("folder");
    await server.store.foundModels.report("gpu-1", [
      seen,
      { name: "broken", problem: "MODEL_INVALID: no config.json" },
    ]);
    await page.goto(`${server.url}/models`);
    await row("bytes").getByText("1 worker").waitFor();
    await row("bytes").getByText("5B F32").waitFor();
    await row("nowhere-1.1b").getByText("none has it").waitFor();
    await row("broken").getByText("MODEL_INVALID: no config.json").waitFor();
    await tests.shoot("models");
    await page.getByRole("button", { name: "Register folder" }).click();
    await page.getByRole("button", { name: "Registering… folder" }).waitFor();
    await server.store.baseModels.register(modelRow("folder"));
    await row("folder").getByRole("link").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("adding one says which command to run", async () => {
    const { page, server } = tests;
    await page.goto(`${server.url}/models`);
    await page.getByRole("button", { name: "Add a model" }).click();
    await page.getByLabel("Repository on the Hugging Face hub").fill("it's; rm");
    await page.getByText(String.raw`npx steplog model add 'it'\''s; rm'`).waitFor();
    await page.getByLabel("Repository on the Hugging Face hub").fill("facebook/opt-125m");
    await page.getByText("npx steplog model add facebook/opt-125m").waitFor();
    await tests.shoot("models-add");
    await expectAccessible(page, "adding a model");
    await expectToFit(page, "adding a model");
  });

  test.each(["light", "dark"] as const)("are accessible and fit, %s", async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    await page.goto(`${tests.server.url}/models`);
    await page.getByRole("table", { name: "Found models" }).waitFor();
    await expectAccessible(page, "the models");
    await expectToFit(page, "the models");
    await expectAccessible(page, "the models on a phone");
    await tests.shoot(`models-phone-${colorScheme}`, page);
    await page.context().close();
  });
});

describe("a model", () => {
  test("says what it is and what was made of it, and leads to tuning and trying it", async () => {
    const { page, server } = tests;
    await chatModel(server, "talks");
    await reportWorker();
    await page.goto(`${server.url}/models`);
    await page.getByRole("link", { name: "bytes" }).click();
    await page.getByText("1 worker can train and answer with it. It is used by 1 run.").waitFor();
    await page.getByText("no: it takes text only").waitFor();
    await page.getByRole("link", { name: "tuned" }).waitFor();
    expect(await page.getByRole("link", { name: "Tune it" }).getAttribute("href")).toBe("/new?model=bytes");
    await tests.shoot("model");
    await page.goto(`${server.url}/models/talks`);
    await page.getByText("yes: it takes messages, and rows may be conversations").waitFor();
    await server.store.baseModels.register(modelRow("unseen-1.1b"));
    await page.goto(`${server.url}/models/unseen-1.1b`);
    await page.getByText("No running worker has it").waitFor();
    await page.goto(`${server.url}/models/unknown`);
    await page.getByRole("heading", { name: "No such model" }).waitFor();
    await expectAccessible(page, "no such model");
    expect(tests.complaints).toEqual([]);
  });

  test("one that runs need is not deleted, and the page says why; another is", async () => {
    const { page, server } = tests;
    const remove = async (name: string) => {
      await page.goto(`${server.url}/models/${name}`);
      await page.getByRole("button", { name: `Actions of ${name}` }).click();
      await page.getByRole("button", { name: "Delete", exact: true }).click();
      await page.getByRole("button", { name: "Delete it" }).click();
    };
    await remove("bytes");
    await page.getByRole("alert").getByText("is needed by 1 fine-tune").waitFor();
    await expectAccessible(page, "a model that is not deleted");
    await remove("talks");
    await page.waitForURL("**/models");
    await row("nowhere-1.1b").waitFor();
    expect(await row("talks").count()).toBe(0);
  });

  test.each(["light", "dark"] as const)("is accessible and fits, %s", async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    await reportWorker();
    await page.goto(`${tests.server.url}/models/bytes`);
    await page.getByText("What it is").waitFor();
    await expectAccessible(page, "a model");
    await expectToFit(page, "a model");
    await tests.shoot(`model-phone-${colorScheme}`, page);
    await page.context().close();
  });
});
