/** The documentation in a real browser, below a prefix: it can be read by everybody, searched, and asks nobody else. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildSite } from "../../site/build.ts";
import type { RunningServer } from "../../server/server.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();
let folder = "";
let below: RunningServer | undefined;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "steplog-docs-"));
  await buildSite(folder);
});
afterAll(async () => {
  await below?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A gateway that serves the site; its own host, as pages that ask another are complained about. */
async function docs(): Promise<string> {
  below ??= await tests.server.another({ docsDir: folder, publicUrl: "https://example.org/steplog" });
  return `${below.url}/steplog/docs`;
}

const ownComplaints = () => tests.complaints.filter((text) => !text.startsWith(`asked ${below?.url}/`));

describe("the documentation", () => {
  test.each([
    ["light", "index.html"],
    ["dark", "concepts.html"],
    ["light", "troubleshooting.html"],
    ["dark", "reference-types.html"],
  ] as const)("is accessible and fits, %s %s", async (colorScheme, name) => {
    const page = await tests.newPage({ colorScheme });
    await page.goto(`${await docs()}/${name}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await expectAccessible(page, name);
    await tests.shoot(`docs-${name}-${colorScheme}`, page);
    await page.emulateMedia({ colorScheme: "light" });
    await expectToFit(page, name, [1280, 780, 390]);
    expect(ownComplaints()).toEqual([]);
    await page.context().close();
  });

  test("is searched as one types, by keys", async () => {
    const { page } = tests;
    await page.goto(`${await docs()}/start.html`);
    await page.keyboard.press("/");
    await page.keyboard.type("createFineTune");
    const found = page.locator("#found a");
    await found.first().waitFor();
    await expect.poll(() => found.first().textContent()).toContain("createFineTune");
    await expectAccessible(page, "what was found");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/steplog/docs/reference-mutations.html#createfinetune");
    expect(ownComplaints()).toEqual([]);
  });

  test("keeps the theme that was chosen on the page, and has its links behind a button on a phone", async () => {
    const page = await tests.newPage({ width: 390, colorScheme: "light" });
    await page.goto(`${await docs()}/start.html`);
    await page.getByLabel("Theme").selectOption("dark");
    await page.getByRole("button", { name: "Pages" }).click();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Concepts" }).click();
    await page.waitForURL("**/concepts.html");
    await expect.poll(() => page.evaluate(() => document.documentElement.dataset["theme"])).toBe("dark");
    await page.context().close();
  });
});
