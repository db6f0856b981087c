/**
 * Each deed of the page, by the table of them: whose key may not do it is not offered it, and a refusal of the service is shown
 * where it was done, loses nothing, and can be tried again.
 */
import type { Locator, Page } from "playwright-core";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Scope } from "../../../client/schema-types.ts";
import { pageTests } from "../harness.ts";
import { deeds, ways, type Deed } from "./deeds.ts";
import { answerTo, everyScope, makeEndedKey, makeKey, makePlaces, type PlaceName, type Places } from "./places.ts";

const tests = pageTests({ allowPrivateWebhooks: ["localhost"] });
// Each walks along many pages.
vi.setConfig({ testTimeout: 180_000 });

/** Together they may not do each deed at least once, and may do each that needs no more than these. */
const lookers: readonly (readonly Scope[])[] = [["READ", "INFER"], ["WRITE"]];
const keys = new Map<string, string>();
let places: Places | null = null;

beforeEach(async () => {
  const { server } = tests;
  if (places) return;
  places = await makePlaces(server);
  await makeEndedKey(server);
  for (const scopes of [everyScope, ...lookers]) keys.set(scopes.join(" "), await makeKey(server, scopes));
  for (const scope of everyScope) keys.set(`not ${scope}`, await makeKey(server, without(scope)));
  keys.set("other project", await makeKey(server, everyScope, places.otherProject));
});

const without = (scope: Scope) => everyScope.filter((one) => one !== scope);
const keyOf = (name: string) => keys.get(name) ?? expect.unreachable(name);
const placeOf = (name: PlaceName) => places?.all[name] ?? expect.unreachable(name);

async function signIn(page: Page, key: string): Promise<void> {
  await page.goto(`${tests.server.url}/favicon.svg`);
  await page.evaluate((one) => {
    sessionStorage.clear();
    localStorage.setItem("steplog-token", one);
  }, key);
}

async function go(page: Page, name: PlaceName): Promise<void> {
  const { address, shows } = placeOf(name);
  await page.goto(`${tests.server.url}${address}`);
  const main = page.getByRole("main");
  const shown = main
    .getByText(shows)
    .or(main.getByRole("button", { name: shows }))
    .or(main.getByRole("heading", { name: shows }));
  await shown.first().waitFor();
}

describe("what a key may not do is not offered", () => {
  test.each(lookers.map((scopes) => [scopes.join(" "), scopes] as const))("%s", async (called, scopes) => {
    const { page } = tests;
    await signIn(page, keyOf(called));
    for (const name of new Set([...deeds, ...ways].map(({ at }) => at))) {
      await go(page, name);
      for (const deed of [...deeds, ...ways].filter(({ at }) => at === name))
        await expectOffered(page, deed, mayDo(scopes, deed));
    }
    await go(page, "playground");
    const mayAsk = scopes.includes("INFER");
    await expect.poll(() => page.getByText("Your key may not ask models.").count()).toBe(mayAsk ? 0 : 1);
    expect(tests.complaints).toEqual([]);
  });

  test("an admin who is no operator", async () => {
    const { page } = tests;
    await signIn(page, keyOf("other project"));
    for (const name of ["models", "projects", "keys"] as const) {
      await go(page, name);
      for (const deed of deedsAt(name).filter(({ needs }) => needs === "OPERATOR"))
        await expectOffered(page, deed, false);
    }
  });
});

const deedsAt = (name: PlaceName) => deeds.filter(({ at }) => at === name);

function mayDo(scopes: readonly Scope[], { needs, trains }: Offer): boolean {
  if (trains && !scopes.includes("TRAIN")) return false;
  return scopes.includes(needs === "OPERATOR" ? "ADMIN" : needs);
}

type Offer = Pick<Deed, "needs" | "at" | "begins"> & Partial<Deed>;

/** Also in menus that are closed. */
async function expectOffered(page: Page, deed: Offer, offered: boolean): Promise<void> {
  const { begins, select, step, explained, at } = deed;
  if (explained) return;
  if (select !== undefined) await page.getByRole("checkbox", { name: `Select ${select}`, exact: true }).check();
  if (step !== undefined) await openStep(page, step);
  const named = { name: begins, exact: true, includeHidden: true };
  const main = page.getByRole("main");
  const there = main.getByRole("button", named).or(main.getByRole("link", named));
  await expect.poll(async () => (await there.count()) > 0, { message: `${begins}, at ${at}` }).toBe(offered);
}

async function openStep(page: Page, step: string): Promise<void> {
  const head = page.getByRole("button", { name: new RegExp(step, "u"), expanded: false });
  if ((await head.count()) > 0) await head.first().click();
}

/** What the next request of this mutation is answered, and what was sent. */
interface Refusal {
  readonly mutation: string;
  readonly words: string;
  readonly sent: string[];
}

describe("a refusal is shown where it was done, loses nothing, and it can be tried again", () => {
  test.each([...new Set(deeds.map(({ at }) => at))])("%s", async (name) => {
    const { page } = tests;
    let refusal: Refusal | null = null;
    await page.route("**/graphql", (route) => {
      const body = route.request().postData() ?? "";
      if (!refusal || !body.includes(`mutation ${refusal.mutation}`)) return route.continue();
      refusal.sent.push(body);
      const error = { message: refusal.words, extensions: { code: "CONFLICT", issues: [] } };
      return route.fulfill({ json: { errors: [error] } });
    });
    await signIn(page, keyOf(everyScope.join(" ")));
    await go(page, name);
    for (const [index, deed] of deedsAt(name).entries()) {
      refusal = { mutation: deed.mutation, words: `Refused on purpose: ${deed.mutation} ${index}.`, sent: [] };
      await expectRefusal(page, deed, refusal);
      await page.keyboard.press("Escape");
      await page.locator("dialog[open]").waitFor({ state: "detached" });
      if (deed.select !== undefined) await page.getByRole("button", { name: "Clear the selection" }).click();
    }
    expect(tests.complaints).toEqual([]);
  });
});

async function expectRefusal(page: Page, deed: Deed, { words, sent }: Refusal): Promise<void> {
  const { mutation, type = {}, press } = deed;
  await begin(page, deed);
  await fill(page, type);
  if (press !== undefined) await pressed(page, press).click();
  await page.getByRole("alert").filter({ hasText: words }).first().waitFor();
  if (press === undefined) await begin(page, deed);
  else {
    if ((await pressed(page, press).count()) === 0) await begin(page, deed);
    await expectFilled(page, type, deed);
    await pressed(page, press).click();
  }
  await expect.poll(() => sent.length, { message: `${mutation} is sent again` }).toBeGreaterThan(1);
  const [first = "", again = ""] = sent;
  expect([mutation, variablesOf(again)]).toEqual([mutation, variablesOf(first)]);
  await expectNeeded(deed, first);
}

const variablesOf = (body: string) => (JSON.parse(body) as { variables: object }).variables;

/** That the service refuses it to a key with all other scopes. */
async function expectNeeded({ needs, mutation }: Deed, body: string): Promise<void> {
  const scope = needs === "OPERATOR" ? "ADMIN" : needs;
  const { errors = [] } = await answerTo(tests.server, keyOf(`not ${scope}`), body);
  expect([mutation, errors[0]?.extensions.code]).toEqual([mutation, "FORBIDDEN"]);
}

/** Of the dialog that is open, else of the page. */
const pressed = (page: Page, name: string | RegExp) =>
  page.locator("dialog[open]").or(page.getByRole("main")).getByRole("button", { name, exact: true }).last();

async function begin(page: Page, { select, step, menu, begins }: Deed): Promise<void> {
  if (select !== undefined) await page.getByRole("checkbox", { name: `Select ${select}`, exact: true }).check();
  if (step !== undefined) await openStep(page, step);
  const main = page.getByRole("main");
  if (menu === undefined) return main.getByRole("button", { name: begins, exact: true }).click();
  await main.getByRole("button", { name: menu, exact: true }).click();
  await main.getByRole("group", { name: menu, exact: true }).getByRole("button", { name: begins, exact: true }).click();
}

const fieldOf = (page: Page, label: string) =>
  page.locator("dialog[open]").or(page.locator("form")).getByLabel(label, { exact: true }).first();

const isSelect = (field: Locator) => field.evaluate((one) => one instanceof HTMLSelectElement);

async function fill(page: Page, type: NonNullable<Deed["type"]>): Promise<void> {
  for (const [label, text] of Object.entries(type)) {
    const field = fieldOf(page, label);
    await ((await isSelect(field)) ? field.selectOption(text) : field.fill(text));
  }
}

async function expectFilled(page: Page, type: NonNullable<Deed["type"]>, { mutation }: Deed): Promise<void> {
  for (const [label, text] of Object.entries(type))
    expect([mutation, label, await fieldOf(page, label).inputValue()]).toEqual([mutation, label, text]);
}
