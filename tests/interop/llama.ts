/**
 * npm run test:interop:llama -- --llama FOLDER [--python PATH]: what we rebuild is what llama.cpp loads.
 *
 * Each base of a family that llama.cpp has is fine-tuned for a few steps and rebuilt: the model, and its adapter merged, in
 * each dtype. llama.cpp's own converter makes GGUF files of the folders, and llama.cpp must write our greedy continuations,
 * computing in float32 as we do. FOLDER is where the npm package node-llama-cpp is installed (npm install --ignore-scripts):
 * it has llama.cpp's libraries inside and, as a git bundle, the sources of the same release with the converter. That needs a
 * Python with torch and transformers, as run.ts does.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { SeededAdapter } from "../../engine/model/adapters/adapter.ts";
import { seededLora, targetedModules } from "../../engine/model/adapters/lora.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { invariant } from "../../schema/errors.ts";
import type { OutputDtype } from "../../schema/output-dtype.ts";
import type { Continuation, Subject } from "./subjects.ts";
import { continuationsOf, fineTune, goldenSubject } from "./subjects.ts";

/** Golden models of families that llama.cpp's converter knows. */
const subjects = ["llama", "llama-sharded-bf16", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt2"];

/**
 * Changes of configs to what llama.cpp computes, with the same weights: it has no sliding window for Mistral, takes the kinds of
 * Gemma 3's layers by a pattern of six, and reads `n_ctx` of GPT-2, which configs on the hub have.
 */
const changes: Readonly<Record<string, readonly [RegExp, string]>> = {
  mistral: [/"sliding_window": \d+/u, '"sliding_window": null'],
  gemma3: [/"full_attention"(?=\s*\])/u, '"sliding_attention"'],
  gpt2: [/"n_positions": (\d+)/u, '"n_ctx": $1,\n  "n_positions": $1'],
};

interface Case {
  readonly name: string;
  readonly folder: string;
  readonly gguf: string;
  readonly greedy: readonly Continuation[];
}

/** What is used of node-llama-cpp. */
interface LlamaCpp {
  readonly getLlama: (options: object) => Promise<Llama>;
}
interface Llama {
  loadModel(options: object): Promise<LlamaModel>;
  dispose(): Promise<void>;
}
interface LlamaModel {
  createContext(options: object): Promise<{ getSequence(): LlamaSequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface LlamaSequence {
  evaluate(tokens: readonly number[], options: object): AsyncIterable<number>;
}

const { values } = parseArgs({ options: { llama: { type: "string" }, python: { type: "string" } } });
const python = values.python ?? process.env["STEPLOG_PYTHON"] ?? "python3";
const installed = values.llama ?? process.env["STEPLOG_LLAMA"];
if (installed === undefined) process.stderr.write("*** SKIPPED: --llama names no folder with node-llama-cpp.\n");
else {
  // Should the process end before it has compared everything.
  process.exitCode = 1;
  process.exitCode = await main(join(resolve(installed), "node_modules", "node-llama-cpp"));
}

async function main(llama: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "steplog-llama-"));
  try {
    const sources = join(folder, "sources");
    execFileSync("git", ["clone", "-q", join(llama, "llama", "gitRelease.bundle"), sources], { stdio: "ignore" });
    const cases: Case[] = [];
    for (const name of subjects) cases.push(...(await casesOf(await goldenSubject(name), join(folder, name))));
    const converter = fileURLToPath(new URL("llama.py", import.meta.url));
    convert([converter, sources, ...cases.flatMap((one) => [one.folder, one.gguf])]);
    return await compareAll(llama, cases);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws with what the converter said, which is much, when it fails */
function convert(args: readonly string[]): void {
  const { status, stderr } = spawnSync(python, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`The converter failed: ${stderr.slice(-2_000)}`);
}

async function casesOf(subject: Subject, folder: string): Promise<Case[]> {
  const base = join(folder, "base");
  await mkdir(folder);
  await cp(subject.path, base, { recursive: true });
  await writeVocabulary(base);
  await changeConfig(base, subject.name);
  const { architecture } = await openModelFolder(base);
  const lora = seededLora(targetedModules(architecture, ["*"]), { rank: 4, alpha: 8, seed: 7 });
  return [
    await rebuiltCase(subject, folder, null, null),
    await rebuiltCase(subject, folder, null, "bfloat16"),
    await rebuiltCase(subject, folder, lora, "float32"),
    await rebuiltCase(subject, folder, lora, "float16"),
  ];
}

/** The fine-tuned model, or with an adapter the base with the adapter merged. */
async function rebuiltCase(
  subject: Subject,
  folder: string,
  adapter: SeededAdapter | null,
  dtype: OutputDtype | null,
): Promise<Case> {
  const device = createPlainDevice();
  const form = `${adapter ? "merged" : "model"}, ${dtype ?? "as trained"}`;
  const out = join(folder, form.replaceAll(/\W+/gu, "-"));
  const { log, digest } = await fineTune(subject, join(folder, "base"), device, adapter);
  const base = await openModelFolder(join(folder, "base"));
  const options = { base, log, out, device, verify: true, replace: false, merge: adapter !== null, dtype } as const;
  const rebuilt = await reconstruct(options);
  invariant(rebuilt.digest === digest, `${subject.name}: the rebuilt weights are those that were trained`);
  const model = await loadModel(await openModelFolder(out), device, "normal");
  const greedy = await continuationsOf(model, subject.sequences);
  return { name: `${subject.name}, ${form}`, folder: out, gguf: `${out}.gguf`, greedy };
}

/** Golden models have none, and llama.cpp loads no model without: the 127 first bytes, and one merge, since there must be one. */
async function writeVocabulary(folder: string): Promise<void> {
  const tokens = Array.from({ length: 127 }, (_, byte) => String.fromCodePoint(byte > 32 ? byte : 256 + byte));
  const vocab = Object.fromEntries([...tokens, "ab"].map((token, id) => [token, id]));
  const byBytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    version: "1.0",
    added_tokens: [],
    pre_tokenizer: byBytes,
    decoder: byBytes,
    model: { type: "BPE", vocab, merges: ["a b"] },
  };
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  const config = { tokenizer_class: "PreTrainedTokenizerFast" };
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(config));
}

async function changeConfig(folder: string, name: string): Promise<void> {
  const [known, changed] = changes[name] ?? [];
  if (!known || changed === undefined) return;
  const path = join(folder, "config.json");
  await writeFile(path, (await readFile(path, "utf8")).replace(known, changed));
}

async function compareAll(folder: string, cases: readonly Case[]): Promise<number> {
  const { getLlama } = (await import(pathToFileURL(join(folder, "dist", "index.js")).href)) as LlamaCpp;
  const llama = await getLlama({ build: "never", gpu: false, progressLogs: false, logLevel: "error" });
  let equal = 0;
  for (const { name, gguf, greedy } of cases) {
    const model = await llama.loadModel({ modelPath: gguf, gpuLayers: 0 });
    const problems: string[] = [];
    for (const wanted of greedy) {
      const tokens = await continued(model, wanted);
      if (tokens.join() !== wanted.tokens.join()) {
        problems.push(`writes ${tokens.join()} after ${wanted.prompt.join()} instead of ${wanted.tokens.join()}`);
      }
    }
    await model.dispose();
    equal += problems.length === 0 ? 1 : 0;
    const written = greedy.reduce((sum, { tokens }) => sum + tokens.length, 0);
    process.stdout.write(`${name.padEnd(36)} ${written} tokens: ${problems.join("; ") || "ok"}\n`);
  }
  await llama.dispose();
  process.stdout.write(`${equal} of ${cases.length} folders are what llama.cpp computes\n`);
  return equal === cases.length ? 0 : 1;
}

/** As many of the likeliest tokens as we wrote; ours end earlier at an end of sequence. */
async function continued(model: LlamaModel, { prompt, tokens }: Continuation): Promise<number[]> {
  const cache = { experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" };
  const context = await model.createContext({ contextSize: 64, flashAttention: false, threads: 1, ...cache });
  const written: number[] = [];
  for await (const token of context.getSequence().evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    if (written.length === tokens.length) break;
    written.push(token);
  }
  await context.dispose();
  return written;
}
