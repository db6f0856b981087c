/** Tiny models for tests: the golden ones, random ones, and ones with a fault put in. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { WeightDtype } from "../../engine/devices/device.ts";
import { initModel } from "../../engine/model/random-weights.ts";

export function golden(...parts: string[]): string {
  return fileURLToPath(new URL(`../golden/${parts.join("/")}`, import.meta.url));
}

/** Folders below golden/hf. */
export const goldenModels = [
  "gpt2",
  "gpt2-hubnames",
  "opt",
  "opt-postnorm-proj",
  "llama",
  "llama-sharded-bf16",
  "mistral",
  "qwen2",
  "qwen3",
  "phi3",
  "gemma2",
  "gemma3",
  "roberta",
];

/** A folder that is gone when the test is. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "steplog-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

export const tinyConfig = {
  model_type: "opt",
  vocab_size: 64,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  ffn_dim: 32,
  max_position_embeddings: 24,
  word_embed_proj_dim: 16,
  eos_token_id: 2,
};

/** A random OPT of some 8,000 parameters. */
export async function randomModel(dtype: WeightDtype = "F32", config: object = {}): Promise<string> {
  const out = join(await scratch(), "model");
  await initModel({ config: { ...tinyConfig, init_std: 0.2, ...config }, seed: 1, dtype, out });
  return out;
}

/** A copy of the golden OPT that `change` may damage. */
export async function damagedModel(change: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(await scratch(), "model");
  await cp(golden("hf/opt"), folder, { recursive: true });
  await change(folder);
  return folder;
}

/** Rewrites the JSON header of a folder's model.safetensors, leaving the tensors' bytes as they are. */
export async function editHeader(folder: string, edit: (header: Record<string, HeaderEntry>) => void): Promise<void> {
  const path = join(folder, "model.safetensors");
  const file = await readFile(path);
  const length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<string, HeaderEntry>;
  edit(header);
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  await writeFile(path, Buffer.concat([size, json, file.subarray(8 + length)]));
}

export interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
