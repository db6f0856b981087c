/** Server and worker wait for a Postgres that is down when they start, and for room on a full disk. Real processes. */
import { readdir } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startSteplog } from "../support/processes.ts";
import { relayTo } from "../support/relay.ts";
import { smallDisk, whyNoDisk } from "../support/small-disk.ts";
import { createRun, testService, until } from "./service.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

test("they start when Postgres does, and a signal ends the wait", { timeout: 60_000 }, async () => {
  const service = await testService();
  const port = await freePort();
  const url = new URL(service.env["DATABASE_URL"] ?? "");
  url.port = String(port);
  const env = { ...service.env, DATABASE_URL: url.href };
  const commands = [["server", "--port", "0"], ["worker"]];
  const [impatient, patient] = [0, 1].map(() => commands.map((args) => startSteplog(args, env)));
  const waits = (running: { output: (this: void) => string }) =>
    /does not answer.*Trying again/u.test(running.output());
  await until("the wait", 20_000, () => [impatient, patient].flat().every((one) => one && waits(one)));
  for (const running of impatient ?? []) expect(await running.kill("SIGTERM")).toBe(0);

  const relay = await relayTo(service.env["DATABASE_URL"] ?? "", port);
  await Promise.all((patient ?? []).map(({ ready }) => ready));
  for (const running of patient ?? []) expect(await running.kill("SIGTERM")).toBe(0);
  relay.close();
});

/** Half a minute of waiting. */
test.runIf(process.env["STEPLOG_LONG_TESTS"] !== undefined && whyNoDisk === null)(
  `a run waits for room for its weights, and names the folder${whyNoDisk === null ? "" : ` (skipped: ${whyNoDisk})`}`,
  { timeout: 90_000 },
  async () => {
    const service = await testService();
    const { client } = await service.startServer();
    const folder = join(service.folder, "tmp");
    const disk = await smallDisk(folder, "size=16k");
    const worker = await service.startWorker({ TMPDIR: folder });
    const id = await createRun(service, client, 3);
    const reason = async () => (await client.fineTune(id)).waitingReason ?? "";
    // Clients read the end of the path, and the worker's log has all of it.
    const full = /Waiting for the next attempt.*UNAVAILABLE: The folder (?<told>[^/\s]+\/[^/\s]+) has no room left/u;
    await until("the reason", 30_000, async () => full.test(await reason()));
    const told = full.exec(await reason())?.groups?.["told"] ?? expect.unreachable("it waits");
    expect(worker.output()).toMatch(new RegExp(`${folder}/\\S+`, "u"));
    expect(worker.output()).toMatch(new RegExp(`${service.folder}/(?:\\S+/)?${told}`, "u"));
    expect(await readdir(folder)).toEqual([]);
    await disk.remount("size=64m");
    await until("the end", 40_000, async () => (await client.fineTune(id)).status === "SUCCEEDED");
    const { nodes } = (await client.fineTune(id)).checkpoints;
    expect(nodes[0]?.weightsUrl).not.toBeNull();
  },
);
