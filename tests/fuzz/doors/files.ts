/** Files of models, and logs. */
import { cp, mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { baseHash, openModelFolder } from "../../../engine/model/files/folder.ts";
import { readPyTorchHeader, readPyTorchTensor } from "../../../models/pytorch/tensors.ts";
import { decodeStepLog, encodeEntries } from "../../../schema/step-log.ts";
import type { checkTokenizer } from "../../../dataset/tasks.ts";
import { limitsFor } from "../../../sandbox/limits.ts";
import { Sandbox } from "../../../sandbox/sandbox.ts";
import { programPath } from "../../../schema/package.ts";
import type { Door, OpenDoor } from "../door.ts";
import { put } from "../door.ts";
import type { Random } from "../mutate.ts";
import { mutateBytes, mutateJson } from "../mutate.ts";

const golden = (path: string) => fileURLToPath(new URL(`../../golden/${path}`, import.meta.url));

const families = ["opt", "gpt2", "llama", "mistral", "qwen3", "phi3", "gemma3", "roberta"];
const tokenizers = golden("tokenizers");

const header = {
  format: 1 as const,
  base: "ab".repeat(32),
  trainable: [{ name: "w", shape: [2, 2], dtype: "F32" as const }],
  noise: "rademacher" as const,
  seed: 7,
  hyperparameters: { steps: 100 },
};

async function logs(): Promise<Door> {
  const entries = (count: number, decay?: number) =>
    Array.from({ length: count }, (_, k) => ({
      seed: BigInt(k % 5 === 4 ? k * 7 : k),
      scalar: k - 1.5,
      ...(decay === undefined ? {} : { decay }),
    }));
  const seeds = [encodeEntries(header, entries(3)), encodeEntries(header, entries(40, 0.5))];
  return {
    input: (random) => mutateBytes(random.of(seeds), random),
    feed: async (bytes) => void decodeStepLog(bytes),
  };
}

async function safetensors(folder: string): Promise<Door> {
  await cp(golden("hf/opt"), folder, { recursive: true });
  const seed = await readFile(golden("hf/opt/model.safetensors"));
  const length = Number(seed.readBigUInt64LE());
  return {
    input: (random) => (random.below(2) === 0 ? mutateBytes(seed, random) : withHeader(seed, length, random)),
    async feed(bytes) {
      await put(folder, "model.safetensors", bytes);
      await baseHash(await openModelFolder(folder));
    },
  };
}

/** The same tensors after a header with changed JSON and the length that goes with it. */
function withHeader(file: Buffer, length: number, random: Random): Uint8Array {
  const json = mutateJson(file.subarray(8, 8 + length).toString(), random);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([size, json, file.subarray(8 + length)]);
}

async function configs(folder: string): Promise<Door> {
  const seeds = new Map<string, string>();
  for (const family of families) {
    await cp(golden(`hf/${family}`), join(folder, family), { recursive: true });
    seeds.set(family, await readFile(golden(`hf/${family}/config.json`), "utf8"));
  }
  let family = "";
  return {
    input(random) {
      family = random.of([...seeds.keys()]);
      return mutateJson(seeds.get(family) ?? "", random);
    },
    async feed(bytes) {
      await put(join(folder, family), "config.json", bytes);
      await openModelFolder(join(folder, family));
    },
  };
}

/** The small files of torch.save among the golden ones. */
async function pyTorch(folder: string): Promise<Door> {
  const names = (await readdir(golden("pytorch"))).filter((name) => /\.(?:bin|pt)$/u.test(name));
  const seeds = await Promise.all(names.map((name) => readFile(golden(`pytorch/${name}`))));
  return {
    input: (random) => mutateBytes(random.of(seeds), random),
    async feed(bytes) {
      const path = await put(folder, "pytorch_model.bin", bytes);
      for (const tensor of await readPyTorchHeader(path))
        for await (const piece of readPyTorchTensor(tensor)) void piece;
    },
  };
}

async function shardIndex(folder: string): Promise<Door> {
  const name = "model.safetensors.index.json";
  await cp(golden("hf/llama-sharded-bf16"), folder, { recursive: true });
  const seed = await readFile(join(folder, name), "utf8");
  return {
    input: (random) => mutateJson(seed, random),
    async feed(bytes) {
      await put(folder, name, bytes);
      await openModelFolder(folder);
    },
  };
}

async function tokenizerFiles(folder: string): Promise<Door> {
  const names = await readdir(tokenizers);
  const files: { name: string; file: string; text: string }[] = [];
  for (const name of names) {
    await mkdir(join(folder, name), { recursive: true });
    for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
      const text = await readFile(join(tokenizers, name, file), "utf8").catch(() => null);
      if (text === null) continue;
      await put(join(folder, name), file, text);
      files.push({ name, file, text });
    }
  }
  const sandbox = new Sandbox();
  let chosen = { name: "", file: "", text: "" };
  const door: Door = {
    input(random) {
      chosen = random.of(files);
      return mutateJson(chosen.text, random);
    },
    async feed(bytes) {
      const place = join(folder, chosen.name);
      await put(place, chosen.file, bytes);
      try {
        await sandbox.run<typeof checkTokenizer>({
          file: programPath("dataset/tasks"),
          name: "checkTokenizer",
          input: { folder: place },
          limits: limitsFor(bytes.length),
          blame: { code: "MODEL_INVALID", doing: "Loading the tokenizer" },
        });
      } finally {
        await put(place, chosen.file, chosen.text);
      }
    },
    close: async () => sandbox.close(),
  };
  // On a busy machine it takes long to start a process, which is no fault of an input.
  const [first] = files;
  if (first) await door.feed(Buffer.from((chosen = first).text));
  return door;
}

export const fileDoors: Readonly<Record<string, OpenDoor>> = {
  log: logs,
  safetensors,
  config: configs,
  PyTorch: pyTorch,
  "shard index": shardIndex,
  tokenizer: tokenizerFiles,
};
