/** `steplog model`: from a folder into the models folder, whole or not at all, and out of it again. */
import { chmod, cp, lstat, mkdir, readdir, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { needSpace } from "../../models/space.ts";
import { demoBase } from "../../cli/service.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { readOrigin, writeOrigin } from "../../engine/model/files/origin.ts";
import { startEmbeddedPostgres } from "../../store/postgres/embedded.ts";
import { openStore } from "../../store/store.ts";
import { newInput } from "../store/fixtures.ts";
import { steplogHere } from "../support/command.ts";
import { golden, randomModel, scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import { modelCommand, visible } from "../support/model-command.ts";

const demoHash = await baseHash(await openModelFolder(demoBase));

describe("steplog model add FOLDER", () => {
  test("copies what a model needs, checked, with its hash and where it came from", async () => {
    const { models, run } = await modelCommand();
    const { code, stdout } = await run("add", demoBase, "--name", "demo", "--json");
    expect(code).toBe(0);
    const hash = await baseHash(await openModelFolder(demoBase));
    const added = JSON.parse(stdout) as object;
    const source = { path: demoBase.replace(/\/$/u, "") };
    expect(added).toMatchObject({ name: "demo", family: "opt", dtype: "F32", hash, source, hasTokenizer: true });
    expect(await visible(join(models, "demo"))).toStrictEqual([
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "special_tokens_map.json",
      "steplog.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(await baseHash(await openModelFolder(join(models, "demo")))).toBe(hash);
    expect(await readOrigin(join(models, "demo"))).toStrictEqual({ format: 1, source });
    expect(await readdir(join(models, ".steplog", "partial"))).toStrictEqual([]);

    const again = await run("add", demoBase, "--name", "demo");
    expect(again).toMatchObject({ code: 3, stderr: expect.stringMatching(/CONFLICT.*already exists/u) as unknown });
  });

  test("follows links, leaves out what is not needed, and writes into nothing of the folder", async () => {
    const { models, run } = await modelCommand();
    const blobs = await randomModel();
    const folder = join(await scratch(), "snapshot");
    await mkdir(folder);
    for (const name of ["config.json", "model.safetensors"]) await symlink(join(blobs, name), join(folder, name));
    for (const name of ["pytorch_model.bin", "README.md", "train.py", ".gitattributes"]) {
      await writeFile(join(folder, name), "");
    }
    await mkdir(join(folder, "onnx"));
    await writeFile(join(folder, "LICENSE.txt"), "free");
    const fineTuned = { base: { hash: "a" }, entries: 1, chain: "b", weightsDigest: "c" };
    await writeOrigin(folder, { format: 1, fineTuned });
    const { code, stdout } = await run("add", folder, "--link");
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("no tokenizer.json") as unknown,
    });
    const added = join(models, "snapshot");
    const kept = ["LICENSE.txt", "config.json", "model.safetensors", "steplog.json"];
    expect(await visible(added)).toStrictEqual(kept);
    const weights = await lstat(join(added, "model.safetensors"));
    expect(weights.isFile()).toBe(true);
    expect(weights.ino).toBe((await stat(join(blobs, "model.safetensors"))).ino);
    expect(await readOrigin(folder)).toStrictEqual({ format: 1, fineTuned });
    expect(await readOrigin(added)).toStrictEqual({ format: 1, fineTuned, source: { path: folder } });
  });

  test("takes shards with their index", async () => {
    const { models, run } = await modelCommand();
    const folder = golden("hf/llama-sharded-bf16");
    expect((await run("add", folder)).code).toBe(0);
    const added = await openModelFolder(join(models, "llama-sharded-bf16"));
    expect(await baseHash(added)).toBe(await baseHash(await openModelFolder(folder)));
    expect(await visible(added.path)).not.toContain("expected.json");
  });

  test.each<[string, (folder: string) => Promise<void>, RegExp]>([
    ["cut short", (f) => truncate(join(f, "model.safetensors"), 5_000), /MODEL_INVALID.*truncated/u],
    ["of another family", (f) => writeFile(join(f, "config.json"), '{"model_type":"mamba"}'), /MODEL_UNSUPPORTED/u],
    [
      "with a tokenizer that is not JSON",
      (f) => writeFile(join(f, "tokenizer.json"), "{"),
      /tokenizer.json is not JSON/u,
    ],
  ])("refuses one %s, and leaves nothing", async (_, damage, words) => {
    const { models, run } = await modelCommand();
    const folder = await randomModel();
    await damage(folder);
    const { code, stderr } = await run("add", folder);
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringMatching(words) as unknown });
    expect(await visible(models)).toStrictEqual([]);
    expect(await readdir(join(models, ".steplog", "partial")).catch(() => [])).toStrictEqual([]);
  });

  test("says when the models folder cannot be written to, and when it has no room", async () => {
    const { data, run } = await modelCommand();
    await writeFile(join(data, "models"), "a file in the folder's place");
    const { code, stderr } = await run("add", demoBase);
    expect({ code, stderr }).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(
        /^UNAVAILABLE.*models cannot be used: a part of the path is not a folder/u,
      ) as unknown,
    });
    await needSpace(data, 1);
    await expect(needSpace(data, 1e18)).rejects.toThrow(/needs 1000000\.0 TB more on the disk/u);
  });

  test("refuses a name that is no file name, and a folder that is not there", async () => {
    const { run } = await modelCommand();
    for (const name of ["../x", ".x", "a/b", ""]) {
      expect((await run("add", demoBase, "--name", name)).stderr).toContain("cannot be the name");
    }
    expect((await run("add", "/no/such/folder")).stderr).toContain("There is no folder /no/such/folder");
  });
});

describe("steplog model list", () => {
  test("shows what is there, and what cannot be used", async () => {
    const { models, run } = await modelCommand();
    expect((await run("list")).stdout).toContain("There are no models");
    await run("add", demoBase, "--name", "demo");
    await cp(await randomModel("BF16"), join(models, "plain"), { recursive: true });
    await mkdir(join(models, "empty"));
    const { code, stdout } = await run("list");
    expect(code).toBe(0);
    const [head = "", ...lines] = stdout.trim().split("\n");
    expect(head.split(/\s{2,}/u)).toStrictEqual(["NAME", "FAMILY", "PARAMETERS", "SIZE", "DTYPE", "HASH", "SOURCE"]);
    const demo = ["demo", "opt", "328.5 k", "1.3 MB", "F32", demoHash.slice(0, 16), demoBase.replace(/\/$/u, "")];
    expect(lines[0]?.split(/\s{2,}/u)).toStrictEqual(demo);
    expect(lines[1]).toMatch(/^empty +cannot be used$/u);
    expect(lines[2]).toMatch(/^plain .* BF16 .* -$/u);
    expect(lines[3]).toMatch(/^empty: MODEL_INVALID: .* has no config\.json/u);
    const listed = JSON.parse((await run("list", "--json")).stdout) as { models: object[] };
    expect(listed.models).toMatchObject([
      { name: "demo", hash: demoHash },
      { name: "empty", problem: expect.any(String) as unknown },
      { name: "plain", source: null },
    ]);
  });
});

describe("steplog model remove", () => {
  test("asks, removes the whole folder, and says what there is instead of another name", async () => {
    const { models, run } = await modelCommand();
    await run("add", demoBase, "--name", "demo");
    expect(await run("remove", "demo")).toMatchObject({ code: 3, stderr: expect.stringContaining("--yes") as unknown });
    expect((await run("remove", "dome", "--yes")).stderr).toContain("There is no model dome");
    expect((await run("remove", "..", "--yes")).stderr).toContain("cannot be the name");
    expect(await visible(models)).toStrictEqual(["demo"]);
    expect((await run("remove", "demo", "--yes")).code).toBe(0);
    expect(await visible(models)).toStrictEqual([]);
    expect(await readdir(join(models, ".steplog", "removed"))).toStrictEqual([]);
  });

  test(
    "is refused, with their names, while fine-tunes need it; the store forgets it else",
    { timeout: 60_000 },
    async () => {
      const database = await testDatabase();
      const { data, models, run } = await modelCommand({ DATABASE_URL: database.url });
      const store = await openStore({ databaseUrl: database.url, storageDir: join(data, "storage") });
      await cp(await randomModel(), join(models, "tiny"), { recursive: true });
      await cp(await randomModel(), join(models, "free"), { recursive: true });
      const { fineTune } = await store.fineTunes.create(await newInput(store));
      const size = { parameters: 4, bytes: 16, contextLength: 32 };
      await store.baseModels.register({ name: "free", hash: "ab".repeat(32), family: "opt", dtype: "F32", ...size });

      const { code, stderr } = await run("remove", "tiny", "--yes");
      expect(code).toBe(3);
      expect(stderr).toMatch(/CONFLICT: The base model "tiny" is needed by 1 fine-tune\b/u);
      expect(stderr).toContain(`run: QUEUED, created ${fineTune.createdAt.toISOString()}`);
      expect((await run("remove", "free", "--yes")).code).toBe(0);
      expect(await store.baseModels.getByName("free")).toBeNull();
      expect(await visible(models)).toStrictEqual(["tiny"]);

      const gone = { STEPLOG_DATA: data, DATABASE_URL: "postgres://nobody@127.0.0.1:9/none" };
      const away = await steplogHere(["model", "remove", "tiny", "--yes"], gone);
      expect(away).toMatchObject({ code: 3, stderr: expect.stringMatching(/UNAVAILABLE.*--force/u) as unknown });
      expect(await visible(models)).toStrictEqual(["tiny"]);
      const forced = await steplogHere(["model", "remove", "tiny", "--yes", "--force"], gone);
      expect(forced.code).toBe(0);
      await store.close();
      await database.drop();
    },
  );

  test(
    "asks the embedded Postgres, which it starts for that, where the service ever ran",
    { timeout: 60_000 },
    async () => {
      const { data, models, run } = await modelCommand();
      await cp(await randomModel(), join(models, "tiny"), { recursive: true });
      await chmod(data, 0o755); // Under root Postgres runs as nobody, who must get in.
      const postgres = await startEmbeddedPostgres({ dataDir: join(data, "postgres"), durable: false });
      const store = await openStore({ databaseUrl: postgres.url, storageDir: join(data, "storage") });
      await store.migrate();
      await store.fineTunes.create(await newInput(store));
      await store.close();
      await postgres.stop();
      expect((await run("remove", "tiny", "--yes")).stderr).toContain("CONFLICT");
      expect(await visible(models)).toStrictEqual(["tiny"]);
      await expect(
        openStore({ databaseUrl: postgres.url, storageDir: data }).then((gone) => gone.ping()),
      ).rejects.toThrow("does not answer");
    },
  );

  test("a removal that was stopped halfway leaves a whole model or none", async () => {
    const { models, run } = await modelCommand();
    await run("add", demoBase, "--name", "demo");
    // What a kill between the rename and the deletion leaves.
    await mkdir(join(models, ".steplog", "removed", "other-1"), { recursive: true });
    await writeFile(join(models, ".steplog", "removed", "other-1", "config.json"), "{}");
    await run("remove", "demo", "--yes");
    expect(await readdir(join(models, ".steplog", "removed"))).toStrictEqual([]);
    await rm(models, { recursive: true });
    expect((await run("list")).code).toBe(0);
  });
});
