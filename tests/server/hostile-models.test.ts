/** A tokenizer or chat template that never ends, or fails, is the model's fault; the gateway goes on. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { HastySandbox, hostile } from "../support/hostile.ts";
import { golden, scratch } from "../support/models.ts";
import type { CreatedFineTune } from "./harness.ts";
import { createDataset, createFineTuneMutation, modelRow, testServer } from "./harness.ts";

test("createFineTune refuses it by name, and the next request is answered", { timeout: 60_000 }, async () => {
  const [sandbox, modelsDir] = [new HastySandbox(), await scratch()];
  const server = await testServer({ sandbox, modelsDir });
  onTestFinished(async () => {
    sandbox.close();
    await server.dispose();
  });
  const goodText = await readFile(golden("tokenizers", "bytelevel-gpt2", "tokenizer.json"), "utf8");
  const create = async (baseModel: string, dataset: string) => {
    await server.store.baseModels.register(modelRow(baseModel));
    return server.gql<CreatedFineTune>(createFineTuneMutation, { input: { name: "run", baseModel, dataset } });
  };
  const write = async (name: string, files: Readonly<Record<string, object | string>>) => {
    await mkdir(join(modelsDir, name));
    for (const [file, value] of Object.entries({ "tokenizer.json": goodText, ...files })) {
      await writeFile(join(modelsDir, name, file), typeof value === "string" ? value : JSON.stringify(value));
    }
  };
  const dataset = await createDataset(server);
  const codes = await Promise.all(
    Object.values(hostile).map(async (filesOf, index) => {
      const name = `hostile-${index}`;
      await write(name, filesOf(JSON.parse(goodText) as Record<string, unknown>));
      const { errors } = await create(name, dataset);
      return errors?.[0]?.extensions.code ?? "none";
    }),
  );
  const expected = Object.fromEntries(Object.keys(hostile).map((what) => [what, "MODEL_INVALID"]));
  expect(Object.fromEntries(Object.keys(hostile).map((what, index) => [what, codes[index]]))).toStrictEqual(expected);

  await write("good", {});
  expect((await create("good", dataset)).errors).toBeUndefined();
});
