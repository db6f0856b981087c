/**
 * Writes the step logs of this release, once: `npx tsx tests/histories/make.ts tests/histories/VERSION`. They are never written
 * again: what was logged must rebuild the same weights for ever.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import type { LogEntry } from "../../schema/step-log.ts";
import { decodeHeader, encodeEntries } from "../../schema/step-log.ts";
import { runFineTune } from "../../engine/train/run.ts";

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const [out = ""] = process.argv.slice(2);

/** By name: the base, and the settings of a run of 20 steps. */
const runs: Readonly<Record<string, readonly [base: string, settings: Partial<Hyperparameters>]>> = {
  "full-rademacher": ["demo/base", {}],
  "full-normal": ["demo/base", { noise: "NORMAL" }],
  decay: ["demo/base", { weightDecay: 0.5, schedule: "COSINE" }],
  estimates: ["demo/base", { estimates: 2, estimatesAtEnd: 4, weightDecay: 0.1 }],
  tensors: ["demo/base", { tensors: ["layers.0.**", "embed_tokens.weight"] }],
  lora: ["demo/base", { method: "LORA", learningRate: 1e-3 }],
  prefix: ["tests/golden/hf/llama", { method: "PREFIX", noise: "NORMAL", prefixLength: 3 }],
  bfloat16: ["tests/golden/hf/llama-sharded-bf16", { noise: "NORMAL", weightDecay: 0.1 }],
};

const rows = join(tmpdir(), `steplog-histories-${process.pid}.jsonl`);
await writeFile(rows, '{"input_ids": [3, 7, 5, 9], "labels": [-100, -100, 5, 9]}\n{"input_ids": [4, 6, 8], "labels": [-100, 6, 8]}\n');
await mkdir(out, { recursive: true });
const digests: Record<string, { base: string; digest: string }> = {};
for (const [name, [base, settings]] of Object.entries(runs)) {
  const modelPath = root(base);
  let header: Uint8Array = new Uint8Array();
  const entries: LogEntry[] = [];
  const request = {
    kind: "FINE_TUNE",
    modelPath,
    base: await baseHash(await openModelFolder(modelPath)),
    hashesDir: join(tmpdir(), `steplog-histories-${process.pid}`),
    datasetPath: rows,
    validationPath: null,
    testPath: null,
    labelWords: [],
    calibrationPrompt: null,
    hyperparameters: hyperparametersSchema.parse({ learningRate: 1e-3, seed: 5, steps: 20, batchSize: 2, ...settings }),
    fork: null,
    entries: { seed: 0, scalars: new Uint8Array(), decays: null },
    stepsDone: 0,
    losses: new Float64Array(),
    evaluated: [],
    pickedRate: null,
    weightsDir: null,
  } as const;
  for await (const message of runFineTune(request, createPlainDevice(), () => false)) {
    if (message.type === "began") header = message.headerBytes;
    if (message.type === "step") entries.push(...message.entries);
    if (message.type === "checkpoint") digests[name] = { base, digest: message.digest };
  }
  await writeFile(join(out, `${name}.steplog`), encodeEntries(decodeHeader(header), entries));
}
await writeFile(join(out, "digests.json"), `${JSON.stringify(digests, null, 2)}\n`);
