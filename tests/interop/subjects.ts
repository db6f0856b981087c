/** What is rebuilt and compared with other programs: bases, short fine-tunes of them, and our greedy text. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { demoBase } from "../../cli/service.ts";
import type { EncodedRow } from "../../dataset/encode.ts";
import { encodeRow } from "../../dataset/encode.ts";
import { loadOptionalTokenizer } from "../../dataset/tokenizer.ts";
import type { Device } from "../../engine/devices/device.ts";
import { generate } from "../../engine/generation/generate.ts";
import type { SeededAdapter } from "../../engine/model/adapters/adapter.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { logHeader } from "../../engine/train/log-header.ts";
import { beginning, train } from "../../engine/train/mezo.ts";
import type { MezoSettings } from "../../engine/train/settings.ts";
import { invariant } from "../../schema/errors.ts";
import type { StepLog } from "../../schema/step-log.ts";
import { decodeStepLog, encodeEntries } from "../../schema/step-log.ts";

/** Large steps: the weights must come to differ from the base's by more than the tolerance hides. */
const settings = { steps: 4, batchSize: 2, learningRate: 0.01, epsilon: 1e-3, weightDecay: 0.01, seed: 7 };
const texts = ["The soup was stale. It was terrible", "We loved the tea. It was great"];
/** Tokens of a greedy continuation, where the context has room for them. */
const greedyTokens = 8;
/** A base, and sequences to compare logits on. */
export interface Subject {
  readonly name: string;
  readonly path: string;
  readonly sequences: readonly (readonly number[])[];
  readonly rows: readonly EncodedRow[];
  /** Texts for its tokenizer, where it has one. */
  readonly texts: readonly string[];
}

export interface Continuation {
  readonly prompt: readonly number[];
  readonly asked: number;
  readonly tokens: readonly number[];
}

export async function goldenSubject(name: string): Promise<Subject> {
  const path = fileURLToPath(new URL(`../golden/hf/${name}`, import.meta.url));
  const expected = JSON.parse(await readFile(join(path, "expected.json"), "utf8")) as {
    kind: string;
    input_ids: number[][];
    labels: number[][];
    lengths: number[];
  };
  const kind = expected.kind === "causal_lm" ? "causal" : "masked";
  const upTo = (lists: number[][]) => expected.lengths.map((length, row) => (lists[row] ?? []).slice(0, length));
  const sequences = upTo(expected.input_ids);
  const labels = upTo(expected.labels);
  const rows = sequences.map((ids, row) => encodeRow(null, { input_ids: ids, labels: labels[row] ?? [] }, kind));
  return { name, path, sequences, rows, texts: [] };
}

/** With a tokenizer and a generation config, which must come along. */
export async function demoSubject(): Promise<Subject> {
  const tokenizer = await loadOptionalTokenizer(demoBase);
  invariant(tokenizer, "the demo base has a tokenizer");
  const sequences = texts.map((text) => tokenizer.encodeStart(text));
  const rows = sequences.map((ids) => encodeRow(null, { input_ids: ids, labels: ids }));
  return { name: "demo", path: demoBase, sequences, rows, texts };
}

export async function fineTune(
  subject: Subject,
  base: string,
  device: Device,
  adapter: SeededAdapter | null = null,
): Promise<{ log: StepLog; digest: string }> {
  const noise = subject.name.length % 2 === 0 ? "normal" : "rademacher";
  const chosen: MezoSettings = { ...settings, noise, ...(adapter && { learningRate: 0.02, epsilon: 1e-2 }) };
  const model = await loadModel(await openModelFolder(base), device, noise, { adapter });
  const entries = [];
  for await (const step of train(model, tokenLoss(subject.rows), chosen, beginning)) entries.push(...step.entries);
  const header = logHeader(await baseHash(model.folder), model, chosen, adapter?.header);
  return { log: decodeStepLog(encodeEntries(header, entries)), digest: await model.digest() };
}

/** Of the first half of each sequence. */
export async function continuationsOf(
  model: Model,
  sequences: readonly (readonly number[])[],
): Promise<Continuation[]> {
  if (model.folder.architecture.kind !== "causal") return [];
  const continuations: Continuation[] = [];
  for (const sequence of sequences) {
    const prompt = sequence.slice(0, Math.ceil(sequence.length / 2));
    const asked = Math.min(greedyTokens, model.contextLength - prompt.length);
    continuations.push({ prompt, asked, tokens: await generate(model, prompt, asked) });
  }
  return continuations;
}
