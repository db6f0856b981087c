/** Weights on the command line: rebuilt by a worker, downloaded, deleted. Runs in this process. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ProgressLine } from "../../cli/output.ts";
import { shortId } from "../../cli/short-ids.ts";
import { globalId, testServer, type TestServer } from "../server/harness.ts";
import { steplogHere } from "../support/command.ts";
import { golden } from "../support/models.ts";
import { rebuildNext, trainedRun, type TrainedRun } from "../support/trained.ts";

let server: TestServer;
let folder: string;
let run: TrainedRun;
let short: string;
beforeAll(async () => {
  server = await testServer();
  folder = await mkdtemp(join(tmpdir(), "steplog-rebuild-"));
  run = await trainedRun(server.store, { folder, model: golden("hf/opt"), name: "opt", method: "FULL" });
  short = shortId(globalId("Checkpoint", run.checkpoint.id));
}, 60_000);
afterAll(async () => {
  await server.dispose();
  await rm(folder, { recursive: true, force: true });
});

const fineTune = () => globalId("FineTune", run.checkpoint.fineTuneId);
const steplog = (...args: string[]) => steplogHere([...args, "--url", server.url]);

test("weights are rebuilt as they were trained: it says what it waits for, and where they are", async () => {
  const said = vi.spyOn(ProgressLine.prototype, "note");
  const rebuilding = steplog("rebuild", short);
  await vi.waitFor(() => expect(said).toHaveBeenCalled(), { timeout: 20_000 });
  said.mockRestore();
  await rebuildNext(server.store, run);
  const { code, stdout, stderr } = await rebuilding;
  expect(code).toBe(0);
  expect(stderr).toMatch(/^No worker is running/u);
  const [first, headings, ...files] = stdout.trimEnd().split("\n");
  expect(first).toMatch(new RegExp(`^The weights of checkpoint ${short} are stored: \\d+ files, `, "u"));
  expect(headings).toMatch(/^FILE +SIZE +DOWNLOAD$/u);
  expect(files.join("\n")).toMatch(/^model\.safetensors .* http:\/\//mu);
});

test("in another form they are downloaded, and told as JSON; stored ones are not made again", async () => {
  const out = join(folder, "half");
  const args = ["rebuild", short, "--dtype", "bfloat16", "--json"];
  const rebuilding = steplog(...args, "--out", out);
  await rebuildNext(server.store, run);
  const ended = await rebuilding;
  expect(ended.stderr).toMatch(/worker/u);
  const made = JSON.parse(ended.stdout) as { bytes: number; files: { name: string; bytes: number }[] };
  expect(made).toMatchObject({
    checkpoint: globalId("Checkpoint", run.checkpoint.id),
    merged: false,
    dtype: "BFLOAT16",
  });
  expect(made.bytes).toBe(made.files.reduce((sum, { bytes }) => sum + bytes, 0));
  expect((await readdir(out)).toSorted()).toEqual(made.files.map(({ name }) => name).toSorted());
  expect(JSON.parse((await steplog(...args)).stdout)).toEqual(made);
  expect((await steplog("ls", "exports", fineTune())).stdout).toMatch(/ bfloat16 +STORED /u);
});

test("what cannot be made is refused, and says what can", async () => {
  expect(await steplog("rebuild", short, "--merged")).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/^INVALID_ARGUMENT: .*LoRA/u) as string,
  });
  expect((await steplog("rebuild", short, "--dtype", "float61")).stderr).toContain("Allowed choices are float32");
  expect((await steplog("rebuild", "ffffffff")).stderr).toContain("List them: steplog ls checkpoints RUN");
});

test("weights are deleted with their other forms, and the checkpoint stays", async () => {
  expect((await steplog("delete", "weights", short)).stderr).toContain(
    `Delete the weights of checkpoint ${short}, with those in other forms; the checkpoint stays`,
  );
  const { stdout } = await steplog("delete", "weights", short, "--yes");
  expect(stdout).toBe(`The weights of checkpoint ${short} are deleted.\n`);
  expect(await server.store.exports.list(run.checkpoint.id)).toEqual([]);
  expect((await steplog("ls", "checkpoints", fineTune())).stdout).toContain(short);
  expect((await steplog("ls", "exports", fineTune())).stdout).toContain("Make one: steplog rebuild CHECKPOINT");
  expect(JSON.parse((await steplog("delete", "weights", short, "--yes", "--json")).stdout)).toEqual({ deleted: true });
});
