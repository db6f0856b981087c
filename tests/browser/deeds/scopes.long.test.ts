/** Every page with a key of each single scope: it shows what the key may see, or says which scope it lacks, and has no error. */
import { beforeEach, expect, test, vi } from "vitest";
import type { Page } from "playwright-core";
import type { Scope } from "../../../client/schema-types.ts";
import { expectAccessible, pageTests } from "../harness.ts";
import { everyScope, makeKey, makePlaces, type PlaceName } from "./places.ts";

const tests = pageTests({ allowPrivateWebhooks: ["localhost"] });
// Each walks along every page.
vi.setConfig({ testTimeout: 180_000 });

interface Visited {
  readonly address: string;
  readonly needs: Scope;
  /** What is there for who may see it. */
  readonly shows: string | RegExp;
}

/** What a place needs, where that is more than READ. */
const needsMore: Readonly<Partial<Record<PlaceName, Scope>>> = {
  "new run": "TRAIN",
  "new sweep": "TRAIN",
  playground: "INFER",
  keys: "ADMIN",
  projects: "ADMIN",
  webhooks: "ADMIN",
  webhook: "ADMIN",
};
const others: readonly Visited[] = [
  { address: "/sweeps", needs: "READ", shows: "rates" },
  { address: "/compare", needs: "READ", shows: "Compare" },
  { address: "/operate/usage", needs: "READ", shows: "Usage" },
  { address: "/operate/workers", needs: "READ", shows: "Workers" },
  { address: "/operate/audit", needs: "ADMIN", shows: "Audit log" },
];
const keys = new Map<Scope, string>();
let visited: readonly Visited[] = [];

beforeEach(async () => {
  if (keys.size > 0) return;
  const { all } = await makePlaces(tests.server);
  const places = Object.entries(all).map(([name, place]) => ({
    ...place,
    needs: needsMore[name as PlaceName] ?? ("READ" as const),
  }));
  visited = [...places, ...others];
  for (const scope of everyScope) keys.set(scope, await makeKey(tests.server, [scope]));
});

const mayDo = (scope: Scope, needed: Scope) => scope === needed || (needed === "READ" && scope !== "INFER");

test.each(everyScope)("with the scope %s alone", async (scope) => {
  const { page, server } = tests;
  await page.goto(`${server.url}/favicon.svg`);
  await page.evaluate((key) => localStorage.setItem("steplog-token", key), keys.get(scope) ?? "");
  for (const { address, needs, shows } of visited) {
    await page.goto(`${server.url}${address}`);
    const main = page.getByRole("main");
    const allowed = mayDo(scope, needs);
    const text = main.getByText(allowed ? shows : `scope ${needs}`);
    const named = main.getByRole("button", { name: shows }).or(main.getByRole("heading", { name: shows }));
    await (allowed ? text.or(named) : text).first().waitFor();
    await page.waitForLoadState("networkidle");
    // A download that failed is told of as well.
    const refused = await page.getByRole("alert").filter({ hasText: "FORBIDDEN" }).allTextContents();
    expect([address, refused]).toEqual([address, []]);
    if (!allowed) expect([address, await main.getByText(`scope ${needs}`).count()]).not.toEqual([address, 0]);
  }
  const links = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allTextContents();
  expect(links.includes("Runs")).toBe(mayDo(scope, "READ"));
  expect(links.includes("New run")).toBe(scope === "TRAIN");
  expect(links).toContain("Playground");
  if (scope === "INFER") await expectToAsk(page);
  expect(tests.complaints).toEqual([]);
});

test("a page waits for what its key allows: it asks for nothing that may be refused, and shows no error", async () => {
  const { page, server } = tests;
  const asked: string[] = [];
  const askedBefore: (readonly string[])[] = [];
  page.on("request", (request) => {
    const operation = /(?:query|mutation) (?<name>\w+)/u.exec(request.postData() ?? "")?.groups?.["name"];
    if (operation) asked.push(operation);
  });
  await page.route("**/graphql", async (route) => {
    if (!/query Viewer\b/u.test(route.request().postData() ?? "")) return route.continue();
    // The answer is held back for as long as the service takes: what the page asks beside it is under way by then.
    const response = await route.fetch();
    askedBefore.push([...asked]);
    return route.fulfill({ response });
  });
  await page.addInitScript(keepAlerts);
  await page.goto(`${server.url}/favicon.svg`);
  await page.evaluate((key) => localStorage.setItem("steplog-token", key), keys.get("INFER") ?? "");
  for (const { address, needs } of visited.filter((place) => !mayDo("INFER", place.needs))) {
    asked.length = askedBefore.length = 0;
    await page.goto(`${server.url}${address}`);
    await page.getByRole("main").getByText(`scope ${needs}`).first().waitFor();
    expect([address, ...askedBefore]).toEqual([address, ["Viewer"]]);
    const alerts = await page.evaluate(() => (globalThis as unknown as { alerts: readonly string[] }).alerts);
    expect([address, alerts]).toEqual([address, []]);
  }
});

test("where what its key allows cannot be read, the page says so, and goes on once it can", async () => {
  const { page, server } = tests;
  let refuses = true;
  await page.route("**/graphql", (route) =>
    refuses && /query Viewer\b/u.test(route.request().postData() ?? "") ? route.abort() : route.continue(),
  );
  await page.goto(`${server.url}/favicon.svg`);
  await page.evaluate((key) => localStorage.setItem("steplog-token", key), keys.get("READ") ?? "");
  await page.goto(server.url);
  await page.getByRole("alert").getByText("What your key allows could not be read").waitFor();
  refuses = false;
  await page.getByRole("main").getByText("ended").first().waitFor();
});

/** Each alert that is shown, however short. Runs in the page, before its scripts. */
function keepAlerts(): void {
  const alerts: string[] = [];
  Object.assign(globalThis, { alerts });
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes)
      for (const node of addedNodes)
        if (node instanceof Element)
          for (const one of node.parentElement?.querySelectorAll(".problem, [role=alert]") ?? [])
            alerts.push(one.textContent ?? "");
  }).observe(document, { childList: true, subtree: true });
}

/** From a page that it may not see to the playground, with the models that it may name. */
async function expectToAsk(page: Page): Promise<void> {
  await page.goto(tests.server.url);
  await expectAccessible(page, "a page that the key may not see");
  await page.getByRole("note").getByRole("link", { name: "Playground" }).click();
  await page.getByRole("button", { name: "Add a model" }).click();
  const dialog = page.getByRole("dialog", { name: "Add a model" });
  await dialog
    .getByRole("region", { name: "Base models" })
    .getByRole("button", { name: /^bytes/u })
    .waitFor();
  await dialog.getByText("Your key may not see runs.").waitFor();
  await expectAccessible(page, "models that a key may name which reads nothing");
  await dialog.getByRole("button", { name: /^live/u }).click();
  await page.getByText("alias of a checkpoint, step 2").waitFor();
  await page.getByLabel("Text", { exact: true }).fill("It was");
  await expect.poll(() => page.getByRole("button", { name: "Send" }).isEnabled()).toBe(true);
  await expect.poll(() => page.getByRole("alert").allTextContents()).toEqual([]);
}
