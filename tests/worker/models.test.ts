/** The models folder, as a worker sees it: registered at the start, reported later, registered when asked for. */
import { cp, mkdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import type { Store } from "../../store/store.ts";
import { FolderChecks } from "../../models/folder-checks.ts";
import {
  ModelsAtHand,
  hashesDirOf,
  registerModels,
  registerRequested,
  scanModels,
  watchModels,
} from "../../models/registration.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { until } from "../process/service.ts";
import { directly, newInput } from "../store/fixtures.ts";
import { randomModel, scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import type { Log } from "../../schema/log.ts";

let fixture: TestStore;
let store: Store;
beforeAll(async () => {
  fixture = await testStore();
  ({ store } = fixture);
});
const sandbox = new Sandbox();
afterAll(async () => {
  sandbox.close();
  await fixture.drop();
});
beforeEach(() => directly(fixture.url, (sql) => sql`truncate found_models, base_models cascade`));

function quietLog(): Log & { lines: string[] } {
  const lines: string[] = [];
  const keep = (_: object, message: string) => void lines.push(message);
  return { lines, info: keep, warn: keep, error: keep };
}

/** What a worker that has just started has. */
function fresh(modelsDir: string, log = quietLog()) {
  return { store, modelsDir, atHand: new ModelsAtHand(), checks: new FolderChecks(sandbox), log };
}

/** A models folder with these; "damaged" is cut short. */
async function modelsOf(...names: string[]): Promise<string> {
  const modelsDir = join(await scratch(), "models");
  await mkdir(modelsDir);
  for (const name of names) await addModel(modelsDir, name);
  return modelsDir;
}

async function addModel(modelsDir: string, name: string): Promise<void> {
  await cp(await randomModel(), join(modelsDir, name), { recursive: true });
  if (name === "damaged") await truncate(join(modelsDir, name, "model.safetensors"), 5_000);
}

const other = { family: "opt", dtype: "F32", parameters: 4, bytes: 16, contextLength: 32 };
const hashOf = async (modelsDir: string, name: string) => baseHash(await openModelFolder(join(modelsDir, name)));
const found = async () => (await store.foundModels.list(100)).map(({ name, problem }) => [name, problem] as const);

describe("at the start", () => {
  test("every usable folder is registered, and the others are named in the log", async () => {
    const modelsDir = await modelsOf("a", "damaged");
    await symlink(await randomModel(), join(modelsDir, "linked"));
    await mkdir(join(modelsDir, ".steplog", "partial", "b"), { recursive: true });
    await writeFile(join(modelsDir, "notes.txt"), "");
    const log = quietLog();
    expect(await registerModels(fresh(modelsDir, log))).toStrictEqual(["a", "linked"]);
    expect(log.lines).toStrictEqual([expect.stringContaining("truncated")]);
    const a = await store.baseModels.getByName("a");
    expect(a).toMatchObject({ hash: await hashOf(modelsDir, "a"), family: "opt" });
    const names = await store.baseModels.parts(a?.id ?? "");
    expect(names?.tensors).toContain("model.decoder.layers.0.fc1.weight");
    expect(names?.layers).toContain("model.decoder.layers.1.self_attn.q_proj");
    expect(await registerModels(fresh(join(modelsDir, "missing"), log))).toStrictEqual([]);
  });

  test("a hash that is kept is not computed again", async () => {
    const modelsDir = await modelsOf("a");
    await delay(2_100); // Hashes of files this young are not kept.
    await registerModels(fresh(modelsDir));
    const path = join(hashesDirOf(modelsDir), "a.json");
    const kept = JSON.parse(await readFile(path, "utf8")) as { hash: string };
    expect(kept.hash).toBe(await hashOf(modelsDir, "a"));
    // Only whoever believes it can come to this hash.
    await writeFile(path, JSON.stringify({ ...kept, hash: "5".repeat(64) }));
    await registerModels(fresh(modelsDir));
    expect(await store.baseModels.getByName("a")).toMatchObject({ hash: "5".repeat(64) });
  });
});

describe("later", () => {
  const watchOf = async (modelsDir: string, signal = new AbortController().signal) => {
    return { ...fresh(modelsDir), name: "w", signal };
  };

  test("what came into the folder is reported, and what left it is not", async () => {
    const modelsDir = await modelsOf("a");
    await registerModels(fresh(modelsDir));
    await addModel(modelsDir, "b");
    await addModel(modelsDir, "damaged");
    await scanModels(await watchOf(modelsDir));
    expect(await found()).toStrictEqual([
      ["b", null],
      // Clients read it: it names the file, and not where the models folder is.
      ["damaged", expect.stringMatching(/^MODEL_INVALID: damaged\/model\.safetensors .*truncated/u)],
    ]);
    await cp(join(modelsDir, "a"), join(modelsDir, "damaged"), { recursive: true });
    await scanModels(await watchOf(modelsDir));
    expect(await found()).toStrictEqual([
      ["b", null],
      ["damaged", null],
    ]);
    await scanModels(await watchOf(await modelsOf()));
    expect(await found()).toStrictEqual([]);
  });

  test("a registered model is at hand when it is copied here, until it is deleted", async () => {
    const modelsDir = await modelsOf("a");
    await registerModels(fresh(modelsDir));
    const watch = await watchOf(await modelsOf("b"));
    await scanModels(watch);
    expect(watch.atHand.list()).toStrictEqual([]);
    await cp(join(modelsDir, "a"), join(watch.modelsDir, "a"), { recursive: true });
    await scanModels(watch);
    expect(watch.atHand.list()).toStrictEqual([{ name: "a", hash: await hashOf(modelsDir, "a") }]);
    await rm(join(watch.modelsDir, "a"), { recursive: true });
    await scanModels(watch);
    expect(watch.atHand.list()).toStrictEqual([]);
  });

  test("a model that changes is read again, and again when it is restored", async () => {
    const modelsDir = await modelsOf("a");
    const watch = await watchOf(modelsDir);
    await registerModels(watch);
    const before = watch.atHand.list();
    const path = join(modelsDir, "a", "model.safetensors");
    const bytes = await readFile(path);
    const changed = Buffer.from(bytes);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    await writeFile(path, changed);
    await scanModels(watch);
    expect(watch.atHand.list()).toStrictEqual([{ name: "a", hash: await hashOf(modelsDir, "a") }]);
    expect(watch.atHand.list()).not.toStrictEqual(before);
    await truncate(path, 5_000);
    await scanModels(watch);
    expect(watch.atHand.list()).toStrictEqual([]);
    await writeFile(path, bytes);
    await scanModels(watch);
    expect(watch.atHand.list()).toStrictEqual(before);
  });

  test("a model that differs from the registered one is at hand with its own hash", async () => {
    const modelsDir = await modelsOf("a");
    await store.baseModels.register({ ...other, name: "a", hash: "5".repeat(64) });
    await store.fineTunes.create({
      ...(await newInput(store)),
      baseModelId: (await store.baseModels.getByName("a"))?.id ?? "",
    });
    const watch = await watchOf(modelsDir);
    expect(await registerModels(watch)).toStrictEqual([]);
    expect(watch.log.lines).toStrictEqual([expect.stringContaining("now has other weights")]);
    expect(watch.atHand.list()).toStrictEqual([{ name: "a", hash: await hashOf(modelsDir, "a") }]);
  });

  test("what is asked for is registered", async () => {
    const modelsDir = await modelsOf("b");
    const watch = await watchOf(modelsDir);
    await scanModels(await watchOf(modelsDir));
    await registerRequested(watch, ["b"]);
    expect(await store.baseModels.getByName("b")).toBeNull();
    await store.foundModels.requestRegistration("b");
    await registerRequested(watch, ["b"]);
    expect(await store.baseModels.getByName("b")).toMatchObject({ hash: await hashOf(modelsDir, "b") });
    expect(await found()).toStrictEqual([]);
  });

  test("what cannot be registered says why", async () => {
    const modelsDir = await modelsOf("b");
    await scanModels(await watchOf(modelsDir));
    await store.foundModels.requestRegistration("b");
    await truncate(join(modelsDir, "b", "model.safetensors"), 5_000);
    await registerRequested(await watchOf(modelsDir), ["b"]);
    expect(await store.foundModels.get("b")).toMatchObject({
      requestedAt: null,
      failure: expect.stringMatching(/^MODEL_INVALID: .*truncated/u) as unknown,
    });
  });

  test("a worker that stops while it reads gives the wish to another", async () => {
    const modelsDir = await modelsOf("b");
    await scanModels(await watchOf(modelsDir));
    await store.foundModels.requestRegistration("b");
    await registerRequested(await watchOf(modelsDir, AbortSignal.abort()), ["b"]);
    expect(await store.baseModels.getByName("b")).toBeNull();
    await registerRequested({ ...(await watchOf(modelsDir)), name: "x" }, ["b"]);
    expect(await store.baseModels.getByName("b")).not.toBeNull();
  });

  test("a worker looks, registers and stops by itself", async () => {
    const modelsDir = await modelsOf("b");
    const stop = new AbortController();
    const watching = watchModels(await watchOf(modelsDir, stop.signal));
    await until("the report", 5_000, async () => (await found()).length === 1);
    await store.foundModels.requestRegistration("b");
    await until("the base model", 5_000, async () => (await store.baseModels.getByName("b")) !== null);
    stop.abort();
    await watching;
  });

  test("a store out of reach is waited for", async () => {
    const gone = await fixture.another();
    await gone.close();
    const stop = new AbortController();
    const watch = { ...(await watchOf(await modelsOf("b"), stop.signal)), store: gone };
    const watching = watchModels(watch);
    await until("the warning", 5_000, () => watch.log.lines.length > 0);
    stop.abort();
    await watching;
    expect(watch.log.lines).toStrictEqual([expect.stringContaining("trying again")]);
  });
});
