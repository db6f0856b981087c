/**
 * `engine-child.js JSON`: answers prompts with the thread that a worker answers with, as its parent asks by messages. No store,
 * no gateway and no text is between them, so what a service takes longer is the service's.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { basename } from "node:path";
import { Worker } from "node:worker_threads";
import { callMarks } from "../../engine/thread/foreign.ts";
import type { FromServing, ServedModel, ServingThreadData, ToServing } from "../../engine/thread/serving-messages.ts";
import { keptBaseHash } from "../../engine/model/files/hashes.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import type { CompletionTask } from "../../schema/completion.ts";
import { SteplogError } from "../../schema/errors.ts";
import { programPath } from "../../schema/package.ts";
import type { Answer } from "./client.ts";
import type { EnginePlace, EngineQuestion, FromEngine } from "./engine-alone.ts";

/**
 * Requests reach a worker one after the other, also those that clients send at once: the first begins alone, and the others
 * join between its tokens. All in one moment would be one pass of their prompts, which no service sees.
 */
const apartMs = 3;

const place = JSON.parse(process.argv[2] ?? "{}") as EnginePlace;
const thread = new Worker(programPath("engine/thread/serving-thread"), { workerData: threadData(place) });
// Listened for before the hash is read, which takes longer.
const [ready] = (await once(thread, "message")) as [FromServing & { type: "ready" }];
const model = await servedModel(place);
const tell = (message: FromEngine) => process.send?.(message);

process.on("message", (question: EngineQuestion) => {
  const answers = question.prompts.map((prompt, at) =>
    sleep(at * apartMs).then(() => answered(prompt, question.tokens)),
  );
  void Promise.all(answers).then((all) => tell({ answers: all }));
});
tell({ device: ready.deviceNote });

function threadData({ device, threads, sequences }: EnginePlace): ServingThreadData {
  return {
    device: { name: device, threads, devicesDir: process.env["STEPLOG_DEVICES"] ?? null },
    precision: "auto",
    budgetBytes: 2 ** 40,
    sequences,
    marks: callMarks(),
    turns: null,
    share: 1,
  };
}

async function servedModel({ path, hashes }: EnginePlace): Promise<ServedModel> {
  const folder = await openModelFolder(path);
  const base = await keptBaseHash(folder, basename(path), { folder: hashes, now: Date.now });
  return { modelPath: path, base, hashesDir: hashes, checkpoint: null };
}

function answered(prompt: readonly number[], tokens: number): Promise<Answer> {
  const id = randomUUID();
  return new Promise((resolve, reject) => {
    const asked = performance.now();
    let first = NaN;
    let last = NaN;
    const hear = (message: FromServing) => {
      if (!("id" in message) || message.id !== id) return;
      if (message.type === "piece") last = performance.now();
      if (message.type === "piece" && Number.isNaN(first)) first = last;
      if (message.type === "failed") reject(new SteplogError(message.code, message.message));
      if (message.type !== "ended") return;
      thread.off("message", hear);
      resolve({ asked, first, last, tokens: message.usage.completionTokens });
    };
    thread.on("message", hear);
    const add: ToServing = {
      type: "add",
      request: {
        id,
        model,
        task: greedy(tokens),
        prompt: Int32Array.from(prompt),
        done: [{ tokens: [], finish: null }],
      },
    };
    thread.postMessage(add);
  });
}

function greedy(maxTokens: number): CompletionTask {
  const penalties = { repetitionPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, logitBias: [] };
  const sampling = { temperature: 0, topK: null, topP: 1, minP: 0, ...penalties, seed: 0 };
  return { kind: "GENERATE", maxTokens, n: 1, stop: [], logprobs: null, sampling };
}
