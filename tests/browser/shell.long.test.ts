/** What every page has: the bar, the theme, the keys, signing in, and an address below a prefix. */
import { readFile } from "node:fs/promises";
import { afterAll, describe, expect, test } from "vitest";
import { packagePath } from "../../schema/package.ts";
import { createDataset, createFineTuneMutation, FakeWorker, type CreatedFineTune } from "../server/harness.ts";
import { evaluated } from "./evaluated.ts";
import { expectAccessible, expectOwnNames, expectToFit, pageTests } from "./harness.ts";
import { startProxy } from "./proxy.ts";

const tests = pageTests();
const others: { close: () => unknown }[] = [];
afterAll(async () => {
  for (const other of others) await other.close();
});

describe("the frame", () => {
  test.each(["light", "dark"] as const)("is accessible and fits, %s", async (colorScheme) => {
    const page = await tests.newPage({ colorScheme });
    await page.goto(tests.server.url);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await expectAccessible(page, "the frame");
    await expectToFit(page, "the frame");
    await page.getByRole("button", { name: "Pages" }).click();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "New run" }).waitFor();
    await expectAccessible(page, "the links on a phone");
    expect(tests.complaints).toEqual([]);
    await page.context().close();
  });

  test("a window of 1,024 pixels has room for all links, and for the ways to train beside each other", async () => {
    const { page, server } = tests;
    await page.setViewportSize({ width: 1_024, height: 900 });
    await page.goto(`${server.url}/new`);
    await page.getByRole("link", { name: "Playground" }).waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Pages" }).count()).toBe(0);
    await page.getByRole("button", { name: /^Settings/u }).click();
    const ways = page.locator(".kind");
    await ways.nth(2).waitFor();
    const places = await ways.evaluateAll((all) => all.map((one) => one.getBoundingClientRect().top));
    expect(new Set(places).size).toBe(1);
    await expectToFit(page, "all links", [1_100, 1_024, 1_001]);
    await page.setViewportSize({ width: 1_000, height: 900 });
    await page.getByRole("button", { name: "Pages" }).waitFor();
    expect(tests.complaints).toEqual([]);
  });

  test("a theme that was chosen stays, whatever the system has", async () => {
    const page = await tests.newPage({ colorScheme: "light" });
    const theme = () => page.evaluate(() => document.documentElement.dataset["theme"]);
    await page.goto(tests.server.url);
    expect(await theme()).toBe("light");
    await page.emulateMedia({ colorScheme: "dark" });
    await expect.poll(theme).toBe("dark");
    await page.getByLabel("Theme").selectOption("light");
    await expect.poll(theme).toBe("light");
    await page.reload();
    expect(await theme()).toBe("light");
    await page.context().close();
  });

  test("keys go to pages and list themselves, but not while somebody types", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).getByText("Go to New run").waitFor();
    await expectAccessible(page, "the keys");
    await page.keyboard.press("Escape");
    await page.getByLabel("Search by name").pressSequentially("n");
    expect(new URL(page.url()).pathname).toBe("/");
    await page.getByLabel("Search by name").blur();
    await page.keyboard.press("n");
    await page.waitForURL("**/new");
    // Two keys count as a pair within a second, which a page that is being drawn can take.
    await page.getByRole("heading", { name: "New run" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.waitForURL(`${server.url}/`);
    expect(tests.complaints).toEqual([]);
  });
});

describe("a search", () => {
  test.each(["/", "/datasets", "/operate/audit"])("that is left before it is made leads nowhere: %s", async (path) => {
    const page = await tests.newPage();
    await page.goto(`${tests.server.url}${path}`);
    const field = page.locator("input[type=search]").first();
    await field.pressSequentially("spam");
    await field.blur();
    await page.keyboard.press("n");
    await page.getByRole("heading", { name: "New run" }).waitFor();
    // Longer than a search waits for the next letter.
    await page.waitForTimeout(600);
    expect(new URL(page.url()).pathname).toBe("/new");
    await page.context().close();
  });
});

describe("every page", () => {
  test("moves nothing where less motion is wanted, shows where the focus is, and names each button and link", async () => {
    const page = await tests.newPage({ reducedMotion: "reduce" });
    const wrong: string[] = [];
    for (const route of await routes()) {
      await page.goto(`${tests.server.url}${route}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.waitForLoadState("networkidle");
      // From the first key on, a browser shows the focus wherever a script puts it.
      await page.keyboard.press("Tab");
      for (const fault of await page.evaluate(faultsOfControls)) wrong.push(`${route}: ${fault}`);
      await expectOwnNames(page, route);
    }
    expect(wrong).toEqual([]);
    await page.context().close();
  });
});

/**
 * All addresses without a name in them, as app.tsx has them, and a page of each thing that is quickly made. There are two of
 * everything that may be equally named.
 */
async function routes(): Promise<string[]> {
  const app = await readFile(packagePath("dashboard/src/app.tsx"), "utf8");
  const plain = [...app.matchAll(/<Route path=\{at\("([^":]+)"\)\}/gu)].map(([, route]) => route ?? "");
  expect(plain.length).toBeGreaterThan(12);
  const { server } = tests;
  const rows = '{"prompt": "Win", "completion": " spam"}';
  const datasets = [await createDataset(server, "spam rows", rows), await createDataset(server, "spam rows", rows)];
  const runs: string[] = [];
  for (const dataset of datasets) {
    const input = { name: "walked", baseModel: "bytes", dataset, hyperparameters: { steps: 10 } };
    const { createFineTune } = await server.ask<CreatedFineTune>(createFineTuneMutation, { input });
    const worker = await FakeWorker.claim(server.store);
    await worker.train(5);
    await worker.checkpoint();
    await worker.train(5);
    await worker.checkpoint();
    await worker.succeed();
    runs.push(createFineTune.fineTune.id);
    for (const model of [{ fineTune: createFineTune.fineTune.id }, { name: "bytes" }])
      await evaluated(server, model, datasets[0] ?? "", [true, false]);
  }
  const [dataset, run] = [datasets[0] ?? "", runs[0] ?? ""].map(encodeURIComponent);
  const both = runs.map(encodeURIComponent).join(",");
  const asked = `/playground?models=bytes,${both}&mode=labels`;
  return [...plain, `/datasets/${dataset}`, `/fine-tunes/${run}`, `/compare?runs=${both}`, "/models/bytes", asked];
}

/** Runs in the page. */
function faultsOfControls(): string[] {
  const shown = (element: Element) => element.checkVisibility({ visibilityProperty: true });
  const seconds = (list: string) => Math.max(...list.split(",").map((one) => Number.parseFloat(one)));
  const nameOf = (element: Element) => (element.getAttribute("aria-label") ?? element.textContent ?? "").trim();
  const faults: string[] = [];
  for (const element of document.querySelectorAll("body *")) {
    const { transitionDuration, animationDuration, animationName } = getComputedStyle(element);
    const moves =
      seconds(transitionDuration) > 0.001 || (animationName !== "none" && seconds(animationDuration) > 0.001);
    if (moves) faults.push(`moves: ${element.tagName} ${element.className}`);
  }
  if (document.getAnimations().length > 0) faults.push("an animation runs");
  const controls = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
  const usable = controls.filter((one) => shown(one) && !one.matches(":disabled, .hidden *")) as HTMLElement[];
  if (usable.length === 0) faults.push("it has no control");
  for (const one of usable) {
    one.focus();
    const { outlineStyle, outlineWidth } = getComputedStyle(one);
    const isSeen = outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
    if (document.activeElement === one && !isSeen) faults.push(`no focus is seen: ${one.outerHTML.slice(0, 120)}`);
  }
  const places = new Map<Element | null, Map<string, string | null>>();
  for (const one of usable.filter((control) => control.matches("a, button"))) {
    if (nameOf(one) === "") faults.push(`it has no name: ${one.outerHTML.slice(0, 120)}`);
    if (one.matches("button")) continue;
    // What is equally named is told apart by the rest of its row. Two links may lead to the same page.
    const row = one.closest("tr, li");
    const [name, href] = [nameOf(one), one.getAttribute("href")];
    const links = places.get(row) ?? new Map<string, string | null>();
    if (links.has(name) && links.get(name) !== href) faults.push(`two links have the name: ${name}`);
    places.set(row, links.set(name, href));
  }
  return faults;
}

describe("a service with keys", () => {
  test("asks for one, refuses a wrong one, and knows whose it is", async () => {
    const { page, server } = tests;
    const guarded = await server.another({ apiToken: "right" });
    others.push(guarded);
    await page.goto(guarded.url);
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByText("This service asks for an API key.").waitFor();
    await expectAccessible(page, "signing in");
    await dialog.getByLabel("API key").fill("wrong");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByText("no longer accepts the API key").waitFor();
    await dialog.getByLabel("API key").fill("right");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Signed in to default" }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await dialog.waitFor();
  });
});

test.each([{ strips: true }, { strips: false }])("works below a path of a proxy, %j", async ({ strips }) => {
  const page = await tests.newPage();
  const [id, worker] = await tests.training({ steps: 20 });
  const gateway = await tests.server.another({ publicUrl: "http://127.0.0.1/team/steplog" });
  others.push(gateway);
  const proxy = await startProxy(gateway, { strips });
  others.push(proxy);
  const { url } = proxy;
  const strangers: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(`${url}/`) && !request.url().startsWith("data:")) strangers.push(request.url());
  });
  await page.goto(`${url}/fine-tunes/${encodeURIComponent(id)}`);
  await page.getByText("Live", { exact: true }).waitFor();
  await worker.train(20);
  await worker.succeed();
  await page.locator(".status", { hasText: "Succeeded" }).waitFor();
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Runs" }).click();
  await page.waitForURL(`${url}/`);
  await page.reload();
  await page.getByRole("table").waitFor();
  expect(strangers).toEqual([]);
  await page.context().close();
});
