/** Workers and why runs wait, as the API gives them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WorkerReport } from "../../store/store.ts";
import { everything } from "../support/claims.ts";
import { createFineTune, FakeWorker, testServer, type TestServer } from "./harness.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.dispose());

/** As FakeWorker's claims name it. */
async function report(changes: Partial<WorkerReport> = {}): Promise<WorkerReport> {
  const about = { id: crypto.randomUUID(), name: "test", device: "plain: a test", version: "1.2.3" };
  const worker = { ...about, ...(await everything(server.store)), ...changes };
  await server.store.workers.report(worker);
  return worker;
}

const query = `{ workers {
  name device kinds families precisions memoryBytes models { name hash } version startedAt lastSeenAt
  job { kind fineTune { id } checkpoint { id } }
} }`;
const reasonOf = async (id: string) =>
  (
    await server.ask<{ fineTune: { waitingReason: string | null } }>(
      "query ($id: ID!) { fineTune(id: $id) { waitingReason } }",
      { id },
    )
  ).fineTune.waitingReason;

test("workers are listed with what they can do and the run that they train; runs say why they wait", async () => {
  expect(await server.ask(query)).toEqual({ workers: [] });
  const id = await createFineTune(server);
  expect(await reasonOf(id)).toBe("No worker is running. Start one: steplog worker.");
  const small = await report({ name: "small", memoryBytes: 8e9 });
  expect(await reasonOf(id)).toBe(
    "The job needs 20.0 GB of memory; the largest live worker has 8.0 GB. Start a worker where there is more.",
  );
  const { id: _, ...fit } = await report();
  expect(await reasonOf(id)).toBeNull();

  const worker = await FakeWorker.claim(server.store);
  const waiting = await createFineTune(server);
  expect(await reasonOf(waiting)).toBe("Waiting for a worker: next in line.");
  const { workers } = await server.ask<{ workers: readonly object[] }>(query);
  expect(workers).toEqual([
    expect.objectContaining({ name: "small", memoryBytes: 8e9, job: null }),
    {
      ...fit,
      startedAt: expect.any(String) as unknown,
      lastSeenAt: expect.any(String) as unknown,
      job: { kind: "FINE_TUNE", fineTune: { id }, checkpoint: null },
    },
  ]);
  await worker.succeed();
  expect(await reasonOf(id)).toBeNull();
  await server.store.workers.remove(small.id);
  expect((await server.ask<{ workers: readonly object[] }>(query)).workers).toHaveLength(1);
});
