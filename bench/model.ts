/** Random models and rows; they take as long to compute as real ones. */
import { createHash } from "node:crypto";
import { access, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { EncodedRow } from "../dataset/encode.ts";
import { encodeRow } from "../dataset/encode.ts";
import type { WeightDtype } from "../engine/devices/device.ts";
import { initModel } from "../engine/model/random-weights.ts";
import type { ModelFolder } from "../engine/model/files/folder.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import { configNamed } from "./configs.ts";

/** Opens a model with random weights for a config. It is made once and kept in STEPLOG_BENCH_DIR. */
export async function randomModel(configName: string, dtype: WeightDtype): Promise<ModelFolder> {
  // Without an end-of-sequence token: a random model might generate it and end a measurement early.
  const config = { ...(await configNamed(configName)), eos_token_id: null };
  const top = process.env["STEPLOG_BENCH_DIR"] ?? join(tmpdir(), "steplog-bench");
  const hash = createHash("sha256").update(JSON.stringify(config)).digest("hex").slice(0, 8);
  const out = join(top, `${basename(configName, ".json")}-${dtype.toLowerCase()}-${hash}`);
  await mkdir(top, { recursive: true });
  const made = await access(join(out, "config.json")).then(
    () => true,
    () => false,
  );
  if (!made) {
    console.error(`Making random weights in ${out}; later runs reuse them.`);
    await initModel({ config, seed: 1, dtype, out });
  }
  return openModelFolder(out);
}

/** `count` rows of random tokens, of which the last `labels` are scored. Equal sizes give equal rows. */
export function randomRows(vocabulary: number, count: number, tokens: number, labels: number): EncodedRow[] {
  const random = lehmer(count * tokens + labels);
  return Array.from({ length: count }, () => {
    const ids = Array.from({ length: tokens }, () => random() % vocabulary);
    return encodeRow(null, { input_ids: ids, labels: ids.map((id, at) => (at >= tokens - labels ? id : -100)) });
  });
}

/** Random tokens of a vocabulary. Equal arguments give equal ones. */
export function randomTokens(vocabulary: number, count: number, seed = 0): number[] {
  const random = lehmer(seed + 1);
  return Array.from({ length: count }, () => random() % vocabulary);
}

/** Park and Miller's generator, good enough for token ids here. */
function lehmer(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => (state = (state * 48_271) % 2_147_483_647);
}
