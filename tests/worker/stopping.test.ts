/** A request to stop is honoured within a batch, whatever the run does, and leaves what the next worker needs. */
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { runMaterialise } from "../../engine/replay/rebuild.ts";
import type { EngineMessage } from "../../engine/thread/messages.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { ruleSeed } from "../../schema/log-entries.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { encodeEntries } from "../../schema/step-log.ts";
import { scratch } from "../support/models.ts";
import { type Changes, demo, messagesOf, modelPath, ofType, run } from "./run.ts";

const testPath = demo("validation.jsonl");
const short: Partial<Hyperparameters> = { learningRate: 1e-4, steps: 4, seed: 1, batchSize: 4 };

/** What a run says when it is stopped at the second look after some message. */
async function stoppedAfter(
  isThere: (message: EngineMessage | undefined) => boolean,
  settings: Partial<Hyperparameters>,
  changes: Changes = {},
) {
  let looks = 0;
  const messages = await messagesOf({ ...short, ...settings }, changes, (last) => isThere(last) && ++looks > 1);
  expect(messages.at(-1)).toEqual({ type: "stopped" });
  return messages.map((message) => ("kind" in message ? `${message.type} ${message.kind}` : message.type));
}

const atStart = (message: EngineMessage | undefined) => message === undefined;
const is = (type: string, step?: number) => (message: EngineMessage | undefined) =>
  message?.type === type && (step === undefined || ("step" in message && message.step === step));

/** Looks of a run before it says anything. */
async function looksBefore(settings: Partial<Hyperparameters>, changes: Changes): Promise<number> {
  let looks = 0;
  const messages = await messagesOf({ ...short, ...settings }, { validationPath: null, ...changes }, (last) => {
    if (last === undefined) looks++;
    return last !== undefined;
  });
  expect(messages[0]).toMatchObject({ type: "began" });
  return looks;
}

/** It says nothing but that it stopped, at this look. */
async function stopsAt(look: number, settings: Partial<Hyperparameters>, changes: Changes): Promise<void> {
  let looks = 0;
  const stopping = () => ++looks >= look;
  const messages = await messagesOf({ ...short, ...settings }, { validationPath: null, ...changes }, stopping);
  expect([look, messages]).toEqual([look, [{ type: "stopped" }]]);
}

/** More entries than are replayed at once. */
const entries = Array.from({ length: 400 }, (_, k) => ({ seed: ruleSeed(1, k), scalar: 0 }));

test("while it reads its rows, loads the weights, and replays its log; and while AUTO measures", async () => {
  expect(await stoppedAfter(atStart, {})).toEqual(["stopped"]);
  const rows = (await readFile(demo("train.jsonl"), "utf8")).trim().split("\n").length;
  const tensors = (await openModelFolder(modelPath)).tensors.length;
  // Every tensor is hashed and loaded.
  const loaded = await looksBefore({}, {});
  expect(loaded).toBeGreaterThanOrEqual(2 * tensors + rows);
  for (const look of [1, tensors, tensors + rows, loaded]) await stopsAt(look, {}, {});

  const resumed = { steps: 500 };
  expect(await looksBefore(resumed, { entries })).toBeGreaterThanOrEqual(loaded + 3);
  for (const look of [loaded + 1, loaded + 2]) await stopsAt(look, resumed, { entries });

  const auto = { learningRate: "AUTO" } as const;
  const measured = await looksBefore(auto, {});
  expect(measured).toBeGreaterThan(loaded);
  await stopsAt(measured, auto, {});
});

test("in the evaluations before the first step", async () => {
  expect(await stoppedAfter(is("began"), {})).toEqual(["began", "stopped"]);
  const evaluated = ["began", "evaluation VALIDATION"];
  const first = is("evaluation");
  expect(await stoppedAfter(first, { inContextRows: 4 })).toEqual([...evaluated, "stopped"]);
  expect(await stoppedAfter(first, {}, { testPath })).toEqual([...evaluated, "stopped"]);
  expect(await stoppedAfter(first, { linearProbe: true })).toEqual([...evaluated, "stopped"]);
});

test("within a step of many passes: the step is not done, and the weights are those before it", async () => {
  const settings = { ...short, accumulate: 8, batchSize: 1 };
  const names = await stoppedAfter(is("step", 2), settings, { validationPath: null });
  expect(names).toEqual(["began", "step", "step", "checkpoint", "stopped"]);
  const stopped = await messagesOf(settings, { validationPath: null }, (last) => is("step", 2)(last));
  const two = await run({ ...settings, steps: 2 }, { validationPath: null });
  expect(ofType(stopped, "checkpoint").at(-1)?.digest).toBe(two.checkpoint?.digest);
});

test("in an evaluation during training, and in those at the end", async () => {
  const begin = ["began", "evaluation VALIDATION"];
  const during = await stoppedAfter(is("step", 2), { evaluateEvery: 2 });
  expect(during).toEqual([...begin, "step", "step", "checkpoint", "stopped"]);
  const steps = ["step", "step", "step", "step"];
  expect(await stoppedAfter(is("step", 4), {})).toEqual([...begin, ...steps, "checkpoint", "stopped"]);
  const atTest = await stoppedAfter(is("checkpoint", 4), {}, { testPath, validationPath: null });
  expect(atTest).toEqual(["began", "evaluation TEST", ...steps, "checkpoint", "stopped"]);
});

test("while weights are rebuilt, between two pieces and between two parts of the log", async () => {
  const trained = await run({ ...short, steps: 1 }, { validationPath: null });
  const folder = await scratch();
  const rebuilt = async (log: readonly LogEntry[], stopping: (look: number) => boolean) => {
    let looks = 0;
    const messages: EngineMessage[] = [];
    const request = {
      kind: "MATERIALISE",
      modelPath,
      hashesDir: join(folder, "hashes"),
      log: encodeEntries(trained.header, log),
      // The entries of zero change nothing.
      digest: trained.checkpoint?.digest ?? "",
      weightsDir: await mkdtemp(join(folder, "weights-")),
    } as const;
    const device = createPlainDevice();
    for await (const message of runMaterialise(request, device, { stopping: () => stopping(++looks) })) {
      messages.push(message);
    }
    return { looks, types: messages.map(({ type }) => type) };
  };
  const long = [...trained.entries, ...entries.slice(trained.entries.length)];
  const { trainable } = trained.header;
  const pieces = (await openModelFolder(modelPath)).tensors.length;
  const [brief, whole] = [await rebuilt(trained.entries, () => false), await rebuilt(long, () => false)];
  expect([brief.types, whole.types]).toEqual([["materialised"], ["materialised"]]);
  expect(brief.looks).toBeGreaterThanOrEqual(pieces + trainable.length);
  // 64, 256 and the rest at each piece.
  expect(whole.looks).toBeGreaterThanOrEqual(brief.looks + trainable.length);
  for (const at of [pieces + 2, brief.looks]) {
    expect((await rebuilt(long, (look) => look >= at)).types).toEqual(["stopped"]);
  }
});
