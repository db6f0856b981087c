/** `steplog model push`: from a checkpoint of a service to one commit of the hub, or to an error and no commit. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { writeOrigin } from "../../engine/model/files/origin.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import type { Card } from "../../models/hub/card.ts";
import { modelCard } from "../../models/hub/card.ts";
import { Hub } from "../../models/hub/hub.ts";
import type { Push } from "../../models/hub/push.ts";
import { pushModel, pushTarget } from "../../models/hub/push.ts";
import { encodeEntries } from "../../schema/step-log.ts";
import { globalId, testServer, type TestServer } from "../server/harness.ts";
import type { TestHub } from "../support/hub.ts";
import { filesOf, testHub } from "../support/hub.ts";
import { modelCommand } from "../support/model-command.ts";
import { golden, scratch } from "../support/models.ts";
import type { TrainedRun } from "../support/trained.ts";
import { rebuildNext, trainedRun } from "../support/trained.ts";

const secret = "hf_writer";

async function writableHub(): Promise<TestHub> {
  const hub = await testHub();
  hub.writers.set(secret, { name: "ada", role: "write", namespaces: ["ada", "lab"] });
  hub.writers.set("hf_reader", { name: "ada", role: "read", namespaces: ["ada"] });
  return hub;
}

/** What people see: the files of the newest commit. */
function visible(hub: TestHub, name: string): Readonly<Record<string, Buffer>> {
  const { revisions = {}, commits = {} } = hub.repositories.get(name) ?? {};
  return commits[revisions["main"] ?? ""] ?? {};
}

describe("steplog model push", () => {
  let server: TestServer;
  let folder: string;
  let run: TrainedRun;
  beforeAll(async () => {
    server = await testServer();
    folder = await mkdtemp(join(tmpdir(), "steplog-push-test-"));
    run = await trainedRun(server.store, { folder, model: golden("hf/mistral"), name: "mistral", method: "LORA" });
    const source = { hub: "https://hub.example", repository: "lab/tiny", revision: "main", commit: "c".repeat(40) };
    await writeOrigin(run.base, { format: 1, source });
  });
  afterAll(async () => {
    await server.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  test("sends folder, log and card in one commit, and a later push replaces what it sent", async () => {
    const hub = await writableHub();
    const env = { HF_ENDPOINT: hub.url, HF_TOKEN: secret, STEPLOG_URL: server.url, STEPLOG_MODELS: run.modelsDir };
    const { run: model } = await modelCommand(env);
    const id = globalId("Checkpoint", run.checkpoint.id);
    const push = async (...args: string[]) => {
      const [done] = await Promise.all([
        model("push", id, "--repo", "tuned", "--json", ...args),
        rebuildNext(server.store, run),
      ]);
      expect(done).toMatchObject({ code: 0 });
      return JSON.parse(done.stdout) as { commit: string; created: boolean; url: string };
    };
    const first = await push("--merged", "--dtype", "bfloat16", "--private");
    const repository = hub.repositories.get("ada/tuned");
    expect(first).toMatchObject({ created: true, url: `${hub.url}/ada/tuned`, commit: repository?.revisions["main"] });
    expect(repository?.private).toBe(true);
    // The commit that made the repository, and ours.
    expect(Object.keys(repository?.commits ?? {})).toHaveLength(2);
    const sent = visible(hub, "ada/tuned");
    const out = join(await scratch(), "out");
    const base = await openModelFolder(run.base);
    const options = { base, log: run.log, out, device: createPlainDevice(), verify: false, replace: false } as const;
    await reconstruct({ ...options, merge: true, dtype: "bfloat16" });
    const rebuilt = await filesOf(out);
    for (const name of ["model.safetensors", "config.json", "steplog.json"]) {
      expect({ name, same: sent[name]?.equals(rebuilt[name] ?? Buffer.of()) }).toEqual({ name, same: true });
    }
    expect(sent["run.steplog"]).toEqual(Buffer.from(encodeEntries(run.log.header, [...run.log.entries])));
    const card = sent["README.md"]?.toString() ?? "";
    for (const known of [
      run.log.header.base,
      Buffer.from(run.log.chain).toString("hex"),
      run.checkpoint.weightsDigest,
    ]) {
      expect(card).toContain(known);
    }
    expect(card).toMatch(/^---\nlibrary_name: transformers\n/u);
    expect(card).toContain('base_model: "lab/tiny"\nbase_model_relation: finetune\n');
    expect(card).toContain(`--merge --dtype bfloat16 --digest ${run.checkpoint.weightsDigest} --verify`);

    expect(await push("--private")).toMatchObject({ created: false });
    const names = Object.keys(visible(hub, "ada/tuned"));
    expect(names.toSorted()).toEqual([
      ".gitattributes",
      "README.md",
      "adapter_config.json",
      "adapter_model.safetensors",
      "config.json",
      "run.steplog",
      "steplog.json",
    ]);
    for (const { server: place, authorization } of hub.seen) {
      expect(authorization).toBe(place === "hub" ? `Bearer ${secret}` : undefined);
    }
  });

  test("goes on after a push that failed, with a repository that it had made and files that had arrived", async () => {
    const hub = await writableHub();
    const env = { HF_ENDPOINT: hub.url, HF_TOKEN: secret, STEPLOG_URL: server.url, STEPLOG_MODELS: run.modelsDir };
    const { run: model } = await modelCommand(env);
    const push = async () => {
      const args = ["--repo", "again", "--merged", "--dtype", "float32", "--private", "--json"];
      const [done] = await Promise.all([
        model("push", globalId("Checkpoint", run.checkpoint.id), ...args),
        // Weights that the service has rebuilt before are there.
        hub.repositories.has("ada/again") ? null : rebuildNext(server.store, run),
      ]);
      return done;
    };
    hub.faults.commitStatus = 403;
    expect(await push()).toMatchObject({ code: 3, stderr: expect.stringMatching(/cannot be written/u) as unknown });
    // It was made, and shows nothing of the model.
    expect(hub.repositories.get("ada/again")?.private).toBe(true);
    expect(Object.keys(visible(hub, "ada/again"))).toEqual([".gitattributes"]);
    const uploads = () => hub.seen.filter(({ server: place }) => place === "storage").length;
    expect({ uploads: uploads(), kept: hub.uploads.size }).toEqual({ uploads: 1, kept: 1 });
    hub.faults.commitStatus = null;
    const done = await push();
    expect(done).toMatchObject({ code: 0 });
    const { revisions = {}, private: isPrivate } = hub.repositories.get("ada/again") ?? {};
    expect(JSON.parse(done.stdout)).toMatchObject({ created: false, commit: revisions["main"] });
    expect({ isPrivate, uploads: uploads() }).toEqual({ isPrivate: true, uploads: 1 });
    const sent = visible(hub, "ada/again");
    expect(Object.keys(sent)).toEqual(expect.arrayContaining(["README.md", "config.json", "run.steplog"]));
    const [large] = hub.uploads.values();
    expect(sent["model.safetensors"]?.equals(large ?? Buffer.of())).toBe(true);
    expect(sent["README.md"]?.toString()).toContain(run.checkpoint.weightsDigest);
  });

  test("asks for a token, and for a checkpoint, before anything is made", async () => {
    const hub = await writableHub();
    const env = { HF_ENDPOINT: hub.url, STEPLOG_URL: server.url };
    const push = async (more: Record<string, string>, id: string) => {
      const { run: model } = await modelCommand({ ...env, ...more });
      return model("push", id, "--repo", "ada/tuned");
    };
    const nobody = globalId("Checkpoint", "00000000-0000-4000-8000-000000000000");
    expect((await push({}, nobody)).stderr).toMatch(/UNAUTHENTICATED: Pushing to the hub needs a token/u);
    expect(hub.seen).toEqual([]);
    expect((await push({ HF_TOKEN: secret }, nobody)).stderr).toMatch(/NOT_FOUND: The service has no checkpoint/u);
    expect(hub.repositories.size).toBe(0);
  });
});

describe("a push", () => {
  /** Pushes a small and a large file. */
  async function pushing(
    hub: TestHub,
    { token = secret, name = "ada/tuned", isPrivate = false, endpoint = hub.url, silenceMs = 10_000 } = {},
  ) {
    const large = join(await scratch(), "model.safetensors");
    await writeFile(large, Buffer.alloc(300_000, 7));
    const files: Push["files"] = [
      { name: "README.md", content: new Blob(["# Tuned"]) },
      { name: "model.safetensors", content: pathToFileURL(large) },
    ];
    const client = new Hub({ endpoint, token: { secret: token, from: "HF_TOKEN" } }, { silenceMs });
    const seen: (readonly [string, number, number])[] = [];
    const onProgress = (...args: [string, number, number]) => void seen.push(args);
    const repository = await pushTarget(client, name, isPrivate);
    const push = { repository, isPrivate, title: "Add it", files };
    return { pushed: await pushModel(client, push, { pausesMs: [1, 1], onProgress }), seen };
  }

  test("of a large file tells how far it is, and sends it once", async () => {
    const hub = await writableHub();
    const { seen } = await pushing(hub, { name: "lab/big" });
    expect(visible(hub, "lab/big")["model.safetensors"]?.equals(Buffer.alloc(300_000, 7))).toBe(true);
    expect(seen.at(-1)).toEqual(["uploading", 300_000, 300_007]);
    const { pushed } = await pushing(hub, { name: "lab/big" });
    expect(pushed.created).toBe(false);
    expect(hub.seen.filter(({ server }) => server === "storage")).toHaveLength(1);
  });

  test.each([
    [
      "with a token that the hub does not know",
      { token: "hf_old" },
      "UNAUTHENTICATED",
      /refuses the token in HF_TOKEN/u,
    ],
    ["with a token for reading", { token: "hf_reader" }, "UNAUTHENTICATED", /HF_TOKEN is for reading only/u],
    ["to somebody else's organisation", { name: "others/x" }, "UNAUTHENTICATED", /others\/x cannot be written/u],
    ["to what is no name", { name: "a b" }, "INVALID_ARGUMENT", /write ORGANISATION\/NAME/u],
    ["to where nobody answers", { endpoint: "http://127.0.0.1:9" }, "UNAVAILABLE", /127\.0\.0\.1:9 cannot be used/u],
  ] as const)("%s is refused, and makes nothing", async (_, options, code, message) => {
    const hub = await writableHub();
    await expect(pushing(hub, options)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as unknown,
    });
    expect(hub.repositories.size).toBe(0);
    expect(hub.uploads.size).toBe(0);
  });

  test("that is private does not go where everybody sees it", async () => {
    const hub = await writableHub();
    await pushing(hub);
    const before = hub.repositories.get("ada/tuned");
    await expect(pushing(hub, { isPrivate: true })).rejects.toMatchObject({ code: "CONFLICT", message: /is public/u });
    expect(hub.repositories.get("ada/tuned")).toBe(before);
  });

  test.each([
    ["the hub refuses the commit", { commitStatus: 403 }, "UNAUTHENTICATED", /cannot be written/u],
    ["somebody else commits meanwhile", { commitStatus: 412 }, "CONFLICT", /Push again/u],
    ["the hub fails for long", { commitStatus: 503 }, "UNAVAILABLE", /answers 503/u],
    ["the storage fails", { uploadStatus: 500 }, "UNAVAILABLE", /answers 500/u],
    ["the storage goes silent", { silentUploads: true }, "UNAVAILABLE", /sent no data for 0\.3 s/u],
  ] as const)("leaves what was there when %s", async (_, faults, code, message) => {
    const hub = await writableHub();
    await pushing(hub, { name: "lab/old" });
    hub.uploads.clear();
    const before = hub.repositories.get("lab/old");
    Object.assign(hub.faults, faults);
    const failed = pushing(hub, { name: "lab/old", ...("silentUploads" in faults && { silenceMs: 300 }) });
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringMatching(message) as unknown });
    expect(hub.repositories.get("lab/old")).toBe(before);
  });
});

describe("a card", () => {
  const card: Card = {
    name: "run",
    base: { name: "tiny", hash: "ab", family: "llama", repository: null },
    kind: "causal",
    step: 1,
    entries: 1,
    chain: "cd",
    weightsDigest: "ef",
    form: { merged: false, dtype: null },
    header: { noise: "normal", seed: 3, hyperparameters: { steps: 1 } },
    evaluations: [],
  };

  test("shows a user's words, and takes none of them for markup", () => {
    const text = modelCard({ ...card, name: "a | b\n# c [x](http://y) <img>" });
    expect(text).toContain(String.raw`# a \| b \# c \[x\]\(http://y\) \<img\>`);
  });

  test("has the evaluations at its step and of the base", () => {
    const one = { kind: "VALIDATION", rows: 20, accuracy: 0.5, f1: null, exactMatch: null };
    const text = modelCard({
      ...card,
      evaluations: [
        { ...one, step: 0, loss: 1.25 },
        { ...one, step: 1, loss: null },
      ],
    });
    expect(text).toContain("| validation | 0 | 20 | 1.250 | 0.5000 |  |  |");
    expect(text).toContain("| validation | 1 | 20 |  | 0.5000 |  |  |");
    expect(text).not.toContain("base_model");
    expect(text).toContain("1 step of MeZO");
  });
});
