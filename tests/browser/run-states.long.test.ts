/** The page of a run in each state that it can be in: what its first line says, in both themes, for everybody. */
import { expect, test } from "vitest";
import { createFineTune, rowId, type FakeWorker } from "../server/harness.ts";
import { expectAccessible, expectToFit, pageTests } from "./harness.ts";

const tests = pageTests();

interface State {
  /** What becomes of a run of 100 steps that a worker has begun; it is still to be claimed where this is left out. */
  readonly after?: (worker: FakeWorker, id: string) => Promise<unknown>;
  readonly status: string;
  readonly says: RegExp;
}

const measured = (step: number, loss: number, accuracy: number) => ({ entries: step, step, rows: 40, loss, accuracy });

/** A baseline, 40 steps, and what came of them. */
async function trained(worker: FakeWorker): Promise<void> {
  await worker.store.recordEvaluation(worker.job, measured(0, 2.1, 0.5));
  await worker.train(40);
  await worker.store.recordEvaluation(worker.job, measured(40, 1.2, 0.875));
  await worker.checkpoint();
}

const kept = String.raw`What was done so far and its log are kept\.`;
const best = String.raw`Best accuracy: 87\.5% at step 40 \(50% before training\)\.`;

const states: Readonly<Record<string, State>> = {
  queued: { status: "Queued", says: /^No worker is running/u },
  loading: { after: async () => undefined, status: "Running", says: /^A worker is loading the model\.$/u },
  running: {
    after: (worker) => worker.train(40),
    status: "Running",
    says: /^At step 40 of 100; done in 1\d s, at \d.*\. The loss of its last steps is 1\.\d{4}\.$/u,
  },
  measured: {
    after: trained,
    status: "Running",
    says: /^At step 40 of 100.*\. Best accuracy so far: 87\.5% at step 40 \(50% before training\)\.$/u,
  },
  paused: {
    after: async (worker, id) => {
      await worker.train(40);
      await worker.store.fineTunes.pause(rowId(id));
    },
    status: "Paused",
    says: /^It waits at step 40 of 100 until somebody resumes it\. The loss of its last steps is/u,
  },
  failed: {
    after: async (worker) => {
      await trained(worker);
      const message = "A loss was not finite.";
      await worker.store.finishFineTune(worker.job, { status: "FAILED", code: "DIVERGED", message, issues: [] });
    },
    status: "Failed",
    says: new RegExp(`^It stopped at step 40 of 100\\. ${kept} ${best}$`, "u"),
  },
  "asked to stop": {
    after: async (worker, id) => {
      await worker.train(40);
      await worker.store.fineTunes.cancel(rowId(id));
    },
    status: "Stopping",
    says: /^It stops after its current step, step 40 of 100\. The loss/u,
  },
  cancelled: {
    after: async (worker, id) => {
      await trained(worker);
      await worker.store.fineTunes.cancel(rowId(id));
      await worker.store.finishFineTune(worker.job, { status: "CANCELLED" });
    },
    status: "Cancelled",
    says: new RegExp(`^It was cancelled at step 40 of 100\\. ${kept} ${best}$`, "u"),
  },
  succeeded: {
    after: async (worker) => {
      await trained(worker);
      await worker.train(60);
      await worker.succeed();
    },
    status: "Succeeded",
    says: new RegExp(String.raw`^It did 100 steps in \d+ s\. ${best}$`, "u"),
  },
};

const cases = Object.keys(states).flatMap((name) =>
  (["light", "dark"] as const).map((theme) => [name, theme] as const),
);

test.each(cases)("a run that is %s says so, is accessible and fits, %s", async (name, colorScheme) => {
  const { server } = tests;
  const { after, status, says } = states[name] ?? {};
  const id = await begun(name, after);
  const page = await tests.newPage({ colorScheme });
  await page.goto(`${server.url}/fine-tunes/${encodeURIComponent(id)}`);
  await page.locator(".title .status", { hasText: status ?? "" }).waitFor();
  await expect.poll(() => page.locator(".headline").textContent()).toMatch(says ?? /^$/u);
  await expectAccessible(page, name);
  await tests.shoot(`run-${name.replaceAll(" ", "-")}-${colorScheme}`, page);
  // What fits in one theme does in the other.
  if (colorScheme === "light") await expectToFit(page, name, [1280, 390]);
  expect(tests.complaints).toEqual([]);
  // The next test claims its own run.
  await server.store.fineTunes.delete(rowId(id), { cancel: true });
  await page.context().close();
});

async function begun(name: string, after: State["after"]): Promise<string> {
  if (!after) return createFineTune(tests.server, { steps: 100 }, name);
  const [id, worker] = await tests.training({ steps: 100 }, name);
  await after(worker, id);
  return id;
}
