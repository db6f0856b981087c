/** Every page when things go wrong: no gateway, errors instead of answers, a key that ends, ids of nothing, other tabs. */
import { readFile } from "node:fs/promises";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import type { RunningServer } from "../../server/server.ts";
import { createDataset, createFineTune, FakeWorker, globalId, type TestServer } from "../server/harness.ts";
import { expectAccessible, pageTests, waitMs } from "./harness.ts";
import { startProxy } from "./proxy.ts";

const tests = pageTests({ allowPrivateWebhooks: ["localhost"] });
const others: { close: () => unknown }[] = [];
/** Tabs that a test leaves open would slow down all others. */
const contexts: BrowserContext[] = [];
async function newContext(): Promise<BrowserContext> {
  const context = await tests.newContext();
  contexts.push(context);
  return context;
}
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
});
afterAll(async () => {
  for (const other of others) await other.close();
});

const nowhere = "00000000-0000-4000-8000-000000000000";
const addressOf = (id: string) => encodeURIComponent(id);

/** What the pages are about: a run that has ended, one that waits, their rows, a sweep, a webhook. */
interface About {
  readonly ended: string;
  readonly waiting: string;
  readonly dataset: string;
  readonly sweep: string;
  readonly webhook: string;
}
let about: About | null = null;

beforeEach(async () => {
  const { server } = tests;
  if (about) return;
  const dataset = await createDataset(server, "rows of all");
  const ended = await createFineTune(server, { steps: 10 }, "ended");
  const worker = await FakeWorker.claim(server.store);
  await worker.train(10);
  await worker.succeed();
  const waiting = await createFineTune(server, { steps: 10 }, "waiting");
  const query = 'mutation { createWebhook(input: { url: "http://localhost:1/hook" }) { webhook { id } } }';
  const { createWebhook } = await server.ask<{ createWebhook: { webhook: { id: string } } }>(query);
  about = { ended, waiting, dataset, sweep: await createSweep(server, dataset), webhook: createWebhook.webhook.id };
});

/** Of two runs, which wait as well. */
async function createSweep(server: TestServer, dataset: string): Promise<string> {
  const query = "mutation ($input: CreateSweepInput!) { createSweep(input: $input) { sweep { id } } }";
  const run = { name: "swept", baseModel: "bytes", dataset, hyperparameters: { steps: 10 } };
  const input = { name: "rates", run, vary: { grid: { seed: [1, 2] } } };
  const { createSweep: made } = await server.ask<{ createSweep: { sweep: { id: string } } }>(query, { input });
  return made.sweep.id;
}

/** An address of each route of app.tsx. */
function addresses({ ended, waiting, dataset, sweep, webhook }: About): ReadonlyMap<string, string> {
  return new Map([
    ["/", "/"],
    ["/fine-tunes/:id", `/fine-tunes/${addressOf(ended)}`],
    ["/compare", `/compare?runs=${addressOf(ended)},${addressOf(waiting)}`],
    ["/sweeps", "/sweeps"],
    ["/sweeps/new", `/sweeps/new?from=${addressOf(ended)}`],
    ["/sweeps/:id", `/sweeps/${addressOf(sweep)}`],
    ["/datasets", "/datasets"],
    ["/datasets/:id", `/datasets/${addressOf(dataset)}`],
    ["/models", "/models"],
    ["/models/:name", "/models/bytes"],
    ["/new", "/new"],
    ["/operate", "/operate"],
    ["/operate/keys", "/operate/keys"],
    ["/operate/projects", "/operate/projects"],
    ["/operate/usage", "/operate/usage"],
    ["/operate/workers", "/operate/workers"],
    ["/operate/webhooks", "/operate/webhooks"],
    ["/operate/webhooks/:id", `/operate/webhooks/${addressOf(webhook)}`],
    ["/operate/audit", "/operate/audit"],
    ["/playground", "/playground?models=bytes"],
  ]);
}

const all = () => {
  if (!about) throw new Error("read within a test only");
  return addresses(about);
};

/** All pages, each in a tab of its own. */
async function openAll(context: BrowserContext, base: string): Promise<Map<string, Page>> {
  const tabs = [...all()].map(async ([route, address]) => {
    const page = await context.newPage();
    page.setDefaultTimeout(waitMs);
    page.on("pageerror", (error) => tests.complaints.push(`${route}: ${String(error)}`));
    await page.goto(`${base}${address}`, { waitUntil: "commit" });
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.getByText("Loading…").first().waitFor({ state: "detached" });
    return [route, page] as const;
  });
  return new Map(await Promise.all(tabs));
}

/** Does the same on all pages at once, and says on which ones it failed. */
async function everywhere(pages: ReadonlyMap<string, Page>, look: (page: Page, route: string) => Promise<unknown>) {
  const failed = await Promise.all(
    [...pages].map(async ([route, page]) =>
      look(page, route).then(
        () => [],
        (error: unknown) => [`${route}: ${String(error).split("\n")[0]}`],
      ),
    ),
  );
  expect(failed.flat()).toEqual([]);
}

test("every route of the page is walked here", async () => {
  const app = await readFile("dashboard/src/app.tsx", "utf8");
  const routes = [...app.matchAll(/<Route path=\{at\("([^"]+)"\)\}/gu)].map(([, route]) => route);
  expect(routes.length).toBeGreaterThan(10);
  expect([...all().keys()]).toEqual(routes);
});

test("no gateway: every page says since when, keeps what it shows, and catches up by itself", async () => {
  const { server } = tests;
  const port = 0;
  const gateway = await server.another({ port });
  const context = await newContext();
  const pages = await openAll(context, gateway.url);
  const titles = new Map<string, string | null>();
  await everywhere(pages, async (page, route) => {
    await page.evaluate(() => Object.assign(globalThis, { stays: true }));
    titles.set(route, await page.getByRole("heading", { level: 1 }).textContent());
  });
  await gateway.close();
  await everywhere(pages, (page) => page.getByText(/^Not connected since \d/u).waitFor());
  await everywhere(
    pages,
    async (page, route) =>
      await expect.poll(() => page.getByRole("heading", { level: 1 }).textContent()).toBe(titles.get(route)),
  );
  for (const route of ["/", "/operate/audit"]) {
    const page = pages.get(route);
    if (page) await expectAccessible(page, `${route} without a gateway`);
  }
  const renamed = 'mutation ($id: ID!) { updateFineTune(id: $id, input: { name: "renamed" }) { id } }';
  await server.gql(renamed, { id: about?.ended });
  await createDataset(server, "made meanwhile");
  others.push(await server.another({ port: Number(new URL(gateway.url).port) }));
  await everywhere(pages, async (page) => {
    await expect.poll(() => page.getByText(/^Not connected since/u).count()).toBe(0);
  });
  await everywhere(only(pages, "/", "/fine-tunes/:id", "/compare"), (page) =>
    page.getByText("renamed").first().waitFor(),
  );
  await everywhere(only(pages, "/datasets"), (page) => page.getByText("made meanwhile").waitFor());
  await everywhere(
    pages,
    async (page) => await expect.poll(() => page.evaluate(() => "stays" in globalThis)).toBe(true),
  );
  expect(tests.complaints).toEqual([]);
});

const only = (pages: ReadonlyMap<string, Page>, ...routes: readonly string[]) =>
  new Map([...pages].filter(([route]) => routes.includes(route)));

test("a gateway that neither answers nor closes: a page that asks, and one that is quiet, say so and catch up", async () => {
  const { server } = tests;
  const context = await newContext();
  let hangs = false;
  await context.route("**/graphql", (route) => (hangs ? undefined : route.continue()));
  const pages = new Map<string, Page>();
  for (const route of ["/compare", "/datasets"]) {
    const page = await context.newPage();
    page.setDefaultTimeout(2 * waitMs);
    await page.goto(`${server.url}${all().get(route)}`);
    pages.set(route, page);
  }
  await everywhere(pages, (page) =>
    page
      .getByText(/^(?:ended|renamed|rows of all)$/u)
      .first()
      .waitFor(),
  );
  hangs = true;
  await everywhere(pages, (page) => page.getByText(/^Not connected since \d/u).waitFor());
  await createDataset(server, "made while it hung");
  hangs = false;
  await everywhere(pages, async (page) => {
    await expect.poll(() => page.getByText(/^Not connected since/u).count()).toBe(0);
  });
  await everywhere(only(pages, "/datasets"), (page) => page.getByText("made while it hung").waitFor());
  expect(tests.complaints).toEqual([]);
});

const tooMany = {
  status: 429,
  json: {
    errors: [{ message: "Too many requests.", extensions: { code: "RATE_LIMITED", issues: [], retryAfter: 1 } }],
  },
};
const badGateway = { status: 502, contentType: "text/html", body: "<h1>502 Bad Gateway</h1>" };

test.each([
  ["a proxy that finds no gateway", badGateway, "UNAVAILABLE"],
  ["too many requests", tooMany, "RATE_LIMITED"],
] as const)("%s: every page says so, and shows what it has once there are answers", async (name, answer, code) => {
  const context = await newContext();
  let broken = true;
  await context.route("**/graphql", (route) => (broken ? route.fulfill(answer) : route.continue()));
  const pages = await openAll(context, tests.server.url);
  await everywhere(pages, (page) => page.getByRole("alert").getByText(code).first().waitFor());
  for (const [route, page] of only(pages, "/new", "/datasets/:id")) await expectAccessible(page, `${route}: ${name}`);
  broken = false;
  await everywhere(pages, async (page) => {
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  });
  expect(tests.complaints).toEqual([]);
});

test.each([
  [`/fine-tunes/${addressOf(globalId("FineTune", nowhere))}`, "NOT_FOUND", "Runs"],
  [`/datasets/${addressOf(globalId("Dataset", nowhere))}`, "No such dataset", "Show all datasets"],
  ["/models/nothing", "No such model", "Show all models"],
  [`/operate/webhooks/${addressOf(globalId("Webhook", nowhere))}`, "There is no such webhook", "All webhooks"],
  [`/sweeps/${addressOf(globalId("Sweep", nowhere))}`, "There is no sweep at this address", "Sweeps"],
  [`/compare?runs=${addressOf(globalId("FineTune", nowhere))},`, "not there", "all runs"],
  ["/fine-tunes/nonsense", "INVALID_ARGUMENT", "Runs"],
  ["/no/such/page", "Page not found", "Show all runs"],
] as const)("%s: the page says that there is no such thing, and where to go on", async (address, words, way) => {
  const { page, server } = tests;
  await page.goto(`${server.url}${address}`);
  await page.getByRole("main").getByText(words).first().waitFor();
  await page.getByRole("main").getByRole("link", { name: way }).first().waitFor();
  await expectAccessible(page, address);
  expect(tests.complaints).toEqual([]);
});

test("no workers: what waits for one says so", async () => {
  const { page, server } = tests;
  for (const [address, words] of [
    [`/fine-tunes/${addressOf(about?.waiting ?? "")}`, /no (?:running )?worker/iu],
    ["/models/bytes", /No running worker has it/u],
    ["/operate/workers", /No worker is running/u],
  ] as const) {
    await page.goto(`${server.url}${address}`);
    await page.getByRole("main").getByText(words).first().waitFor();
  }
});

test("two tabs: what is changed in one is seen in the others", async () => {
  const { page, server } = tests;
  const context = page.context();
  const url = (address: string | undefined) => `${server.url}${address}`;
  const [list, compare] = [await context.newPage(), await context.newPage()];
  const run = all().get("/fine-tunes/:id");
  await page.goto(url(run));
  const same = await context.newPage();
  await same.goto(url(run));
  await list.goto(url("/datasets"));
  await compare.goto(url(all().get("/compare")));
  await list.getByText("rows of all").waitFor();
  await compare.getByText("renamed").first().waitFor();
  await page.getByRole("button", { name: "More actions of renamed" }).click();
  await page.getByRole("button", { name: "Rename or tag" }).click();
  await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("named in a tab");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await same.getByRole("heading", { name: "named in a tab" }).waitFor();
  await compare.getByText("named in a tab").first().waitFor();
  await page.goto(url("/datasets"));
  await page.getByRole("button", { name: "Add a dataset" }).click();
  const buffer = Buffer.from('{"prompt": "It was", "completion": " good"}');
  await page.getByLabel("Drop a file here").setInputFiles({ name: "added.jsonl", mimeType: "text/plain", buffer });
  await page.getByRole("button", { name: "Check and store" }).click();
  await list.getByRole("row").filter({ hasText: "added" }).waitFor();
});

test("below a path of a proxy no page asks elsewhere", async () => {
  const publicUrl = "http://127.0.0.1/team/steplog";
  const gateway = await tests.server.another({ publicUrl });
  const proxy = await startProxy(gateway, { strips: true });
  others.push(gateway, proxy);
  const context = await newContext();
  const strangers: string[] = [];
  context.on("request", (request) => {
    if (!/^(?:data|blob):/u.test(request.url()) && !request.url().startsWith(`${proxy.url}/`))
      strangers.push(request.url());
  });
  const pages = await openAll(context, proxy.url);
  await everywhere(pages, async (page) => {
    const links = await page.locator("a[href]").evaluateAll((found) => found.map((a) => (a as HTMLAnchorElement).href));
    const own = [proxy.url, publicUrl];
    strangers.push(...links.filter((href) => !own.some((base) => href.startsWith(`${base}/`))));
  });
  expect(strangers).toEqual([]);
  expect(tests.complaints).toEqual([]);
});

test.each([
  ["RunToCopy", (): string => `/new?from=${addressOf(about?.ended ?? "")}`],
  ["RowsToTuneOn", (): string => `/new?dataset=${addressOf(about?.dataset ?? "")}`],
  ["PlayModel", (): string => `/playground?models=${addressOf(about?.ended ?? "")}`],
  ["ListedProjects", (): string => "/operate/projects"],
] as const)("what %s could not look up is looked up again", async (operation, address) => {
  const { page, server } = tests;
  let broken = true;
  await page.route("**/graphql", async (route) => {
    const isIt = broken && route.request().postData()?.includes(`query ${operation}(`);
    await (isIt ? route.fulfill(tooMany) : route.continue());
  });
  await page.goto(`${server.url}${address()}`);
  await page.getByRole("alert").getByText("RATE_LIMITED").first().waitFor();
  broken = false;
  await expect.poll(() => page.getByRole("alert").count()).toBe(0);
});

test.each([
  ["/", "Sparks"],
  ["/fine-tunes/:id", "Results"],
] as const)("%s asks for another key, also if only %s says that its own has ended", async (route, operation) => {
  const { page, server } = tests;
  const json = { errors: [{ message: "This key is not valid.", extensions: { code: "UNAUTHENTICATED", issues: [] } }] };
  await page.route("**/graphql", async (request) => {
    const isIt = request.request().postData()?.includes(`query ${operation}`);
    await (isIt ? request.fulfill({ status: 401, json }) : request.continue());
  });
  await page.goto(`${server.url}${all().get(route)}`);
  await page.getByRole("dialog", { name: "Sign in" }).getByLabel("API key").waitFor();
});

test("what is still said of the old key, when another one is there, does not ask again", async () => {
  const context = await newContext();
  await context.addInitScript(() => {
    localStorage.setItem("steplog-token", localStorage.getItem("steplog-token") ?? "old");
    const own = { waiting: 0, release: () => {}, holds: null as Promise<void> | null };
    Object.assign(globalThis, { late: own });
    const fetched = globalThis.fetch;
    globalThis.fetch = async (...asked) => {
      const response = await fetched(...asked);
      if (response.status !== 401 || !own.holds) return response;
      const body = new ReadableStream({
        async start(controller) {
          own.waiting += 1;
          await own.holds;
          controller.enqueue(new Uint8Array(await response.arrayBuffer()));
          controller.close();
          setTimeout(() => (own.waiting -= 1), 100);
        },
      });
      return new Response(body, { status: response.status, headers: response.headers });
    };
  });
  const json = { errors: [{ message: "This key is not valid.", extensions: { code: "UNAUTHENTICATED", issues: [] } }] };
  await context.route("**/graphql", async (route) => {
    const { authorization, ...headers } = await route.request().allHeaders();
    await (authorization === "Bearer old" ? route.fulfill({ status: 401, json }) : route.continue({ headers }));
  });
  const pages = await Promise.all([context.newPage(), context.newPage()]);
  const asks = (page: Page) => page.getByRole("dialog", { name: "Sign in" });
  for (const page of pages) {
    await page.goto(`${tests.server.url}${all().get("/compare")}`);
    await asks(page).getByLabel("API key").waitFor();
  }
  const [page, other] = pages;
  type Late = { late: { waiting: number; release: () => void; holds: Promise<void> | null } };
  await page.evaluate(() => {
    const { late } = globalThis as unknown as Late;
    late.holds = new Promise((resolve) => (late.release = resolve));
    // What somebody has typed keeps the page as it is.
    document.querySelector("main")?.append(Object.assign(document.createElement("textarea"), { value: "half typed" }));
  });
  const waiting = () => page.evaluate(() => (globalThis as unknown as Late).late.waiting);
  await expect.poll(waiting).toBeGreaterThan(0);
  await asks(other).getByLabel("API key").fill("new");
  await asks(other).getByRole("button", { name: "Sign in" }).click();
  await expect.poll(() => asks(page).count()).toBe(0);
  await page.evaluate(() => (globalThis as unknown as Late).late.release());
  await expect.poll(waiting).toBe(0);
  await page
    .getByText(/^(?:ended|renamed|named in a tab)$/u)
    .first()
    .waitFor();
  await expect.poll(() => asks(page).count()).toBe(0);
  expect(tests.complaints).toEqual([]);
});

async function makeKey(server: RunningServer, by: string | null, name: string, scopes: readonly string[]) {
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(by !== null && { authorization: `Bearer ${by}` }) },
    body: JSON.stringify({
      query: "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } } }",
      variables: { input: { name, scopes } },
    }),
  });
  type Answer = { data: { createApiKey: { key: string; apiKey: { id: string } } } };
  return ((await response.json()) as Answer).data.createApiKey;
}

// The last one, as the service has keys from then on.
test("a key that is revoked: every page asks for another over what it shows, and keeps what was typed", async () => {
  const { server } = tests;
  const boss = (await makeKey(server, null, "boss", ["ADMIN", "READ", "WRITE", "TRAIN", "INFER"])).key;
  const { key, apiKey } = await makeKey(server, boss, "short", ["ADMIN", "READ", "WRITE", "TRAIN", "INFER"]);
  const context = await newContext();
  await context.addInitScript(
    (one) => localStorage.setItem("steplog-token", localStorage.getItem("steplog-token") ?? one),
    key,
  );
  const pages = await openAll(context, server.url);
  const typed = new Set<string>();
  await everywhere(pages, async (page, route) => {
    const field = page.locator(typable).first();
    if ((await field.count()) === 0) return;
    typed.add(route);
    await field.fill("half typed");
  });
  expect(typed.size).toBeGreaterThan(3);
  await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${boss}` },
    body: JSON.stringify({
      query: "mutation ($id: ID!) { revokeApiKey(id: $id) { id } }",
      variables: { id: apiKey.id },
    }),
  });
  const asks = (page: Page) => page.getByRole("dialog", { name: "Sign in" });
  await everywhere(pages, (page) => asks(page).getByText("no longer accepts the API key").waitFor());
  // The page that compares runs asks every few seconds. What is said to the old key comes once another one is entered.
  const compare = pages.get("/compare");
  if (!compare) throw new Error("it is among them");
  let late = 0;
  let signedIn = () => {};
  const signingIn = new Promise<void>((resolve) => (signedIn = resolve));
  await compare.route("**/graphql", async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    if (response.status() === 401) {
      late += 1;
      await signingIn;
    }
    await route.fulfill({ response, body });
    if (response.status() === 401) late -= 1;
  });
  await expect.poll(() => late).toBeGreaterThan(0);
  const first = [...pages.values()][0];
  if (!first) throw new Error("there are pages");
  await asks(first).getByLabel("API key").fill(boss);
  await asks(first).getByRole("button", { name: "Sign in" }).click();
  await everywhere(pages, async (page) => {
    await expect.poll(() => asks(page).count()).toBe(0);
  });
  signedIn();
  await expect.poll(() => late).toBe(0);
  await everywhere(pages, async (page) => {
    await expect.poll(() => asks(page).count()).toBe(0);
  });
  await everywhere(
    only(pages, ...typed),
    async (page) => await expect.poll(() => page.locator(typable).first().inputValue()).toBe("half typed"),
  );
  await everywhere(pages, async (page) => {
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
  });
  await compare.unrouteAll({ behavior: "ignoreErrors" });
});

const typable = "main :is(input:is([type=search], [type=text], :not([type])), textarea):visible";
