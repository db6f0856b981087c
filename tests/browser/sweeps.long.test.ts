/** Sweeps on the page: starting one from a run, and finding out which settings are best. */
import { afterEach, describe, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { createDataset, createFineTuneMutation, FakeWorker, type CreatedFineTune } from "../server/harness.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();

const createSweepMutation = `mutation ($input: CreateSweepInput!) { createSweep(input: $input) { sweep { id runs { id } } } }`;

interface Created {
  readonly createSweep: { readonly sweep: { readonly id: string; readonly runs: readonly { readonly id: string }[] } };
}

async function rowsOf() {
  const dataset = await createDataset(tests.server, "reviews");
  const validationDataset = await createDataset(tests.server, "held back");
  return { baseModel: "bytes", dataset, validationDataset };
}

async function createRun(name: string, hyperparameters: object): Promise<string> {
  const input = { name, ...(await rowsOf()), labelWords: [" good", " bad"], hyperparameters };
  return (await tests.server.ask<CreatedFineTune>(createFineTuneMutation, { input })).createFineTune.fineTune.id;
}

async function createSweep(name: string, vary: object, runName = "spam"): Promise<string> {
  const run = { name: runName, ...(await rowsOf()), labelWords: [" good", " bad"], hyperparameters: { steps: 100 } };
  const { createSweep: made } = await tests.server.ask<Created>(createSweepMutation, { input: { name, run, vary } });
  return made.sweep.id;
}

/** The next run that waits measures this, and ends. */
async function trainNext(accuracy: number, loss = 1 - accuracy): Promise<void> {
  const worker = await FakeWorker.claim(tests.server.store);
  await worker.train(100);
  await worker.store.recordEvaluation(worker.job, { entries: 100, step: 100, rows: 40, loss, accuracy });
  await worker.succeed();
}

const sweepUrl = (id: string, more = "") => `${tests.server.url}/sweeps/${encodeURIComponent(id)}${more}`;
const table = (page: Page) => page.getByRole("table", { name: "Runs of the sweep" });
const lines = (page: Page, more = "") => page.locator(`.run-line${more}`).count();
const only = (page: Page) => new URL(page.url()).searchParams.get("only");

/** Pixels of an axis, from its first to its last value. */
async function axisOf(page: Page, title: string) {
  const ends = await Promise.all(
    ["first", "last"].map((end) => page.getByRole("slider", { name: `${title}, ${end} value shown` }).boundingBox()),
  );
  const [first, last] = ends;
  if (!first || !last) throw new Error(`there is an axis ${title}`);
  return { x: first.x + first.width / 2, bottom: first.y, top: last.y + last.height };
}

/** The next test claims the runs that it creates. */
afterEach(async () => {
  const waiting = "{ fineTunes(first: 100, filter: { statuses: [QUEUED] }) { nodes { id } } }";
  const { fineTunes } = await tests.server.ask<{ fineTunes: { nodes: { id: string }[] } }>(waiting);
  const cancel = "mutation ($id: ID!) { cancelFineTune(id: $id) { id } }";
  for (const { id } of fineTunes.nodes) await tests.server.ask(cancel, { id });
});

describe("starting a sweep", () => {
  test("without any, the page says what one is and leads to the runs", async () => {
    const { page, server } = tests;
    await page.goto(`${server.url}/sweeps`);
    await page.getByText("There are no sweeps yet").waitFor();
    await expectAccessible(page, "no sweeps");
    await expectToFit(page, "no sweeps");
    await tests.shoot("sweeps-none");
    await createRun("first try", { steps: 100, estimator: "SPSA", learningRate: 1e-6 });
    await page.getByRole("link", { name: "New sweep" }).click();
    await page.getByRole("button", { name: "Sweep from first try" }).waitFor();
    await expectAccessible(page, "which run");
    await tests.shoot("sweep-which-run");
    await page.getByRole("button", { name: "Sweep from first try" }).click();
    await page.getByText("Same model, rows and settings as first try").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("a run's menu leads to the form, which tells what is wrong at its field and what the runs take", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    await page.getByRole("link", { name: "first try" }).click();
    await page.getByRole("button", { name: "More actions of first try" }).click();
    await page.getByRole("button", { name: "Sweep from this run" }).click();
    await page.getByRole("button", { name: "Start the runs" }).click();
    await page.getByText("List one or more values.").waitFor();
    await expectAccessible(page, "a sweep without values");
    const rate = page.getByLabel("Learning rate", { exact: true });
    await rate.fill("1e-6, ten");
    await page.getByText("must be a number above 0 and up to 10, or AUTO; it is ten").waitFor();
    await rate.fill("");
    await page.getByRole("button", { name: "Take 3e-7, 1e-6, 3e-6" }).click();
    await page.getByLabel("Vary another setting too").selectOption({ label: "Batch size" });
    await page.getByLabel("Batch size").fill("8, 16");
    await page.getByLabel("Vary another setting too").selectOption({ label: "Warm-up" });
    // Only the service knows that this run has fewer steps.
    await page.getByLabel("Warm-up").fill("0, 200");
    await page.getByText("must be at most the 100 steps of the run; it is 200").waitFor();
    await tests.shoot("sweep-form-wrong");
    await expectAccessible(page, "a wrong value");
    await page.getByRole("button", { name: "Remove Warm-up" }).click();
    await page.getByText("600").waitFor();
    await page.getByText("1,200").waitFor();
    await page.getByRole("button", { name: "Start 6 runs" }).waitFor();
    await tests.shoot("sweep-form");
    await expectToFit(page, "a new sweep");
    await tests.shoot("sweep-form-phone");
    await expectAccessible(page, "a new sweep on a phone");
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByText("In pairs").click();
    await page.getByText("Give each setting as many values as the others; these have 3 and 2.").waitFor();
    await page.getByText("All combinations").click();
    await page.getByLabel("Name of the sweep").fill("rates");
    await page.getByRole("button", { name: "Start 6 runs" }).click();
    await page.getByRole("heading", { name: "rates" }).waitFor();
    await page.getByText("0 of 6 runs have ended: 6 queued. Nothing is measured yet.").waitFor();
    await page.getByText("1,200 forward passes").waitFor();
    await tests.shoot("sweep-queued");
    expect(tests.complaints).toEqual([]);
    // The runs have all settings of the run that they vary, also where another rate would bring another default.
    const { fineTunes } = await server.ask<{ fineTunes: { nodes: unknown[] } }>(
      `{ fineTunes(first: 1) { nodes { hyperparameters { estimator learningRate batchSize steps } } } }`,
    );
    expect(fineTunes.nodes).toMatchObject([{ hyperparameters: { estimator: "SPSA", steps: 100 } }]);
  });

  test("choices are ticked, and values go in pairs", async () => {
    const { page } = tests;
    const run = await createRun("chosen", { steps: 100 });
    await page.goto(`${tests.server.url}/sweeps/new?from=${encodeURIComponent(run)}`);
    await page.getByRole("button", { name: "Remove Learning rate" }).click();
    await page.getByLabel("Vary a setting").selectOption({ label: "Estimator" });
    await page.getByLabel("One-sided").check();
    await page.getByLabel("FZOO").check();
    await page.getByLabel("Vary another setting too").selectOption({ label: "Seed" });
    await page.getByLabel("Seed", { exact: true }).fill("1 2");
    await page.getByText("In pairs").click();
    await page.getByRole("button", { name: "Start 2 runs" }).click();
    await table(page).getByRole("row").nth(2).waitFor();
    const text = await table(page).innerText();
    expect(text).toMatch(/One-sided\s+1\b/u);
    expect(text).toMatch(/FZOO\s+2\b/u);
    await page.getByRole("button", { name: "More actions of chosen, sweep" }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByLabel("Delete its 2 runs too").check();
    await tests.shoot("sweep-delete");
    await expectAccessible(page, "deleting a sweep");
    await page.getByRole("button", { name: "Delete sweep" }).click();
    await page.getByText("“chosen, sweep” is deleted.").waitFor();
    await page.getByRole("heading", { name: "Sweeps" }).waitFor();
    await expect.poll(() => page.getByRole("link", { name: "chosen, sweep" }).count()).toBe(0);
    expect(tests.complaints).toEqual([]);
  });
});

describe("a sweep", () => {
  let sweep = "";

  test("follows its runs: the best comes first, and the headline names it", async () => {
    const { page } = tests;
    sweep = await createSweep("rates", { grid: { learningRate: [3e-7, 1e-6, 3e-6], batchSize: [8, 16] } });
    await page.goto(sweepUrl(sweep));
    await page.getByText("0 of 6 runs have ended").waitFor();
    for (const accuracy of [0.6, 0.65, 0.9, 0.7]) await trainNext(accuracy);
    await page.getByText("4 of 6 runs have ended: 2 queued.").waitFor();
    await page.getByText(/Best score so far: 90% with batch size 8, learning rate 3e-6, at step 100/u).waitFor();
    const best = table(page).getByRole("row").nth(1);
    await expect.poll(() => best.innerText()).toMatch(/Run 3\s+8\s+3e-6\s+90%\s+0.1000\s+100\s+Succeeded/u);
    for (const accuracy of [0.8, 0.55]) await trainNext(accuracy);
    await page.getByText("All 6 runs have ended.").waitFor();
    await page.getByText(/Best score: 90%/u).waitFor();
    expect(await lines(page)).toBe(6);
    await tests.shoot("sweep");
    await page.getByRole("button", { name: "More actions of rates" }).click();
    await page.getByRole("button", { name: "Sweep from its best run" }).click();
    await page.getByRole("heading", { level: 1, name: "New sweep" }).waitFor();
    const from = decodeURIComponent(new URL(page.url()).searchParams.get("from") ?? "");
    const asked = "query ($id: ID!) { fineTune(id: $id) { hyperparameters { batchSize learningRate } } }";
    expect(await tests.server.ask(asked, { id: from })).toEqual({
      fineTune: { hyperparameters: { batchSize: 8, learningRate: 3e-6 } },
    });
    expect(tests.complaints).toEqual([]);
  });

  test("dragging along an axis filters lines and table, is in the address, and is undone by a click", async () => {
    const { page } = tests;
    await page.goto(sweepUrl(sweep));
    await table(page).waitFor();
    const { x, top, bottom } = await axisOf(page, "Best score");
    const at = (share: number) => bottom - share * (bottom - top);
    await page.mouse.move(x, at(0.45));
    await page.mouse.down();
    await page.mouse.move(x, at(0.7), { steps: 4 });
    await page.mouse.move(x, at(1.1), { steps: 4 });
    await page.mouse.up();
    await page.getByText("2 of 6 runs shown.").waitFor();
    expect(only(page)).toBe("best:0.8:0.9");
    expect([await table(page).getByRole("row").count(), await lines(page, ".left-out")]).toEqual([3, 4]);
    await tests.shoot("sweep-brushed");
    await expectAccessible(page, "a part of a sweep");
    await page.reload();
    await page.getByText("2 of 6 runs shown.").waitFor();
    await page.getByRole("link", { name: "Compare these 2" }).waitFor();
    await page.mouse.click(x, at(0.2));
    await page.getByText("All 6 runs shown.").waitFor();
    expect(only(page)).toBeNull();
  });

  test("the keyboard narrows an axis too, and a line leads to its run", async () => {
    const { page } = tests;
    await page.goto(sweepUrl(sweep));
    const first = page.getByRole("slider", { name: "Learning rate, first value shown" });
    await first.focus();
    await first.press("ArrowUp");
    await page.getByText("4 of 6 runs shown.").waitFor();
    await expect.poll(() => first.getAttribute("aria-valuetext")).toBe("1e-6");
    await page.getByRole("slider", { name: "Batch size, last value shown" }).press("Home");
    await page.getByText("2 of 6 runs shown.").waitFor();
    expect(only(page)).toBe("learningRate:1:2,batchSize:0:0");
    await first.press("Escape");
    await page.getByText("3 of 6 runs shown.").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await table(page).getByRole("link").first().focus();
    await page.locator(".run-line.pointed").waitFor({ state: "attached" });
    await page.getByText(/batch size 8, learning rate 3e-6: best score 90%/u).waitFor();
    await page.getByRole("link", { name: "Compare all 6" }).click();
    await page.getByRole("img", { name: "Smoothed loss of 6 runs, by steps" }).waitFor();
    await page.goBack();
    await page.locator(".run-line.best .touched").waitFor({ state: "attached" });
    const [x, y] = await page.locator(".run-line.best .touched").evaluate((line: SVGPolylineElement) => {
      const { left, top } = line.ownerSVGElement?.getBoundingClientRect() ?? { left: 0, top: 0 };
      const middle = line.getPointAtLength(line.getTotalLength() / 3);
      return [left + middle.x, top + middle.y] as const;
    });
    await page.mouse.click(x, y);
    await page.getByText("of the sweep rates").waitFor();
    await page.getByRole("link", { name: "rates" }).click();
    await page.getByRole("heading", { name: "rates" }).waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("the runs that go on can be cancelled, and a sweep that is not there says so", async () => {
    const { page } = tests;
    const id = await createSweep("stopped", { grid: { seed: [1, 2, 3] } });
    await page.goto(sweepUrl(id));
    await page.getByRole("button", { name: "More actions of stopped" }).click();
    await page.getByRole("button", { name: "Cancel its runs" }).click();
    await page.getByRole("button", { name: "Cancel runs" }).click();
    await page.getByText("All 3 runs have ended: 3 cancelled.").waitFor();
    await page.goto(sweepUrl(Buffer.from(`Sweep:${crypto.randomUUID()}`).toString("base64")));
    await page.getByText("There is no sweep at this address").waitFor();
    await page.goto(sweepUrl("nonsense"));
    await page.getByText("The sweep could not be read").waitFor();
    await expectAccessible(page, "no sweep");
  });

  test.each(["light", "dark"] as const)("many settings and runs are accessible and fit, %s", async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    const rates = Array.from({ length: 16 }, (_, n) => 1e-6 * 1.5 ** n);
    const estimators = ["SPSA", "FZOO", "ONE_SIDED"];
    const list = rates.map((learningRate, n) => ({
      learningRate,
      estimator: estimators[n % 3],
      estimates: 8 + (n % 4),
      batchSize: 2 ** (n % 5),
      seed: n,
    }));
    const id = await createSweep(`many, ${colorScheme}`, { list }, "a name of a run that is rather long");
    for (let n = 0; n < 12; n += 1) await trainNext(0.5 + 0.4 * Math.sin(n / 4) ** 2);
    await page.goto(sweepUrl(id));
    await page.getByText("12 of 16 runs have ended: 4 queued.").waitFor();
    await expectAccessible(page, "many runs");
    await tests.shoot(`sweep-many-${colorScheme}`, page);
    await expectToFit(page, "many runs");
    await expectAccessible(page, "many runs on a phone");
    await tests.shoot(`sweep-many-phone-${colorScheme}`, page);
    const slider = page.getByRole("slider", { name: "Batch size, first value shown" });
    await slider.press("ArrowRight");
    await page.getByText("12 of 16 runs shown.").waitFor();
    await page.goto(`${tests.server.url}/sweeps`);
    await page.getByRole("link", { name: `many, ${colorScheme}` }).waitFor();
    await expectAccessible(page, "sweeps on a phone");
    await expectToFit(page, "sweeps");
    await page.setViewportSize({ width: 1280, height: 900 });
    await tests.shoot(`sweeps-${colorScheme}`, page);
    await page.context().close();
  });
});
