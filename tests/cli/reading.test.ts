/** What reads a folder on the command line cannot be kept busy by it: a template, or an adapter's pattern, without end. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { encodeFile, encodePromptOf, openForReading } from "../../cli/model.ts";
import { HastySandbox, endlessTemplate } from "../support/hostile.ts";
import { golden, scratch } from "../support/models.ts";

const llama = golden("hf", "llama");

async function copied(): Promise<string> {
  const folder = join(await scratch(), "model");
  await cp(llama, folder, { recursive: true });
  await cp(golden("tokenizers", "bytelevel-gpt2", "tokenizer.json"), join(folder, "tokenizer.json"));
  return folder;
}

function hasty(): HastySandbox {
  const sandbox = new HastySandbox();
  onTestFinished(() => sandbox.close());
  return sandbox;
}

test("a folder's template, or an adapter's pattern", { timeout: 60_000 }, async () => {
  const [sandbox, model, adapter] = [hasty(), await copied(), join(await scratch(), "adapter")];
  await writeFile(join(model, "chat_template.jinja"), endlessTemplate);
  const refused = {
    code: "MODEL_INVALID",
    message: expect.stringMatching(/was given up: nothing happened/u) as unknown,
  };
  await expect(openForReading(sandbox, { model, device: "plain" })).rejects.toMatchObject(refused);

  await cp(join(llama, "adapter"), adapter, { recursive: true });
  const config = JSON.parse(await readFile(join(adapter, "adapter_config.json"), "utf8")) as object;
  const endless = { ...config, alpha_pattern: { "([a-z0-9._]+)+!": 1 } };
  await writeFile(join(adapter, "adapter_config.json"), JSON.stringify(endless));
  await expect(openForReading(sandbox, { model: llama, adapter, device: "plain" })).rejects.toMatchObject(refused);
});

test("a pattern that backtracks on this prompt or these rows alone", { timeout: 60_000 }, async () => {
  const [sandbox, path] = [hasty(), await copied()];
  const tokenizer = JSON.parse(await readFile(join(path, "tokenizer.json"), "utf8")) as object;
  const pattern = { type: "Split", pattern: { Regex: "(q+)+$" }, behavior: "Isolated", invert: false };
  await writeFile(join(path, "tokenizer.json"), JSON.stringify({ ...tokenizer, pre_tokenizer: pattern }));
  const model = await openForReading(sandbox, { model: path, device: "plain" });
  const [prompt, rows] = [`${"q".repeat(64)}!`, join(await scratch(), "rows.jsonl")];
  await writeFile(rows, JSON.stringify({ prompt, completion: "!" }));
  await expect(encodePromptOf(sandbox, model, prompt)).rejects.toMatchObject({ code: "MODEL_INVALID" });
  await expect(encodeFile(sandbox, model, rows)).rejects.toMatchObject({ code: "MODEL_INVALID" });
});
