/** Base models that workers share by the store: one stores its files, another copies what it lacks. */
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { FolderChecks } from "../../models/folder-checks.ts";
import { ModelsAtHand, registerModels } from "../../models/registration.ts";
import { learnStored, storeModels } from "../../models/sharing.ts";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { withModelFolder } from "../../server/model-folder.ts";
import type { Store } from "../../store/store.ts";
import { useBase } from "../../worker/bases.ts";
import { directly } from "../store/fixtures.ts";
import { randomModel, scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";

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

const log = { info() {}, warn() {}, error() {} };

/** A worker with a models folder of its own. */
async function worker(...names: string[]) {
  const modelsDir = join(await scratch(), "models");
  await mkdir(modelsDir);
  for (const name of names) await cp(await randomModel(), join(modelsDir, name), { recursive: true });
  const atHand = new ModelsAtHand();
  const { signal } = new AbortController();
  const its = { store, modelsDir, atHand, checks: new FolderChecks(sandbox), log, sharesModels: true, signal };
  await registerModels(its, signal);
  return { ...its, models: atHand };
}

async function baseOf(name: string) {
  const base = await store.baseModels.getByName(name);
  if (!base) throw new Error("it is registered");
  return base;
}

test("a worker without the folder can do what needs the model, from the same bytes", async () => {
  const owner = await worker("tiny");
  await writeFile(join(owner.modelsDir, "tiny", "README.md"), "for people");
  await owner.checks.open(join(owner.modelsDir, "tiny"));
  const other = await worker();
  await learnStored(other);
  expect(other.atHand.list()).toEqual([]);

  await registerModels(owner);
  await storeModels(owner);
  await storeModels(owner);
  await learnStored(other);
  const base = await baseOf("tiny");
  expect(other.atHand.list()).toEqual([{ name: "tiny", hash: base.hash }]);
  expect(other.atHand.here()).toEqual([]);

  const used = await useBase(other, base);
  expect(used.modelPath.startsWith(other.modelsDir)).toBe(false);
  expect(await baseHash(await openModelFolder(used.modelPath))).toBe(base.hash);
  const files = (await readdir(join(owner.modelsDir, "tiny"))).toSorted();
  expect((await readdir(used.modelPath)).toSorted()).toEqual(files);
  for (const name of files) {
    expect(await readFile(join(used.modelPath, name))).toEqual(await readFile(join(owner.modelsDir, "tiny", name)));
  }
  used.release();
  // The owner reads its own folder.
  expect((await useBase(owner, base)).modelPath).toBe(join(owner.modelsDir, "tiny"));
});

test("a gateway without the folder gets what it reads of a model, and no weights", async () => {
  const owner = await worker("tiny");
  await storeModels(owner);
  const base = await baseOf("tiny");
  const names = await withModelFolder({ store, modelsDir: await scratch() }, base, (folder) => readdir(folder));
  expect(names).toContain("config.json");
  expect(names.filter((name) => name.endsWith(".safetensors"))).toEqual([]);
  const own = await withModelFolder(owner, base, async (folder) => folder);
  expect(own).toBe(join(owner.modelsDir, "tiny"));
});

test("files of other weights than the registered ones are nobody's", async () => {
  const owner = await worker("tiny");
  await storeModels(owner);
  const first = await baseOf("tiny");
  expect(await store.modelFiles.of(first.id)).not.toBeNull();
  const other = await worker("tiny");
  await rm(join(other.modelsDir, "tiny"), { recursive: true });
  await rename(await copyOf("BF16"), join(other.modelsDir, "tiny"));
  await registerModels(other);
  expect((await baseOf("tiny")).hash).not.toBe(first.hash);
  expect(await store.modelFiles.of(first.id)).toBeNull();
  expect(await store.modelFiles.list()).toEqual([]);
  // The worker with the first weights does not store them as the second's.
  await storeModels(owner);
  expect(await store.modelFiles.list()).toEqual([]);
  await storeModels(other);
  expect(await store.modelFiles.list()).toMatchObject([{ name: "tiny", hash: (await baseOf("tiny")).hash }]);
  await store.baseModels.unregister("tiny");
  expect(await store.modelFiles.list()).toEqual([]);
});

test("a folder that changes while it is stored is not told as the model", async () => {
  const owner = await worker("tiny");
  const config = join(owner.modelsDir, "tiny", "config.json");
  const changing = {
    ...store,
    blobs: {
      ...store.blobs,
      async put(...given: Parameters<Store["blobs"]["put"]>) {
        await writeFile(config, `${await readFile(config, "utf8")} `);
        return store.blobs.put(...given);
      },
    },
  };
  await storeModels({ ...owner, store: changing });
  expect(await store.modelFiles.list()).toEqual([]);
});

test("a model that is larger than the cache is none that could be copied", async () => {
  const owner = await worker("tiny");
  await storeModels(owner);
  const small = { ...store, copiedModels: { ...store.copiedModels, mostBytes: 10 } };
  const other = await worker();
  await learnStored({ ...other, store: small });
  expect(other.atHand.list()).toEqual([]);
});

async function copyOf(dtype: "BF16"): Promise<string> {
  const path = join(await scratch(), "tiny");
  await cp(await randomModel(dtype), path, { recursive: true });
  return path;
}
