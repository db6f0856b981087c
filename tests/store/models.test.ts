/** Found models and base models: what workers see, what operators ask for, and what may be forgotten. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SteplogError } from "../../schema/errors.ts";
import type { SeenModel, Store } from "../../store/store.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { directly, newInput, newRun, sha256 } from "./fixtures.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
afterAll(() => fixture.drop());
beforeEach(() => directly(fixture.url, (sql) => sql`truncate found_models, base_models cascade`));

const usable = (name: string) => {
  return { name, family: "opt", dtype: "F32", parameters: 4, bytes: 16, contextLength: 32 };
};
const broken: SeenModel = { name: "broken", problem: "MODEL_INVALID: no config" };
const claim = { worker: "w", leaseMs: 60_000, names: ["a", "b", "broken"] };
const names = async () => (await store.foundModels.list(100)).map(({ name }) => name);
const lapse = () =>
  directly(fixture.url, (sql) => sql`update found_models set claim_expires_at = now() - interval '1 second'`);
/** As if no worker had seen them for a while. */
const unseen = () =>
  directly(fixture.url, (sql) => sql`update found_models set last_seen_at = now() - interval '1 minute'`);

describe("found models", () => {
  test("are what was reported last, in order of name, and no base models", async () => {
    await store.foundModels.report("w", [usable("b"), broken, usable("a")]);
    expect(await names()).toStrictEqual(["a", "b", "broken"]);
    expect(await store.foundModels.get("a")).toMatchObject({ ...usable("a"), problem: null, requestedAt: null });
    expect(await store.foundModels.get("broken")).toMatchObject({ family: null, problem: "MODEL_INVALID: no config" });
    await store.foundModels.report("w", [usable("b"), usable("broken")]);
    expect(await names()).toStrictEqual(["b", "broken"]);
    expect(await store.foundModels.get("broken")).toMatchObject({ family: "opt", problem: null });

    await store.baseModels.register({ ...usable("b"), hash: sha256("b") });
    expect(await names()).toStrictEqual(["broken"]);
    expect(await store.foundModels.unregistered(["a", "b", "c"])).toStrictEqual(["a", "c"]);
    expect(await store.foundModels.unregistered([])).toStrictEqual([]);
    // The names of its parts belong to its weights.
    const b = (await store.baseModels.getByName("b"))?.id ?? "";
    expect(await store.baseModels.parts(b)).toBeNull();
    const parts = { tensors: ["w.weight"], layers: ["w"], adapters: { layers: [[2, 3]] as const, prefix: 4 } };
    for (const hash of [sha256("b"), sha256("c")]) await store.baseModels.register({ ...usable("b"), hash, parts });
    expect(await store.baseModels.parts(b)).toStrictEqual(parts);
    // As an earlier release does it, which knows nothing of adapters.
    await directly(fixture.url, (sql) => sql`update base_model_names set hash = ${sha256("d")}`);
    await store.baseModels.register({ ...usable("b"), hash: sha256("d") });
    expect(await store.baseModels.parts(b)).toMatchObject({ layers: ["w"], adapters: null });
    await store.baseModels.register({ ...usable("b"), hash: sha256("b") });
    expect(await store.baseModels.parts(b)).toBeNull();
    // A worker that looked before the other registered.
    await store.foundModels.report("w", [usable("b"), usable("broken")]);
    expect(await names()).toStrictEqual(["broken"]);
    expect(await store.foundModels.get("b")).toBeNull();
    await store.foundModels.report("w", []);
    expect(await names()).toStrictEqual([]);
  });

  test("may be reported by several workers at once", async () => {
    const models = ["a", "b", "c", "d"].map(usable);
    const turns = Array.from({ length: 12 }, (_, k) => (k % 2 ? models : models.toReversed()));
    await Promise.all(turns.map((seen) => store.foundModels.report("w", seen)));
    expect(await names()).toStrictEqual(["a", "b", "c", "d"]);
  });

  test("are registered when asked for: the oldest wish first, each by one worker", async () => {
    await store.foundModels.report("w", ["a", "b"].map(usable));
    expect(await store.foundModels.claimRegistration(claim)).toBeNull();
    expect(await store.foundModels.requestRegistration("nobody")).toBeNull();
    const first = await store.foundModels.requestRegistration("b");
    expect(first?.requestedAt).toBeInstanceOf(Date);
    expect(await store.foundModels.requestRegistration("b")).toStrictEqual(first);
    await store.foundModels.requestRegistration("a");
    await store.foundModels.report("w", ["a", "b"].map(usable));

    const taken = await Promise.all(
      ["w", "x", "y"].map((worker) => store.foundModels.claimRegistration({ ...claim, worker })),
    );
    expect(new Set(taken)).toStrictEqual(new Set(["a", "b", null]));
  });

  test("go to another worker when the first is silent, or gives up", async () => {
    await store.foundModels.report("w", [usable("a")]);
    await store.foundModels.requestRegistration("a");
    expect(await store.foundModels.claimRegistration(claim)).toBe("a");
    expect(await store.foundModels.renewRegistration("a", claim)).toBe(true);
    const other = { ...claim, worker: "x" };
    expect(await store.foundModels.claimRegistration(other)).toBeNull();
    await lapse();
    expect(await store.foundModels.claimRegistration(other)).toBe("a");
    expect(await store.foundModels.renewRegistration("a", claim)).toBe(false);
    await store.foundModels.failRegistration("a", "w", "too late");
    expect(await store.foundModels.get("a")).toMatchObject({ claimedBy: "x", failure: null });
    await store.foundModels.releaseRegistration("a", "x");
    expect(await store.foundModels.claimRegistration(claim)).toBe("a");
    await unseen();
    await store.foundModels.report("w", []);
    expect(await store.foundModels.renewRegistration("a", claim)).toBe(false);
  });

  test("of one worker are left alone by the others, until nobody has seen them for a while", async () => {
    await store.foundModels.report("w", [usable("a"), usable("b")]);
    await store.foundModels.requestRegistration("a");
    await store.foundModels.report("other", []);
    expect(await store.foundModels.claimRegistration({ ...claim, worker: "other", names: ["b"] })).toBeNull();
    expect(await store.foundModels.claimRegistration({ ...claim, worker: "other", names: [] })).toBeNull();
    expect(await store.foundModels.claimRegistration(claim)).toBe("a");
    await store.foundModels.report("other", []);
    expect(await store.foundModels.renewRegistration("a", claim)).toBe(true);
    // Its own it deletes at once, but for a wish that another worker may fulfil.
    await store.foundModels.report("w", []);
    expect(await names()).toStrictEqual(["a"]);
    await unseen();
    await store.foundModels.report("other", []);
    expect(await names()).toStrictEqual([]);
  });

  test("that can be used are not hidden by another worker's damaged copy", async () => {
    const damaged = { name: "a", problem: "MODEL_INVALID: truncated" };
    const problem = async () => (await store.foundModels.get("a"))?.problem;
    await store.foundModels.report("w", [usable("a")]);
    await store.foundModels.report("other", [damaged]);
    expect(await problem()).toBeNull();
    await store.foundModels.report("w", [damaged]);
    expect(await problem()).toBe(damaged.problem);
    await store.foundModels.report("other", [usable("a")]);
    expect(await problem()).toBeNull();
    await unseen();
    await store.foundModels.report("w", [damaged]);
    expect(await problem()).toBe(damaged.problem);
  });

  test("keep why they could not be registered, until somebody asks again", async () => {
    await store.foundModels.report("w", [usable("a")]);
    await store.foundModels.requestRegistration("a");
    await store.foundModels.claimRegistration(claim);
    await store.foundModels.failRegistration("a", "w", "CONFLICT: other weights");
    await store.foundModels.report("w", [usable("a")]);
    expect(await store.foundModels.get("a")).toMatchObject({ failure: "CONFLICT: other weights", requestedAt: null });
    expect(await store.foundModels.claimRegistration(claim)).toBeNull();
    expect(await store.foundModels.requestRegistration("a")).toMatchObject({ failure: null });
    expect(await store.foundModels.claimRegistration(claim)).toBe("a");
  });

  test("are refused when they cannot be used", async () => {
    await store.foundModels.report("w", [broken]);
    await expect(store.foundModels.requestRegistration("broken")).rejects.toThrow(
      expect.objectContaining({ code: "INVALID_STATE", message: expect.stringContaining("no config") as unknown }),
    );
  });
});

describe("a base model", () => {
  test("is forgotten when nothing needs it, as is a found one", async () => {
    await store.baseModels.register({ ...usable("a"), hash: sha256("a") });
    await store.foundModels.report("w", [usable("b")]);
    for (const name of ["a", "b", "nobody"]) await store.baseModels.unregister(name);
    expect(await store.baseModels.getByName("a")).toBeNull();
    expect(await names()).toStrictEqual([]);
  });

  test("is kept while fine-tunes need it, and they are named", async () => {
    const run = await newRun(store);
    await expect(store.baseModels.unregister("tiny")).rejects.toMatchObject({
      code: "CONFLICT",
      issues: [{ field: "run", message: `QUEUED, created ${run.createdAt.toISOString()}` }],
    });
    expect(await store.baseModels.getByName("tiny")).not.toBeNull();
  });

  test("against create: whoever comes first, no fine-tune is left without its base", async () => {
    for (let turn = 0; turn < 10; turn++) {
      const input = await newInput(store);
      const [created, forgotten] = await Promise.allSettled([
        store.fineTunes.create(input),
        store.baseModels.unregister("tiny"),
      ]);
      expect([created.status, forgotten.status].toSorted()).toStrictEqual(["fulfilled", "rejected"]);
      for (const outcome of [created, forgotten]) {
        if (outcome.status === "rejected") expect(["NOT_FOUND", "CONFLICT"]).toContain(codeOf(outcome.reason));
      }
      expect((await store.baseModels.getByName("tiny")) !== null).toBe(created.status === "fulfilled");
      await directly(fixture.url, (sql) => sql`truncate base_models cascade`);
    }
  });
});

function codeOf(error: unknown): unknown {
  return error instanceof SteplogError ? error.code : error;
}
