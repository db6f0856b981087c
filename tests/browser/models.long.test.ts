/** The pages of base models: the list, folders that are found, one model, and deleting it. */
import { describe, expect, onTestFinished, test } from "vitest";
import { chatModel, createFineTune, modelRow } from "../server/harness.ts";
import { keepAlive } from "../support/alive.ts";
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
  onTestFinished(await keepAlive(store, { ...about, ...(await everything(store)) }));
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

  test("one is added from the hub: it shows how far it is, also after a reload, and is cancelled", async () => {
    const { page, server } = tests;
    const { modelDownloads, baseModels } = server.store;
    const held = { worker: "w", leaseMs: 600_000 };
    await page.goto(`${server.url}/models`);
    await page.getByRole("button", { name: "Add a model" }).click();
    const repository = page.getByLabel("Repository on the Hugging Face hub");
    await repository.fill("../etc");
    await page.getByRole("button", { name: "Download it" }).click();
    await page.getByText("must be written ORGANISATION/NAME").waitFor();
    await expectAccessible(page, "a repository that is none");
    await repository.fill("https://huggingface.co/facebook/opt-125m/");
    await tests.shoot("models-add");
    await expectToFit(page, "adding a model");
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByRole("button", { name: "Download it" }).click();
    await page.getByText("Waits for a worker to take it.").waitFor();
    await modelDownloads.claim(held);
    const current = { name: "model-00002-of-00007.safetensors", doneBytes: 1e7, totalBytes: 3e7 };
    const files = { current, filesDone: 4, filesTotal: 11 };
    await modelDownloads.renew("opt-125m", held, { stage: "downloading", doneBytes: 5e7, totalBytes: 2e8, files });
    const words = "4 of 11 files done. Now model-00002-of-00007.safetensors: 10.0 MB of 30.0 MB.";
    await page.getByText(`Downloading: 50.0 MB of 200 MB. ${words}`).waitFor();
    await page.reload();
    await page.getByText(`Downloading: 50.0 MB of 200 MB. ${words}`).waitFor();
    await expectToFit(page, "a download");
    await tests.shoot("models-downloading");
    await page.getByRole("button", { name: "Cancel opt-125m" }).click();
    await page.getByText("Cancelling…").waitFor();
    await modelDownloads.finish("opt-125m", "w", { status: "CANCELLED" });
    await page.getByText("Nothing of it is kept").waitFor();
    await page.getByRole("button", { name: "Forget opt-125m" }).click();
    await page.getByRole("region", { name: "Models being added" }).waitFor({ state: "detached" });
    await modelDownloads.request({ name: "private", repository: "some/private", revision: "v2" });
    await modelDownloads.claim(held);
    const message = "The hub does not show some/private without a token. Set HF_TOKEN where the worker is.";
    await modelDownloads.finish("private", "w", { status: "FAILED", code: "UNAUTHENTICATED", message });
    await modelDownloads.request({ name: "fine", repository: "some/fine", revision: "main" });
    await modelDownloads.claim(held);
    await baseModels.register(modelRow("fine"));
    await modelDownloads.finish("fine", "w", { status: "SUCCEEDED" });
    await page.reload();
    await page.getByText("Set HF_TOKEN where the worker is.").waitFor();
    await page.getByText("some/private@v2").waitFor();
    await page.getByText("Added: runs can start from it.").waitFor();
    await tests.shoot("models-added");
    await page.getByRole("button", { name: "Try again: private" }).click();
    await page.getByText("Waits for a worker to take it.").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("whoever may not add one is told the command", async () => {
    const { page, server } = tests;
    // A service without keys takes any, and says of each that it may do everything.
    await page.addInitScript(() => localStorage.setItem("steplog-token", "one"));
    await page.route("**/graphql", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, body: (await answer.text()).replace('"ADMIN"', '"READ"') });
    });
    await page.goto(`${server.url}/models`);
    await page.getByRole("button", { name: "Add a model" }).click();
    await page.getByLabel("Repository on the Hugging Face hub").fill("it's; rm");
    await page.getByText(String.raw`npx steplog model add 'it'\''s; rm'`).waitFor();
    await expectAccessible(page, "the command that adds a model");
    await expectToFit(page, "the command that adds a model");
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
    await expect.poll(() => page.getByRole("link", { name: "Tune it" }).getAttribute("href")).toBe("/new?model=bytes");
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
    await expect.poll(() => row("talks").count()).toBe(0);
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
