import { readFile, rename, rm, truncate, writeFile, appendFile } from "node:fs/promises";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { readTensor } from "../../engine/model/files/safetensors.ts";
import { trainableTensors } from "../../engine/model/trainable.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog, encodeEntries } from "../../schema/step-log.ts";
import { damagedModel, editHeader, golden, randomModel, scratch } from "../support/models.ts";

const weights = "model.safetensors";
const query = "model.decoder.layers.0.self_attn.q_proj.weight";

describe("a model folder is refused, saying what is wrong,", () => {
  test.each<[string, (folder: string) => Promise<void>, RegExp]>([
    [
      "with a tensor missing",
      (f) => editHeader(f, (h) => rename1(h, query, `${query}x`)),
      /q_proj\.weight is missing/u,
    ],
    [
      "with a shape that does not fit",
      (f) => editHeader(f, (h) => reshape(h, query, [16, 64])),
      /\[16,64\].*\[32,32\]/u,
    ],
    ["with bytes that do not fit a shape", (f) => editHeader(f, (h) => reshape(h, query, [32, 31])), /needs 3968/u],
    ["with a dtype it cannot train", (f) => editHeader(f, (h) => retype(h, query, "I32")), /dtype I32/u],
    ["with an unknown dtype", (f) => editHeader(f, (h) => retype(h, query, "F3")), /unknown dtype F3/u],
    ["with tensors that overlap", (f) => editHeader(f, (h) => shift(h, query, -4)), /overlaps/u],
    ["truncated", (f) => truncate(join(f, weights), 50_000), /truncated/u],
    ["truncated in its header", (f) => truncate(join(f, weights), 100), /truncated inside its header/u],
    ["empty", (f) => truncate(join(f, weights), 0), /only 0 bytes/u],
    ["with trailing bytes", (f) => appendFile(join(f, weights), "x"), /1 byte after its last tensor/u],
    ["with a header that is not JSON", (f) => writeFile(join(f, weights), header("{nonsense")), /not JSON/u],
    ["with a header of absurd size", (f) => writeFile(join(f, weights), Buffer.alloc(16, 255)), /claims/u],
    ["without weights", (f) => rm(join(f, weights)), /has no model\.safetensors/u],
    [
      "with pickled weights only",
      (f) => rename(join(f, weights), join(f, "pytorch_model.bin")),
      /steplog model add turns/u,
    ],
    ["with other pickled weights", (f) => rename(join(f, weights), join(f, "model.pt")), /safe_serialization/u],
    ["with shards and no index", (f) => rename(join(f, weights), join(f, "model-1.safetensors")), /without the index/u],
    ["without a config", (f) => rm(join(f, "config.json")), /has no config\.json/u],
    ["with a config that is not JSON", (f) => writeFile(join(f, "config.json"), "{"), /config\.json is not JSON/u],
    [
      "with a tensor that is not in the model",
      (f) => editHeader(f, (h) => void (h["extra"] = { dtype: "F32", shape: [0], data_offsets: [0, 0] })),
      /extra is not part/u,
    ],
    ["with an index that leaves the folder", (f) => sharded(f, "../../etc/passwd"), /not a plain file name/u],
    ["with a shard missing", (f) => sharded(f, "model-2.safetensors"), /has no model-2\.safetensors/u],
  ])("%s", async (_, damage, words) => {
    const folder = await damagedModel(damage);
    await expect(openModelFolder(folder)).rejects.toThrow(expect.objectContaining({ code: "MODEL_INVALID" }));
    await expect(openModelFolder(folder)).rejects.toThrow(words);
  });

  test("whose weights are in GGUF", async () => {
    const folder = await damagedModel((f) => rename(join(f, weights), join(f, "model-Q4_K.gguf")));
    await expect(openModelFolder(folder)).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
  });

  test("that does not exist", async () => {
    const file = golden("hf/opt/config.json");
    await expect(openModelFolder(file)).rejects.toThrow(/config\.json is a file, not a folder\. Give a folder/u);
    await expect(openModelFolder("/nowhere/at/all")).rejects.toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
  });
});

describe("the base hash", () => {
  test("is the documented one", async () => {
    const folder = await openModelFolder(golden("hf/opt"));
    const lines = await Promise.all(
      folder.tensors.map(async (tensor) => {
        const sha256 = createHash("sha256")
          .update(await readTensor(tensor))
          .digest("hex");
        return `${tensor.name} ${tensor.dtype} [${tensor.shape.join(",")}] ${sha256}\n`;
      }),
    );
    expect(await baseHash(folder)).toBe(createHash("sha256").update(lines.toSorted().join("")).digest("hex"));
  });

  test("changes with one bit of one weight", async () => {
    const changed = await damagedModel(async (folder) => {
      const bytes = await readFile(join(folder, weights));
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      await writeFile(join(folder, weights), bytes);
    });
    expect(await baseHash(await openModelFolder(changed))).not.toBe(
      await baseHash(await openModelFolder(golden("hf/opt"))),
    );
  });
});

describe("a reconstruction", () => {
  const logOf = async (path: string) => {
    const folder = await openModelFolder(path);
    const trainable = trainableTensors(folder);
    const header = {
      format: 1 as const,
      base: await baseHash(folder),
      trainable,
      noise: "normal" as const,
      seed: 0,
      hyperparameters: {},
    };
    return decodeStepLog(encodeEntries(header, [{ seed: 0n, scalar: 0.5 }]));
  };
  const options = { device: createPlainDevice(), verify: true, replace: false };

  test("on the wrong base names both hashes and leaves nothing", async () => {
    const log = await logOf(golden("hf/opt"));
    const base = await openModelFolder(await randomModel());
    const out = join(await scratch(), "out");
    const attempt = reconstruct({ ...options, base, log, out });
    await expect(attempt).rejects.toThrow(expect.objectContaining({ code: "BASE_MISMATCH" }));
    await expect(attempt).rejects.toThrow(new RegExp(`${log.header.base}.*${await baseHash(base)}`, "u"));
    await expect(readFile(join(out, "config.json"))).rejects.toThrow("ENOENT");
  });

  test("does not overwrite a folder without --force", async () => {
    const out = await scratch();
    await writeFile(join(out, "precious"), "year of work");
    const base = await openModelFolder(golden("hf/opt"));
    const log = await logOf(golden("hf/opt"));
    await expect(reconstruct({ ...options, base, log, out })).rejects.toThrow(
      expect.objectContaining({ code: "CONFLICT" }),
    );
    expect(await readFile(join(out, "precious"), "utf8")).toBe("year of work");
  });

  test("refuses a log that trains what the base does not have", async () => {
    const log = await logOf(golden("hf/opt"));
    const header = { ...log.header, trainable: [{ name: "other", shape: [1], dtype: "F32" as const }] };
    const base = await openModelFolder(golden("hf/opt"));
    const out = join(await scratch(), "out");
    await expect(reconstruct({ ...options, base, log: { ...log, header }, out })).rejects.toThrow(/no tensor other/u);
  });

  test("copies the rest of the folder unchanged", async () => {
    const base = await openModelFolder(golden("hf/opt"));
    const out = join(await scratch(), "out");
    await reconstruct({ ...options, base, log: await logOf(golden("hf/opt")), out });
    expect(await readFile(join(out, "config.json"))).toStrictEqual(await readFile(golden("hf/opt/config.json")));
  });
});

type Header = Parameters<Parameters<typeof editHeader>[1]>[0];

function rename1(entries: Header, from: string, to: string): void {
  const entry = entries[from];
  if (!entry) throw new Error(`${from} is in the header`);
  entries[to] = entry;
  delete entries[from];
}

async function sharded(folder: string, file: string): Promise<void> {
  await rm(join(folder, weights));
  await writeFile(join(folder, `${weights}.index.json`), JSON.stringify({ weight_map: { a: file } }));
}

function reshape(entries: Header, name: string, shape: number[]): void {
  const entry = entries[name];
  if (entry) entry.shape = shape;
}

function retype(entries: Header, name: string, dtype: string): void {
  const entry = entries[name];
  if (entry) entry.dtype = dtype;
}

function shift(entries: Header, name: string, by: number): void {
  const entry = entries[name];
  if (entry) entry.data_offsets = [entry.data_offsets[0] + by, entry.data_offsets[1] + by];
}

function header(text: string): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, Buffer.from(text)]);
}
