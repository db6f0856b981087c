/** A folder made to harm is reported, with its reason, within seconds; the models before and after it are registered. */
import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FolderChecks } from "../../models/folder-checks.ts";
import { ModelsAtHand, registerModels, registerRequested, scanModels } from "../../models/registration.ts";
import type { Log } from "../../schema/log.ts";
import { HastySandbox, hostile } from "../support/hostile.ts";
import { golden, randomModel, scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";

let fixture: TestStore;
beforeAll(async () => void (fixture = await testStore()));
const sandbox = new HastySandbox();
afterAll(async () => {
  sandbox.close();
  await fixture.drop();
});

const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
/** Folders, by what is wrong with them, of which a file cannot even be read. */
const unusable: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  "a billion layers": (folder) => writeFile(join(folder, "config.json"), billionLayers),
  "a deep config": (folder) => writeFile(join(folder, "config.json"), `{"model_type":"llama","rope_scaling":${deep}}`),
  "a header of an exabyte": (folder) =>
    writeFile(join(folder, "model.safetensors"), Buffer.from([0, 0, 0, 0, 0, 0, 0, 16])),
  "a deep tokenizer": (folder) => writeFile(join(folder, "tokenizer.json"), `{"model":${deep}}`),
  "a pattern of 5,000 groups": (folder) =>
    writeFile(join(folder, "tokenizer.json"), JSON.stringify({ ...tiny, pre_tokenizer: groups })),
  "a tokenizer that is a device": (folder) => symlink("/dev/zero", join(folder, "tokenizer.json")),
};
const tiny = { model: { type: "BPE", vocab: { a: 0 }, merges: [] } };
const groups = { type: "Split", pattern: { Regex: "(".repeat(5_000) }, behavior: "Isolated", invert: false };
const billionLayers = JSON.stringify({ model_type: "llama", num_hidden_layers: 1e9 });

function quietLog(): Log & { lines: string[] } {
  const lines: string[] = [];
  const keep = (_: object, message: string) => void lines.push(message);
  return { lines, info: keep, warn: keep, error: keep };
}

/** The names of the hostile folders, by what is wrong with them, between two good ones. */
async function hostileModels(modelsDir: string): Promise<Readonly<Record<string, string>>> {
  const model = await randomModel();
  const names: Record<string, string> = {};
  const add = async (name: string) => {
    const folder = join(modelsDir, name);
    await mkdir(modelsDir, { recursive: true });
    await cp(model, folder, { recursive: true });
    return folder;
  };
  const tokenizer = await readFile(golden("tokenizers", "bytelevel-gpt2", "tokenizer.json"), "utf8");
  for (const name of ["a-good", "z-good"]) await writeFile(join(await add(name), "tokenizer.json"), tokenizer);
  await add("b-without-tokenizer");
  for (const [what, damage] of Object.entries(unusable)) {
    names[what] = `h-${Object.keys(names).length}`;
    await damage(await add(names[what]));
  }
  for (const [what, filesOf] of Object.entries(hostile)) {
    names[what] = `h-${Object.keys(names).length}`;
    const folder = await add(names[what]);
    const files = { "tokenizer.json": tokenizer, ...filesOf(JSON.parse(tokenizer) as Record<string, unknown>) };
    for (const [file, value] of Object.entries(files)) {
      await writeFile(join(folder, file), typeof value === "string" ? value : JSON.stringify(value));
    }
  }
  return names;
}

const refusal = /^MODEL_(?:INVALID|UNSUPPORTED): /u;

test("at a start, when reported, and when asked for", { timeout: 60_000 }, async () => {
  const { store } = fixture;
  const modelsDir = join(await scratch(), "models");
  const names = await hostileModels(modelsDir);
  const watch = {
    store,
    modelsDir,
    atHand: new ModelsAtHand(),
    checks: new FolderChecks(sandbox),
    log: quietLog(),
    name: "w",
    signal: new AbortController().signal,
  };
  const good = ["a-good", "b-without-tokenizer", "z-good"];
  expect(await registerModels(watch)).toStrictEqual(good);
  expect(watch.log.lines).toHaveLength(Object.keys(names).length);
  expect(watch.atHand.list().map(({ name }) => name)).toStrictEqual(good);

  // Verdicts are kept until a file changes.
  const { calls } = sandbox;
  expect(await scanModels(watch)).toStrictEqual([]);
  expect(sandbox.calls).toBe(calls);
  const problems = new Map((await store.foundModels.list(100)).map(({ name, problem }) => [name, problem]));
  for (const [what, name] of Object.entries(names)) {
    expect([what, problems.get(name)]).toStrictEqual([what, expect.stringMatching(refusal)]);
  }
  const endless = problems.get(names["a template without end"] ?? "");
  expect(endless).toMatch(/chat template in .* was given up: nothing happened for 0\.7 s\. .*compare .*publish/u);

  // It became hostile after it was found.
  const name = names["a billion layers"] ?? "";
  await store.foundModels.report("w", [
    { name, family: "opt", dtype: "F32", parameters: 4, bytes: 16, contextLength: 32 },
  ]);
  await store.foundModels.requestRegistration(name);
  await registerRequested(watch, [name]);
  expect(await store.foundModels.get(name)).toMatchObject({ failure: expect.stringMatching(refusal) as unknown });
  expect(await store.baseModels.getByName(name)).toBeNull();
});

test("a model whose tokenizer becomes hostile is at hand no more", async () => {
  const modelsDir = join(await scratch(), "models");
  await cp(await randomModel(), join(modelsDir, "m"), { recursive: true });
  const watch = {
    store: fixture.store,
    modelsDir,
    atHand: new ModelsAtHand(),
    checks: new FolderChecks(sandbox),
    log: quietLog(),
    name: "w",
    signal: new AbortController().signal,
  };
  expect(await registerModels(watch)).toStrictEqual(["m"]);
  await writeFile(join(modelsDir, "m", "tokenizer.json"), '{"model":7}');
  await scanModels(watch);
  await scanModels(watch);
  expect(watch.atHand.list()).toStrictEqual([]);
  expect(watch.log.lines).toStrictEqual([expect.stringContaining("cannot be read here")]);
});
