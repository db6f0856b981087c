/** Comparing runs: their curves, what differs between their settings, and their results. */
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { createFineTune, FakeWorker, rowId } from "../server/harness.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();

const addressOf = (ids: readonly string[]) =>
  `${tests.server.url}/compare?runs=${ids.map((id) => encodeURIComponent(id)).join(",")}`;

/** What a chart's legend shows at its last point. */
const seriesNames = async () => tests.page.locator(".plot").first().locator(".u-series th").allTextContents();

const cellsOf = (line = "") => [...line.matchAll(/(?:^|,)("(?:[^"]|"")*"|[^,]*)/gu)].map(([, cell]) => cell);

let ended = "";
let going = "";

describe("comparing runs", () => {
  test("fewer than two runs: the page says how to choose, and adds those that one finds", async () => {
    const { page, server } = tests;
    const first = await tests.training(
      { steps: 400, estimator: "SPSA", learningRate: 1e-6, checkpointEvery: 100 },
      "first",
    );
    const [id, worker] = first;
    ended = id;
    await worker.train(400);
    const validation = { entries: 200, step: 200, rows: 40, loss: 0.5, accuracy: 0.875 };
    await worker.store.recordEvaluation(worker.job, { ...validation, entries: 0, step: 0, loss: 0.9, accuracy: 0.5 });
    await worker.store.recordEvaluation(worker.job, validation);
    await worker.checkpoint();
    await worker.succeed();
    going = await createFineTune(server, { steps: 400, estimates: 8 }, "second");
    await page.goto(`${server.url}/compare`);
    await page.getByText("Choose two to 10 runs").waitFor();
    await expectAccessible(page, "nothing to compare yet");
    await tests.shoot("compare-none");
    await page.getByRole("button", { name: "Add first" }).click();
    await page.getByRole("link", { name: "first" }).waitFor();
    const twins = [await createFineTune(server, {}, "twin"), await createFineTune(server, {}, "twin")];
    await page.getByLabel("Add a run").fill("twi");
    await page
      .getByRole("button", { name: /Add twin \(.{8}\)/u })
      .nth(1)
      .waitFor();
    await expectAccessible(page, "two runs of one name");
    for (const one of twins) await server.store.fineTunes.delete(rowId(one), { cancel: true });
    await page.getByLabel("Add a run").fill("seco");
    await page.getByRole("button", { name: "Add second" }).click();
    await page.getByRole("img", { name: "Smoothed loss of 2 runs, by steps" }).waitFor();
    expect(await seriesNames()).toEqual(["Steps", "first", "second"]);
    expect(new URL(page.url()).searchParams.get("runs")).toBe([ended, going].join(","));
    await page.getByLabel("Add a run").fill("nothing like it");
    await page.getByText("No other run has this in its name.").waitFor();
    await page.getByRole("button", { name: "Remove second" }).click();
    await page.getByText("Choose two to 10 runs").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("settings that differ are first and marked, those that are the same are folded away", async () => {
    const { page } = tests;
    await page.goto(addressOf([ended, going]));
    const different = page.getByRole("table", { name: "Settings that differ" });
    await different.getByRole("rowheader", { name: "Estimator", exact: true }).waitFor();
    await expect
      .poll(() => different.getByRole("row").filter({ hasText: "Estimator" }).first().getByRole("cell").allInnerTexts())
      .toEqual(["Two-sided (SPSA)", "FZOO"]);
    await expect.poll(() => different.getByRole("rowheader", { name: "Seed" }).count()).toBe(0);
    await page.getByText("that are the same in all of them").click();
    await page
      .getByRole("table", { name: "Settings that are the same" })
      .getByRole("rowheader", { name: "Seed" })
      .waitFor();
  });

  test("the results of a run that goes on follow it, and the axis is in the address", async () => {
    const { page, server } = tests;
    await page.goto(addressOf([ended, going]));
    const results = page.getByRole("table", { name: "Results" });
    await results.getByRole("row").filter({ hasText: "87.5%" }).waitFor();
    // Two passes a step; none yet.
    await expect
      .poll(() => results.getByRole("row").filter({ hasText: "first" }).innerText())
      .toMatch(/400\s+800\s+1 min 40 s/u);
    const worker = await FakeWorker.claim(server.store);
    await worker.train(100);
    // Nine passes a step: eight estimates, and the loss at the weights.
    await results.getByRole("row").filter({ hasText: "second" }).getByText("900", { exact: true }).waitFor();
    await page.getByLabel("Axis").selectOption("passes");
    await page.getByRole("img", { name: "Smoothed loss of 2 runs, by forward passes" }).waitFor();
    await page.reload();
    await page.getByRole("img", { name: "Smoothed loss of 2 runs, by forward passes" }).waitFor();
    await page.getByLabel("Axis").selectOption("time");
    expect(await seriesNames()).toEqual(["Seconds of training", "first", "second"]);
    await page.getByRole("button", { name: "Show the loss" }).click();
    await page.getByRole("img", { name: "Validation loss of 2 runs, by seconds of training" }).waitFor();
    await tests.shoot("compare");
    await expect.poll(() => results.getByText("best", { exact: true }).count()).toBe(0);
    await worker.store.recordEvaluation(worker.job, { entries: 100, step: 100, rows: 40, loss: 0.7, accuracy: 0.9 });
    await results.getByRole("row").filter({ hasText: "second" }).getByText("best", { exact: true }).waitFor();
    await expect.poll(() => results.getByText("best", { exact: true }).count()).toBe(1);
    await worker.checkpoint();
    await worker.succeed();
    await results.getByRole("row").filter({ hasText: "second" }).getByText("Succeeded").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("what is compared can be downloaded: settings and results, and the curves", async () => {
    const { page } = tests;
    await page.goto(addressOf([ended, going]));
    const saved = async (name: string) => {
      await page.getByRole("button", { name: "Download what is compared" }).click();
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      return (await readFile(await file.path(), "utf8")).trimEnd().split("\r\n");
    };
    const [head, first] = await saved("Settings and results as CSV");
    const columns = cellsOf(head);
    const cells = cellsOf(first);
    const cell = (name: string) => cells[columns.indexOf(name)];
    expect(["run", "best_score", "best_step", "steps", "passes", "seconds", "Estimator"].map(cell)).toEqual([
      "first",
      "0.875",
      "200",
      "400",
      "800",
      "100",
      "Two-sided (SPSA)",
    ]);
    const curves = await saved("Curves as CSV");
    expect(curves).toHaveLength(1 + 400 + 2 + 100 + 1);
    expect(curves[400]).toMatch(/^first,[^,]+,400,800,100,[\d.]+,,$/u);
  });

  test("a run that is not there is named, and left out", async () => {
    const { page, server } = tests;
    const unknown = Buffer.from(`FineTune:${crypto.randomUUID()}`).toString("base64");
    await page.goto(addressOf([ended, going, unknown]));
    await page.getByText("1 run of this address is not there").waitFor();
    await page.getByRole("button", { name: "Leave out what is missing" }).click();
    await page.getByText("1 run of this address is not there").waitFor({ state: "detached" });
    expect(new URL(page.url()).searchParams.get("runs")).toBe([ended, going].join(","));
    // One that is deleted while it is looked at.
    const waiting = await createFineTune(server, {}, "soon gone");
    await page.goto(addressOf([ended, waiting]));
    await page.getByRole("button", { name: "Remove soon gone" }).waitFor();
    await server.ask("mutation ($id: ID!) { deleteFineTune(id: $id, cancel: true) }", { id: waiting });
    await page.getByText("1 run of this address is not there").waitFor();
    await page.getByRole("button", { name: "Remove first" }).waitFor();
  });

  test("the runs page and a run's page lead here", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    for (const name of ["first", "second"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByRole("img", { name: "Smoothed loss of 2 runs, by steps" }).waitFor();
    await page.getByRole("link", { name: "first" }).first().click();
    await page.getByRole("button", { name: "More actions of first" }).click();
    await page.getByRole("button", { name: "Compare with others" }).click();
    await page.getByText("Choose two to 10 runs").waitFor();
    await page.getByRole("button", { name: "Remove first" }).waitFor();
  });

  test.each(["light", "dark"] as const)("ten runs are accessible and fit, %s", async (colorScheme) => {
    const { server } = tests;
    const page = await tests.newPage({ colorScheme });
    const ids = [ended, going];
    for (let n = 3; n <= 10; n += 1)
      ids.push(
        await createFineTune(
          server,
          { steps: 10 * n, learningRate: n / 1e6 },
          n === 3 ? "x".repeat(120) : n > 8 ? "the same name" : `run number ${n}`,
        ),
      );
    // An address of more shows the first of them.
    await page.goto(addressOf([...ids, await createFineTune(server, {}, "one too many")]));
    await page.getByText("the most that can be compared at once").waitFor();
    await page.getByRole("img", { name: "Smoothed loss of 10 runs, by steps" }).waitFor();
    await expectAccessible(page, "ten runs");
    await tests.shoot(`compare-ten-${colorScheme}`, page);
    await expectToFit(page, "ten runs");
    // A name that is cut by what is around it is gone as a whole.
    const heads = page.locator(".plot .u-legend th");
    const cut = () => heads.evaluateAll((all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length);
    await expect.poll(cut).toBe(0);
    await expectAccessible(page, "ten runs on a phone");
    await tests.shoot(`compare-ten-phone-${colorScheme}`, page);
    await page.context().close();
  });
});
