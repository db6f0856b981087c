/**
 * Lines that are cut for longer than a lease: between a worker and Postgres, the gateway and Postgres, a client and the
 * gateway, all at once. They go silent with their connections open, and with STEPLOG_KILLS they are then reset too. The worker that is cut off
 * writes nothing, another goes on, the bits are those of a run alone; and what was cut off comes back by itself.
 */
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { directly } from "../store/fixtures.ts";
import type { Running } from "../support/processes.ts";
import { firstTry } from "../support/first-try.ts";
import { relayTo } from "../support/relay.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt } from "./follow.ts";
import { outageMs } from "./kills.ts";
import { type TestService, createRun, testService, until } from "./service.ts";

/** Some seconds on a quick machine, so that the line is cut while it trains. */
const steps = 800;
/** A minute each; the second one is what a killed process does too. */
const ways = process.env["STEPLOG_KILLS"] === undefined ? (["lose"] as const) : (["lose", "cut"] as const);
/** A pool that is silent is given up after a dozen seconds. */
const recoveryMs = 40_000;

test("lines that go silent, and lines that are reset", { ...firstTry, timeout: 240_000 }, async () => {
  const service = await testService();
  const toPostgres = () => relayTo(service.env["DATABASE_URL"] ?? "");
  const [workersLine, gatewaysLine] = [await toPostgres(), await toPostgres()];
  const [{ url, client: near }, cutOff] = await Promise.all([
    service.startServer(0, { DATABASE_URL: gatewaysLine.url }),
    service.startWorker({ DATABASE_URL: workersLine.url }),
  ]);
  const clientsLine = await relayTo(url);
  const lines = [workersLine, gatewaysLine, clientsLine];
  onTestFinished(() => lines.forEach((line) => line.close()));
  const far = new SteplogClient({ url: clientsLine.url.replace(/\/$/u, "") });

  const alone = await createRun(service, near, steps);
  await until("the end", 60_000, async () => (await near.fineTune(alone)).status === "SUCCEEDED");
  const expected = await expectRebuilt(service, near, alone, steps);

  for (const how of ways) {
    const id = await createRun(service, far, steps);
    const { seen, done } = collectSteps(far, id);
    await until("the first steps", 30_000, () => seen.length > 20);
    expect((await stateOf(service)).holder).toBe(cutOff.child.pid);
    for (const line of lines) line[how]();
    const other = await takesOver(service, cutOff);
    if (how === "cut") await delay(outageMs).then(() => lines.forEach((line) => line.restore()));
    await done;
    expectEveryStepOnce(seen, steps);
    expect(await expectRebuilt(service, near, id, steps)).toBe(expected);

    await other.kill("SIGKILL");
    const next = await createRun(service, far, 20);
    const comesBack = `the worker that was cut off (${how}) goes on`;
    await until(comesBack, recoveryMs, async () => (await near.fineTune(next)).status === "SUCCEEDED");
  }
  expect(cutOff.child.exitCode).toBeNull();
});

/** Another worker, which goes on where the log ended when the line was cut. */
async function takesOver(service: TestService, cutOff: Running): Promise<Running> {
  // What was on its way when the line was cut: a busy Postgres may take a while to store it.
  let atCut = -1;
  for (let { entries } = await stateOf(service); entries !== atCut; { entries } = await stateOf(service)) {
    atCut = entries;
    await delay(5_000);
  }
  const other = await service.startWorker();
  await until("the other worker", 60_000, async () => {
    const { holder, entries } = await stateOf(service);
    if (holder === cutOff.child.pid) expect(entries).toBe(atCut);
    return holder === other.child.pid;
  });
  expect(cutOff.child.exitCode).toBeNull();
  return other;
}

/** The process that holds the only job, and how long its log is. */
async function stateOf(service: TestService): Promise<{ readonly holder: number; readonly entries: number }> {
  const [job] = await directly(
    service.env["DATABASE_URL"] ?? "",
    (sql) => sql`select lease_worker, entries from jobs join fine_tunes on fine_tunes.id::text = subject`,
  );
  return {
    holder: Number(String(job?.["lease_worker"]).replace(`${hostname()}-`, "")),
    entries: Number(job?.["entries"]),
  };
}
