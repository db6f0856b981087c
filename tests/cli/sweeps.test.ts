/** Sweeps on the command line: created from a file, listed, shown with the best run first, cancelled, and deleted. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { namesOfService } from "../../cli/completion/service-names.ts";
import { shortId } from "../../cli/short-ids.ts";
import { createDataset, FakeWorker, rows, testServer, type TestServer } from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";

let server: TestServer;
let folder: string;
beforeAll(async () => {
  server = await testServer();
  folder = await mkdtemp(join(tmpdir(), "steplog-sweeps-"));
  await writeFile(join(folder, "rows.jsonl"), rows(3));
}, 60_000);
afterAll(async () => {
  await server.dispose();
  await rm(folder, { recursive: true });
});

const steplog = (...args: string[]) => steplogHere([...args, "--url", server.url]);

async function fileOf(sweep: object): Promise<string> {
  const path = join(folder, "rates.json");
  await writeFile(path, JSON.stringify(sweep));
  return path;
}

const shared = { baseModel: "bytes", dataset: "rows.jsonl", hyperparameters: { steps: 10, estimator: "SPSA" } };
const vary = { grid: { learningRate: [1e-6, 1e-5], seed: [1, 2] } };
const runCount = () => server.store.fineTunes.count({});

test("nothing yet, and what it would take: no run is created", async () => {
  expect((await steplog("sweeps", "ls")).stdout).toBe(
    "There are no sweeps. Create one: steplog sweeps create FILE.json\n",
  );
  const file = await fileOf({ run: shared, vary });
  const { code, stdout } = await steplog("sweeps", "create", file, "--dry-run");
  expect({ code, stdout }).toEqual({ code: 0, stdout: "4 runs of 40 steps in all: 80 forward passes.\n" });
  const refused = await fileOf({ run: shared, vary: { grid: { warmupSteps: [5, 20] } } });
  const answer = await steplog("sweeps", "create", refused, "--dry-run", "--json");
  expect(answer.code).toBe(3);
  expect(JSON.parse(answer.stdout)).toMatchObject({ runs: 2, errors: [{ code: "INVALID_ARGUMENT" }] });
  expect(answer.stderr).toContain("Run 2 (warmupSteps 20)");
  expect(await runCount()).toBe(0);
});

test("a file becomes queued runs; its key finds it again", async () => {
  const file = await fileOf({ run: shared, vary });
  const { code, stdout } = await steplog("sweeps", "create", file, "--key", "first");
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^Created the sweep "rates" \([0-9a-f]{8}\)\.\nRuns, 4: 4 queued\. Their steps take 80 forward passes\.\nHow it goes: steplog sweeps show [0-9a-f]{8} --url /u,
  );
  const again = await steplog("sweeps", "create", file, "--key", "first", "--json");
  expect(JSON.parse(again.stdout)).toMatchObject({ created: false, name: "rates", varied: ["learningRate", "seed"] });
  expect(await runCount()).toBe(4);
});

test("it is shown by its name or the beginning of its id, the best run first", async () => {
  for (const accuracy of [0.5, 0.75]) {
    const worker = await FakeWorker.claim(server.store);
    await worker.train(10);
    await worker.store.recordEvaluation(worker.job, { entries: 10, step: 10, rows: 4, loss: 1, accuracy });
    await worker.succeed();
  }
  const { stdout } = await steplog("sweeps", "show", "rates");
  const [name, , , , , , headings, ...runs] = stdout.split("\n");
  expect(name).toMatch(/^rates {2}[0-9a-f]{8}$/u);
  expect(stdout).toContain("  runs       4: 2 queued, 2 succeeded\n");
  expect(headings).toMatch(/^RUN +learningRate +seed +BEST +AT STEP +LOSS +STATUS +STEPS$/u);
  expect(runs.slice(0, 4).map((line) => line.split(/\s{2,}/u).slice(1, 4))).toEqual([
    ["0.000001", "2", "75.0% accuracy"],
    ["0.000001", "1", "50.0% accuracy"],
    ["0.00001", "1", "-"],
    ["0.00001", "2", "-"],
  ]);
  const id = name?.slice(-8) ?? "";
  const shown = JSON.parse((await steplog("sweeps", "show", id, "--json")).stdout) as {
    id: string;
    best: { id: string };
    runs: { id: string }[];
  };
  expect([shortId(shown.id), shown.best.id]).toEqual([id, shown.runs[0]?.id]);
  const names = (await namesOfService("sweep", server.url)).map(({ value }) => value);
  expect(names).toEqual(["rates", id]);
  const listed = await steplog("sweeps", "ls");
  expect(listed.stdout).toMatch(
    new RegExp(`^${id} {2}rates {2}learningRate, seed {2}4: 2 queued, 2 succeeded {2}75.0% accuracy by `, "mu"),
  );
  expect(JSON.parse((await steplog("sweeps", "ls", "--json")).stdout)).toMatchObject({
    sweeps: [{ name: "rates" }],
    next: null,
  });
});

test.each([
  ["no values", { run: shared, vary: { grid: { seed: [] } } }, "vary.grid.seed"],
  ["a value out of range", { run: shared, vary: { grid: { batchSize: [8, 0] } } }, "vary.grid.batchSize.1"],
  ["an unknown setting", { run: shared, vary: { grid: { sped: [1] } } }, "sped"],
  ["neither grid nor list", { run: shared, vary: {} }, "vary"],
  ["a field that is not there", { run: { ...shared, log: "x" }, vary }, "run"],
  ["rows that are not there", { run: { ...shared, dataset: "none.jsonl" }, vary }, "dataset"],
])("%s: refused before anything is stored, and named", async (_what, sweep, field) => {
  const { code, stderr } = await steplog("sweeps", "create", await fileOf(sweep));
  expect(code).toBe(3);
  expect(stderr).toContain(field);
  expect(await runCount()).toBe(4);
});

test("a sweep of a list, with rows that are stored, and one that is not there", async () => {
  const dataset = { id: await createDataset(server) };
  const file = await fileOf({ name: "two", run: { ...shared, dataset }, vary: { list: [{ seed: 3 }, { seed: 4 }] } });
  expect((await steplog("sweeps", "create", file)).stdout).toContain('Created the sweep "two"');
  const { code, stderr } = await steplog("sweeps", "show", "none");
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringContaining('There is no sweep whose id begins with, or that is named, "none".') as string,
  });
});

test("a sweep is cancelled: what waits ends at once, what is trained after its step, and what has ended stays", async () => {
  const worker = await FakeWorker.claim(server.store);
  await worker.train(1);
  const { code, stdout } = await steplog("sweeps", "cancel", "rates");
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout:
      "The sweep rates is cancelled. Runs, 4: 1 running, 2 succeeded, 1 cancelled.\n" +
      "Stopping after the current step: 1 run. Steps so far and their logs are kept.\n",
  });
  await worker.store.finishFineTune(worker.job, { status: "CANCELLED" });
  const again = await steplog("sweeps", "cancel", "rates", "--json");
  const { name, runs } = JSON.parse(again.stdout) as { name: string; runs: { status: string }[] };
  expect(name).toBe("rates");
  expect(runs.map(({ status }) => status).toSorted()).toEqual(["CANCELLED", "CANCELLED", "SUCCEEDED", "SUCCEEDED"]);
  expect((await steplog("sweeps", "cancel", "rate")).stderr).toContain(
    'Did you mean "rates"? List them: steplog sweeps ls',
  );
});

test("a sweep is deleted without its runs, or with them", async () => {
  const asked = await steplog("delete", "sweep", "two");
  expect(asked.stderr).toMatch(/Delete the sweep two \([0-9a-f]{8}\), with nothing else: its runs stay.* add --yes/u);
  const withRuns = await steplog("delete", "sweep", "two", "--runs", "--json");
  expect(withRuns.stderr).toContain("with its runs, their logs, checkpoints and evaluations?");
  const all = await runCount();
  expect((await steplog("delete", "sweep", "rates", "--yes")).stdout).toMatch(/^The sweep rates \(.* is deleted\.\n$/u);
  expect(await runCount()).toBe(all);

  await FakeWorker.claim(server.store);
  const trained = await steplog("delete", "sweep", "two", "--runs", "--yes");
  expect(trained).toMatchObject({ code: 3, stderr: expect.stringMatching(/^INVALID_STATE/u) as string });
  const { stdout } = await steplog("delete", "sweep", "two", "--runs", "--cancel", "--yes", "--json");
  expect(JSON.parse(stdout)).toEqual({ deleted: true });
  expect(await runCount()).toBe(all - 2);
  expect((await steplog("sweeps", "ls")).stdout).toContain("There are no sweeps.");
  expect((await steplog("delete", "run", "two", "--runs", "--yes")).stderr).toContain("--runs is for sweeps");
});
