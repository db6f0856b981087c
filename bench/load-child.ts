/** The process that bench load measures: load-child.js read FOLDER, or load-child.js load FOLDER DEVICE THREADS. */
import { open } from "node:fs/promises";
import { tokenLoss } from "../engine/objective/objective.ts";
import { beginning, train } from "../engine/train/mezo.ts";
import { modelBytes, openModelFolder } from "../engine/model/files/folder.ts";
import { loadModel } from "../engine/model/model.ts";
import { openDevice } from "./device.ts";
import type { Sample } from "./measure.ts";
import { memory, timed } from "./measure.ts";
import { randomRows } from "./model.ts";

/** What `load` prints, as JSON. */
export interface Loaded {
  readonly device: string;
  readonly bytes: number;
  readonly load: Sample;
  /** When loading ended, in milliseconds since 1970. */
  readonly loadedAt: number;
  readonly step: Sample;
  readonly memory: { readonly loaded: number; readonly stepped: number };
}

/** The batch of the first step. */
const [rows, tokens, labels] = [4, 64, 8];

const [kind, folder = "", device = "", threads = "0"] = process.argv.slice(2);
const result = kind === "read" ? await read(folder) : await load(folder, device, Number(threads));
console.log(JSON.stringify(result));
process.exit(0);

async function read(path: string): Promise<{ read: Sample }> {
  const { tensors } = await openModelFolder(path);
  const files = [...new Set(tensors.map((tensor) => tensor.path))];
  const { sample } = await timed(async () => {
    for (const file of files) {
      const handle = await open(file);
      const bytes = Buffer.allocUnsafeSlow((await handle.stat()).size);
      for (let at = 0; at < bytes.length;) at += (await handle.read(bytes, at, bytes.length - at, at)).bytesRead;
      await handle.close();
    }
  });
  return { read: sample };
}

async function load(path: string, name: string, count: number): Promise<Loaded> {
  const opened = await openDevice({ device: name, ...(count > 0 && { threads: count }) });
  const { result: model, sample } = await timed(async () =>
    loadModel(await openModelFolder(path), opened, "rademacher"),
  );
  const loadedAt = Date.now();
  const loaded = memory().now;
  const batch = randomRows(model.folder.architecture.vocabulary, rows, tokens, labels);
  const settings = { steps: 1, batchSize: rows, learningRate: 1e-6, epsilon: 1e-3, weightDecay: 0, seed: 1 };
  const { sample: step } = await timed(() =>
    train(model, tokenLoss(batch), { ...settings, noise: "rademacher" }, beginning).next(),
  );
  return {
    device: `${opened.name}: ${opened.description}`,
    bytes: modelBytes(model.folder),
    load: sample,
    loadedAt,
    step,
    memory: { loaded, stepped: memory().now },
  };
}
