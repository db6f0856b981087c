/** `steplog model add` of a repository: from the hub, over a network that fails, into the models folder. */
import { readFileSync } from "node:fs";
import { mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseRepository } from "../../cli/commands/model-add.ts";
import { addRepository } from "../../models/add-repository.ts";
import { Hub } from "../../models/hub/hub.ts";
import { stagingFolder } from "../../models/staging-folder.ts";
import { demoBase } from "../../cli/service.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { readOrigin } from "../../engine/model/files/origin.ts";
import { until } from "../process/service.ts";
import type { HubRepository, TestHub } from "../support/hub.ts";
import { commitOf, filesOf, repositoryOf, testHub } from "../support/hub.ts";
import { golden, randomModel, scratch } from "../support/models.ts";
import { startSteplog } from "../support/processes.ts";
import { sharingSandbox } from "../support/sandbox.ts";
import { modelCommand, nobody, visible } from "../support/model-command.ts";

test.each([
  ["gpt2", { name: "gpt2", revision: "main" }],
  ["facebook/opt-125m", { name: "facebook/opt-125m", revision: "main" }],
  ["a/b.c-d@v1.0", { name: "a/b.c-d", revision: "v1.0" }],
  ["a/b@refs/pr/4", { name: "a/b", revision: "refs/pr/4" }],
])("%s is a repository", (text, expected) => {
  expect(parseRepository(text)).toStrictEqual(expected);
});

/** A repository of the demo base. */
async function demoRepository(more: Record<string, Buffer> = {}): Promise<HubRepository> {
  const extra = {
    "README.md": Buffer.from("# Demo"),
    "pytorch_model.bin": Buffer.alloc(50_000),
    LICENSE: Buffer.from("x"),
  };
  return repositoryOf({ ...(await filesOf(demoBase)), ...extra, ...more });
}

/** addRepository with no pauses. */
function adding(hub: TestHub, models: string, token?: string) {
  const given = token === undefined ? undefined : { secret: token, from: "HF_TOKEN" };
  const client = new Hub({ endpoint: `${hub.url}/`, token: given }, { silenceMs: 500 });
  const stages = new Map<string, number[]>();
  const onProgress = (stage: string, done: number) => void stages.set(stage, [...(stages.get(stage) ?? []), done]);
  const add = (repository = "tiny/base", revision = "main", name = basename(repository)) =>
    sharingSandbox(() =>
      addRepository(repository, revision, stagingFolder(models, name), {
        hub: client,
        pausesMs: [1, 1, 1],
        onProgress,
      }),
    );
  return { add, stages };
}

const demoHash = await baseHash(await openModelFolder(demoBase));
const weightsBytes = readFileSync(join(demoBase, "model.safetensors")).length;
const ranges = (hub: TestHub) => hub.seen.flatMap(({ server, range }) => (server === "storage" ? [range] : []));

describe("steplog model add REPOSITORY", () => {
  test("fetches what a model needs of the commit that the revision is", async () => {
    const repository = await demoRepository();
    const hub = await testHub({ "tiny/base": repository });
    const { models, run } = await modelCommand({ HF_ENDPOINT: hub.url, HF_TOKEN: "hf_secret" });
    const { code, stdout, stderr } = await run("add", "tiny/base");
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) as string });
    const commit = repository.revisions["main"] ?? "";
    expect(stdout).toContain(`from tiny/base@${commit.slice(0, 12)}`);
    expect(stdout).toContain(demoHash);
    expect(await visible(join(models, "base"))).toStrictEqual([
      "LICENSE",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "special_tokens_map.json",
      "steplog.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(await baseHash(await openModelFolder(join(models, "base")))).toBe(demoHash);
    expect(await readOrigin(join(models, "base"))).toStrictEqual({
      format: 1,
      source: { hub: hub.url, repository: "tiny/base", revision: "main", commit },
    });
    expect(await readdir(join(models, ".steplog", "partial"))).toStrictEqual([]);
    // Everything was asked of the commit, the token was told to the hub alone, and nothing else was fetched.
    expect(hub.seen.filter(({ path }) => path.includes("/resolve/main/"))).toStrictEqual([]);
    for (const { server, authorization } of hub.seen) {
      expect(authorization).toBe(server === "hub" ? "Bearer hf_secret" : undefined);
    }
    expect(hub.seen.filter(({ path }) => /README|pytorch/u.test(path))).toStrictEqual([]);
  });

  test("takes a tag, a branch of a pull request or a commit, and stays with it", async () => {
    const files = await filesOf(demoBase);
    const [old, young] = [commitOf("old"), commitOf("young")];
    const other = { ...files, "model.safetensors": await readFile(join(await randomModel(), "model.safetensors")) };
    const commits = { [old]: files, [young]: other };
    const revisions = { main: young, "refs/pr/4": old, v1: old, [old]: old, [young]: young };
    const hub = await testHub({ "tiny/base": { revisions, commits } });
    const { add } = adding(hub, await scratch());
    for (const revision of ["v1", "refs/pr/4", old]) {
      const added = await add("tiny/base", revision, revision.replaceAll("/", "-"));
      expect(added).toMatchObject({ hash: demoHash, source: { revision, commit: old } });
    }
  });

  test("works where large files are in the hub's newer storage", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    hub.faults.xet = true;
    const { add } = adding(hub, await scratch());
    expect((await add()).hash).toBe(demoHash);
  });

  test("fetches the shards that the index names", async () => {
    const folder = golden("hf/llama-sharded-bf16");
    const files: Record<string, Buffer> = { ...(await filesOf(folder)), "consolidated.safetensors": Buffer.alloc(100) };
    const hub = await testHub({ "tiny/llama": repositoryOf(files) });
    const models = await scratch();
    const added = await adding(hub, models).add("tiny/llama");
    expect(added.hash).toBe(await baseHash(await openModelFolder(folder)));
    expect(await visible(join(models, "llama"))).not.toContain("consolidated.safetensors");
    const { commits, revisions } = repositoryOf(files);
    const { "model-00002-of-00006.safetensors": _, ...rest } = files;
    hub.repositories.set("tiny/cut", { revisions, commits: { [Object.keys(commits)[0] ?? ""]: rest } });
    await expect(adding(hub, models).add("tiny/cut")).rejects.toThrow(
      /has no model-00002-of-00006.safetensors, which its/u,
    );
  });

  test("fetches a single file, and neither older shards beside it nor their index", async () => {
    const index = Buffer.from('{"weight_map":{"a":"model-00001-of-00001.safetensors"}}');
    const older = { "model.safetensors.index.json": index, "model-00001-of-00001.safetensors": Buffer.alloc(9) };
    const hub = await testHub({ "tiny/base": await demoRepository(older) });
    const models = await scratch();
    expect((await adding(hub, models).add()).hash).toBe(demoHash);
    expect((await visible(join(models, "base"))).filter((name) => name.startsWith("model"))).toStrictEqual([
      "model.safetensors",
    ]);
  });
});

describe("a download", () => {
  test("whose connection is cut goes on where it stopped", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    hub.faults.cuts = [300_000, 0, 500_000];
    const { add, stages } = adding(hub, await scratch());
    expect((await add()).hash).toBe(demoHash);
    const [probe, whole, ...others] = ranges(hub).filter((range) => range !== "bytes=0-0");
    expect(probe).toBeUndefined();
    expect(whole).toMatch(/^bytes=\d+-1317935$/u);
    expect(others).toHaveLength(2);
    const starts = [whole, ...others].map((range) => Number(/\d+/u.exec(range ?? "")?.[0]));
    expect(starts.at(-1)).toBeGreaterThan(300_000);
    const shown = stages.get("downloading") ?? [];
    expect(Math.max(...shown)).toBeGreaterThan(weightsBytes);
  });

  test("that was given up goes on at the next command, from what was proved and what was begun", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const models = await scratch();
    const { add } = adding(hub, models);
    hub.faults.cuts = [400_000, 0, 0, 0, 0];
    await expect(add()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("broke") as unknown,
    });
    expect(await visible(models)).toStrictEqual([]);
    const partial = join(models, ".steplog", "partial", "base");
    const begun = (await stat(join(partial, "model.safetensors.part"))).size;
    expect(begun).toBeGreaterThan(0);
    expect(await visible(partial)).toContain("tokenizer.json");

    hub.seen.length = 0;
    hub.faults.cuts = [];
    expect((await add()).hash).toBe(demoHash);
    expect(ranges(hub)).toStrictEqual(["bytes=0-0", `bytes=${begun}-${weightsBytes - 1}`]);
    expect(hub.seen.filter(({ path }) => path.endsWith("/tokenizer.json"))).toStrictEqual([]);
  });

  test("does not go on with a file that the hub now has otherwise", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const models = await scratch();
    const { add } = adding(hub, models);
    hub.faults.cuts = [400_000, 0, 0, 0, 0];
    await expect(add()).rejects.toThrow("broke");
    const weights = await readFile(join(demoBase, "model.safetensors"));
    weights.writeUInt8(weights.readUInt8(weightsBytes - 1) ^ 1, weightsBytes - 1);
    hub.repositories.set("tiny/base", await demoRepository({ "model.safetensors": weights }));
    hub.faults.cuts = [];
    hub.seen.length = 0;
    const { hash } = await add();
    expect(hash).not.toBe(demoHash);
    expect(hash).toBe(await baseHash(await openModelFolder(join(models, "base"))));
    expect(ranges(hub)).toStrictEqual(["bytes=0-0", undefined]);
  });

  test("begins anew when what it went on from was damaged", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const models = await scratch();
    const { add } = adding(hub, models);
    hub.faults.cuts = [400_000, 0, 0, 0, 0];
    await expect(add()).rejects.toThrow("broke");
    const part = join(models, ".steplog", "partial", "base", "model.safetensors.part");
    await writeFile(part, Buffer.alloc((await stat(part)).size, 7));
    hub.faults.cuts = [];
    expect((await add()).hash).toBe(demoHash);
  });

  test.each(["model.safetensors", "tokenizer.json", "LICENSE"])(
    "with another checksum than the hub lists is refused: %s",
    async (name) => {
      const hub = await testHub({ "tiny/base": await demoRepository() });
      hub.faults.corrupt.add(name);
      const models = await scratch();
      const { add } = adding(hub, models);
      await expect(add()).rejects.toMatchObject({
        code: "MODEL_INVALID",
        message: expect.stringMatching(new RegExp(`${name} has the .* but the hub lists`, "u")) as unknown,
      });
      expect(await visible(models)).toStrictEqual([]);
      expect(await visible(join(models, ".steplog", "partial", "base"))).not.toContain(name);
      hub.faults.corrupt.clear();
      expect((await add()).hash).toBe(demoHash);
    },
  );

  test("waits for a hub that is busy for a while, not for ever", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const { add } = adding(hub, await scratch());
    hub.faults.unavailable = 3;
    expect((await add()).hash).toBe(demoHash);
    hub.faults.unavailable = 1_000;
    await expect(add("tiny/base", "main", "again")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining('503, "Too busy"') as unknown,
    });
  });

  test("gives up a connection that says nothing, and a server that sends no parts", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const models = await scratch();
    const { add } = adding(hub, models);
    hub.faults.silent = true;
    await expect(add()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("sent no data for 0.5 s") as unknown,
    });
    hub.faults.silent = false;
    hub.faults.wholeOnly = true;
    hub.faults.cuts = [400_000];
    await expect(add()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("does not support ranges") as unknown,
    });
  });

  test("goes on after the process was killed", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const { data, models, run } = await modelCommand({ HF_ENDPOINT: hub.url });
    hub.faults.cuts = [400_000];
    hub.faults.silentAfterCuts = true;
    const env = { ...nobody, STEPLOG_DATA: data, HF_ENDPOINT: hub.url };
    const first = startSteplog(["model", "add", "tiny/base"], env);
    await until("the cut and the silence", 15_000, () => ranges(hub).length >= 3);
    await first.kill("SIGKILL");
    expect(await visible(models)).toStrictEqual([]);
    hub.faults.silentAfterCuts = false;
    hub.seen.length = 0;
    expect((await run("add", "tiny/base")).code).toBe(0);
    expect(ranges(hub).at(-1)).toMatch(/^bytes=[1-9]\d*-/u);
    expect(await baseHash(await openModelFolder(join(models, "base")))).toBe(demoHash);
  });

  test("is one at a time for a name", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const { add } = adding(hub, await scratch());
    const outcomes = await Promise.allSettled([add(), add(), add()]);
    expect(outcomes.map(({ status }) => status).toSorted()).toStrictEqual(["fulfilled", "rejected", "rejected"]);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "CONFLICT" });
    }
  });

  test("takes over from a process that is gone", async () => {
    const hub = await testHub({ "tiny/base": await demoRepository() });
    const models = await scratch();
    await mkdir(join(models, ".steplog", "partial"), { recursive: true });
    await writeFile(join(models, ".steplog", "partial", "base.lock"), "");
    const { add } = adding(hub, models);
    await expect(add()).rejects.toMatchObject({ code: "CONFLICT" });
    await writeFile(join(models, ".steplog", "partial", "base.lock"), `999999999 ${hostname()}`);
    expect((await add()).hash).toBe(demoHash);
  });
});

describe("a repository is refused", () => {
  async function refusal(repository: HubRepository | null, name = "a/b", token?: string) {
    const hub = await testHub(repository ? { "a/b": repository } : {});
    const models = await scratch();
    const error = await adding(hub, models, token)
      .add(name)
      .catch((thrown: unknown) => thrown);
    expect(await readdir(join(models, ".steplog", "partial")).catch(() => [])).toStrictEqual([]);
    const fetched = hub.seen.filter(({ server }) => server === "storage");
    return { ...(error as { code: string; message: string }), message: (error as Error).message, fetched };
  }

  test("that is not there, or not for us", async () => {
    const missing = await refusal(null);
    expect(missing).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(missing.message).toMatch(
      /a\/b does not exist or is private.*set HF_TOKEN.*401, "Invalid username or password\."/u,
    );
    const secret = { ...(await demoRepository()), token: "hf_right" };
    expect((await refusal(secret, "a/b", "hf_wrong")).message).toMatch(/check that the token in HF_TOKEN may read it/u);
    const gated = await refusal({ ...secret, gated: true });
    expect(gated).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(gated.message).toMatch(/is gated\. Accept its terms.*set HF_TOKEN/u);
    const hub = await testHub({ "a/b": { ...secret, gated: true } });
    expect((await adding(hub, await scratch(), "hf_right").add("a/b")).hash).toBe(demoHash);
  });

  test("whose revision is not there", async () => {
    const hub = await testHub({ "a/b": await demoRepository() });
    await expect(adding(hub, await scratch()).add("a/b", "v9")).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: 'a/b has no revision "v9". Give a branch, tag or commit.',
    });
  });

  test("before anything large is fetched, when Steplog cannot train it", async () => {
    const files = await filesOf(demoBase);
    const { "model.safetensors": weights = Buffer.alloc(0), "config.json": config = Buffer.alloc(0), ...rest } = files;
    const mamba = Buffer.from('{"model_type":"mamba"}');
    const cases: [Record<string, Buffer>, string, RegExp][] = [
      [
        { ...rest, "config.json": config, "consolidated.00.pth": weights },
        "MODEL_INVALID",
        /only in consolidated\.00\.pth.*refs\/pr/u,
      ],
      [{ "adapter_config.json": mamba, "adapter_model.safetensors": weights }, "MODEL_INVALID", /is an adapter/u],
      [{ "model.Q4.gguf": weights }, "MODEL_INVALID", /has no config\.json.*gguf/u],
      [{ ...rest, "config.json": config }, "MODEL_INVALID", /has no model\.safetensors/u],
      [{ ...files, "config.json": mamba }, "MODEL_UNSUPPORTED", /model_type/u],
      [{ ...files, "quantize_config.json": mamba }, "MODEL_UNSUPPORTED", /weights are quantised/u],
      [{ ...files, "config.json": Buffer.from("{") }, "MODEL_INVALID", /not JSON/u],
      [
        {
          ...rest,
          "config.json": config,
          "model.safetensors.index.json": Buffer.from('{"weight_map":{"a":"../../x"}}'),
        },
        "MODEL_INVALID",
        /plain file name/u,
      ],
    ];
    for (const [content, code, words] of cases) {
      const { message, fetched, ...seen } = await refusal(repositoryOf(content));
      expect(message).toMatch(words);
      expect({ code: seen.code, fetched }).toStrictEqual({ code, fetched: [] });
    }
  });

  test("when what the hub has does not fit together; what came can be removed", async () => {
    const short = (await readFile(join(await randomModel(), "model.safetensors"))).subarray(0, 20_000);
    const hub = await testHub({ "a/b": await demoRepository({ "model.safetensors": short }) });
    const { models, run } = await modelCommand({ HF_ENDPOINT: hub.url });
    const { code, stderr } = await run("add", "a/b");
    expect(code).toBe(3);
    expect(stderr).toMatch(/MODEL_INVALID.*steplog model remove b deletes them/u);
    expect((await run("remove", "b", "--yes")).code).toBe(0);
    expect(await readdir(join(models, ".steplog", "partial"))).toStrictEqual([]);
  });

  test("by an address that is no hub's, or where nobody answers", async () => {
    const unanswered = await modelCommand({ HF_ENDPOINT: "http://127.0.0.1:9" });
    // One attempt of the library itself: the pauses between ours would take half a minute.
    const hub = new Hub({ endpoint: "http://127.0.0.1:9", token: undefined });
    await expect(hub.commitOf("a/b", "main")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect((await (await modelCommand({ HF_ENDPOINT: "hub" })).run("add", "a/b")).stderr).toContain("HF_ENDPOINT is");
    expect(await visible(unanswered.models)).toStrictEqual([]);
  });
});
