/**
 * A run that gives way and comes back has the entries and the weights of one that did not; its weights come from a file if that
 * is whole and its own, and from its log otherwise. A real engine; tests/process/give-way.long.test.ts has real workers.
 */
import { cp, mkdir, readFile, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hostInNames } from "../../engine/model/files/partial.ts";
import { type KeptFolder, keptRuns } from "../../engine/train/kept-weights.ts";
import { runFineTune } from "../../engine/train/run.ts";
import type { EngineMessage, FineTuneRequest } from "../../engine/thread/messages.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { forgetNow } from "../../worker/kept-weights.ts";
import { append, newTraining } from "../store/fixtures.ts";
import { scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";
import { demo, device, ofType, requestOf } from "./run.ts";

const settings = { learningRate: 1e-4, batchSize: 2, steps: 8, seed: 5 } as const;
const run = crypto.randomUUID();

async function keptFolder(budgetBytes = 1e9): Promise<KeptFolder> {
  return { folder: join(await scratch(), "kept"), budgetBytes };
}

/** The messages of a run of the engine that is asked to leave after a step; to its end without one. */
async function train(request: FineTuneRequest, leaveAfter = Infinity): Promise<EngineMessage[]> {
  const messages: EngineMessage[] = [];
  const leaving = () => ofType(messages, "step").some(({ step }) => step >= leaveAfter);
  for await (const message of runFineTune(request, device, () => false, { leaving })) {
    messages.push(message);
  }
  return messages;
}

const entriesOf = (messages: readonly EngineMessage[]) => ofType(messages, "step").flatMap(({ entries }) => entries);
const digestOf = (messages: readonly EngineMessage[]) => ofType(messages, "checkpoint").at(-1)?.digest ?? null;
const resumedBy = (messages: readonly EngineMessage[]) =>
  ofType(messages, "note").find(({ event }) => event === "RESUMED")?.message;

/** Leaves after three steps; the request that goes on from there. */
async function leave(changes: Partial<Hyperparameters>, folder: KeptFolder) {
  const hyper = { ...settings, ...changes };
  const kept = { ...folder, run, digest: null };
  const first = await train(await requestOf(hyper, { kept }), 3);
  expect(first.slice(-2)).toMatchObject([{ type: "kept", problem: null }, { type: "stopped" }]);
  const next = (digest = digestOf(first)) =>
    requestOf(hyper, {
      entries: entriesOf(first),
      stepsDone: 3,
      losses: Float64Array.from(ofType(first, "step"), ({ loss }) => loss),
      evaluated: ofType(first, "evaluation"),
      pickedRate: ofType(first, "began")[0]?.pickedRate ?? null,
      kept: { ...kept, digest },
    });
  return { first, next };
}

test.for<[string, Partial<Hyperparameters>]>([
  ["all weights", {}],
  ["an adapter", { method: "LORA" }],
  ["a prefix", { method: "PREFIX", prefixLength: 2 }],
  ["the head", { method: "HEAD" }],
])("%s: what was kept goes on to the same bits, and the file is gone", async ([, changes]) => {
  const folder = await keptFolder();
  const alone = await train(await requestOf({ ...settings, ...changes }));
  const { first, next } = await leave(changes, folder);
  expect(await keptRuns(folder)).toMatchObject([{ run, entries: 3 }]);
  const rest = await train(await next());
  expect(resumedBy(rest)).toBe("Read the weights after 3 steps, as they were kept.");
  expect([...entriesOf(first), ...entriesOf(rest)]).toEqual(entriesOf(alone));
  expect(digestOf(rest)).toBe(digestOf(alone));
  expect(await readdir(folder.folder)).toEqual([]);
});

test("a copy of other bytes, a cut one, one of another place, and none: the log is replayed, to the same bits", async () => {
  const alone = await train(await requestOf(settings));
  const folder = await keptFolder();
  const { first, next } = await leave({}, folder);
  const [copy] = await keptRuns(folder);
  const path = copy?.path ?? "";
  const bytes = await readFile(path);
  const other = Buffer.from(bytes);
  other[bytes.length - 5] = (other[bytes.length - 5] ?? 0) ^ 1;
  for (const [what, write] of [
    ["other bytes", () => writeFile(path, other)],
    ["cut", () => writeFile(path, bytes.subarray(0, bytes.length - 4))],
    ["another place", () => writeFile(path.replace("~3.", "~2."), bytes)],
    ["none", () => Promise.resolve()],
  ] as const) {
    await write();
    const rest = await train(await next());
    expect([what, resumedBy(rest)]).toEqual([what, "Replayed 3 steps from the log."]);
    expect([...entriesOf(first), ...entriesOf(rest)]).toEqual(entriesOf(alone));
    expect(digestOf(rest)).toBe(digestOf(alone));
  }
  await writeFile(path, bytes);
  expect(resumedBy(await train(await next("ab".repeat(32))))).toBe("Replayed 3 steps from the log.");
});

test("a run that is stopped, or that ends, writes no weights", async () => {
  const folder = await keptFolder();
  const request = await requestOf(settings, { kept: { ...folder, run, digest: null } });
  await train(request);
  await train(request, settings.steps);
  const always = () => true;
  for await (const _ of runFineTune(request, device, always, { leaving: always }));
  expect(await readdir(folder.folder).catch(() => "none")).toBe("none");
});

test("a folder holds no more than its bytes: the oldest go, and what is larger is not kept", async () => {
  const big = await keptFolder();
  const { first } = await leave({}, big);
  const [whole] = await keptRuns(big);
  const size = whole?.bytes ?? 0;
  const folder = await keptFolder(2.5 * size);
  await mkdir(folder.folder);
  for (const [index, name] of ["old", "new"].entries()) {
    await cp(whole?.path ?? "", join(folder.folder, `${name}~1.safetensors`));
    await utimes(join(folder.folder, `${name}~1.safetensors`), 1_000 + index, 1_000 + index);
  }
  await leave({}, folder);
  expect((await keptRuns(folder)).map((copy) => copy.run).toSorted()).toEqual(["new", run].toSorted());
  expect(ofType(first, "kept")).toHaveLength(1);
  const small = await keptFolder(size / 2);
  const { first: none } = await leave({}, small);
  expect(ofType(none, "kept")).toEqual([{ type: "kept", bytes: null, problem: null }]);
  expect(await keptRuns(small)).toEqual([]);
});

test("a disk that refuses is told, and the run stops as it should", async () => {
  const folder = { folder: join(demo("train.jsonl"), "in a file"), budgetBytes: 1e9 };
  const messages = await train(await requestOf(settings, { kept: { ...folder, run, digest: null } }), 3);
  expect(messages.slice(-2)).toMatchObject([{ type: "kept", bytes: null }, { type: "stopped" }]);
  expect(ofType(messages, "kept")[0]?.problem).toEqual(expect.any(String));
});

test("what a dead process left of a copy goes, and what a living one writes stays", async () => {
  const folder = await keptFolder();
  await mkdir(folder.folder);
  const mine = `.a~1.partial-${hostInNames}-${process.pid}`;
  for (const name of [mine, `.b~1.partial-${hostInNames}-999999999`]) await writeFile(join(folder.folder, name), "");
  expect(await keptRuns(folder)).toEqual([]);
  expect(await readdir(folder.folder)).toEqual([mine]);
});

let fixture: TestStore;
beforeAll(async () => {
  fixture = await testStore();
});
afterAll(() => fixture.drop());

test("copies go once their run has ended, was deleted, or has gone on elsewhere, and after a day; never within a minute", async () => {
  const { store } = fixture;
  const { run: here, job } = await newTraining(store);
  await append(store, job, 0, 2);
  const folder = await keptFolder();
  await mkdir(folder.folder);
  const write = (id: string, entries: number) => writeFile(join(folder.folder, `${id}~${entries}.safetensors`), "");
  await write(here.id, 2);
  await write(here.id, 1);
  await write(crypto.randomUUID(), 2);
  const left = async () => (await keptRuns(folder)).map(({ run: id, entries }) => `${id}~${entries}`);
  const later = (minutes: number) => forgetNow(store, folder, Date.now() + minutes * 60_000);
  await later(0);
  expect(await left()).toHaveLength(3);
  await later(2);
  expect(await left()).toEqual([`${here.id}~2`]);
  await later(25 * 60);
  expect(await left()).toEqual([]);
  await write(here.id, 2);
  await store.finishFineTune(job, { status: "SUCCEEDED" });
  await later(2);
  expect(await left()).toEqual([]);
});
