/** Weights of torch.save: read as PyTorch reads them, without running code, and added to the models folder as safetensors. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { cp, readFile, readdir, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeRow } from "../../dataset/encode.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { addFolder } from "../../models/add-folder.ts";
import { addRepository } from "../../models/add-repository.ts";
import { Hub } from "../../models/hub/hub.ts";
import { readStateDict } from "../../models/pytorch/pickle.ts";
import { readPyTorchHeader, readPyTorchTensor } from "../../models/pytorch/tensors.ts";
import { stagingFolder } from "../../models/staging-folder.ts";
import { filesOf, repositoryOf, testHub } from "../support/hub.ts";
import { golden, scratch } from "../support/models.ts";
import { visible } from "../support/model-command.ts";
import { sharingSandbox } from "../support/sandbox.ts";

interface Described {
  dtype: string;
  shape: number[];
  sha256: string;
}

const expected = JSON.parse(readFileSync(golden("pytorch/expected.json"), "utf8")) as {
  views: Record<string, Described>;
  opt: Record<string, Described>;
  rows: number[][];
  losses: number[];
};

async function describeFile(path: string): Promise<Record<string, Described>> {
  const found: Record<string, Described> = {};
  for (const tensor of await readPyTorchHeader(path)) {
    const sha256 = createHash("sha256");
    for await (const chunk of readPyTorchTensor(tensor)) sha256.update(chunk);
    found[tensor.name] = { dtype: tensor.dtype, shape: [...tensor.shape], sha256: sha256.digest("hex") };
  }
  return found;
}

test.each(["views.bin", "legacy.bin", "protocol4.bin", "zip64.bin"])(
  "%s has the tensors that PyTorch reads",
  async (name) => {
    expect(await describeFile(golden("pytorch", name))).toStrictEqual(expected.views);
  },
);

describe("a file of anything but tensors is refused, and no code runs:", () => {
  test.each<[string, RegExp]>([
    ["system", /asks for "(?:posix|os)\.system", which is code/u],
    ["eval", /asks for "[\w.]*eval"/u],
    ["load", /asks for "torch\.serialization\.load"/u],
    ["nested", /entry "state_dict" that is not a tensor/u],
    ["number", /entry "step" that is not a tensor/u],
    ["list", /does not hold a dictionary/u],
    ["compressed", /compressed or encrypted/u],
    ["longer", /storage of w has 32 bytes where 4 F32 belong/u],
    ["shorter", /storage of w has 8 bytes/u],
    ["missing", /storage of w has no bytes/u],
    ["outside", /reaches outside its storage of 4 elements/u],
    ["offset", /reaches outside/u],
    ["negative", /describes a tensor by other values/u],
    ["enormous", /reaches outside/u],
    ["big-endian", /not little-endian/u],
    ["script", /TorchScript/u],
    ["two-pickles", /without one data\.pkl/u],
    ["climbing", /invalid relative path/u],
    ["empty-pickle", /cut short at byte 0/u],
    ["no-pickle", /without one data\.pkl/u],
    ["float8", /asks for "torch/u],
    ["overlapping", /overlap/u],
  ])("%s", async (name, words) => {
    const refusal = { code: "MODEL_INVALID", message: expect.stringMatching(words) as unknown };
    await expect(readPyTorchHeader(golden("pytorch/hostile", `${name}.bin`))).rejects.toMatchObject(refusal);
  });

  test.each([
    ["an instruction that runs code", "\u0080\u0002i os\nsystem\n."],
    ["a value that is not there", "\u0080\u0002."],
    ["a group that never began", "\u0080\u0002t."],
    ["a value below its group", "\u0080\u0002}(s."],
    ["a value that was not stored", "\u0080\u0002h\u0005."],
    ["a text longer than the file", "\u0080\u0002X\u00ff\u00ff\u00ff\u00ff."],
    ["a name without an end", "\u0080\u0002ctorch"],
    ["a call of a class", "\u0080\u0002ctorch\nFloatStorage\n)R."],
    ["a storage of another kind", "\u0080\u0002)Q."],
    ["a tensor of nothing", "\u0080\u0002ctorch._utils\n_rebuild_tensor_v2\n)R."],
    ["a newer protocol", "\u0080\u0009}."],
    ["attributes of a number", "\u0080\u0002K\u0001}b."],
    ["nothing", ""],
  ])("%s", (_, pickle) => {
    expect(() => readStateDict(Buffer.from(pickle, "latin1"))).toThrow(
      expect.objectContaining({ constructor: expect.objectContaining({ name: "PickleError" }) as unknown }),
    );
  });

  test.each(["views.bin", "legacy.bin"])(
    "%s cut anywhere, or with a byte changed, is read or refused",
    async (name) => {
      const whole = await readFile(golden("pytorch", name));
      const path = join(await scratch(), name);
      for (let i = 0; i < 60; i++) {
        const changed = Buffer.from(whole.subarray(0, i % 2 === 0 ? whole.length : (i * 7919) % whole.length));
        if (changed.length > 0) changed[(i * 104_729) % changed.length] = (i * 31) % 256;
        await writeFile(path, changed);
        await describeFile(path).catch((error: unknown) => {
          expect(error).toMatchObject({ code: "MODEL_INVALID" });
        });
      }
    },
  );
});

/** Positions and sizes of a zip file's directory are numbers of up to eight bytes; yauzl reads on in callbacks. */
test("a zip file whose directory has an enormous number anywhere is read or refused", async () => {
  const whole = await readFile(golden("pytorch/zip64.bin"));
  const directory = whole.indexOf("PK\x01\x02");
  const end = whole.indexOf("PK\x06\x06");
  const path = join(await scratch(), "enormous.bin");
  const firstEntry = Array.from(
    { length: whole.indexOf("PK\x01\x02", directory + 4) - directory },
    (_, i) => directory + i,
  );
  const endRecords = Array.from({ length: whole.length - 8 - end }, (_, i) => end + i);
  for (const at of [...firstEntry, ...endRecords]) {
    await writeFile(path, Buffer.concat([whole.subarray(0, at), Buffer.alloc(8, 0xfe), whole.subarray(at + 8)]));
    await readPyTorchHeader(path).catch((error: unknown) => {
      expect(error).toMatchObject({ code: "MODEL_INVALID" });
    });
  }
});

const quiet = { link: false, onProgress: () => {} };
const opt = golden("pytorch/opt");

async function lossesOf(folder: string): Promise<number[]> {
  const model = await loadModel(await openModelFolder(folder), createPlainDevice(), "normal");
  const rows = expected.rows.map((ids) => encodeRow(null, { input_ids: ids, labels: ids }, "causal"));
  const losses = await Promise.all(rows.map((row) => model.losses([row])));
  return losses.map((each) => each.reduce((sum, loss) => sum + loss, 0) / each.length);
}

describe("a model of PyTorch's files", () => {
  test("becomes safetensors in the models folder, with the losses of transformers", async () => {
    const models = await scratch();
    const stages: string[] = [];
    const onProgress = (stage: string) => void stages.push(stage);
    const added = await sharingSandbox(() => addFolder(opt, stagingFolder(models, "opt"), { link: false, onProgress }));
    const folder = join(models, "opt");
    expect(await visible(folder)).toStrictEqual(["config.json", "model.safetensors", "steplog.json"]);
    expect(added.hash).toBe(await baseHash(await openModelFolder(folder)));
    expect(stages).toContain("converting");
    const { "lm_head.weight": _, ...own } = expected.opt;
    const { tensors } = await openModelFolder(folder);
    expect(tensors.map(({ name }) => name)).toStrictEqual(Object.keys(own).toSorted());
    (await lossesOf(folder)).forEach((loss, i) => expect(loss).toBeCloseTo(expected.losses[i] ?? NaN, 4));
    await expect(openModelFolder(opt)).rejects.toThrow(/pytorch_model\.bin, which steplog model add turns into/u);
  });

  test("comes from the hub, also in shards", async () => {
    const files = await filesOf(opt);
    const { "pytorch_model.bin": whole = Buffer.alloc(0), ...rest } = files;
    const shard = "pytorch_model-00001-of-00001.bin";
    const index = { weight_map: { "model.decoder.embed_tokens.weight": shard } };
    const sharded = { ...rest, [shard]: whole, "pytorch_model.bin.index.json": Buffer.from(JSON.stringify(index)) };
    const hub = await testHub({
      "a/single": repositoryOf({ ...files, "vocab.json": Buffer.from("{}"), "flax_model.msgpack": Buffer.alloc(9) }),
      "a/sharded": repositoryOf(sharded),
    });
    const client = new Hub({ endpoint: hub.url, token: undefined });
    const models = await scratch();
    const hashes = new Set<string>();
    for (const repository of ["a/single", "a/sharded"]) {
      const staging = stagingFolder(models, basename(repository));
      const options = { hub: client, pausesMs: [1], onProgress: () => {} };
      hashes.add((await sharingSandbox(() => addRepository(repository, "main", staging, options))).hash);
    }
    hashes.add((await sharingSandbox(() => addFolder(opt, stagingFolder(models, "local"), quiet))).hash);
    expect(hashes.size).toBe(1);
    expect(await visible(join(models, "single"))).toStrictEqual([
      "config.json",
      "model.safetensors",
      "steplog.json",
      "vocab.json",
    ]);
    expect(await visible(join(models, "sharded"))).toStrictEqual(["config.json", "model.safetensors", "steplog.json"]);
  });

  test.each<[string, (folder: string) => Promise<void>, RegExp]>([
    ["cut short", (f) => truncate(join(f, "pytorch_model.bin"), 5000), /cannot be used/u],
    ["that runs code", (f) => cp(golden("pytorch/hostile/system.bin"), join(f, "pytorch_model.bin")), /which is code/u],
    [
      "of another model",
      (f) => cp(golden("pytorch/views.bin"), join(f, "pytorch_model.bin")),
      /do not fit its config/u,
    ],
    ["of another family", (f) => writeFile(join(f, "config.json"), '{"model_type":"mamba"}'), /model_type/u],
  ])("%s leaves nothing", async (_, damage, words) => {
    const folder = join(await scratch(), "model");
    await cp(opt, folder, { recursive: true });
    await damage(folder);
    const models = await scratch();
    await expect(addFolder(folder, stagingFolder(models, "model"), quiet)).rejects.toThrow(words);
    expect(await visible(models)).toStrictEqual([]);
    expect(await readdir(join(models, ".steplog/partial")).catch(() => [])).toStrictEqual([]);
  });
});
