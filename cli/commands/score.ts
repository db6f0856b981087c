/** steplog score --model FOLDER --data FILE [--json] */
import { createReadStream } from "node:fs";
import { encodeRows } from "../../dataset/encode.ts";
import { readRows } from "../../dataset/jsonl.ts";
import { scoreRows } from "../../engine/evaluate.ts";
import { readUserFile } from "../files.ts";
import { openForReading } from "../model.ts";
import { print, printJson } from "../output.ts";

export interface ScoreOptions {
  model: string;
  data: string;
  device: string;
  json?: true;
}

export async function score(options: ScoreOptions): Promise<void> {
  const { model, tokenizer } = await openForReading(options.model, options.device);
  await readUserFile(options.data);
  const encoded = await encodeRows({
    tokenizer,
    bounds: model.folder.architecture,
    rows: readRows(createReadStream(options.data)),
    labelWords: [],
  });
  const rows = await scoreRows(model, encoded);
  if (options.json) {
    printJson({ rows });
    return;
  }
  rows.forEach(({ loss, tokens }, index) => print(`row ${index + 1}: loss ${loss.toFixed(6)} over ${tokens} tokens`));
}
