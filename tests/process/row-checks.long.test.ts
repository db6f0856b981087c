/** 100 MB of rows are read and checked by a real gateway, which goes on answering. About half a minute. */
import { createWriteStream, openAsBlob } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { firstTry } from "../support/first-try.ts";
import { golden } from "../support/models.ts";
import { testService, until } from "./service.ts";

const megabytes = 100;

test(
  "/healthz answers within 100 ms, but for a few, while 100 MB are checked, and a repeat costs nothing",
  { ...firstTry, timeout: 600_000 },
  async () => {
    const service = await testService();
    await cp(golden("tokenizers", "bytelevel-gpt2", "tokenizer.json"), join(service.modelPath, "tokenizer.json"));
    const { url, client } = await service.startServer();
    await service.startWorker();
    await until("the base model", 60_000, async () => {
      const { baseModels } = (await client.query("{ baseModels { nodes { name } } }")) as {
        baseModels: { nodes: object[] };
      };
      return baseModels.nodes.length > 0;
    });
    const path = join(service.folder, "large.jsonl");
    await pipeline(Readable.from(lines(megabytes * 1e6)), createWriteStream(path));

    const waits: number[] = [];
    const done = new AbortController();
    const asking = (async () => {
      while (!done.signal.aborted) {
        const start = performance.now();
        await (await fetch(`${url}/healthz`)).text();
        waits.push(performance.now() - start);
        await delay(20);
      }
    })();
    const stored = await fetch(`${url}/datasets?name=large`, { method: "POST", body: await openAsBlob(path) });
    expect(stored.status).toBe(201);
    const { id } = (await stored.json()) as { id: string };
    const create = (key: string) => {
      const start = performance.now();
      const run = { name: key, baseModel: "tiny", dataset: id, idempotencyKey: key, hyperparameters: { steps: 1 } };
      return client.createFineTune(run).then(() => performance.now() - start);
    };
    const first = await create("first");
    expect(await create("first")).toBeLessThan(first / 10);
    expect(await create("second")).toBeLessThan(first / 10);
    done.abort();
    await asking;
    // Other tests run beside this one, so a few answers may wait for a processor; a check in the way would stall them all.
    const slow = waits.filter((ms) => ms >= 100);
    expect(slow.length).toBeLessThan(waits.length / 20);
    expect(slow.filter((ms) => ms > 1_000)).toStrictEqual([]);
  },
);

/** Short rows, fewer than a million. */
function* lines(bytes: number): Generator<string> {
  for (let written = 0, row = 0; written < bytes; row++) {
    const fields = { row: row * 7919, note: "Fields that are not trained on make the row longer, and are ignored." };
    const line = `${JSON.stringify({ prompt: `Row ${row % 1013} says`, completion: " so", ...fields })}\n`;
    written += line.length;
    yield line;
  }
}
