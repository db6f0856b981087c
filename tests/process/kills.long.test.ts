/**
 * Sixty kills over eight runs: workers, the gateway and Postgres by SIGKILL, workers frozen for longer than a lease, and one
 * cut off from Postgres. No step that was acknowledged is lost or doubled, and every run ends with the weights of a run that
 * nobody disturbed. Real processes, and an embedded Postgres as users have it.
 */
import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { leaseMs } from "../../schema/limits.ts";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { scratch } from "../support/models.ts";
import type { Running } from "../support/processes.ts";
import type { Relay } from "../support/relay.ts";
import { relayTo } from "../support/relay.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt } from "./follow.ts";
import type { TestService } from "./service.ts";
import { createRun, testService, until } from "./service.ts";

const runs = 8;
const steps = 500;
const kills = [
  ...Array.from({ length: 30 }, () => "worker" as const),
  ...Array.from({ length: 12 }, () => "gateway" as const),
  ...Array.from({ length: 6 }, () => "postgres" as const),
  ...Array.from({ length: 8 }, () => "freeze" as const),
  ...Array.from({ length: 4 }, () => "network" as const),
];
type Kill = (typeof kills)[number];

/** Longer than the time after which another may have the job. */
const outageMs = leaseMs + 2_000;

test("60 kills over 8 runs lose, double and change nothing", { timeout: 900_000 }, async () => {
  const postgres = await restartablePostgres();
  const service = await testService(postgres.url);
  const relay = await relayTo(postgres.url);
  onTestFinished(() => relay.close());
  const gateway = await service.startServer();
  const port = Number(new URL(gateway.url).port);
  const { client } = gateway;
  const workers = await startWorkers(service, relay);

  const undisturbed = await createRun(service, client, steps);
  await until("the undisturbed run", 120_000, async () => (await client.fineTune(undisturbed)).status === "SUCCEEDED");
  const expected = await expectRebuilt(service, client, undisturbed, steps);

  const ids: string[] = [];
  for (let run = 0; run < runs; run++) ids.push(await createRun(service, client, steps));
  const collected = ids.map((id) => collectSteps(client, id));
  const isOver = async () => {
    const states = await Promise.all(ids.map((id) => client.fineTune(id)));
    return states.every(({ status }) => status === "SUCCEEDED");
  };

  const done: Record<Kill, number> = { worker: 0, gateway: 0, postgres: 0, freeze: 0, network: 0 };
  const outages: Promise<void>[] = [];
  let server = gateway.running;
  const disturb: Record<Kill, () => Promise<void>> = {
    worker: () => workers.kill(),
    async gateway() {
      await server.kill("SIGKILL");
      server = (await service.startServer(port)).running;
    },
    postgres: () => postgres.kill(),
    async freeze() {
      outages.push(workers.freeze(outageMs));
    },
    async network() {
      relay.freezeAfter(0);
      outages.push(delay(outageMs).then(() => relay.restore()));
    },
  };
  // Spread over the work, however fast the machine is, so that each of them meets runs that are not over.
  const followed = () => collected.reduce((sum, { seen }) => sum + seen.length, 0);
  for (const [index, kill] of shuffled(kills, 20_261_128).entries()) {
    const share = Math.floor((runs * steps * index) / kills.length);
    await until(`step ${share} of all runs`, 120_000, () => followed() >= share);
    await disturb[kill]();
    done[kill] += 1;
  }
  await Promise.all(outages);

  await until("the end of every run", 300_000, isOver);
  await Promise.all(collected.map((run) => run.done));
  for (const { seen } of collected) expectEveryStepOnce(seen, steps);
  for (const id of ids) expect(await expectRebuilt(service, client, id, steps)).toBe(expected);
  console.info(
    `${JSON.stringify(done)}: ${runs * steps} steps of ${runs} runs, none lost or doubled, all digests equal`,
  );
});

async function restartablePostgres() {
  const dataDir = await scratch();
  await chmod(dataDir, 0o755);
  let server = await startEmbeddedPostgres({ dataDir });
  onTestFinished(() => server.stop());
  return {
    url: server.url,
    async kill() {
      const [pid] = (await readFile(join(dataDir, "cluster", "postmaster.pid"), "utf8")).split("\n");
      process.kill(Number(pid), "SIGKILL");
      server = await startEmbeddedPostgres({ dataDir });
    },
  };
}

/** Two that are killed and frozen in turn, and one behind the relay. */
async function startWorkers(service: TestService, relay: Relay) {
  const start = () => service.startWorker();
  const workers: Running[] = [await start(), await start()];
  await service.startWorker({ DATABASE_URL: relay.url });
  let turn = 0;
  const frozen = new Set<Running>();
  /** The place of the next one that is not frozen. */
  const next = (): number => {
    turn += 1;
    const place = turn % workers.length;
    return frozen.has(at(place)) ? (place + 1) % workers.length : place;
  };
  const at = (place: number): Running => {
    const worker = workers[place];
    if (!worker) throw new Error(`there is no worker ${place}`);
    return worker;
  };
  return {
    async kill() {
      const place = next();
      await at(place).kill("SIGKILL");
      frozen.delete(at(place));
      workers[place] = await start();
    },
    async freeze(ms: number) {
      const worker = at(next());
      frozen.add(worker);
      worker.child.kill("SIGSTOP");
      await delay(ms);
      worker.child.kill("SIGCONT");
      frozen.delete(worker);
    },
  };
}

/** The same order every time (Lehmer's generator). */
function shuffled<T>(values: readonly T[], seed: number): T[] {
  let state = seed;
  const keyed = values.map((value) => {
    state = (state * 48_271) % 2_147_483_647;
    return { value, key: state };
  });
  return keyed.toSorted((a, b) => a.key - b.key).map(({ value }) => value);
}
