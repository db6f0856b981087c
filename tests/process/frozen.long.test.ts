/**
 * A worker that is stopped (SIGSTOP) at random moments of its claim and of its training: another takes over within the lease
 * and a poll, and the frozen one lives on when it is woken. Real processes.
 */
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { leaseMs, pollMs } from "../../schema/limits.ts";
import { directly } from "../store/fixtures.ts";
import { firstTry } from "../support/first-try.ts";
import type { Running } from "../support/processes.ts";
import { createRun, testService, until } from "./service.ts";

/** For two processes on a busy machine, the query and the end of a frozen session. */
const slackMs = 2_000;
/** Half of them in the claim, half in training; each takes a dozen seconds. */
const moments = Number(process.env["STEPLOG_FROZEN_MOMENTS"] ?? 4);
const longestMs = 120;

test(`at ${moments} moments`, { ...firstTry, timeout: 60_000 + moments * 30_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  const workers = [await service.startWorker(), await service.startWorker()];
  const nameOf = ({ child }: Running) => `${hostname()}-${child.pid}`;
  const holder = () =>
    directly(service.env["DATABASE_URL"] ?? "", async (sql) => {
      const [job] = await sql`select lease_worker from jobs where lease_expires_at > clock_timestamp()`;
      return job ? String(job["lease_worker"]) : null;
    });
  for (let moment = 0; moment < moments; moment++) {
    const waitMs = Math.random() * longestMs;
    const id = await createRun(service, client, 1_000_000);
    const inClaim = moment % 2 === 1;
    if (!inClaim) await until("the first step", 20_000, async () => (await client.fineTune(id)).progress.step > 0);
    const held = await holder();
    const frozen = workers.find((worker) => nameOf(worker) === held) ?? workers[moment % 4 < 2 ? 0 : 1];
    if (!frozen) throw new Error("there are two workers");
    await delay(waitMs);
    frozen.child.kill("SIGSTOP");
    const what = `a takeover, ${waitMs.toFixed(1)} ms into ${inClaim ? "the claim" : "training"}`;
    await until(what, leaseMs + pollMs + slackMs, async () => {
      const now = await holder();
      return now !== null && now !== nameOf(frozen);
    });
    await client.cancel(id);
    frozen.child.kill("SIGCONT");
    await until("the end", 30_000, async () => (await client.fineTune(id)).status === "CANCELLED");
  }
  for (const worker of workers) {
    expect(worker.child.exitCode).toBeNull();
    expect(await worker.kill("SIGTERM")).toBe(0);
  }
});
