/** The page of a new run, in its three steps. */
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jobKinds } from "../../schema/jobs.ts";
import {
  createDataset,
  createFineTuneMutation,
  globalId,
  modelRow,
  rows,
  type CreatedFineTune,
} from "../server/harness.ts";
import { keepAlive } from "../support/alive.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();
const demo = { name: "demo", hash: modelRow("demo").hash };
const size = { family: "opt", dtype: "F32", parameters: 330_000, bytes: 1_320_000, contextLength: 64 };
const films = await readFile("demo/train.jsonl", "utf8").then((text) => text.split("\n").slice(0, 20));

/** A worker that can train the demo's model, and nothing else. It never works. */
const able = {
  id: "00000000-0000-4000-8000-000000000001",
  name: "able-1",
  version: "1",
  device: "plain",
  kinds: jobKinds,
  families: ["opt"],
  precisions: ["FLOAT32" as const],
  memoryBytes: 1e9,
  models: [demo],
};

beforeAll(async () => {
  await cp("demo/base", join(tests.server.modelsDir, "demo"), { recursive: true });
  await tests.server.store.baseModels.register({ ...modelRow("demo"), ...size });
  await createDataset(tests.server, "stored films", films.join("\n"));
}, 60_000);
let stopWorker: () => void;
beforeAll(async () => {
  stopWorker = await keepAlive(tests.server.store, able);
});
afterAll(() => stopWorker());

const open = (query = "", page = tests.page) => page.goto(`${tests.server.url}/new${query}`);
const step = (name: string, page = tests.page) => page.getByRole("region", { name: new RegExp(`^${name}`, "u") });
const button = (name: string, page = tests.page) => page.getByRole("button", { name, exact: true });
const field = (label: string, page = tests.page) => page.getByLabel(label, { exact: true });

async function paste(lines: readonly string[], name: string, page = tests.page): Promise<void> {
  await field("Or paste rows, one a line", page).fill(lines.join("\n"));
  await field("Dataset name", page).fill(name);
}

/** To the third step, with rows that are stored. */
async function toSettings(name: string, page = tests.page): Promise<void> {
  await open("", page);
  await paste(films, name, page);
  await button("Store and continue", page).click();
  await button("Next: the settings", page).click();
  await field("Name of the run", page).waitFor();
}

/** What a field that is wrong says of itself to a screen reader, once it has the focus; runs in the page. */
async function whenWrong(input: Element): Promise<string> {
  const document = input.ownerDocument;
  const isWrong = () => document.activeElement === input && input.getAttribute("aria-invalid") === "true";
  while (!isWrong()) await new Promise((resolve) => setTimeout(resolve, 20));
  const ids = (input.getAttribute("aria-describedby") ?? "").split(" ");
  return ids.map((id) => document.getElementById(id)?.textContent.trim()).join(" ");
}

interface Created {
  readonly name: string;
  readonly dataset: { readonly name: string; readonly rows: number };
  readonly validationDataset: { readonly rows: number } | null;
  readonly labelWords: readonly string[];
  readonly hyperparameters: object;
}

async function runs(): Promise<readonly Created[]> {
  const query = `{ fineTunes(first: 100) { nodes { name labelWords dataset { name rows } validationDataset { rows }
    hyperparameters { steps evaluateEvery checkpointEvery method prefixLength learningRate batchSize } } } }`;
  return (await tests.server.ask<{ fineTunes: { nodes: Created[] } }>(query)).fineTunes.nodes;
}

const runNamed = async (name: string) => (await runs()).filter((run) => run.name === name);

describe("a new run", () => {
  test("from pasted rows to a run: format, tokens, split, label words, model, estimate", async () => {
    const { page } = tests;
    await open();
    await expectAccessible(page, "an empty draft");
    await paste(films, "films");
    await page.getByText("JSON Lines: prompts and completions.").waitFor();
    await page.getByText("Of the first 20 rows, none is refused.").waitFor();
    await expect.poll(() => page.locator(".tokens mark").first().textContent()).toMatch(/\w/u);
    await button("Use them as label words").click();
    await expectAccessible(page, "rows");
    await tests.shoot("new-data");
    await button("Store and continue").click();
    await step("Data")
      .getByText('films: 18 rows for training, 2 for validation. Label words: " great", " terrible".')
      .waitFor();
    const models = page.getByRole("table", { name: "Base models" });
    await models.getByRole("columnheader", { name: "Weights in memory" }).waitFor();
    await button("Add a model").click();
    await page.getByRole("dialog", { name: "Add a model" }).getByRole("button", { name: "Cancel" }).click();
    await models.getByRole("row", { name: /demo/u }).getByText("able-1").waitFor();
    await expect
      .poll(() => models.getByRole("row").nth(2).textContent())
      .toContain("No running worker has it in its models folder.");
    await expect.poll(() => models.getByRole("radio", { name: "demo" }).isChecked()).toBe(true);
    await expectAccessible(page, "models");
    await tests.shoot("new-model");
    await button("Next: the settings").click();
    await page.getByText("Forward passes").waitFor();
    await page.getByText(/^able-1 \(1\.00 GB of memory\): time not known/u).waitFor();
    await expectAccessible(page, "settings");
    await tests.shoot("new-settings");
    await field("Name of the run").fill("from the page");
    await button("Create run").click();
    await page.getByRole("heading", { name: "from the page" }).waitFor();
    expect(await runNamed("from the page")).toEqual([
      {
        name: "from the page",
        labelWords: [" great", " terrible"],
        dataset: { name: "films", rows: 18 },
        validationDataset: { rows: 2 },
        hyperparameters: expect.objectContaining({ steps: 4_000, evaluateEvery: 400, checkpointEvery: 400 }) as object,
      },
    ]);
    // The next run starts empty.
    await open();
    await expect.poll(() => field("Or paste rows, one a line").inputValue()).toBe("");
    expect(tests.complaints).toEqual([]);
  });

  test("a file that is dropped is taken, and a quick look has few steps", async () => {
    const { page } = tests;
    await open();
    const files = await page.evaluateHandle((jsonl) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([jsonl], "dropped.jsonl"));
      return transfer;
    }, films.join("\n"));
    await page.locator(".drop").dispatchEvent("dragover", { dataTransfer: files });
    await page.locator(".drop.over").waitFor();
    await page.locator(".drop").dispatchEvent("drop", { dataTransfer: files });
    await page.getByText("JSON Lines: prompts and completions.").waitFor();
    await expect.poll(() => page.locator(".drop.over").count()).toBe(0);
    await expect.poll(() => field("Dataset name").inputValue()).toBe("dropped");
    await button("Store and continue").click();
    await step("Data").getByText("dropped: 18 rows for training, 2 for validation.").waitFor();
    await button("Next: the settings").click();
    await page.getByRole("radio", { name: /^Your own/u }).check();
    // Beside a field it is said what it takes, and what it stands for when it is empty.
    await page
      .getByText(/A whole number from 1 to 1024\. Left empty: \d+\.$/u)
      .first()
      .waitFor();
    await page
      .getByText(/A number above 0 and up to 10, or AUTO\. Left empty: AUTO\.$/u)
      .first()
      .waitFor();
    await page.getByRole("radio", { name: /^Quick/u }).check();
    await field("Name of the run").fill("a quick look");
    await button("Create run").click();
    await page.getByRole("heading", { name: "a quick look" }).waitFor();
    const [run] = await runNamed("a quick look");
    expect(run).toMatchObject({
      dataset: { name: "dropped", rows: 18 },
      hyperparameters: { steps: 500, evaluateEvery: 100, method: "FULL" },
    });
    expect(tests.complaints).toEqual([]);
  });

  test("wrong rows are shown at their lines, of all parts of a split, and nothing stays stored", async () => {
    const { page, server } = tests;
    await open();
    const wrong = [...films.slice(0, 9), '{"prompt": "no completion"}', "not JSON", ...films.slice(9)];
    await paste(wrong, "wrong films");
    await field("Validation, % of the rows").fill("50");
    await button("Store and continue").click();
    const problem = page.getByRole("alert").filter({ hasText: "The rows were not stored" });
    await problem.getByText("Line 10", { exact: true }).waitFor();
    await problem.getByText("Line 11", { exact: true }).waitFor();
    await problem.getByText("These lines cannot be used:", { exact: true }).waitFor();
    await problem.getByText("not JSON", { exact: true }).waitFor();
    await expectAccessible(page, "wrong rows");
    await tests.shoot("new-wrong-rows");
    const { datasets } = await server.ask<{ datasets: { nodes: { name: string }[] } }>(
      "{ datasets { nodes { name } } }",
    );
    expect(datasets.nodes.filter(({ name }) => name.startsWith("wrong"))).toEqual([]);
    await field("Validation, % of the rows").fill("60");
    await field("Test, % of the rows").fill("40");
    await button("Store and continue").click();
    await expect.poll(() => field("Test, % of the rows").evaluate(whenWrong)).toBe("leaves no rows to train on");
    expect(tests.complaints).toEqual([]);
  });

  test("CSV is split too, and what is wrong is shown at the lines of the file", async () => {
    const { page, server } = tests;
    const table = (cells: readonly string[]) => ["completion,prompt", ...cells].join("\n");
    const good = Array.from({ length: 20 }, (_, index) => `" good","film ${index},\nwhich was"`);
    const put = async (name: string, text: string, encoding: BufferEncoding = "utf8") => {
      const buffer = Buffer.from(text, encoding);
      await page.locator('input[type="file"]').setInputFiles({ name, mimeType: "text/csv", buffer });
      await page.getByText("CSV: prompts and completions.").waitFor();
    };
    await open();
    await put("bad.csv", table([...good, ',"no completion"', ...good]));
    await field("Validation, % of the rows").fill("50");
    await button("Store and continue").click();
    const problem = page.getByRole("alert").filter({ hasText: "The rows were not stored" });
    await problem.getByText("Line 42", { exact: true }).waitFor();
    await put("torn.csv", table([...good, "a,b,c"]));
    await button("Store and continue").click();
    await problem.getByText("Line 42", { exact: true }).waitFor();
    await problem.getByText("another number of cells than the header").first().waitFor();
    await put("old.csv", table([...good, '" good","café"']), "latin1");
    await button("Store and continue").click();
    await problem.getByText("it is not UTF-8 text").first().waitFor();
    await put("films.csv", table(good));
    await button("Store and continue").click();
    await step("Data").getByText("films: 10 rows for training, 10 for validation.").waitFor();
    const { datasets } = await server.ask<{ datasets: { nodes: { name: string; rows: number }[] } }>(
      "{ datasets(first: 2) { nodes { name rows } } }",
    );
    expect(datasets.nodes.map(({ rows: count }) => count)).toEqual([10, 10]);
    expect(tests.complaints).toEqual([]);
  });

  test("published rows in parquet, with stored rows to validate with, and a prefix", async () => {
    const { page, server } = tests;
    await createDataset(server, "validation of films", rows(4));
    const columnData = [
      { name: "sentence", data: ["stale soup", "fine tea", "dull film"], type: "STRING" as const },
      { name: "label", data: [0n, 1n, 0n], type: "INT64" as const },
    ];
    const buffer = Buffer.from(parquetWriteBuffer({ columnData }));
    await open();
    await page.locator('input[type="file"]').setInputFiles({ name: "sst2.parquet", mimeType: "", buffer });
    await page.getByText("Parquet: objects with sentence, label. These are the fields of SST2 as published").waitFor();
    await expect.poll(() => field("Dataset name").inputValue()).toBe("sst2");
    await page.getByRole("radio", { name: "Other stored rows, or none" }).check();
    await button("Store and continue").click();
    await page.getByRole("alert").getByText("Line 3", { exact: true }).first().waitFor();
    await field("Format of the rows").selectOption({ label: "SST2 as published: sentence, label" });
    await page.getByText("Of the first 3 rows, none is refused.").waitFor();
    await field("Validation rows (optional)").selectOption({ label: "validation of films (4 rows)" });
    await button("Store and continue").click();
    await step("Data").getByText("sst2: 3 rows for training, 4 for validation.").waitFor();
    await button("Next: the settings").click();
    await page.getByRole("radio", { name: /^Your own/u }).check();
    // Settings of one's own begin with those that were chosen before.
    await expect.poll(() => field("Evaluate every (steps)").inputValue()).toBe("400");
    await field("Method").selectOption({ label: "Prefix" });
    await expect.poll(() => field("Epsilon").getAttribute("placeholder")).toBe("0.1");
    await field("Prefix length (tokens)").fill("3");
    await field("Name of the run").fill("a prefix");
    await button("Create run").click();
    await page.getByRole("heading", { name: "a prefix" }).waitFor();
    const [run] = await runNamed("a prefix");
    expect(run).toMatchObject({
      hyperparameters: { method: "PREFIX", prefixLength: 3 },
      validationDataset: { rows: 4 },
    });
    expect(tests.complaints).toEqual([]);
  });

  test("rows in parquet are shown and split as others are; what cannot be read is left to the service", async () => {
    const { page } = tests;
    const data = Array.from({ length: 40 }, (_, index) => `film ${index} was`);
    const columnData = [
      { name: "prompt", data },
      { name: "completion", data: data.map((_, index) => (index % 2 === 0 ? " good" : " bad")) },
    ];
    const whole = Buffer.from(parquetWriteBuffer({ columnData }));
    await open();
    const input = page.locator('input[type="file"]');
    await input.setInputFiles({ name: "broken.parquet", mimeType: "", buffer: whole.subarray(0, whole.length - 30) });
    await page.getByText("Parquet, which cannot be read here.").waitFor();
    await expect.poll(() => page.getByRole("radio", { name: "A share of these rows" }).isDisabled()).toBe(true);
    await page.getByText("The rows of this file are shown once they are stored.").waitFor();
    await input.setInputFiles({ name: "films.parquet", mimeType: "", buffer: whole });
    await page.getByText("Parquet: prompts and completions.").waitFor();
    await page.getByText("Of the first 40 rows, none is refused.").waitFor();
    await button("Use them as label words").click();
    await field("Validation, % of the rows").fill("10");
    await field("Test, % of the rows").fill("0");
    await button("Store and continue").click();
    await step("Data").getByText("films: 36 rows for training, 4 for validation.").waitFor();
    await expectAccessible(page, "rows of parquet");
    expect(tests.complaints).toEqual([]);
  });

  test("errors are at their fields, in the step where they can be mended", async () => {
    const { page } = tests;
    await open();
    await step("Settings")
      .getByRole("button", { name: /^3?Settings/u })
      .click();
    await button("Create run").click();
    await page.getByRole("alert").getByText("Store rows, or choose stored ones, first.").waitFor();
    await toSettings("errors");
    await page.getByRole("radio", { name: /^Your own/u }).check();
    // A rate that is not a number is not sent: as JSON it would be null.
    await field("Learning rate (number or AUTO)").fill("fast");
    await field("Batch size (rows)").fill("100000");
    await page.getByText("must be a whole number from 1 to 1024; it is 100000").waitFor();
    await button("Create run").click();
    await expect.poll(() => field("Batch size (rows)").evaluate(whenWrong)).toMatch(/^must be a whole number/u);
    await tests.shoot("new-wrong-settings");
    await expectAccessible(page, "wrong settings");
    await field("Batch size (rows)").fill("2");
    await button("Create run").click();
    await expect
      .poll(() => field("Learning rate (number or AUTO)").evaluate(whenWrong))
      .toMatch(/, or AUTO; it is fast /u);
    await field("Learning rate (number or AUTO)").fill("1e-3");
    // What settings need of each other, the service says, while one types; the focus stays where it is.
    await field("Objective").selectOption({ label: "F1 of generated answers" });
    await page.getByText(/^must be at least 1 with objective F1; it is 0/u).waitFor();
    await expect
      .poll(() => field("Maximum answer length (tokens)").evaluate((one) => one === document.activeElement))
      .toBe(false);
    await field("Objective").selectOption({ label: "Loss of the completion" });
    // Rows that do not fit the model are told of in the first step.
    await step("Data")
      .getByRole("button", { name: /^1?Data|✓?Data/u })
      .click();
    await page.getByLabel("Label words, one a line (optional)").fill("x".repeat(201));
    await page.getByRole("alert").filter({ hasText: "The run cannot use these rows" }).waitFor();
    expect(await runNamed("errors, demo")).toEqual([]);
    expect(tests.complaints).toEqual([]);
  });

  test("nothing that was typed is lost, by going back or by reloading; two tabs do not mix", async () => {
    const { page, newPage } = tests;
    await toSettings("kept");
    await page.getByRole("radio", { name: /^Your own/u }).check();
    await field("Seed").fill("7");
    await field("Tags").fill("films, first , films");
    await field("Priority").fill("101");
    await field("Priority").press("Tab");
    // The service says the range, at the field.
    await page.locator("[name=priority][aria-invalid]").waitFor();
    await field("Priority").fill("5");
    await field("Calibration prompt").fill("It was");
    // What a choice means is said of the chosen one, where a finger can read it too.
    await field("Method").selectOption({ label: "LoRA adapter" });
    await page.getByText(/^LoRA adapter: /u).waitFor();
    await field("Method").selectOption({ index: 0 });
    await step("Data").getByRole("button").first().click();
    await expect.poll(() => field("Or paste rows, one a line").inputValue()).toBe(films.join("\n"));
    await page.getByText("Stored “kept”: 18 rows for training, 2 for validation.").waitFor();
    await page.reload();
    await step("Settings").getByRole("button").first().click();
    const [tags, prompt] = [field("Tags"), field("Calibration prompt")];
    expect([await field("Seed").inputValue(), await tags.inputValue(), await prompt.inputValue()]).toEqual([
      "7",
      "films, first",
      "It was",
    ]);
    const other = await newPage();
    await open("", other);
    await expect.poll(() => field("Or paste rows, one a line", other).inputValue()).toBe("");
    await other.close();
    // Other rows must be stored anew.
    await step("Data").getByRole("button").first().click();
    await field("Or paste rows, one a line").fill(films.slice(0, 10).join("\n"));
    await button("Store and continue").waitFor();
    await button("Clear all").click();
    await expect.poll(() => field("Or paste rows, one a line").inputValue()).toBe("");
    expect(tests.complaints).toEqual([]);
  });

  test("an answer that is lost creates no second run", async () => {
    const { page } = tests;
    await toSettings("lost answer");
    await field("Name of the run").fill("only once");
    const lose = { left: 1 };
    await page.route("**/graphql", async (route) => {
      const isCreation = route.request().postData()?.includes("mutation CreateFineTune") === true;
      if (!isCreation || lose.left === 0) return route.continue();
      lose.left -= 1;
      await route.fetch();
      await route.abort();
      return undefined;
    });
    await button("Create run").click();
    await page.getByRole("alert").getByText("UNAVAILABLE").waitFor();
    expect(await runNamed("only once")).toHaveLength(1);
    await button("Create run").click();
    await page.getByRole("heading", { name: "only once" }).waitFor();
    expect(await runNamed("only once")).toHaveLength(1);
  });

  test("a copy of a run has all that it has, and can be copied as a command", async () => {
    const { page, server, newPage } = tests;
    const dataset = await createDataset(server, "to copy", films.join("\n"));
    const hyperparameters = { steps: 30, learningRate: 1e-3, batchSize: 4 };
    const input = {
      name: "copied",
      baseModel: "demo",
      dataset,
      labelWords: [" great", " terrible"],
      tags: ["x"],
      hyperparameters,
    };
    const { createFineTune } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await open(`?from=${encodeURIComponent(createFineTune.fineTune.id)}`);
    await page.getByText("Filled in from “copied”.").waitFor();
    await expect.poll(() => field("Steps").inputValue()).toBe("30");
    await expect.poll(() => field("Learning rate (number or AUTO)").inputValue()).toBe("0.001");
    await step("Data").getByText('to copy: 20 rows for training. Label words: " great", " terrible".').waitFor();
    await button("Copy as… the creation of this run").click();
    await button("Copy as a command").click();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    expect(command).toContain(`"dataset": {\n    "id": "${dataset}"`);
    expect(command).toContain("npx steplog tune fine-tune.json");
    await field("Name of the run").fill("the copy");
    await button("Create run").click();
    await page.getByRole("heading", { name: "the copy" }).waitFor();
    const [[first], [second]] = await Promise.all([runNamed("copied"), runNamed("the copy")]);
    expect({ ...second, name: "" }).toEqual({ ...first, name: "" });
    const none = await newPage();
    await open("?from=RmluZVR1bmU6MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAw", none);
    await none.getByRole("alert").getByText("That run cannot be copied").waitFor();
    await none.context().close();
  });

  test("links on the pages of a dataset and a model begin with them; what is chosen since outlives a reload", async () => {
    const { page, server } = tests;
    const id = await createDataset(server, "linked films", films.join("\n"));
    await page.goto(`${server.url}/datasets/${encodeURIComponent(id)}`);
    await page.getByRole("link", { name: "Tune a model on it" }).click();
    await step("Data").getByText("linked films: 20 rows for training.").waitFor();
    await page.waitForURL(`${server.url}/new`);
    await page.goto(`${server.url}/models/bytes`);
    await page.getByRole("link", { name: "Tune it" }).click();
    await step("Model").getByText("bytes").first().waitFor();
    await expect.poll(() => page.getByRole("radio", { name: "bytes" }).isChecked()).toBe(true);
    await page.getByRole("radio", { name: "demo" }).check();
    await page.reload();
    await expect.poll(() => page.getByRole("radio", { name: "demo" }).isChecked()).toBe(true);
    await step("Data").getByText("linked films").waitFor();
    await open(`?dataset=${encodeURIComponent(globalId("Dataset", crypto.randomUUID()))}`);
    await page.getByRole("alert").getByText("Choose another below.").waitFor();
    await page.getByRole("button", { name: "Clear all" }).click();
    expect(tests.complaints).toEqual([]);
  });

  test("models of the models folder can be registered, then chosen", async () => {
    const { page } = tests;
    const large = { family: "opt", dtype: "BF16", parameters: 5e9, bytes: 1e10, contextLength: 2048 };
    const { foundModels, baseModels } = tests.server.store;
    const damaged = { name: "damaged", problem: "MODEL_INVALID: it is truncated" };
    await foundModels.report("w", [{ name: "later", ...large }, damaged]);
    await open();
    await step("Model").getByRole("button").first().click();
    const row = (name: string) => page.getByRole("row").filter({ hasText: name });
    await row("damaged").getByText("it is truncated").waitFor();
    await expect.poll(() => row("damaged").getByRole("button").count()).toBe(0);
    await row("later").getByRole("button", { name: "Register" }).click();
    await row("later").getByRole("button", { name: "Registering…" }).waitFor();
    expect(await foundModels.claimRegistration({ worker: "w", leaseMs: 60_000, names: ["later"] })).toBe("later");
    await foundModels.failRegistration("later", "w", "INTERNAL: the disk is on fire");
    await row("later").getByText("the disk is on fire").waitFor();
    await row("later").getByRole("button", { name: "Register" }).click();
    await row("later").getByRole("button", { name: "Registering…" }).waitFor();
    await tests.shoot("new-found-models");
    await baseModels.register({ name: "later", ...large, hash: "ab".repeat(32) });
    await foundModels.report("w", []);
    await page.getByRole("radio", { name: "later" }).check();
    await expect.poll(() => page.getByText("Found in the models folder").count()).toBe(0);
    able.models = [demo, { name: "later", hash: "ab".repeat(32) }];
    await row("later")
      .getByText("Its weights need 10.0 GB of memory; the largest worker that has it has 1.00 GB.")
      .waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test.each(["light", "dark"] as const)("every step fits every screen and can be read, %s", async (colorScheme) => {
    const page: Page = await tests.newPage({ width: 360, colorScheme });
    await open("", page);
    await page.getByRole("radio", { name: "Stored rows", exact: true }).check();
    await field("Search stored rows by name", page).fill("nothing has this name");
    await page.getByText(/^None of the \d+ datasets has this in its name/u).waitFor();
    await field("Search stored rows by name", page).fill("stored");
    await page.getByRole("radio", { name: /^stored films 20 rows/u }).check();
    await page.getByText(/^Of the first 20 rows/u).waitFor();
    for (const name of ["Data", "Model", "Settings"]) {
      if (name !== "Data") await step(name, page).getByRole("button").first().click();
      if (name === "Settings") await page.getByRole("radio", { name: /^Your own/u }).check();
      await expectToFit(page, name);
      await expectAccessible(page, `${name}, ${colorScheme}`);
      await page.setViewportSize({ width: colorScheme === "dark" ? 1280 : 390, height: 900 });
      await tests.shoot(`new-${name}-${colorScheme}`, page);
    }
    expect(tests.complaints).toEqual([]);
    await page.context().close();
  });
});
