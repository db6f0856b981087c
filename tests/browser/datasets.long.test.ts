/** The pages of datasets: the list, adding, one dataset's rows, and deleting. */
import { describe, expect, test } from "vitest";
import { createDataset, createFineTune, createFineTuneMutation, rowId, rows } from "../server/harness.ts";
import { evaluated } from "./evaluated.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();

const row = (name: string) => tests.page.getByRole("row").filter({ has: tests.page.getByText(name, { exact: true }) });
const open = () => tests.page.goto(`${tests.server.url}/datasets`);
const fileOf = (name: string, text: string) => ({ name, mimeType: "application/jsonl", buffer: Buffer.from(text) });

describe("the datasets", () => {
  test("nothing there yet: the page says what a dataset is, and the first one is added from a file", async () => {
    const { page } = tests;
    await open();
    await page.getByText("There are no datasets yet.").waitFor();
    await expectAccessible(page, "no datasets");
    await page.getByRole("button", { name: "Add the first dataset" }).click();
    await page.getByLabel("Drop a file here").setInputFiles(fileOf("reviews.jsonl", rows(12)));
    await expect.poll(() => page.getByLabel("Name", { exact: true }).inputValue()).toBe("reviews");
    await tests.shoot("datasets-add");
    await expectAccessible(page, "adding a dataset");
    await page.getByRole("button", { name: "Check and store" }).click();
    await page.getByText("Stored “reviews”.").waitFor();
    await row("reviews").getByText("12", { exact: true }).waitFor();
    await row("reviews").getByText("nothing").waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("rows that are wrong are shown with their lines, and what was chosen stays", async () => {
    const { page } = tests;
    await open();
    await page.getByRole("button", { name: "Add a dataset" }).click();
    await page.getByLabel("Drop a file here").setInputFiles(fileOf("wrong.jsonl", `${rows(2)}\n{"prompt": 3}`));
    await page.getByRole("button", { name: "Check and store" }).click();
    const problem = page.getByRole("alert");
    await problem.getByText("Line 3").first().waitFor();
    await problem.getByText('{"prompt": 3}').first().waitFor();
    await tests.shoot("datasets-wrong-rows");
    await expectAccessible(page, "wrong rows");
    await expectToFit(page, "wrong rows");
    await page.getByLabel("wrong.jsonl").setInputFiles(fileOf("right.jsonl", rows(2)));
    await page.getByRole("button", { name: "Check and store" }).click();
    await row("wrong").waitFor();
  });

  test("a file that is dropped is taken, and the share that is sent is told", async () => {
    const { page, server } = tests;
    await open();
    await page.getByRole("button", { name: "Add a dataset" }).click();
    const text = rows(3);
    const files = await page.evaluateHandle((jsonl) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([jsonl], "dropped.jsonl"));
      return transfer;
    }, text);
    await page.locator(".drop").dispatchEvent("drop", { dataTransfer: files });
    await page.getByText("dropped.jsonl,").waitFor();
    let answer = () => {};
    const held = new Promise<void>((resolve) => (answer = resolve));
    await page.route(`${server.url}/datasets?**`, async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole("button", { name: "Check and store" }).click();
    await page.getByRole("progressbar", { name: "Sent" }).waitFor();
    answer();
    await row("dropped").waitFor();
  });

  test("a search is in the address, and what fits none says so", async () => {
    const { page } = tests;
    await open();
    await row("reviews").waitFor();
    await page.getByLabel("Search by name").fill("REV");
    await row("dropped").waitFor({ state: "detached" });
    expect(new URL(page.url()).search).toBe("?q=REV");
    await page.getByLabel("Search by name").fill("nonsense");
    await page.getByText("No dataset has “nonsense” in its name.").waitFor();
    await page.getByRole("button", { name: "Show all datasets" }).click();
    await row("dropped").waitFor();
  });

  test("it is said when one ends, and deleting names what uses it", async () => {
    const { page, server } = tests;
    const run = await createFineTune(server, {}, "needs rows");
    const { fineTune } = await server.ask<{ fineTune: { dataset: { id: string } } }>(
      "query ($id: ID!) { fineTune(id: $id) { dataset { id } } }",
      { id: run },
    );
    const input = { name: "needs them too", baseModel: "bytes", dataset: fineTune.dataset.id };
    await server.ask(createFineTuneMutation, { input });
    await open();
    await page.getByRole("button", { name: "Actions of rows" }).click();
    await page.getByRole("button", { name: "Set when it ends" }).click();
    await page.getByLabel("It ends").selectOption("At a time I choose");
    await page.getByLabel("Date and time").fill("2035-01-02T03:04");
    await expectAccessible(page, "saying when a dataset ends");
    await page.getByRole("button", { name: "Set", exact: true }).click();
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
    await row("rows").getByText("2035").waitFor();
    await row("rows").getByText("2 runs").waitFor();

    const remove = async () => {
      await page.getByRole("button", { name: "Actions of rows" }).click();
      await page.getByRole("button", { name: "Delete", exact: true }).click();
      await page.getByRole("dialog").getByRole("link", { name: "needs rows" }).waitFor();
    };
    await remove();
    await expect.poll(() => page.getByText(", which has not ended").count()).toBe(2);
    await tests.shoot("datasets-delete");
    await expectAccessible(page, "deleting a dataset");
    await page.getByRole("button", { name: "Delete it" }).click();
    await page.getByRole("alert").getByText("It is still needed").waitFor();
    await page.getByRole("button", { name: "Keep it as it is" }).click();
    for (const { id } of await server.store.fineTunes.list({ limit: 10 })) await server.store.fineTunes.cancel(id);
    await remove();
    await page.getByRole("button", { name: "Delete it" }).click();
    await row("rows").waitFor({ state: "detached" });
  });

  test("many are read as one asks for more", async () => {
    const { page, server } = tests;
    for (let count = 0; count < 55; count += 1) await createDataset(server, `many ${count}`);
    await open();
    await page.getByText(/50 of 58 datasets/u).waitFor();
    await page.getByRole("button", { name: "Show more" }).click();
    await row("reviews").waitFor();
    await page.getByText(/58 of 58 datasets/u).waitFor();
  });

  test.each(["light", "dark"] as const)("is accessible and fits, %s", async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    await createDataset(tests.server, `${"long name ".repeat(9)}${"x".repeat(100)}`);
    await page.goto(`${tests.server.url}/datasets`);
    await page.getByRole("table").waitFor();
    // Both have been made twice by the second time.
    const name = /^Actions of long name .* \([\da-f]{8}\)$/u;
    if (colorScheme === "dark") await expect.poll(() => page.getByRole("button", { name }).count()).toBe(2);
    await tests.shoot(`datasets-${colorScheme}`, page);
    await expectAccessible(page, "the datasets");
    await expectToFit(page, "the datasets");
    await expectAccessible(page, "the datasets on a phone");
    await tests.shoot(`datasets-phone-${colorScheme}`, page);
    await page.context().close();
  });
});

describe("a dataset", () => {
  const numbered = Array.from({ length: 25 }, (_, index) =>
    JSON.stringify({ prompt: `Review ${index + 1}. It was`, completion: index % 2 ? " great" : " bad", stars: index }),
  ).join("\n");

  test("its rows come by pages, and back leads to the page before", async () => {
    const { page, server } = tests;
    const id = await createDataset(server, "paged", numbered);
    await page.goto(`${server.url}/datasets/${encodeURIComponent(id)}`);
    await page.getByText("Review 1. It was").waitFor();
    await page.getByText("Lines 1 to 10, of 25 rows").waitFor();
    await tests.shoot("dataset");
    await page.getByRole("button", { name: "Next page" }).click();
    await page.getByText("Lines 11 to 20, of 25 rows").waitFor();
    await page.reload();
    await page.getByText("Review 11. It was").waitFor();
    await page.getByRole("button", { name: "Next page" }).click();
    await page.getByText("Lines 21 to 25, of 25 rows").waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Next page" }).isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Back" }).click();
    await page.getByText("Lines 11 to 20, of 25 rows").waitFor();
    await page.getByRole("button", { name: "First page" }).click();
    await page.getByText("Review 1. It was").waitFor();
  });

  test.each(["light", "dark"] as const)(
    "a model's view marks what is scored, and says what does not fit, %s",
    async (colorScheme) => {
      const page = await tests.newPage({ colorScheme });
      const { server } = tests;
      const chat = JSON.stringify({
        messages: [
          { role: "user", content: "Hello?" },
          { role: "assistant", content: "Hi!" },
        ],
      });
      const long = JSON.stringify({ prompt: "long ".repeat(20), completion: " yes" });
      const id = await createDataset(server, "seen", [numbered.split("\n")[0], long].join("\n"));
      await page.goto(`${server.url}/datasets/${encodeURIComponent(id)}`);
      await page.getByLabel("Shown").selectOption("as bytes sees them");
      const first = page.getByRole("listitem", { name: "Line 1", exact: true });
      await first.locator("mark").first().waitFor();
      expect((await first.locator("mark").allTextContents()).join("")).toBe(" bad");
      await page.getByRole("listitem", { name: "Line 2" }).getByText("It cannot be used with this model").waitFor();
      await tests.shoot(`dataset-seen-${colorScheme}`, page);
      await expectAccessible(page, "rows as a model sees them");
      await expectToFit(page, "rows as a model sees them");
      await page.reload();
      await first.locator("mark").first().waitFor();
      await page.goto(`${server.url}/datasets/${encodeURIComponent(await createDataset(server, "chat", chat))}`);
      await page.getByText("1. user").waitFor();
      await page.getByText("Hi!").waitFor();
      await expectAccessible(page, "rows as they are stored");
      await expectToFit(page, "rows as they are stored");
      await page.context().close();
    },
  );

  test("what was measured on it is named: a checkpoint is not its base model", async () => {
    const { page, server } = tests;
    const id = await createDataset(server, "measured on");
    const [run, worker] = await tests.training({ steps: 5 }, "a tuned one");
    await worker.train(5);
    await worker.checkpoint();
    await worker.succeed();
    await evaluated(server, { fineTune: run }, id, [true, true]);
    await evaluated(server, { name: "bytes" }, id, [true, false]);
    await page.goto(`${server.url}/datasets/${encodeURIComponent(id)}`);
    const table = page.getByRole("table", { name: "Evaluations on it" });
    const [ofTuned, ofBase] = ["100%", "50%"].map((accuracy) => table.getByRole("row").filter({ hasText: accuracy }));
    await ofBase?.getByRole("link", { name: "bytes" }).waitFor();
    await expectAccessible(page, "runs and evaluations of a dataset");
    await expect.poll(() => ofTuned?.getByRole("rowheader").textContent()).toBe("step 5 of a tuned one");
    await page.getByRole("button", { name: "More actions of measured on" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    const uses = page.getByRole("dialog").getByRole("listitem");
    await expect
      .poll(() => uses.allTextContents())
      .toEqual(["an evaluation of bytes", "an evaluation of step 5 of a tuned one"]);
    await page.keyboard.press("Escape");
    await ofTuned?.getByRole("link", { name: "a tuned one" }).click();
    await page.getByRole("heading", { name: "a tuned one" }).waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("it is downloaded, and what is not there says so", async () => {
    const { page, server } = tests;
    const id = await createDataset(server, "saved", numbered);
    await page.goto(`${server.url}/datasets/${encodeURIComponent(id)}`);
    await page.getByRole("button", { name: "Actions of saved" }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download" }).click(),
    ]);
    const stream = await download.createReadStream();
    const bytes = Buffer.concat(await stream.toArray());
    expect(bytes.toString()).toBe(numbered);
    await server.store.datasets.delete(rowId(id));
    await page.goto(`${server.url}/datasets/${encodeURIComponent(id)}`);
    await page.getByRole("heading", { name: "No such dataset" }).waitFor();
    await expectAccessible(page, "no such dataset");
    expect(tests.complaints).toEqual([]);
  });
});
