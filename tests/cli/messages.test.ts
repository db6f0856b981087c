/** What the command line says when something is wrong, as whoever typed it reads it. Runs in this process. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { encodeEntries, ruleSeed } from "../../schema/step-log.ts";
import { FakeWorker, rows, testServer, type TestServer } from "../server/harness.ts";
import { shortId } from "../../cli/short-ids.ts";
import { steplogHere } from "../support/command.ts";
import { golden, scratch } from "../support/models.ts";
import { runShell } from "../support/processes.ts";

let folder: string;
beforeEach(async () => {
  folder = await scratch();
});

const at = (name: string) => join(folder, name);

const steplog = (...args: string[]) => steplogHere(args);

const opt = golden("hf/opt");
/** A log of a model that is nowhere. */
function logOf(entries: number): Uint8Array {
  const trainable = [{ name: "w", shape: [1], dtype: "F32" as const }];
  const header = { format: 1 as const, base: "00".repeat(32), trainable, noise: "rademacher" as const, seed: 1 };
  const scalars = Array.from({ length: entries }, (_, k) => ({ seed: ruleSeed(1, k), scalar: 0.5 }));
  return encodeEntries({ ...header, hyperparameters: {} }, scalars);
}
/** A settings file for `tune`, beside rows.jsonl; its path. */
async function settings(changes: object = {}): Promise<string> {
  await writeFile(at("rows.jsonl"), rows(3));
  await writeFile(at("run.json"), JSON.stringify({ baseModel: "bytes", dataset: "rows.jsonl", ...changes }));
  return at("run.json");
}

describe("a file", () => {
  const reading: readonly [string, (path: string) => string[]][] = [
    ["log", (path) => ["log", path]],
    ["reconstruct --log", (path) => ["reconstruct", "--base", opt, "--log", path, "--out", at("out")]],
    ["score --data", (path) => ["score", "--model", opt, "--data", path, "--device", "plain"]],
    ["dataset", (path) => ["dataset", path, "--preset", "SST2", "--out", at("out")]],
    ["init --config", (path) => ["init", "--config", path, "--out", at("out")]],
    ["tune", (path) => ["tune", path]],
  ];

  test.each(reading)("that is missing, or a folder, is called that by %s", async (_, command) => {
    const missing = await steplog(...command(at("missing")));
    expect(missing).toMatchObject({ code: 3, stdout: "" });
    expect(missing.stderr).toContain(`The file ${at("missing")} cannot be read: there is no such file.`);
    const wrong = await steplog(...command(folder));
    expect(wrong.stderr).toContain(`The file ${folder} cannot be read: it is a folder.`);
    expect(await readdir(folder)).toEqual([]);
  });

  test.each(reading)("that is empty is called that by %s", async (_, command) => {
    await writeFile(at("empty"), "");
    const { code, stdout, stderr } = await steplog(...command(at("empty")));
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(/empty(?: has no rows|:? is empty|: This is not a \.steplog file)/u);
  });

  test("that is something else is called that, by its name", async () => {
    await writeFile(at("rows.jsonl"), rows(3));
    expect((await steplog("tune", at("rows.jsonl"))).stderr).toMatch(
      /rows\.jsonl is not JSON: .* It looks like rows, one a line: give a file that names it\./u,
    );
    expect((await steplog("log", at("rows.jsonl"))).stderr).toContain(
      `${at("rows.jsonl")}: This is not a .steplog file`,
    );
  });

  test("of one class is written, and said to be of one", async () => {
    await writeFile(
      at("rows.jsonl"),
      ["a", "b", "c"].map((sentence) => JSON.stringify({ sentence, label: 1 })).join("\n"),
    );
    const { stdout } = await steplog("dataset", at("rows.jsonl"), "--preset", "SST2", "--out", at("out"));
    expect(stdout).toMatch(
      /3 rows, all of them with "\s?\w+": a model that always says so is right\. Is the file sorted/u,
    );
  });

  test("that tune's settings name is called missing by its field, before a service is asked", async () => {
    const file = await settings({ validationDataset: "gone.jsonl" });
    const { code, stderr } = await steplog("tune", file, "--url", "http://127.0.0.1:9");
    expect(code).toBe(3);
    expect(stderr).toContain("gone.jsonl cannot be read: there is no such file");
    expect(stderr).toContain('validationDataset: is "gone.jsonl"');
  });

  test("that cannot be written is refused before the work", async () => {
    await writeFile(at("file"), "");
    await writeFile(at("a.steplog"), logOf(1));
    await writeFile(at("rows.jsonl"), '{"sentence": "a", "label": 1}\n');
    const commands = [
      ["tune", await settings({ log: "file/run.steplog" }), "--url", "http://127.0.0.1:9"],
      ["tune", await settings({ log: "." }), "--url", "http://127.0.0.1:9"],
      ["follow", "x", "--log", at("file/run.steplog"), "--url", "http://127.0.0.1:9"],
      ["continue", "x", "--steps", "1", "--log", at("file/run.steplog"), "--url", "http://127.0.0.1:9"],
      ["reconstruct", "--base", opt, "--log", at("a.steplog"), "--out", at("file")],
      ["dataset", at("rows.jsonl"), "--preset", "SST2", "--out", at("file/out")],
      ["init", "--config", join(opt, "config.json"), "--out", at("file")],
    ];
    for (const args of commands) {
      const { code, stderr } = await steplog(...args);
      expect({ args, code }).toEqual({ args, code: 3 });
      expect(stderr).toMatch(/^INVALID_ARGUMENT: \S+ cannot be written: (it is a f|a part of its path is a file)/u);
    }
  });
});

test("with --json, every error is one JSON object on stdout", async () => {
  for (const [args, code] of [
    [["log", at("missing"), "--json"], 3],
    [["log", "--json"], 2],
    [["tune", await settings({ hyperparameters: { steps: 0 } }), "--json"], 3],
    [["completion", "bash", "--json"], 2],
  ] as const) {
    const seen = await steplog(...args);
    expect({ args, code: seen.code }).toEqual({ args, code });
    const { error } = JSON.parse(seen.stdout) as { error: object };
    expect(Object.keys(error)).toEqual(["code", "message", "issues"]);
    expect(seen.stderr).not.toBe("");
  }
});

test("counts of one are in the singular", async () => {
  await writeFile(at("rows.jsonl"), '{"sentence": "a", "label": 1}\n');
  const { stdout } = await steplog("dataset", at("rows.jsonl"), "--preset", "SST2", "--out", at("out"));
  expect(stdout).toBe(`${at("out/training.jsonl")}: 1 row\n`);
});

test("a reader that has seen enough ends the command quietly", async () => {
  await writeFile(at("long.steplog"), logOf(20_000));
  const { stdout, stderr } = await runShell(
    `steplog log ${at("long.steplog")} --json | head -c 10; echo " \${PIPESTATUS[0]}"`,
  );
  expect({ stdout, stderr }).toEqual({ stdout: '{"header": 141\n', stderr: "" });
});

describe("with a service", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ apiToken: "right" });
  });
  afterAll(() => server.dispose());

  const withToken = (token: string) => {
    vi.stubEnv("STEPLOG_API_TOKEN", token);
    onTestFinished(() => void vi.unstubAllEnvs());
  };
  const tune = async (file: string, ...more: string[]) => steplog("tune", file, "--url", server.url, ...more);

  test("a token that is missing or wrong is told by the variable's name", async () => {
    withToken("");
    const file = await settings();
    expect((await tune(file)).stderr).toContain("needs an API key. Set STEPLOG_API_TOKEN to it.");
    withToken("wrong");
    expect((await tune(file)).stderr).toContain("refused what STEPLOG_API_TOKEN holds.");
    expect((await steplog("cancel", "x", "--url", server.url)).stderr).toContain("STEPLOG_API_TOKEN");
  });

  test("an address that is none, or that nobody answers at, is told", async () => {
    expect((await steplog("follow", "x", "--url", "localhost:4000")).stderr).toContain(
      '"localhost:4000" is not an address. Give the address of the service with --url or STEPLOG_URL',
    );
    expect((await steplog("follow", "x", "--url", "http://127.0.0.1:9")).stderr).toMatch(
      /The service at http:\/\/127\.0\.0\.1:9 does not answer.* start one on this machine: steplog start\./u,
    );
  });

  test("tune with a key can be repeated: the datasets and the run are the first ones", async () => {
    withToken("right");
    await mkdir(at("out"));
    const file = await settings({
      validationDataset: "rows.jsonl",
      hyperparameters: { steps: 1, learningRate: 1e-6 },
      log: "out/run.steplog",
    });
    const first = tune(file, "--key", "once", "--json");
    const worker = await vi.waitFor(() => FakeWorker.claim(server.store), 10_000);
    await worker.train(1);
    await worker.checkpoint();
    await worker.succeed();
    const outcome = JSON.parse((await first).stdout) as { id: string };
    const again = await tune(file, "--key", "once");
    expect(again.stdout).toContain(`is ${shortId(outcome.id)}.`);
    expect(again.stdout).toContain("SUCCEEDED after 1 step (");
    expect(await server.store.datasets.list({ limit: 9 })).toHaveLength(2);

    await writeFile(at("rows.jsonl"), rows(4));
    expect((await tune(file, "--key", "once")).stderr).toMatch(/^CONFLICT: .*other rows/u);
    expect(JSON.parse((await tune(file, "--key", "two", "--json", "--wrong")).stdout)).toHaveProperty("error");
  });

  test("a dry run of tune creates no run, stores its rows once, and tells all that would be refused", async () => {
    withToken("right");
    const file = await settings({ validationDataset: "rows.jsonl" });
    const before = await server.store.datasets.list({ limit: 9 });
    const seen = await tune(file, "--dry-run");
    expect(seen).toMatchObject({ code: 0, stderr: "" });
    expect(seen.stdout).toMatch(
      /^dataset: stored as \S+\nvalidationDataset: stored as \S+\nValidation rows: 3 rows are training rows too, .*\nNot counted: .*config\.json/u,
    );
    expect(seen.stdout).toContain("Memory: 20.0 GB at least.\nNo worker is running.");
    const wrong = await settings({ hyperparameters: { patience: 2 }, labelWords: [" yes", " no"] });
    const refused = await tune(wrong, "--dry-run");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/INVALID_ARGUMENT: .*patience[^]*DATASET_INVALID: input\.dataset: /u);
    const json = JSON.parse((await tune(wrong, "--dry-run", "--json")).stdout) as { errors: unknown[] };
    expect(json).toMatchObject({ errors: [{ code: "INVALID_ARGUMENT" }, { code: "DATASET_INVALID" }], counts: null });
    expect(await server.store.datasets.list({ limit: 9 })).toHaveLength(before.length + 1);
  });

  test("what the message says already is not said again below it; another field or a line is", async () => {
    withToken("right");
    const unknown = await tune(await settings({ baseModel: "nothing" }));
    expect(unknown.stderr.match(/There is no base model "nothing"/gu)).toHaveLength(1);
    await writeFile(at("wrong.jsonl"), '{"prompt":"a"}\n{"prompt":1,"completion":"b"}\n');
    const wrong = await tune(await settings({ dataset: "wrong.jsonl" }));
    expect(wrong.stderr).toMatch(/^ {2}line 1, completion: /mu);
    expect(wrong.stderr).toMatch(/^ {2}line 2, prompt: /mu);
  });
});
