/** A worker is listed with everything that its claims use. */
import { expect, onTestFinished, test } from "vitest";
import { ModelsAtHand } from "../../models/registration.ts";
import type { Log } from "../../schema/log.ts";
import type { Store } from "../../store/store.ts";
import { runWorker } from "../../worker/worker.ts";
import { testStore } from "../support/postgres.ts";

const silent: Log = { info() {}, warn() {}, error() {} };

test("a model that was found is reported before the claim that may need it", async () => {
  const fixture = await testStore();
  onTestFinished(() => fixture.drop());
  const models = new ModelsAtHand();
  const stop = new AbortController();
  const seen: { claimed: readonly string[]; listed: readonly string[][] }[] = [];
  const store: Store = {
    ...fixture.store,
    async claimJob({ capabilities }) {
      const listed = (await fixture.store.workers.list()).map((worker) => worker.models.map(({ name }) => name));
      seen.push({ claimed: capabilities.models.map(({ name }) => name), listed });
      return null;
    },
    async waitForJob() {
      if (seen.length > 1) stop.abort();
      models.add("tiny", "ab".repeat(32));
    },
  };
  const device = { name: "plain", threads: 1, devicesDir: null };
  const compute = { device, deviceNote: "plain", precisions: ["float32"] as const, memoryBytes: 2e9 };
  await runWorker({ store, name: "w", modelsDir: "", models, ...compute, log: silent, signal: stop.signal });
  expect(seen).toEqual([
    { claimed: [], listed: [[]] },
    { claimed: ["tiny"], listed: [["tiny"]] },
  ]);
});
