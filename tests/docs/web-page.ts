/** A page of an example in a real browser, from an origin of its own, as somebody has it who saved the page. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, onTestFinished } from "vitest";
import { missing, openBrowser } from "../../bench/browser/chromium.ts";

export interface WebPages {
  readonly origin: string;
  /** What the page draws of a run of so many steps. */
  readonly show: (html: string, steps: number) => Promise<void>;
}

export async function serveWebPages(): Promise<WebPages> {
  let page = "";
  const server = createServer((_request, response) => response.setHeader("content-type", "text/html").end(page));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const show = async (html: string, steps: number) => {
    page = html;
    await look(origin, steps);
  };
  return { origin, show };
}

async function look(origin: string, steps: number): Promise<void> {
  if (missing !== null && process.env["CI"] === undefined)
    return console.warn(`the web page was not tried: ${missing}`);
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", ({ message }) => errors.push(message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(origin);
    await page.waitForFunction((last) => document.body.innerText.includes(`step ${last},`), steps).catch(() => {});
    // Chromium asks for an icon, which nobody has.
    expect(errors.filter((text) => !text.includes("favicon"))).toStrictEqual([]);
    expect(await page.locator("p").innerText()).toMatch(new RegExp(`: step ${steps}, loss \\d+\\.\\d{3}$`, "u"));
    const points = await page.locator("polyline").getAttribute("points");
    expect(points?.split(" ")).toHaveLength(steps);
  } finally {
    await browser.close();
  }
}
