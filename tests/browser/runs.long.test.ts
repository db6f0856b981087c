/** The page of all runs. */
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { defaultProjectId } from "../../schema/projects.ts";
import { createFineTune, rowId } from "../server/harness.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();

let followed = "";

const row = (name: string) => tests.page.getByRole("row").filter({ has: tests.page.getByText(name, { exact: true }) });

describe("the runs", () => {
  test("nothing there yet: the page says what a run is, and how to start", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    await page.getByText("There are no runs yet.").waitFor();
    await expectAccessible(page, "no runs");
    await page.getByRole("link", { name: "Start with your own rows" }).click();
    await page.waitForURL("**/new");
    await page.goBack();
    await page.getByRole("link", { name: "Try the example" }).click();
    await page.getByText("JSON Lines: prompts and completions").waitFor();
    await expect
      .poll(() => page.getByLabel("Or paste rows").inputValue())
      .toMatch(/^\{"prompt":"A joy from start to end/u);
    await page.waitForURL("**/new");
    expect(tests.complaints).toEqual([]);
  });

  test("a row follows its run, from waiting to its best result", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    const [id, worker] = await tests.training({ steps: 600 }, "followed");
    followed = id;
    await server.ask('mutation ($id: ID!) { updateFineTune(id: $id, input: {tags: ["spam"]}) { id } }', { id });
    await row("followed").getByText("Running").waitFor();
    await worker.train(300);
    await row("followed").getByText("300 / 600").waitFor();
    await row("followed").locator("polyline").waitFor();
    await row("followed")
      .getByRole("cell", { name: /^1 min \d+ s$/u })
      .waitFor();
    await row("followed")
      .getByText(/^bytes · All weights/u)
      .waitFor();
    await page.setViewportSize({ width: 1_700, height: 900 });
    await row("followed").getByRole("cell", { name: "All weights", exact: true }).waitFor();
    await worker.store.recordEvaluation(worker.job, { entries: 300, step: 300, rows: 40, loss: 0.4, accuracy: 0.912 });
    await row("followed").getByText("91.2%").waitFor();
    await row("followed").getByText("spam").waitFor();
    await tests.shoot("runs");
    await worker.checkpoint();
    await worker.succeed();
    await row("followed").getByText("Succeeded").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("filters are in the address, and what fits none says so", async () => {
    const { page, server } = tests;
    await createFineTune(server, {}, "other");
    await page.goto(server.url);
    await row("other").waitFor();
    await page.getByLabel("Search by name").fill("follow");
    await row("other").waitFor({ state: "detached" });
    await row("followed").waitFor();
    expect(new URL(page.url()).search).toBe("?q=follow");
    await page.getByLabel("Order").selectOption("NAME");
    await page.getByLabel("Status", { exact: true }).selectOption("FAILED");
    await page.getByText("No run fits these filters.").waitFor();
    await page.reload();
    await page.getByText("No run fits these filters.").waitFor();
    await expect.poll(() => page.getByLabel("Search by name").inputValue()).toBe("follow");
    await expect.poll(() => page.getByLabel("Order").inputValue()).toBe("NAME");
    expect(new URL(page.url()).search).toBe("?q=follow&status=FAILED&sort=NAME");
    await page.getByRole("button", { name: "Show all runs" }).click();
    await row("other").waitFor();
    const search = page.getByLabel("Search by name");
    await expect.poll(() => search.inputValue()).toBe("");
    for (const text of ["SPA", rowId(followed).slice(0, 8), followed]) {
      await search.fill(text);
      await row("other").waitFor({ state: "detached" });
      await row("followed").waitFor();
      await search.fill("");
      await row("other").waitFor();
    }
  });

  test("a head sorts, and turns its order around; what an order leaves out is said", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    await row("other").waitFor();
    const names = () => page.locator("tbody th a").allTextContents();
    const head = page.getByRole("columnheader", { name: "Name" });
    await expect
      .poll(() => page.getByRole("columnheader", { name: "Created" }).getAttribute("aria-sort"))
      .toBe("descending");
    await head.getByRole("button").focus();
    await page.keyboard.press("Enter");
    await expect.poll(names).toEqual(["followed", "other"]);
    await expect.poll(() => head.getAttribute("aria-sort")).toBe("ascending");
    // The focus has stayed.
    await page.keyboard.press("Enter");
    await expect.poll(names).toEqual(["other", "followed"]);
    await expect.poll(() => head.getAttribute("aria-sort")).toBe("descending");
    expect(new URL(page.url()).search).toBe("?sort=NAME&reverse=yes");
    await page.reload();
    await expect.poll(names).toEqual(["other", "followed"]);
    await page.getByRole("button", { name: "Best" }).click();
    await page.getByText("there are only runs that have a score on validation rows").waitFor();
    await expect.poll(names).toEqual(["followed"]);
  });

  test("the keyboard moves, selects and opens", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    await row("other").waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("Search the runs").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await expect
      .poll(() => page.getByLabel("Search by name").evaluate((one) => one === document.activeElement))
      .toBe(true);
    await page.keyboard.press("Escape");
    await page.getByRole("heading", { name: "Runs", exact: true }).click();
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByText("2 runs selected").waitFor();
    await page.keyboard.press("k");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "other", exact: true }).waitFor();
  });

  test("runs that are selected are archived, cancelled and deleted; what cannot be done is told", async () => {
    const { page, server } = tests;
    const input = { fineTune: followed, steps: 2, name: "continued" };
    await server.ask("mutation ($input: ContinueFineTuneInput!) { continueFineTune(input: $input) { created } }", {
      input,
    });
    await page.goto(server.url);
    const choice = (name: string) => page.getByRole("checkbox", { name: `Select ${name}` });
    await choice("continued").check();
    await choice("followed").click({ modifiers: ["Shift"] });
    await page.getByText("3 runs selected").waitFor();
    await choice("other").uncheck();
    await expect
      .poll(() => choice("all").evaluate((one) => one instanceof HTMLInputElement && one.indeterminate))
      .toBe(true);
    await choice("all").check();
    await page.getByText("3 runs selected").waitFor();
    await page.getByRole("button", { name: "Tags", exact: true }).click();
    await page.getByLabel("Add tags").fill("batch, two");
    await page.getByLabel("spam").check();
    await expectAccessible(page, "the tags of many");
    await page.getByRole("button", { name: "Save" }).click();
    for (const name of ["continued", "other", "followed"]) await row(name).getByText("batch").waitFor();
    await expect.poll(() => page.getByText("spam").count()).toBe(0);
    await choice("other").check();
    await page.getByRole("button", { name: "Archive", exact: true }).click();
    await row("other").waitFor({ state: "detached" });
    await page.getByLabel("Archived").check();
    await page.getByRole("checkbox", { name: "Select other" }).check();
    await page.getByRole("button", { name: "Bring back" }).click();
    await page.getByText("No run fits these filters.").waitFor();
    await page.getByLabel("Archived").uncheck();
    await page.getByRole("checkbox", { name: "Select other" }).check();
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await expectAccessible(page, "asking before runs are cancelled");
    await page.getByRole("button", { name: "Cancel them" }).click();
    await row("other").getByText("Cancelled").waitFor();
    for (const name of ["other", "followed"]) await page.getByRole("checkbox", { name: `Select ${name}` }).check();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Delete them" }).click();
    await row("other").waitFor({ state: "detached" });
    await page
      .getByRole("alert")
      .getByText(/“followed”/u)
      .waitFor();
    await row("followed").waitFor();
  });

  test.each(["light", "dark"] as const)("is accessible and fits, %s", async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    const long = await createFineTune(tests.server, { steps: 12_345 }, `${"long name ".repeat(9)}${"x".repeat(100)}`);
    await page.goto(tests.server.url);
    await page.getByRole("table").waitFor();
    await page.getByRole("checkbox", { name: "Select followed" }).check();
    await expectAccessible(page, "the runs");
    await expectToFit(page, "the runs");
    await page.setViewportSize({ width: 390, height: 900 });
    const cards = page.getByRole("table", { name: "Runs" }).locator("tbody tr:not(.spacer)");
    const looks = await cards.evaluateAll((rows) => rows.map((one) => getComputedStyle(one).display));
    expect([looks.length > 1, ...new Set(looks)]).toEqual([true, "block"]);
    await expectAccessible(page, "the runs on a phone");
    await tests.shoot(`runs-phone-${colorScheme}`, page);
    await tests.server.store.fineTunes.cancel(rowId(long));
    await page.context().close();
  });

  test("ten thousand runs: few rows are in the document, and scrolling reads on", async () => {
    const { page, server } = tests;
    const sql = postgres(server.databaseUrl, { max: 1, onnotice: () => {} });
    const [{ names }] = await sql<[{ names: string }]>`
      select string_agg(quote_ident(column_name), ', ') as names from information_schema.columns
      where table_name = 'fine_tunes' and column_name not in ('id', 'name', 'idempotency_key', 'created_at') and is_generated = 'NEVER'`;
    await sql.unsafe(`insert into fine_tunes (id, name, created_at, ${names})
      select gen_random_uuid(), 'copy ' || n, now() - interval '1 day' - n * interval '1 second', ${names}
      from (select * from fine_tunes where name = 'followed') one, generate_series(1, 10000) n`);
    await sql.end();
    await page.goto(server.url);
    // A second try has twice as many.
    await page.getByText(/of [12]0,0\d\d runs/u).waitFor();
    const furthest = async () => {
      const names = await page.getByRole("rowheader").allTextContents();
      return Math.max(...names.map((name) => Number(/^copy (\d+)/u.exec(name)?.[1] ?? 0)));
    };
    await expect
      .poll(async () => {
        await page.mouse.wheel(0, 2_000);
        return furthest();
      })
      .toBeGreaterThan(150);
    await expect.poll(() => page.getByRole("row").count()).toBeLessThan(60);
    // What is new does not push away what somebody reads.
    await createFineTune(server, {}, "newest");
    await page.getByRole("button", { name: "There are newer runs: show them" }).click();
    await row("newest").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  // The last one, as the service has keys from then on.
  test("a key that may only look is offered nothing else", async () => {
    const { page, server } = tests;
    const { key } = await server.store.keys.create({
      projectId: defaultProjectId,
      name: "looks",
      scopes: ["read"],
      expiresInS: null,
    });
    await page.goto(`${server.url}/favicon.svg`);
    await page.evaluate((one) => localStorage.setItem("steplog-token", one), key);
    await page.goto(server.url);
    await page.getByRole("checkbox", { name: "Select newest" }).check();
    await page.getByRole("button", { name: "Compare" }).waitFor();
    await page.getByRole("link", { name: "New run" }).waitFor({ state: "detached" });
    await expect.poll(() => page.getByRole("button", { name: /Delete|Archive|Tags|^Cancel/u }).count()).toBe(0);
    // Nor is it by a key, and by an address it says why not.
    await page.keyboard.press("?");
    const keys = page.getByRole("dialog", { name: "Keys" });
    await keys.getByText("Go to Sweeps").waitFor();
    await expect.poll(() => keys.getByText("Go to New run").count()).toBe(0);
    await page.keyboard.press("Escape");
    await page.keyboard.press("n");
    expect(new URL(page.url()).pathname).toBe("/");
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.getByRole("heading", { name: "Sweeps" }).waitFor();
    await page.getByText("To create one, sign in with a key that has the scope TRAIN.").waitFor();
    for (const [path, what] of [
      ["new", "To create one,"],
      ["sweeps/new", "To create a sweep,"],
    ] as const) {
      await page.goto(`${server.url}/${path}`);
      await page
        .getByText(`Your key may not create runs. ${what} sign in with a key that has the scope TRAIN.`)
        .waitFor();
      await expectAccessible(page, path);
    }
    await page.goto(`${server.url}/models/bytes`);
    await page.getByRole("heading", { name: "Runs that start from it" }).waitFor();
    // Asking a model is not looking: it needs the scope INFER.
    for (const name of ["Tune it", "Try it"]) await page.getByRole("link", { name }).waitFor({ state: "detached" });
    expect(tests.complaints).toEqual([]);
  });
});
