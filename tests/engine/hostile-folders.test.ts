/** Whatever a config or the head of a weight file says, a folder opens or is refused with a reason, at once and in little memory. */
import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configureModel } from "../../engine/model/families/all.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { SteplogError } from "../../schema/errors.ts";
import { golden, scratch } from "../support/models.ts";

const refusals = new Set(["MODEL_INVALID", "MODEL_UNSUPPORTED"]);

/** What is wrong with an error that a folder may cause: nothing if it is a refusal. */
function faults(error: unknown, what: string): string[] {
  const refused = error instanceof SteplogError && refusals.has(error.code);
  return refused ? [] : [`${what}: ${String(error)}`];
}

const strange: readonly unknown[] = [
  null,
  true,
  "",
  "x",
  0,
  -1,
  1,
  3,
  0.5,
  1e9,
  1e308,
  2 ** 53,
  [],
  [1],
  {},
  { rope_type: "yarn" },
  { rope_type: "longrope", factor: 1e300, short_factor: [], long_factor: [] },
  { type: "linear", factor: -1 },
  { "": null },
];

const models = ["gpt2", "opt", "llama", "mistral", "qwen2", "qwen3", "phi3", "gemma2", "gemma3", "roberta"];

test.each(models)("a config of %s with any value in any field", (name) => {
  const config = JSON.parse(readFileSync(golden("hf", name, "config_v4.json"), "utf8")) as Record<string, unknown>;
  const found: string[] = [];
  for (const field of [...Object.keys(config), "rope_scaling", "rope_parameters", "layer_types", "quantization"]) {
    for (const value of strange) {
      try {
        configureModel({ ...config, [field]: value });
      } catch (error) {
        found.push(...faults(error, `${field} = ${JSON.stringify(value)}`));
      }
    }
  }
  expect(found).toStrictEqual([]);
});

test.each([null, 1, "x", [], {}, { model_type: {} }, { model_type: "__proto__" }, { model_type: ["opt"] }])(
  "a config that is %j",
  (config) => {
    expect(() => configureModel(config)).toThrow(SteplogError);
  },
);

describe("a weight file", () => {
  const header = readFileSync(golden("hf/opt/model.safetensors"));
  const length = Number(header.readBigUInt64LE());

  test("with any byte of its head changed, or cut anywhere there", async () => {
    const folder = join(await scratch(), "model");
    await mkdir(folder);
    await writeFile(join(folder, "config.json"), await readFile(golden("hf/opt/config.json")));
    const found: string[] = [];
    for (let i = 0; i < 60; i++) {
      const whole = Buffer.from(header);
      whole[(i * 104_729) % (length + 8)] = (i * 37) % 256;
      await writeFile(join(folder, "model.safetensors"), i % 3 === 0 ? whole.subarray(0, (i * 131) % length) : whole);
      await openModelFolder(folder).catch((error: unknown) => found.push(...faults(error, `change ${i}`)));
    }
    expect(found).toStrictEqual([]);
  });

  test.each<[string, object]>([
    ["a shape without end", { a: { dtype: "F32", shape: [2 ** 50, 2 ** 50], data_offsets: [0, 0] } }],
    ["an offset without end", { a: { dtype: "F32", shape: [], data_offsets: [0, 2 ** 60] } }],
    ["a name of every object", JSON.parse('{"__proto__":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}') as object],
    ["a dtype of every object", { a: { dtype: "constructor", shape: [], data_offsets: [0, 4] } }],
    [
      "very many tensors",
      Object.fromEntries(
        Array.from({ length: 5_000 }, (_, i) => [`t${i}`, { dtype: "F32", shape: [0], data_offsets: [4, 4] }]),
      ),
    ],
  ])("with %s", async (_, entries) => {
    const folder = join(await scratch(), "model");
    await mkdir(folder);
    await writeFile(join(folder, "config.json"), await readFile(golden("hf/opt/config.json")));
    const text = Buffer.from(JSON.stringify(entries));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(text.length));
    await writeFile(join(folder, "model.safetensors"), Buffer.concat([size, text, Buffer.alloc(4)]));
    const error: unknown = await openModelFolder(folder).catch((thrown: unknown) => thrown);
    expect(faults(error, "opened")).toStrictEqual([]);
  });
});
