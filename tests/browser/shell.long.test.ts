/** What every page has: the bar, the theme, the keys, signing in, and an address below a prefix. */
import { createServer, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import type { RunningServer } from "../../server/server.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

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
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.waitForURL(`${server.url}/`);
    expect(tests.complaints).toEqual([]);
  });
});

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

/** A proxy that serves a gateway below a path, with the path in front of what it asks for or not. */
async function proxy(gateway: RunningServer, { strips }: { strips: boolean }): Promise<string> {
  const { hostname, port } = new URL(gateway.url);
  const target = (url = "") => (strips ? url.slice("/team/steplog".length) || "/" : url);
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url } = incoming;
    const asked = send({ hostname, port, method, headers, path: target(url) }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(asked);
  });
  server.on("upgrade", ({ url, rawHeaders }, socket) => {
    const upstream = connect(Number(port), hostname, () => {
      const lines = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : []));
      upstream.write([`GET ${target(url)} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
      socket.pipe(upstream).pipe(socket);
    });
    for (const end of [upstream, socket]) end.on("error", () => end.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  others.push({ close: () => server.closeAllConnections() ?? server.close() });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/team/steplog`;
}

test.each([{ strips: true }, { strips: false }])("works below a path of a proxy, %j", async ({ strips }) => {
  const page = await tests.newPage();
  const [id, worker] = await tests.training({ steps: 20 });
  const gateway = await tests.server.another({ publicUrl: "http://127.0.0.1/team/steplog" });
  others.push(gateway);
  const url = await proxy(gateway, { strips });
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
