/** A pattern that backtracks for ever on a row, and on no text before it, ends neither the worker nor a request to stop. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import type { EngineMessage, FineTuneRequest } from "../../engine/thread/messages.ts";
import { hyperparametersSchema } from "../../schema/hyperparameters.ts";
import { startEngine } from "../../worker/engine-run.ts";
import { scratch } from "../support/models.ts";
import { modelPath } from "./run.ts";

const plain = { name: "plain", threads: 1, devicesDir: null };

/** A run on the demo's base, with this pattern in its tokenizer, and a row on which it takes for ever. */
async function endlessRun(): Promise<FineTuneRequest> {
  const folder = await scratch();
  const path = join(folder, "endless");
  await cp(modelPath, path, { recursive: true });
  const tokenizer = JSON.parse(await readFile(join(path, "tokenizer.json"), "utf8")) as Record<string, unknown>;
  const pattern = { type: "Split", pattern: { Regex: "(q+)+$" }, behavior: "Isolated", invert: false };
  await writeFile(join(path, "tokenizer.json"), JSON.stringify({ ...tokenizer, pre_tokenizer: pattern }));
  const datasetPath = join(folder, "rows.jsonl");
  await writeFile(datasetPath, JSON.stringify({ prompt: `${"q".repeat(64)}!`, completion: " great" }));
  const hyperparameters = hyperparametersSchema.parse({ steps: 1, learningRate: 1e-4 });
  return {
    kind: "FINE_TUNE",
    modelPath: path,
    base: await baseHash(await openModelFolder(path)),
    hashesDir: join(folder, "hashes"),
    datasetPath,
    validationPath: null,
    testPath: null,
    labelWords: [],
    calibrationPrompt: null,
    hyperparameters,
    fork: null,
    entries: { seed: hyperparameters.seed, scalars: new Uint8Array(), decays: null },
    stepsDone: 0,
    losses: new Float64Array(),
    evaluated: [],
    pickedRate: null,
    weightsDir: null,
  };
}

test("it is given up, and the model is blamed by name", { timeout: 60_000 }, async () => {
  const engine = startEngine(await endlessRun(), plain, { patience: { callMs: 300, stoppingMs: 300 } });
  const all = async () => {
    for await (const message of engine.messages) expect(message.type).toBe("never");
  };
  await expect(all()).rejects.toMatchObject({
    code: "MODEL_INVALID",
    message: expect.stringMatching(/chat template of endless on a text was given up: .* 0\.\d s\./u) as unknown,
  });
  await engine.end();
});

test("a request to stop is answered, and the thread ends", { timeout: 60_000 }, async () => {
  let looks = 0;
  const patience = {
    stoppingMs: 300,
    // Read at each look at a call that runs: by the fifth it is the endless one.
    get callMs() {
      if (++looks === 5) engine.stop();
      return 60_000;
    },
  };
  const engine = startEngine(await endlessRun(), plain, { patience });
  const said: EngineMessage[] = [];
  for await (const message of engine.messages) said.push(message);
  expect(said).toStrictEqual([{ type: "stopped" }]);
  expect(looks).toBeGreaterThanOrEqual(5);
  await engine.end();
});
