/** Folders and configs that differ from the golden ones as published models do, judged by transformers (tests/golden/variants.py). */
import { readFileSync } from "node:fs";
import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { generate } from "../../engine/generation/generate.ts";
import { configureModel } from "../../engine/model/families/all.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { readSafetensorsHeader, readTensor, writeSafetensors } from "../../engine/model/files/safetensors.ts";
import type { TensorInfo } from "../../engine/model/files/safetensors.ts";
import { loadModel } from "../../engine/model/model.ts";
import { headTensors, trainableTensors } from "../../engine/model/trainable.ts";
import { outputTensors } from "../../engine/replay/replay.ts";
import { answerObjective } from "../../engine/objective/answers.ts";
import { golden, scratch } from "../support/models.ts";

const json = (...parts: string[]) => JSON.parse(readFileSync(golden(...parts), "utf8")) as unknown;

interface Expected {
  kind: "causal_lm" | "masked_lm";
  input_ids: number[][];
  labels: number[][];
  lengths: number[];
  nll: { nll: number }[];
  greedy: { prompt: number[]; tokens: number[] }[];
}

const variants = json("variants.json") as Record<string, Record<string, number[]>>;
const plain = createPlainDevice();

interface Stored extends TensorInfo {
  readonly bytes: Uint8Array;
}

/** A copy of a golden folder with other tensors and config. */
async function changed(
  name: string,
  change: (tensors: Map<string, Stored>, config: Record<string, unknown>) => void,
): Promise<string> {
  const folder = await scratch();
  const path = join(folder, "model.safetensors");
  const header = await readSafetensorsHeader(golden("hf", name, "model.safetensors"));
  const stored = await Promise.all(header.map(async (tensor) => ({ ...tensor, bytes: await readTensor(tensor) })));
  const tensors = new Map<string, Stored>(stored.map((tensor) => [tensor.name, tensor]));
  const config = json("hf", name, "config.json") as Record<string, unknown>;
  change(tensors, config);
  const list = [...tensors].map(([as, tensor]) => ({ ...tensor, name: as }));
  await writeFile(
    path,
    writeSafetensors(list, async function* bytesOf({ bytes }) {
      yield bytes;
    }),
  );
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  return folder;
}

async function lossesOf(folder: string, name: string): Promise<number[]> {
  const { kind, input_ids, labels, lengths } = json("hf", name, "expected.json") as Expected;
  const rows = lengths.map((length, row) => {
    const cut = { input_ids: input_ids[row]?.slice(0, length) ?? [], labels: labels[row]?.slice(0, length) ?? [] };
    return encodeRow(null, cut, kind === "causal_lm" ? "causal" : "masked");
  });
  return [...(await (await loadModel(await openModelFolder(folder), plain, "normal")).losses(rows))];
}

function expectClose(seen: readonly number[], expected: readonly number[]): void {
  expect(seen.length).toBe(expected.length);
  seen.forEach((value, i) => expect(Math.abs(value - (expected[i] ?? NaN))).toBeLessThan(1e-4));
}

function get<T>(map: ReadonlyMap<string, T>, name: string): T {
  const found = map.get(name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

/** The last row of a table first. */
function flipped(tensor: Stored): Stored {
  const [rows = 1] = tensor.shape;
  const row = tensor.bytes.length / rows;
  const parts = Array.from({ length: rows }, (_, i) => tensor.bytes.subarray(i * row, (i + 1) * row));
  return { ...tensor, bytes: Buffer.concat(parts.toReversed()) };
}

const tied = [
  ["gpt2", "transformer.wte.weight", "lm_head.weight"],
  ["opt", "model.decoder.embed_tokens.weight", "lm_head.weight"],
  ["gemma2", "model.embed_tokens.weight", "lm_head.weight"],
  ["roberta", "roberta.embeddings.word_embeddings.weight", "lm_head.decoder.weight"],
] as const;

describe.each(tied)("the tied head of %s", (name, table, head) => {
  const expected = (json("hf", name, "expected.json") as Expected).nll.map(({ nll }) => nll);

  test("is its own if the file holds another one, which is then trained", async () => {
    const folder = await changed(name, (tensors) => void tensors.set(head, flipped(get(tensors, table))));
    expectClose(await lossesOf(folder, name), variants["own-head"]?.[name] ?? []);
    const opened = await openModelFolder(folder);
    const trainable = trainableTensors(opened);
    expect(trainable.map((tensor) => tensor.name)).toEqual(expect.arrayContaining([head, table]));
    expect(headTensors(opened).map((tensor) => tensor.name)).toContain(head);
    expect(outputTensors(opened, trainable).map((tensor) => tensor.name)).toContain(head);
  });

  test("may be a copy, which a rebuilt folder leaves out and the hash covers", async () => {
    const folder = await changed(name, (tensors) => void tensors.set(head, get(tensors, table)));
    expectClose(await lossesOf(folder, name), expected);
    const opened = await openModelFolder(folder);
    const trainable = trainableTensors(opened);
    expect(trainable.map((tensor) => tensor.name)).not.toContain(head);
    expect(outputTensors(opened, trainable).map((tensor) => tensor.name)).not.toContain(head);
    expect(await baseHash(opened)).not.toBe(await baseHash(await openModelFolder(golden("hf", name))));
  });

  test("may give the table its only name", async () => {
    const folder = await changed(name, (tensors) => {
      tensors.set(head, get(tensors, table));
      tensors.delete(table);
    });
    expectClose(await lossesOf(folder, name), expected);
    const opened = await openModelFolder(folder);
    expect(headTensors(opened).map((tensor) => tensor.name)).toContain(head);
    expect(outputTensors(opened, trainableTensors(opened)).map((tensor) => tensor.name)).toContain(head);
  });

  test("is missing if neither is stored", async () => {
    const folder = await changed(name, (tensors) => void tensors.delete(table));
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: "MODEL_INVALID", issues: [{ field: table }] });
  });
});

test("RoBERTa's head may have a bias of its own", async () => {
  const own = await changed("roberta", (tensors) => {
    tensors.set("lm_head.decoder.bias", flipped(get(tensors, "lm_head.bias")));
  });
  expectClose(await lossesOf(own, "roberta"), variants["own-bias"]?.["roberta"] ?? []);
});

test("Mistral with layer_types has its window in some layers", async () => {
  const folder = await changed("mistral", (_, config) => {
    Object.assign(config, { sliding_window: 4, layer_types: ["full_attention", "sliding_attention"] });
  });
  expectClose(await lossesOf(folder, "mistral"), variants["layer-types"]?.["mistral"] ?? []);
});

describe("a single file counts before shards:", () => {
  test.each(["whole", "gone"])("of which those of the index are %s", async (state) => {
    const sharded = golden("hf/llama-sharded-bf16");
    const folder = join(await scratch(), "model");
    await cp(sharded, folder, { recursive: true });
    await cp(golden("hf/llama/model.safetensors"), join(folder, "model.safetensors"));
    await cp(golden("hf/llama/config.json"), join(folder, "config.json"));
    if (state === "gone") await rm(join(folder, "model-00002-of-00006.safetensors"));
    expect(await baseHash(await openModelFolder(folder))).toBe(
      await baseHash(await openModelFolder(golden("hf/llama"))),
    );
  });
});

describe("quantised weights are named as such:", () => {
  test.each<[string, object, RegExp]>([
    ["GPTQ", { quantization_config: { quant_method: "gptq", bits: 4 } }, /quantised \(gptq, 4 bits\)/u],
    ["bitsandbytes", { quantization_config: { quant_method: "bitsandbytes", load_in_4bit: true } }, /bitsandbytes/u],
    ["MLX", { quantization: { group_size: 32, bits: 4 } }, /quantised \(mlx, 4 bits\)/u],
  ])("%s, by the config", (_, change, words) => {
    const configure = () => configureModel({ ...(json("hf/llama/config.json") as object), ...change });
    expect(configure).toThrow(expect.objectContaining({ code: "MODEL_UNSUPPORTED" }));
    expect(configure).toThrow(words);
  });

  const query = "model.layers.0.self_attn.q_proj";
  const packed = (dtype: string, bytes: number): Stored => ({
    name: "",
    dtype,
    shape: [8, 8],
    bytes: new Uint8Array(64 * bytes),
  });
  test.each<[string, string, string, number, RegExp]>([
    ["MLX", `${query}.scales`, "F16", 2, /as MLX has it/u],
    ["packed in U32", `${query}.weight`, "U32", 4, /dtype U32/u],
    ["FP8", `${query}.weight`, "F8_E4M3", 1, /dtype F8_E4M3/u],
    ["of half a byte", `${query}.weight`, "F4", 0.5, /dtype F4/u],
    ["GPTQ", `${query}.qweight`, "I32", 4, /GPTQ or AWQ/u],
    ["bitsandbytes", `${query}.weight.absmax`, "F32", 4, /bitsandbytes/u],
    ["compressed-tensors", `${query}.weight_scale`, "BF16", 2, /compressed-tensors/u],
  ])("%s, by the tensors", async (_, name, dtype, bytes, words) => {
    const folder = await changed("llama", (tensors) => void tensors.set(name, packed(dtype, bytes)));
    const refusal = { code: "MODEL_UNSUPPORTED", message: expect.stringMatching(words) as unknown };
    await expect(openModelFolder(folder)).rejects.toMatchObject(refusal);
  });
});

describe("a text ends at the tokens of the generation config", () => {
  const { greedy } = json("hf/llama/expected.json") as Expected;
  const { prompt, tokens } = greedy[0] ?? { prompt: [], tokens: [] };
  const third = tokens[2] ?? NaN;
  const ending = async (text: string) => {
    const folder = await changed("llama", (_, config) => void (config["eos_token_id"] = tokens[3]));
    await writeFile(join(folder, "generation_config.json"), text);
    return loadModel(await openModelFolder(folder), plain, "normal");
  };

  test.each([
    ["one", { eos_token_id: third }, 3],
    ["several", { eos_token_id: [1000, third] }, 3],
    ["none, and the config's count", {}, 4],
    ["null, and the config's count", { eos_token_id: null }, 4],
  ])("in generate: %s", async (_, config, length) => {
    const model = await ending(JSON.stringify(config));
    expect(await generate(model, prompt, tokens.length)).toStrictEqual(tokens.slice(0, length));
  });

  test("in judged answers", async () => {
    const model = await ending(JSON.stringify({ eos_token_id: [third] }));
    const settings = { decode: (ids: readonly number[]) => ids.join(" "), maxTokens: tokens.length };
    const questions = [{ prompt: Int32Array.from(prompt), answers: [tokens.slice(0, 2).join(" ")] }];
    const [missed] = await answerObjective(questions, "EXACT_MATCH", settings).measure(model, [0], null);
    expect([...(missed ?? [])]).toStrictEqual([0]);
  });

  test.each(["{", '{"eos_token_id":"</s>"}', '{"eos_token_id":[1.5]}'])("or is refused: %s", async (text) => {
    await expect(ending(text)).rejects.toMatchObject({ code: "MODEL_INVALID" });
  });
});

describe("fields left out have the defaults of transformers' class:", () => {
  const defaults = json("config-defaults.json") as Record<string, Record<string, unknown>>;

  test.each(Object.keys(defaults))("%s", (family) => {
    // Two layers show every kind of layer; Gemma 3 has its second kind in the sixth.
    const few = family === "gpt2" ? { n_layer: 2 } : { num_hidden_layers: 6 };
    const { layer_types: _, ...named } = defaults[family] ?? {};
    expect(recorded({ model_type: family, ...few })).toStrictEqual(recorded({ ...named, model_type: family, ...few }));
  });

  test("sizes of GPT-2 under other families' names count", () => {
    const sizes = { hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, max_position_embeddings: 64 };
    const own = { n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 };
    expect(recorded({ model_type: "gpt2", ...sizes })).toStrictEqual(recorded({ model_type: "gpt2", ...own }));
    const both = { model_type: "gpt2", ...sizes, ...own, hidden_size: 64 };
    expect(recorded(both)).toStrictEqual(recorded({ model_type: "gpt2", ...own, n_embd: 64 }));
  });
});

/** What a config comes to: the tensors, and every operation of a forward pass with its numbers. */
function recorded(config: object): unknown {
  const architecture = configureModel(config);
  const { tensors, contextLength, keyValueHeads, headSize, vocabulary, padding, head, ties } = architecture;
  const operations: unknown[] = [];
  const pass = new Proxy({} as Parameters<typeof architecture.forward>[0], {
    get:
      (_, operation) =>
      (...values: unknown[]) => {
        operations.push([operation, ...values]);
        return `result ${operations.length}`;
      },
  });
  const named = (name: string) => name as unknown as ReturnType<Parameters<typeof architecture.forward>[1]>;
  architecture.forward(pass, named, { ids: Int32Array.of(5, 6, 7), lengths: [3] }, Int32Array.of(2));
  return { operations, tensors, contextLength, keyValueHeads, headSize, vocabulary, padding, head, ties };
}
