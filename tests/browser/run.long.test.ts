/** The parts of a run's page: charts that are looked at closely, and answers before and after tuning. */
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { claimAny } from "../support/claims.ts";
import {
  createDataset,
  createFineTune,
  createFineTuneMutation,
  FakeWorker,
  rowId,
  type CreatedFineTune,
} from "../server/harness.ts";
import { evaluated } from "./evaluated.ts";
import { expectAccessible, expectToFit, expectToReturn, pageTests } from "./harness.ts";

const tests = pageTests();

const runUrl = (id: string) => `${tests.server.url}/fine-tunes/${encodeURIComponent(id)}`;

/** A run with validation rows, trained and evaluated. */
/** @param midway there is a checkpoint of step 200 too */
async function trained(name: string, { midway = false } = {}): Promise<string> {
  const [dataset, validationDataset] = [
    await createDataset(tests.server),
    await createDataset(tests.server, "held back"),
  ];
  const input = {
    name,
    baseModel: "bytes",
    dataset,
    validationDataset,
    labelWords: [" good", " bad"],
    hyperparameters: { steps: 400 },
  };
  const { createFineTune } = await tests.server.ask<CreatedFineTune>(createFineTuneMutation, { input });
  const worker = await FakeWorker.claim(tests.server.store);
  await worker.store.recordEvaluation(worker.job, { entries: 0, step: 0, rows: 40, loss: 2.1, accuracy: 0.5 });
  for (let batch = 0; batch < 8; batch += 1) {
    await worker.train(50);
    if (midway && worker.step === 200) await worker.checkpoint();
  }
  await worker.store.recordMemory(worker.job, memory("FORWARD_PASSES", 0, 20.4e9));
  for (const step of [100, 250, 400]) await worker.store.recordMemory(worker.job, memory("STEPS", step, 20.9e9 + step));
  await worker.store.recordEvaluation(worker.job, { entries: 400, step: 400, rows: 40, loss: 1.2, accuracy: 0.9 });
  await worker.checkpoint();
  await worker.succeed();
  return createFineTune.fineTune.id;
}

const memory = (kind: "FORWARD_PASSES" | "STEPS", step: number, peakBytes: number) => ({
  kind,
  step,
  peakBytes,
  residentBytes: peakBytes - 1e8,
});

test("a run that waits is paused, resumed, archived and deleted; without a step it has nothing to choose of charts", async () => {
  const { page, server } = tests;
  const id = await createFineTune(server, { steps: 10 }, "waiting");
  await page.goto(runUrl(id));
  await page.getByText("They begin with the first step.").waitFor();
  await expect
    .poll(() =>
      page
        .getByLabel("Smoothing")
        .or(page.getByRole("button", { name: "Zoom in" }))
        .count(),
    )
    .toBe(0);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByText("It waits at step 0 of 10 until somebody resumes it.").waitFor();
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.locator(".status", { hasText: "Queued" }).waitFor();
  const more = async (action: string) => {
    await page.getByRole("button", { name: "More actions of waiting" }).click();
    await page.getByRole("button", { name: action, exact: true }).click();
  };
  await more("Archive");
  await page.getByText("Archived.").waitFor();
  const archivedAt = async () => (await server.store.fineTunes.get(rowId(id)))?.archivedAt;
  expect(await archivedAt()).toBeInstanceOf(Date);
  await more("Bring back");
  await expect.poll(archivedAt).toBeNull();
  await more("Delete");
  const sure = page.getByRole("dialog", { name: "Delete “waiting”?" });
  await sure.getByText("It is cancelled first.").waitFor();
  await sure.getByRole("button", { name: "Delete run" }).click();
  await page.waitForURL(`${server.url}/`);
  await page.getByText("“waiting” is deleted.").waitFor();
  expect(await server.store.fineTunes.get(rowId(id))).toBeNull();
  expect(tests.complaints).toEqual([]);
});

describe("the charts", () => {
  test("are read and zoomed without dragging: by buttons, numbers, keys and a tap; the address says what is shown", async () => {
    const page = await tests.newPage({ hasTouch: true });
    await page.goto(runUrl(await trained("by keys")));
    const plot = page.getByRole("img", { name: /^Loss of by keys/u });
    const [step, validation] = [0, 3].map((row) => plot.locator(".u-legend .u-series").nth(row).locator(".u-value"));
    const shows = async (at: string, loss: string) => {
      await expect.poll(() => step?.textContent()).toBe(at);
      await expect.poll(() => validation?.textContent()).toBe(loss);
    };
    // The last values, until somebody asks for others.
    await shows("400", "1.2000");
    await page.getByRole("button", { name: "Zoom in" }).click();
    const [from, to] = [page.getByRole("spinbutton", { name: "From" }), page.getByRole("spinbutton", { name: "to" })];
    expect([await from.inputValue(), await to.inputValue()]).toEqual(["100", "300"]);
    await page.getByRole("button", { name: "Zoom in" }).click();
    expect([await from.inputValue(), await to.inputValue()]).toEqual(["150", "250"]);
    const out = page.getByRole("button", { name: "Zoom out" });
    await out.click();
    expect([await from.inputValue(), await to.inputValue()]).toEqual(["100", "300"]);
    await out.click();
    expect([await from.inputValue(), await to.inputValue(), await out.isDisabled()]).toEqual(["0", "400", true]);
    await page.getByRole("button", { name: "Zoom in" }).click();
    await page.getByRole("button", { name: "Show what is before" }).click();
    expect([await from.inputValue(), await to.inputValue()]).toEqual(["50", "250"]);
    await to.fill("200");
    await to.press("Enter");
    await shows("200", "2.1000");
    await page.getByLabel("Log scale").check();
    await page.waitForURL("**?steps=50-200&log=yes");
    await page.reload();
    await shows("200", "2.1000");
    await expect.poll(() => from.inputValue()).toBe("50");
    await plot.focus();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    await shows("199", "2.1000");
    await page.getByText(/^Step 199: Each step /u).waitFor({ state: "attached" });
    await page.keyboard.press("0");
    await page.waitForURL((url) => url.search === "?log=yes");
    const box = await plot.locator(".u-over").boundingBox();
    if (!box) throw new Error("the chart is shown");
    await page.touchscreen.tap(box.x + 1, box.y + 40);
    await shows("0", "2.1000");
    await expectAccessible(page, "charts");
    expect(tests.complaints).toEqual([]);
    await page.context().close();
  });

  test("zoom together, go back, and are saved", async () => {
    const { page } = tests;
    await page.goto(runUrl(await trained("charted")));
    const plot = page.locator(".u-over").first();
    await plot.waitFor();
    // What is said about the rows comes above the chart.

    await page.locator(".notice", { hasText: "3 rows are training rows too" }).waitFor();
    const box = await plot.boundingBox();
    if (!box) throw new Error("the chart is shown");
    await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
    const dragged = () =>
      page
        .locator(".u-select")
        .first()
        .evaluate((part) => part.clientWidth);
    await expect.poll(dragged).toBeGreaterThan(50);
    await page.mouse.up();
    await page.getByRole("button", { name: "Show all steps" }).waitFor();
    await page.getByRole("button", { name: "Show all steps" }).click();
    await page.getByLabel("Smoothing").fill("0");
    await page.getByText("none", { exact: true }).waitFor();
    await page.getByLabel("Log scale").check();
    const save = async (name: string) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      return readFile(await download.path());
    };
    const csv = (await save("Save the numbers of Loss as CSV")).toString();
    const [head, , first] = csv.split("\n");
    expect(head).toBe("step,Each step,Smoothed,Validation,Base model");
    expect(first).toMatch(/^1,1,1,,$/u);
    expect(csv.trim().split("\n")).toHaveLength(402);
    const [names, start, ...readings] = (await save("Save the numbers of Memory as CSV")).toString().trim().split("\n");
    expect(names).toBe("step,Steps (the most),Forward passes alone,Weights alone");
    expect(start).toBe("0,,20400000000,20000000000");
    expect(readings.slice(0, 3)).toEqual([
      "100,20900000100,,",
      "250,20900000250,,",
      "400,20900000400,20400000000,20000000000",
    ]);
    await page.getByText("What the worker’s whole process holds").waitFor();
    expect((await save("Save the chart Loss as PNG")).subarray(1, 4).toString()).toBe("PNG");
    expect(tests.complaints).toEqual([]);
  });
});

describe("answers before and after", () => {
  test("are asked for by a button, then shown beside each other and filtered", async () => {
    const { page, server } = tests;
    await page.goto(runUrl(await trained("answered", { midway: true })));
    await page.getByRole("button", { name: "Ask both models" }).click();
    await page
      .getByRole("status")
      .filter({ hasText: /worker|answering/u })
      .first()
      .waitFor();
    const measured = { rows: 3, loss: 0.5, accuracy: 1, f1: null, exactMatch: null };
    const rowsOf = (rights: readonly boolean[]) =>
      rights.map((right, row) => ({
        row,
        prompt: `${row} is`,
        expected: " good",
        answer: right ? " good" : " bad",
        right,
        loss: 0.5,
      }));
    for (let answers = 0; answers < 2; answers += 1) {
      const job = await claimAny(server.store);
      if (!job) throw new Error("two evaluations wait");
      const evaluation = await server.store.evaluations.get(job.subject);
      const rows = rowsOf(evaluation?.checkpointId == null ? [true, false, false] : [false, true, false]);
      await server.store.finishEvaluation(job, { status: "SUCCEEDED", measured, rows });
    }
    const table = page.getByRole("table", { name: "Answers before and after" });
    await table.waitFor();
    await expect.poll(() => table.getByRole("row").count()).toBe(4);
    const show = page.getByLabel("Show", { exact: false }).locator("visible=true").last();
    await show.selectOption({ label: "Better after (1)" });
    await table.getByRole("row", { name: /1 is.*bad wrong.*good right/u }).waitFor();
    await expect.poll(() => table.getByRole("row").count()).toBe(2);
    await show.selectOption({ label: "Wrong after (2)" });
    await expect.poll(() => table.getByRole("row").count()).toBe(3);
    await tests.shoot("run-answers");
    // Another checkpoint than the best: what the base answers is known, and the choice is in the address.
    const choice = page.getByRole("combobox", { name: /^Checkpoint/u });
    await expect.poll(() => choice.locator("option").allTextContents()).toEqual(["step 400, the best", "step 200"]);
    await choice.selectOption({ label: "step 200" });
    await page.getByRole("button", { name: "Ask both models" }).click();
    await expect.poll(async () => (await server.queued()).jobs).toBe(1);
    const job = (await claimAny(server.store)) ?? expect.unreachable("one evaluation waits");
    await server.store.finishEvaluation(job, { status: "SUCCEEDED", measured, rows: rowsOf([false, false, true]) });
    await table.getByRole("row", { name: /3 2 is.*bad wrong.*good right/u }).waitFor();
    expect(await server.queued()).toMatchObject({ jobs: 0 });
    await page.reload();
    await table.getByRole("row", { name: /3 2 is.*bad wrong.*good right/u }).waitFor();
    await choice.selectOption({ label: "step 400, the best" });
    await table.getByRole("row", { name: /2 1 is.*bad wrong.*good right/u }).waitFor();
    expect(new URL(page.url()).search).toBe("");
    await expectAccessible(page, "answers of a checkpoint that is chosen");
    expect(tests.complaints).toEqual([]);
  });
});

test("what was asked for leads to its rows, and all of them are counted, however many pages they are", async () => {
  const { page, server } = tests;
  const id = await trained("row by row");
  const { fineTune } = await server.ask<{ fineTune: { validationDataset: { id: string } } }>(
    "query ($id: ID!) { fineTune(id: $id) { validationDataset { id } } }",
    { id },
  );
  const dataset = fineTune.validationDataset.id;
  // Every third, and every second, is answered rightly.
  const [before, after] = [3, 2].map((every) => Array.from({ length: 250 }, (_, row) => row % every === 0));
  const words = [" good", " bad"];
  await evaluated(server, { name: "bytes" }, dataset, before ?? [], words);
  await evaluated(server, { fineTune: id }, dataset, after ?? [], words);
  await evaluated(server, { fineTune: id }, dataset, [true]);
  await page.goto(runUrl(id));
  const asked = page.getByRole("table", { name: "Evaluations that were asked for" });
  const opener = asked.getByRole("button", { name: /^Show 250 rows: step 400 on held back \(.{8}\)$/u });
  await opener.waitFor();
  await expectAccessible(page, "evaluations that were asked for");
  await opener.click();
  const dialog = page.getByRole("dialog", { name: /^Each row: step 400 on held back/u });
  await dialog.getByLabel("Show").selectOption({ label: "Wrong (125)" });
  const answers = dialog.getByRole("table", { name: "Answers" });
  await expect.poll(() => answers.getByRole("row").count()).toBe(126);
  await answers.getByRole("row", { name: /^250 249 is good bad wrong$/u }).waitFor();
  await expectAccessible(page, "each row of an evaluation");
  await tests.shoot("run-each-row");
  await expectToFit(page, "each row of an evaluation", [1280, 390]);
  await page.setViewportSize({ width: 1280, height: 900 });
  await expectToReturn(page, opener);
  // Those beside each other are counted as far.
  await page.getByRole("combobox", { name: "Show" }).selectOption({ label: "Better after (83)" });
  await page.goto(`${server.url}/models/bytes`);
  await page.getByRole("button", { name: "Show 250 rows: on held back" }).click();
  await page.getByRole("dialog").getByLabel("Show").selectOption({ label: "Right (84)" });
  await page.goto(`${server.url}/datasets/${encodeURIComponent(dataset)}`);
  await page.getByRole("button", { name: "Show 1 row: step 400 of row by row" }).click();
  await page.getByRole("dialog").getByText("0 is").waitFor();
  expect(tests.complaints).toEqual([]);
});

describe("forms over the page", () => {
  const form = (name: string) => tests.page.getByRole("dialog", { name });

  test("another name and tags: a refusal leaves what was typed", async () => {
    const { page, server } = tests;
    const id = await trained("renamed");
    await server.ask('mutation ($id: ID!) { updateFineTune(id: $id, input: { tags: ["zero"] }) { id } }', { id });
    await page.goto(runUrl(id));
    const more = page.getByRole("button", { name: "More actions of renamed" });
    const open = async () => {
      await more.click();
      await page.getByRole("button", { name: "Rename or tag" }).click();
    };
    await open();
    await form("Rename or tag").getByLabel("Name", { exact: true }).fill("not this");
    await expectToReturn(page, more);
    await open();
    const fields = ["Name", "Tags, separated by commas"].map((label) => form("Rename or tag").getByLabel(label));
    await expect.poll(() => Promise.all(fields.map((field) => field.inputValue()))).toEqual(["renamed", "zero"]);
    await form("Rename or tag").getByLabel("Name", { exact: true }).fill("n".repeat(300));
    await form("Rename or tag").getByLabel("Tags, separated by commas").fill("one, two,");
    await form("Rename or tag").getByRole("button", { name: "Save" }).click();
    await form("Rename or tag").getByText("The run was not changed").waitFor();
    await expectAccessible(page, "a name that is too long");
    await expectToFit(page, "a name that is too long", [1280, 390]);
    await form("Rename or tag").getByLabel("Name", { exact: true }).fill("another name");
    await form("Rename or tag").getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "another name" }).waitFor();
    await expect.poll(() => page.locator(".title .tag").allTextContents()).toEqual(["one", "two"]);
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
    expect(tests.complaints).toEqual([]);
  });

  test("an alias of a checkpoint: a name that a model has is refused", async () => {
    const { page, server } = tests;
    await page.goto(runUrl(await trained("aliased")));
    const actions = page.getByRole("button", { name: "Actions of step 400", exact: true });
    const open = async () => {
      await actions.click();
      await page.getByRole("button", { name: "Give it an alias" }).click();
    };
    await open();
    const alias = form("An alias for step 400");
    await alias.getByLabel("Alias").fill("left");
    await expectToReturn(page, actions);
    await open();
    await expect.poll(() => alias.getByLabel("Alias").inputValue()).toBe("");
    await alias.getByLabel("Alias").fill("bytes");
    await alias.getByRole("button", { name: "Set alias" }).click();
    await alias.getByText("The alias was not set").waitFor();
    await expect.poll(() => alias.getByLabel("Alias").inputValue()).toBe("bytes");
    await expectAccessible(page, "an alias that is refused");
    await alias.getByLabel("Alias").fill("live");
    await alias.getByRole("button", { name: "Set alias" }).click();
    await page.getByText("“live” is now the checkpoint of step 400.").waitFor();
    expect(await server.ask("{ aliases { name checkpoint { step } } }")).toEqual({
      aliases: [{ name: "live", checkpoint: { step: 400 } }],
    });
  });

  test("a run that has ended is continued by another", async () => {
    const { page, server } = tests;
    await page.goto(runUrl(await trained("to continue")));
    await page.getByRole("button", { name: "Continue", exact: true }).click();
    const more = form("Continue “to continue”");
    await more.getByLabel("Additional steps").fill("20");
    await expectAccessible(page, "continuing a run");
    await more.getByRole("button", { name: "Start" }).click();
    await page.getByText("0 / 20").waitFor();
    const id = decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1) ?? "");
    await server.store.fineTunes.cancel(rowId(id));
  });
});

test.each(["light", "dark"] as const)(
  "the page is accessible and fits, with its menu open too, %s",
  async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    await page.goto(runUrl(await trained("accessible")));
    await page.locator(".u-over").first().waitFor();
    await expectAccessible(page, "a run");
    await page.getByRole("button", { name: "Actions of step 400" }).click();
    await expectAccessible(page, "actions of a checkpoint");
    await page.keyboard.press("Escape");
    await expectToFit(page, "a run");
    await expectAccessible(page, "a run on a phone");
    await tests.shoot(`run-phone-${colorScheme}`, page);
    await page.context().close();
  },
);
