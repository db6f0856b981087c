/** A hash of a task's tokens, by which another program knows that it read the same rows in the same way. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { encodeRows } from "../dataset/fit.ts";
import { readRows } from "../dataset/jsonl.ts";
import { loadOptionalTokenizer } from "../dataset/tokenizer.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import type { Task } from "./fine-tune.ts";

/** SHA-256 of the rows of all files in turn, each as its ids and then its scored tokens, a line of JSON a row. */
export async function hashOfTokens(task: Task): Promise<string> {
  const { path, architecture } = await openModelFolder(task.modelPath);
  const tokenizer = await loadOptionalTokenizer(path);
  const hash = createHash("sha256");
  for (const file of [task.datasetPath, task.validationPath, task.testPath]) {
    if (file === null) continue;
    const rows = readRows(createReadStream(file));
    for (const { ids, targets } of await encodeRows({ tokenizer, bounds: architecture, rows, ...task })) {
      hash.update(`${JSON.stringify([[...ids], [...targets]])}\n`);
    }
  }
  return hash.digest("hex");
}
