/** A request to stop is honoured within a batch, whatever the run does, and leaves what the next worker needs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { runMaterialise } from "../../engine/replay/rebuild.ts";
import type { EngineMessage } from "../../engine/thread/messages.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
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

test("while it reads its rows, and while AUTO measures", async () => {
  expect(await stoppedAfter(atStart, {})).toEqual(["stopped"]);
  const rows = (await readFile(demo("train.jsonl"), "utf8")).trim().split("\n").length;
  let looks = 0;
  const messages = await messagesOf(
    { ...short, learningRate: "AUTO" },
    { validationPath: null },
    () => ++looks > rows + 2,
  );
  expect(messages).toEqual([{ type: "stopped" }]);
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

test("while weights are rebuilt, between two pieces", async () => {
  const trained = await run({ ...short, steps: 1 }, { validationPath: null });
  const folder = await scratch();
  let looks = 0;
  const messages: EngineMessage[] = [];
  const request = {
    kind: "MATERIALISE",
    modelPath,
    hashesDir: join(folder, "hashes"),
    log: encodeEntries(trained.header, trained.entries),
    digest: trained.checkpoint?.digest ?? "",
    weightsDir: folder,
  } as const;
  const pieces = (await openModelFolder(modelPath)).tensors.length;
  expect(pieces).toBeGreaterThan(4);
  const stopping = () => ++looks > pieces + 2;
  for await (const message of runMaterialise(request, createPlainDevice(), { stopping })) messages.push(message);
  expect(messages).toEqual([{ type: "stopped" }]);
});
