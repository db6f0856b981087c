/** The pages of Operate: a service without keys gets its first one, then two projects, webhooks, limits, and revoked keys. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { keepAlive, type Report } from "../support/alive.ts";
import { everything } from "../support/claims.ts";
import { createFineTune } from "../server/harness.ts";
import { startReceiver, type Receiver } from "../server/webhook-receiver.ts";
import { expectAccessible, expectToFit, pageTests, type PageOptions } from "./harness.ts";

// Each follows a whole flow, with axe at its states.
vi.setConfig({ testTimeout: 60_000 });

const tests = pageTests({ allowPrivateWebhooks: ["localhost"] });
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());

/** Of the operator, once there are keys. */
let boss = "";

const go = (path: string, page = tests.page) => page.goto(`${tests.server.url}/operate${path}`);
const dialog = (name: string | RegExp, page = tests.page) => page.getByRole("dialog", { name });
const row = (name: string, page = tests.page) =>
  page.getByRole("row").filter({ has: page.getByRole("rowheader").filter({ hasText: name }) });

/** A page that is signed in. */
async function signedIn(key: string, options?: PageOptions): Promise<Page> {
  const page = await tests.newPage(options);
  await signIn(page, key);
  return page;
}

async function signIn(page: Page, key: string): Promise<void> {
  await page.goto(`${tests.server.url}/favicon.svg`);
  await page.evaluate((one) => localStorage.setItem("steplog-token", one), key);
}

async function ask<T>(key: string, query: string, variables: object = {}): Promise<T> {
  const response = await fetch(`${tests.server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data?: T; errors?: unknown };
  if (!data || errors) throw new Error(JSON.stringify(errors));
  return data;
}

interface Made {
  readonly key: string;
  readonly apiKey: { readonly id: string };
}

async function makeKey(name: string, scopes: readonly string[], project?: string): Promise<Made> {
  const query = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { id } } }";
  return (await ask<{ createApiKey: Made }>(boss, query, { input: { name, scopes, project } })).createApiKey;
}

/** Chooses in the menu of a row. */
async function choose(name: string, action: string, page = tests.page): Promise<void> {
  await page.getByRole("button", { name: new RegExp(`^(?:More a|A)ctions of .*${name}`, "u") }).click();
  await page
    .getByRole("group", { name: new RegExp(`^(?:More a|A)ctions of .*${name}`, "u") })
    .getByText(action)
    .click();
}

const heldKey = (page = tests.page) => page.evaluate(() => localStorage.getItem("steplog-token"));

/** Until the function is called or the test is over. */
async function report(about: Omit<Report, "id">): Promise<() => void> {
  const stop = await keepAlive(tests.server.store, { id: crypto.randomUUID(), ...about });
  onTestFinished(stop);
  return stop;
}

describe("a service without keys", () => {
  test("workers say what they do, and the queue why it waits", async () => {
    const { page, server } = tests;
    await go("/workers");
    await page.getByText("No worker is running, so nothing trains").waitFor();
    await page.getByText("No run is waiting.").waitFor();
    await expectAccessible(page, "no workers");
    const about = { device: "native: a test", version: "1.2.3", ...(await everything(server.store)) };
    await report({ name: "test", ...about });
    const [, worker] = await tests.training({ steps: 100 }, "in training");
    await worker.train(30);
    await createFineTune(server, {}, "waits first");
    await createFineTune(server, {}, "waits second");
    const busy = page.getByRole("region", { name: "Worker test" });
    await busy.getByText("Busy").waitFor();
    await busy.getByText("step 30 of 100").waitFor();
    await expect
      .poll(() => busy.getByRole("link", { name: "in training" }).getAttribute("href"))
      .toMatch(/^\/fine-tunes\//u);
    const fallSilent = await report({ name: "idle one", ...about });
    await page.getByRole("region", { name: "Worker idle one" }).getByText("Idle", { exact: true }).waitFor();
    await row("bytes").getByText("waits first").waitFor();
    await expect.poll(() => row("bytes").getByRole("cell").first().textContent()).toBe("2");
    const work = page.getByRole("region", { name: "All work" }).getByRole("row").filter({ hasText: "bytes" });
    await expect
      .poll(async () => (await work.getByRole("cell").allTextContents()).slice(0, 3))
      .toEqual(["bytes", "2", "1"]);
    await expectAccessible(page, "workers");
    await tests.shoot("workers");
    fallSilent();
    await page.getByRole("region", { name: "Worker idle one" }).getByText("Silent").waitFor();
    await worker.succeed();
    expect(tests.complaints).toEqual([]);
  });

  test("usage has bars by day, quotas and a table to take along", async () => {
    const { page, server } = tests;
    await server.ask("mutation { setProjectQuotas(quotas: { stepsAMonth: 1000000, bytes: 5000000 }) { name } }");
    await go("/usage");
    await page.getByRole("img", { name: /^Steps by day, .*: 30 steps/u }).waitFor();
    await page.getByText(/of 1,000,000$/u).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download as CSV" }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^usage-\d{4}-\d\d-\d\d-to-\d{4}-\d\d-\d\d\.csv$/u);
    const text = await new Response((await download.createReadStream()) as unknown as BodyInit).text();
    expect(text).toMatch(/^day,steps,stepSeconds,tokensTrained,tokensGenerated,bytes,.*\r\n\d{4}-\d\d-\d\d,30,/u);
    await page.getByLabel("Days").selectOption("7");
    await page.waitForURL("**?days=7");
    await page.getByLabel("Days").selectOption("own");
    await page.getByLabel("From", { exact: true }).fill("2020-01-01");
    await page.getByRole("alert").getByText("Ask for 1 to 400").waitFor();
    await expectAccessible(page, "too many days");
    await page.getByLabel("To", { exact: true }).fill("2020-01-31");
    await page.getByText("Nothing was used on these days.").waitFor();
    await server.ask("mutation { setProjectQuotas(quotas: { stepsAMonth: null, bytes: null }) { name } }");
    expect(tests.complaints).toEqual([]);
  });

  test("the first key: what it changes is said before, and the page goes on with it", async () => {
    const { page, server } = tests;
    await page.goto(server.url);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("o");
    await page.waitForURL("**/operate/keys");
    await page.getByText("This service has no keys: whoever reaches it may do everything.").waitFor();
    await expectAccessible(page, "no keys");
    await tests.shoot("no-keys");
    await page.getByRole("button", { name: "New key" }).click();
    const form = dialog("The first key");
    await form.getByText("From now on every request needs a key.").waitFor();
    await expect.poll(() => form.getByLabel("ADMIN").isDisabled()).toBe(true);
    await form.getByLabel("Name: what it is for").fill("boss");
    await expectAccessible(page, "the form of the first key");
    await form.getByRole("button", { name: "Make the first key" }).click();
    const secret = dialog("The key “boss”");
    boss = await secret.getByLabel("API key").inputValue();
    expect(boss).toMatch(/^steplog_/u);
    await expectAccessible(page, "a new key");
    await tests.shoot("new-key");
    expect(await heldKey()).toBe(boss);
    await secret.getByRole("button", { name: "I have kept it" }).click();
    await row("boss").getByText("this page").waitFor();
    await expect.poll(() => page.getByText("This service has no keys").count()).toBe(0);
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
    expect((await server.gql("{ viewer { scopes } }")).errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect(tests.complaints).toEqual([]);
  });
});

describe("keys and projects", () => {
  test("a project is created, limited and gets a key that is renamed, rotated, revoked and deleted", async () => {
    const page = await signedIn(boss);
    await go("/projects", page);
    await page.getByRole("button", { name: "New project" }).click();
    await dialog("New project", page).getByLabel("Name").fill("default");
    await dialog("New project", page).getByRole("button", { name: "Create the project" }).click();
    await dialog("New project", page).getByText("CONFLICT").waitFor();
    await expectAccessible(page, "a name that is taken");
    await dialog("New project", page).getByLabel("Name").fill("reviews");
    await dialog("New project", page).getByRole("button", { name: "Create the project" }).click();
    await row("reviews", page).waitFor();
    await choose("reviews", "Quotas…", page);
    await dialog("Quotas of “reviews”", page).getByLabel("Runs at once").fill("2");
    await dialog("Quotas of “reviews”", page).getByLabel("Stored datasets").fill("1.5");
    await dialog("Quotas of “reviews”", page).getByRole("button", { name: "Set the quotas" }).click();
    await page.getByText("Quotas set.").waitFor();
    await choose("reviews", "How long it keeps things…", page);
    await dialog(/keeps things/u, page)
      .getByLabel("Datasets (days)")
      .fill("30");
    await dialog(/keeps things/u, page)
      .getByLabel(/^Checkpoints, the best and the last too/u)
      .fill("7");
    await dialog(/keeps things/u, page)
      .getByRole("button", { name: "Set the times" })
      .click();
    await row("reviews", page).getByText("checkpoints 7 days, datasets 30 days").waitFor();
    await choose("reviews", "Rate limits…", page);
    await dialog(/Rate limits/u, page)
      .getByLabel("Requests to /v1")
      .selectOption("number");
    await dialog(/Rate limits/u, page)
      .getByLabel("How many")
      .fill("7");
    await expectAccessible(page, "rate limits");
    await dialog(/Rate limits/u, page)
      .getByRole("button", { name: "Set the limits" })
      .click();
    await page.getByText("Own limits a minute now: OPENAI 7.").waitFor();
    await tests.shoot("projects", page);

    await row("reviews", page).getByRole("link", { name: "Usage" }).click();
    await page.getByRole("region", { name: "Quotas of the project" }).getByText("0 of 2").waitFor();
    await page.getByText("0 B of 1.50 GB").waitFor();
    await page.getByRole("navigation", { name: "Operate" }).getByRole("link", { name: "Keys" }).click();
    await page.getByRole("combobox", { name: "Project" }).selectOption({ label: "reviews" });
    await page.getByText("There are no keys here yet.").waitFor();
    await page.getByRole("button", { name: "New key" }).click();
    await dialog("New key", page).getByLabel("Name: what it is for").fill("nightly");
    for (const scope of [/^READ/u, /^TRAIN/u]) await dialog("New key", page).getByLabel(scope).uncheck();
    await dialog("New key", page).getByRole("button", { name: "Make the key" }).click();
    await dialog("New key", page).getByText("INVALID_ARGUMENT").waitFor();
    await expect.poll(() => dialog("New key", page).getByLabel("Name: what it is for").inputValue()).toBe("nightly");
    await expectAccessible(page, "a key without scopes");
    await dialog("New key", page).getByLabel(/^READ/u).check();
    await dialog("New key", page).getByRole("button", { name: "Make the key" }).click();
    await dialog("The key “nightly”", page).getByRole("button", { name: "I have kept it" }).click();
    await row("nightly", page).getByText("Never").waitFor();
    expect(await heldKey(page)).toBe(boss);

    await choose("nightly", "Rename…", page);
    await dialog("Rename “nightly”", page).getByLabel("Name", { exact: true }).fill("weekly");
    await dialog("Rename “nightly”", page).getByRole("button", { name: "Rename", exact: true }).click();
    await row("weekly", page).waitFor();
    await choose("weekly", "Rotate…", page);
    await dialog("Rotate “weekly”", page).getByRole("button", { name: "Make its successor" }).click();
    await dialog("The key “weekly”", page).getByRole("button", { name: "I have kept it" }).click();
    await expect.poll(() => row("weekly", page).count()).toBe(2);
    await page.getByRole("row").filter({ hasText: "Active" }).getByRole("button").click();
    // Its successor has the same name: the start of a key tells one from the other.
    await page
      .getByRole("group", { name: /^Actions of the key weekly \(.+…\)$/u })
      .getByText("Revoke…")
      .click();
    await expectAccessible(page, "revoking");
    await dialog("Revoke “weekly”?", page).getByRole("button", { name: "Revoke it" }).click();
    await expect.poll(() => page.getByText("Revoked", { exact: true }).count()).toBe(2);
    await tests.shoot("keys", page);
    await page.getByRole("button", { name: "Actions of the key weekly" }).first().click();
    await page.getByRole("group", { name: "Actions of the key weekly" }).getByText("Delete…").first().click();
    await dialog("Delete “weekly”?", page).getByRole("button", { name: "Delete it" }).click();
    await expect.poll(() => row("weekly", page).count()).toBe(1);
    expect(tests.complaints).toEqual([]);
    await page.context().close();
  });

  test("a project is renamed, and erased by its name only", async () => {
    const page = await signedIn(boss);
    await ask(boss, 'mutation { createProject(name: "for a while") { id } }');
    await go("/projects", page);
    await choose("for a while", "Rename…", page);
    await dialog("Rename “for a while”", page).getByLabel("Name", { exact: true }).fill("reviews");
    await dialog("Rename “for a while”", page).getByRole("button", { name: "Rename", exact: true }).click();
    await dialog("Rename “for a while”", page).getByRole("alert").waitFor();
    await expectAccessible(page, "a name that another project has");
    await dialog("Rename “for a while”", page).getByLabel("Name", { exact: true }).fill("short-lived");
    await dialog("Rename “for a while”", page).getByRole("button", { name: "Rename", exact: true }).click();
    await row("short-lived", page).waitFor();
    await expect.poll(() => row("for a while", page).count()).toBe(0);
    await choose("short-lived", "Erase…", page);
    const form = dialog("Erase “short-lived”?", page);
    await form.getByLabel("Type its name").fill("short");
    await form.getByRole("button", { name: "Erase it for good" }).click();
    await form.getByRole("alert").waitFor();
    await expectAccessible(page, "a wrong name");
    await tests.shoot("erase", page);
    await form.getByLabel("Type its name").fill("short-lived");
    await form.getByRole("button", { name: "Erase it for good" }).click();
    await page.getByText("Erased “short-lived” with 0 runs and 0 datasets.").waitFor();
    await expect.poll(() => row("short-lived", page).count()).toBe(0);
    await go("/audit?action=project.erased", page);
    await row(new Date().getFullYear().toString(), page).getByText("short-lived").first().waitFor();
    await page.context().close();
  });

  test("what a key does not allow is not offered, and the page says what is missing", async () => {
    const project = (
      await ask<{ createProject: { id: string } }>(boss, 'mutation { createProject(name: "small") { id } }')
    ).createProject.id;
    const reader = await makeKey("reader", ["READ"], project);
    const page = await signedIn(reader.key);
    await go("", page);
    await page.waitForURL("**/operate/usage");
    await page.getByRole("img", { name: /^Steps by day/u }).waitFor();
    for (const path of ["/keys", "/projects", "/webhooks", "/audit"]) {
      await go(path, page);
      await page.getByText("This page needs the scope ADMIN. Your key of the project “small” has READ.").waitFor();
      await expect.poll(() => page.getByRole("button", { name: /^New/u }).count()).toBe(0);
    }
    await expectAccessible(page, "a scope that is missing");
    const admin = await makeKey("admin of small", ["ADMIN"], project);
    await signIn(page, admin.key);
    await go("/projects", page);
    await row("small", page).waitFor();
    await expect.poll(() => page.getByRole("row").count()).toBe(2);
    await page.getByRole("button", { name: "Actions of the project small" }).click();
    await expect
      .poll(() =>
        page.getByRole("group", { name: "Actions of the project small" }).getByRole("button").allTextContents(),
      )
      .toEqual(["How long it keeps things…"]);
    await expect.poll(() => page.getByRole("button", { name: "New project" }).count()).toBe(0);
    expect(tests.complaints).toEqual([]);
    await page.context().close();
  });
});

describe("webhooks", () => {
  test("one is created, tested, fails, is sent again, disabled, and deleted", async () => {
    const page = await signedIn(boss);
    await go("/webhooks", page);
    await page.getByText("There are no webhooks.").waitFor();
    await page.getByRole("button", { name: "New webhook" }).click();
    const form = dialog("New webhook", page);
    await form.getByLabel("Address that receives").fill("http://10.0.0.1/hook");
    await form.getByRole("button", { name: "Create the webhook" }).click();
    await form.getByRole("alert").waitFor();
    await expectAccessible(page, "an address that is refused");
    await form.getByLabel("Address that receives").fill(receiver.url);
    await form.getByLabel("It is told").selectOption("some");
    await form.getByText("Datasets", { exact: true }).click();
    await form.getByLabel("dataset.created").check();
    await form.getByLabel("dataset.deleted").check();
    await expectAccessible(page, "the form of a webhook");
    await tests.shoot("new-webhook", page);
    await form.getByRole("button", { name: "Create the webhook" }).click();
    receiver.secret = await dialog(/^The secret/u, page)
      .getByLabel("Secret")
      .inputValue();
    await dialog(/^The secret/u, page)
      .getByRole("button", { name: "I have kept it" })
      .click();
    await page.getByText("No messages have been sent yet.").waitFor();

    await page.getByRole("button", { name: "Send a test" }).click();
    const message = (type: string) => page.getByRole("group", { name: new RegExp(`^Message ${type}`, "u") });
    await message("webhook.test").getByText("Delivered").waitFor();
    expect(receiver.received.at(-1)?.message.type).toBe("webhook.test");
    await page.getByRole("button", { name: "Send a test" }).click();
    await expect.poll(() => message("webhook.test").count()).toBe(2);
    for (const one of await message("webhook.test").all()) await one.getByText("and what is sent").click();
    await expect.poll(() => page.getByRole("button", { name: "Copy the body of webhook.test" }).count()).toBe(2);
    await expectAccessible(page, "two messages of one type");
    receiver.answer = (_request, response) => void response.writeHead(500).end("the disk is full");
    const dataset = `mutation { createDataset(input: { name: "d", jsonl: "{\\"prompt\\":\\"a\\",\\"completion\\":\\"b\\"}" }) { id } }`;
    await ask(boss, dataset);
    await message("dataset.created").getByText("the disk is full").waitFor();
    await message("dataset.created")
      .getByText(/^Next attempt: in/u)
      .waitFor();
    await message("dataset.created").getByText("and what is sent").click();
    await message("dataset.created").getByText('"type": "dataset.created"').waitFor();
    await page.getByText("Failing").waitFor();
    await expectAccessible(page, "a message that failed");
    await tests.shoot("webhook", page);
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    await message("dataset.created").getByRole("button", { name: "Send again: dataset.created" }).click();
    await message("dataset.created").getByText("Delivered").waitFor();
    await page.getByLabel("Which messages").selectOption("FAILED");
    await page.getByText("No message has this status.").waitFor();
    await page.getByLabel("Which messages").selectOption("");

    await choose("", "Change…", page);
    const changed = dialog("Change the webhook", page);
    await changed.getByLabel("What it is for").fill("tells of rows");
    await changed.getByLabel("dataset.deleted").uncheck();
    await expectAccessible(page, "changing a webhook");
    await changed.getByRole("button", { name: "Save" }).click();
    await page.getByText("tells of rows").waitFor();
    await expect.poll(() => page.getByText("dataset.deleted").count()).toBe(0);
    await choose("", "New secret…", page);
    await dialog("Make a new secret?", page).getByRole("button", { name: "Make a new secret" }).click();
    const secret = await dialog(/^The secret/u, page)
      .getByLabel("Secret")
      .inputValue();
    expect(secret).not.toBe(receiver.secret);
    await dialog(/^The secret/u, page)
      .getByRole("button", { name: "I have kept it" })
      .click();
    receiver.secret = secret;
    await page.getByRole("button", { name: "Send a test" }).click();
    await expect.poll(() => message("webhook.test").filter({ hasText: "Delivered" }).count()).toBe(3);

    await choose("", "Disable", page);
    await page.getByText("Disabled", { exact: true }).waitFor();
    await choose("", "Send everything again since…", page);
    await dialog("Send everything again", page).getByLabel("Since").fill("2026-01-01T00:00");
    await dialog("Send everything again", page).getByRole("button", { name: "Send again" }).click();
    await page.getByText(/messages? sent again\.$/u).waitFor();
    await message("dataset.created").getByText("It waits until the webhook is enabled.").waitFor();
    await choose("", "Enable", page);
    await page.getByText("Enabled", { exact: true }).waitFor();
    await choose("", "Delete…", page);
    await dialog(/^Delete the webhook/u, page)
      .getByRole("button", { name: "Delete it" })
      .click();
    await page.getByText("There are no webhooks.").waitFor();
    expect(tests.complaints).toEqual([]);
    await page.context().close();
  });
});

describe("a key that ends", () => {
  test("in two tabs: both ask for another, nothing typed is lost, and one answer serves both", async () => {
    const made = await makeKey("two tabs", ["ADMIN"]);
    const page = await signedIn(made.key);
    const other = await page.context().newPage();
    await go("/keys", page);
    await page.getByRole("button", { name: "New key" }).click();
    await dialog("New key", page).getByLabel("Name: what it is for").fill("half typed");
    await go("/workers", other);
    await other.getByRole("heading", { name: "Waiting runs" }).waitFor();
    await ask(boss, "mutation ($id: ID!) { revokeApiKey(id: $id) { id } }", { id: made.apiKey.id });
    await dialog("Sign in", page).getByText("no longer accepts the API key").waitFor();
    await dialog("Sign in", other).waitFor();
    await expectAccessible(page, "signing in again");
    await tests.shoot("revoked", page);
    await dialog("Sign in", page).getByLabel("API key").fill("steplog_wrong");
    await dialog("Sign in", page).getByRole("button", { name: "Sign in" }).click();
    await dialog("Sign in", page).getByLabel("API key").fill(boss);
    await dialog("Sign in", page).getByRole("button", { name: "Sign in" }).click();
    await expect.poll(() => dialog("Sign in", page).count()).toBe(0);
    await expect.poll(() => dialog("Sign in", other).count()).toBe(0);
    await expect.poll(() => dialog("New key", page).getByLabel("Name: what it is for").inputValue()).toBe("half typed");
    await dialog("New key", page).getByRole("button", { name: "Make the key" }).click();
    await dialog("The key “half typed”", page).waitFor();
    await other.getByText("so nothing trains").waitFor();
    await page.context().close();
  });

  test("the page's own key, rotated, is followed by its successor", async () => {
    const made = await makeKey("rotated here", ["ADMIN"]);
    const page = await signedIn(made.key);
    await go("/keys", page);
    await choose("rotated here", "Rotate…", page);
    await dialog("Rotate “rotated here”", page).getByText("will switch to the new one").waitFor();
    await dialog("Rotate “rotated here”", page).getByRole("button", { name: "Make its successor" }).click();
    const secret = dialog("The key “rotated here”", page);
    await expect
      .poll(async () => (await secret.getByLabel("API key").inputValue()) === (await heldKey(page)))
      .toBe(true);
    await secret.getByRole("button", { name: "I have kept it" }).click();
    await row("this page", page).getByText("Active").waitFor();
    await expect.poll(() => dialog("Sign in", page).count()).toBe(0);
    await page.context().close();
  });
});

test("GraphiQL asks with the key of the page, and no other host", async () => {
  const page = await signedIn(boss);
  const sent: (string | undefined)[] = [];
  page.on("request", (request) => {
    if (request.method() === "POST") sent.push(request.headers()["authorization"]);
  });
  await page.goto(`${tests.server.url}/graphql`);
  const answered = page.waitForResponse(async (answer) => {
    const posted = answer.request().postData() ?? "";
    return posted.includes("query Overview") && (await answer.text()).includes("waits second");
  });
  await page.getByRole("button", { name: /^Execute query/u }).click();
  await answered;
  expect(new Set(sent)).toEqual(new Set([`Bearer ${boss}`]));
  expect(tests.complaints.filter((one) => one.startsWith("asked "))).toEqual([]);
  const kept = await page.evaluate(
    (key) => Object.entries(localStorage).filter(([, value]) => String(value).includes(key)),
    boss,
  );
  expect(kept.map(([name]) => name)).toEqual(["steplog-token"]);
  await page.context().close();
});

test.each(["light", "dark"] as const)(
  "every page is accessible and fits, %s",
  async (colorScheme) => {
    const page = await signedIn(boss, { colorScheme });
    for (const path of ["keys", "projects", "usage", "workers", "webhooks", "audit"]) {
      await go(`/${path}`, page);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.waitForLoadState("networkidle", { timeout: 1_000 }).catch(() => undefined);
      await expectAccessible(page, path);
      await tests.shoot(`${colorScheme}-${path}`, page);
      await expectToFit(page, path);
      await expect.poll(() => page.locator(".subnav [aria-current]").evaluate(isWhole)).toBe(true);
      await tests.shoot(`${colorScheme}-${path}-phone`, page);
      await page.setViewportSize({ width: 1_280, height: 900 });
    }
    await page.keyboard.press("4");
    await page.waitForURL("**/operate/workers");
    await page.context().close();
  },
  60_000,
);

/** Whether a link is seen from its one end to the other, within the links that a phone scrolls; runs in the page. */
function isWhole(link: Element): boolean {
  const [own, around] = [link.getBoundingClientRect(), link.parentElement?.getBoundingClientRect()];
  return around !== undefined && own.left >= around.left - 1 && own.right <= around.right + 1;
}
