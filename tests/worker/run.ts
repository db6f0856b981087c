/** A run as the worker makes it, on the demo's base and rows, with all that it says. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseDevice } from "../../engine/devices/choose.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { decodeHeader, packEntries } from "../../schema/step-log.ts";
import { runFineTune } from "../../engine/train/run.ts";
import type { EngineMessage, FineTuneRequest } from "../../engine/thread/messages.ts";
import { devicesDir, oneDevice } from "../support/open-devices.ts";
import { scratch } from "../support/models.ts";

export const demo = (name: string) => fileURLToPath(new URL(`../../demo/${name}`, import.meta.url));
export const modelPath = demo("base");
/** One thread: the other core has another file's tests. The weights are the same, whatever the number of threads. */
export const { device } = await chooseDevice(oneDevice, { threads: 1, devicesDir });

export type Changes = Partial<Omit<FineTuneRequest, "entries">> & { readonly entries?: readonly LogEntry[] };

export async function messagesOf(
  settings: Partial<Hyperparameters>,
  { entries = [], ...changes }: Changes = {},
  stopping: (message: EngineMessage | undefined) => boolean = () => false,
): Promise<EngineMessage[]> {
  const messages: EngineMessage[] = [];
  const request = await requestOf(settings, { entries, ...changes });
  const over = () => stopping(messages.at(-1));
  for await (const message of runFineTune(request, device, over)) messages.push(message);
  return messages;
}

export async function requestOf(
  settings: Partial<Hyperparameters>,
  { entries = [], ...changes }: Changes = {},
): Promise<FineTuneRequest> {
  const hyperparameters = hyperparametersSchema.parse(settings);
  const seed = changes.fork ? decodeHeader(changes.fork.headerBytes).seed : hyperparameters.seed;
  return {
    kind: "FINE_TUNE",
    modelPath,
    base: await baseHash(await openModelFolder(modelPath)),
    hashesDir: join(await scratch(), "hashes"),
    datasetPath: demo("train.jsonl"),
    validationPath: demo("validation.jsonl"),
    testPath: null,
    labelWords: [" great", " terrible"],
    calibrationPrompt: null,
    hyperparameters,
    fork: null,
    entries: { seed, ...packEntries(entries) },
    stepsDone: entries.length,
    losses: new Float64Array(),
    evaluated: [],
    pickedRate: null,
    weightsDir: null,
    ...changes,
  };
}

export function ofType<T extends EngineMessage["type"]>(messages: readonly EngineMessage[], type: T) {
  return messages.filter((message): message is EngineMessage & { type: T } => message.type === type);
}

/** What is equal in equal runs. */
export function untimed<Message extends { readonly seconds: number }>(messages: readonly Message[]) {
  return messages.map(({ seconds: _seconds, ...message }) => message);
}

export async function run(settings: Partial<Hyperparameters>, changes: Changes = {}) {
  const messages = await messagesOf(settings, changes);
  const [began] = ofType(messages, "began");
  if (!began) throw new Error("a run begins");
  return {
    messages,
    header: decodeHeader(began.headerBytes),
    pickedRate: began.pickedRate,
    entries: ofType(messages, "step").flatMap((step) => step.entries),
    evaluations: untimed(ofType(messages, "evaluation")),
    checkpoints: untimed(ofType(messages, "checkpoint")),
    checkpoint: untimed(ofType(messages, "checkpoint")).at(-1),
  };
}
