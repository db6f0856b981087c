/** Everything of a service that can be killed: its Postgres, its workers, its gateway. What is killed comes back. */
import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { leaseMs } from "../../schema/limits.ts";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { scratch } from "../support/models.ts";
import type { Running } from "../support/processes.ts";
import { relayTo } from "../support/relay.ts";
import type { TestService } from "./service.ts";

/** Of ten kills; the first five have each kind once. */
const ten = [
  "worker",
  "gateway",
  "postgres",
  "freeze",
  "network",
  "worker",
  "worker",
  "worker",
  "worker",
  "gateway",
] as const;
export type Kill = (typeof ten)[number];

/** So many kills, in the order of a seed (Lehmer's generator). */
export function killsOf(count: number, seed: number): Kill[] {
  let state = (seed % 2_147_483_646) + 1;
  const keyed = Array.from({ length: count }, (_, index) => {
    state = (state * 48_271) % 2_147_483_647;
    return { kill: ten[index % ten.length] ?? "worker", key: state };
  });
  return keyed.toSorted((a, b) => a.key - b.key).map(({ kill }) => kill);
}

/** Longer than the time after which another may have the job. */
export const outageMs = leaseMs + 2_000;

export interface Victims {
  readonly url: string;
  disturb(kill: Kill): Promise<void>;
  /** Once what was frozen or cut off is back. */
  restored(): Promise<void>;
}

/** A gateway, two workers that are killed and frozen in turn, and one whose line to Postgres is cut. */
export async function startVictims(service: TestService, postgres: RestartablePostgres): Promise<Victims> {
  const relay = await relayTo(postgres.url);
  onTestFinished(() => relay.close());
  const [gateway, workers] = await Promise.all([
    service.startServer(),
    workersOf(() => service.startWorker()),
    service.startWorker({ DATABASE_URL: relay.url }),
  ]);
  const port = Number(new URL(gateway.url).port);
  const outages: Promise<void>[] = [];
  let server = gateway.running;
  const moves: Record<Kill, () => Promise<void>> = {
    worker: () => workers.kill(),
    async gateway() {
      await server.kill("SIGKILL");
      server = (await service.startServer(port)).running;
    },
    postgres: () => postgres.kill(),
    async freeze() {
      outages.push(workers.freeze());
    },
    async network() {
      relay.freezeAfter(0);
      outages.push(delay(outageMs).then(() => relay.restore()));
    },
  };
  return {
    url: gateway.url,
    disturb: (kill) => moves[kill](),
    restored: async () => void (await Promise.all(outages)),
  };
}

export interface RestartablePostgres {
  readonly url: string;
  kill(): Promise<void>;
}

export async function restartablePostgres(): Promise<RestartablePostgres> {
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

async function workersOf(start: () => Promise<Running>) {
  const workers: Running[] = await Promise.all([start(), start()]);
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
    async freeze() {
      const worker = at(next());
      frozen.add(worker);
      worker.child.kill("SIGSTOP");
      await delay(outageMs);
      worker.child.kill("SIGCONT");
      frozen.delete(worker);
    },
  };
}
