/** A folder that somebody made to harm is refused within seconds, with little memory and a short message. */
import { execFile } from "node:child_process";
import { cp, open, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { golden, scratch } from "../support/models.ts";

/** A copy of a good folder, with one file replaced. */
async function folderWith(name: string, write: (path: string) => Promise<unknown>): Promise<string> {
  const folder = join(await scratch(), "model");
  await cp(golden("hf", "llama"), folder, { recursive: true });
  await rm(join(folder, name), { recursive: true, force: true });
  await write(join(folder, name));
  return folder;
}

const config = { model_type: "llama", vocab_size: 64, hidden_size: 8, num_attention_heads: 2, num_hidden_layers: 1 };
const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
const asText = (value: object) => (path: string) => writeFile(path, JSON.stringify(value));
const text = (content: string) => (path: string) => writeFile(path, content);

/** A file of this size that takes no space. */
const sparse = (bytes: number) => async (path: string) => {
  const file = await open(path, "w");
  await file.truncate(bytes);
  await file.close();
};
const device = (path: string) => symlink("/dev/zero", path);
const pipe = (path: string) => promisify(execFile)("mkfifo", [path]);

function header(tensors: object | string, claimed?: bigint) {
  const json = Buffer.from(typeof tensors === "string" ? tensors : JSON.stringify(tensors));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return (path: string) => writeFile(path, Buffer.concat([length, json]));
}

const tensor = (shape: readonly number[], end = 0) => ({ dtype: "F32", shape, data_offsets: [0, end] });

test.each<readonly [string, string, (path: string) => Promise<unknown>]>([
  ["a billion layers", "config.json", asText({ ...config, num_hidden_layers: 1e9 })],
  ["huge dimensions", "config.json", asText({ ...config, hidden_size: 2 ** 52, intermediate_size: 1e300 })],
  ["sizes that fit no weights", "config.json", asText({ ...config, num_hidden_layers: 2_000, vocab_size: 2 ** 24 })],
  ["a deep config", "config.json", text(`{"model_type":"llama","rope_scaling":${deep(200_000)}}`)],
  ["a deep model type", "config.json", text(`{"model_type":${deep(200_000)}}`)],
  [
    "a deep field that must not be set",
    "config.json",
    text(`{"model_type":"gpt2","add_cross_attention":${deep(200_000)}}`),
  ],
  ["a model type of a megabyte", "config.json", asText({ model_type: "x".repeat(1e6) })],
  ["50,000 ends of sequence", "config.json", asText({ ...config, eos_token_id: Array(50_000).fill("x") })],
  ["a config of a terabyte", "config.json", sparse(2 ** 40)],
  ["a config that is a device", "config.json", device],
  ["a config that is a pipe", "config.json", pipe],
  ["a generation config of a terabyte", "generation_config.json", sparse(2 ** 40)],
  ["weights that are a pipe", "model.safetensors", pipe],
  ["weights that are a device", "model.safetensors", device],
  ["weights without a header", "model.safetensors", sparse(2 ** 40)],
  ["a header of an exabyte", "model.safetensors", header({}, 2n ** 60n)],
  ["a shape beyond all numbers", "model.safetensors", header({ w: tensor([2 ** 52, 2 ** 52, 2 ** 52]) })],
  ["a shape of 100,000 dimensions", "model.safetensors", header({ w: tensor(Array<number>(1e5).fill(2), 4) })],
  ["an endless tensor of no bytes", "model.safetensors", header({ w: tensor([0, 2 ** 52]) })],
  [
    "20,000 tensors",
    "model.safetensors",
    header(Object.fromEntries(Array.from({ length: 2e4 }, (_, i) => [`t${i}`, tensor([0])]))),
  ],
  ["a deep header", "model.safetensors", header(`{"w":${deep(200_000)}}`)],
])("%s in %s", async (_, name, write) => {
  const folder = await folderWith(name, write);
  const before = process.memoryUsage.rss();
  const refused = openModelFolder(folder).then(
    () => null,
    (error: unknown) => error as Error & { code: string },
  );
  const error = await refused;
  expect(["MODEL_INVALID", "MODEL_UNSUPPORTED"]).toContain(error?.code);
  expect(error?.message.length).toBeLessThan(5_000);
  expect(process.memoryUsage.rss() - before).toBeLessThan(500 * 2 ** 20);
});

test.each<readonly [string, string, (path: string) => Promise<unknown>]>([
  ["a tokenizer of a terabyte", "tokenizer.json", sparse(2 ** 40)],
  ["a tokenizer that is a device", "tokenizer.json", device],
  ["a tokenizer that is a pipe", "tokenizer.json", pipe],
  ["a deep tokenizer", "tokenizer.json", text(`{"model":${deep(200_000)}}`)],
  [
    "no post-processor known",
    "tokenizer.json",
    asText({ model: { type: "BPE", vocab: { a: 0 }, merges: [] }, post_processor: { type: "Bad" } }),
  ],
  [
    "a post-processor without tokens",
    "tokenizer.json",
    asText({ model: { type: "BPE", vocab: { a: 0 }, merges: [] }, post_processor: { type: "TemplateProcessing" } }),
  ],
  ["a model that is a number", "tokenizer.json", asText({ model: 7 })],
])("%s in %s", async (_, name, write) => {
  const folder = await folderWith(name, write);
  const loading = loadTokenizer(folder);
  await expect(loading).rejects.toMatchObject({ code: "MODEL_INVALID" });
});
