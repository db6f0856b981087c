/** Logs of many entries: packed or as objects they mean the same, and memory grows with their bytes alone. */
import { describe, expect, test } from "vitest";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import { chosenTensors } from "../../engine/model/trainable.ts";
import { GrowingEntries, PackedEntries, partsOf, ruleSeed } from "../../schema/log-entries.ts";
import type { LogEntry } from "../../schema/log-entries.ts";
import { decodeStepLog, encodeEntries, packEntries } from "../../schema/step-log.ts";
import { randomModel } from "../support/models.ts";
import { openDevices } from "../support/open-devices.ts";

const devices = await openDevices();
const seed = 9;

function entriesOf(count: number, decayed: boolean): LogEntry[] {
  return Array.from({ length: count }, (_, k) => {
    const entry = { seed: ruleSeed(seed, k), scalar: ((k % 7) - 3) * 2 ** -12 };
    return decayed ? { ...entry, decay: Math.fround(1 - (k % 3) * 1e-4) } : entry;
  });
}

/** A model that trains one vector. */
async function smallest(device: (typeof devices)[number]) {
  const folder = await openModelFolder(await randomModel());
  return loadModel(folder, device, "rademacher", { trainable: chosenTensors(folder, ["layers.0.fc2.bias"]) });
}

describe.each([false, true])("packed entries, with decays: %s", (decayed) => {
  const entries = entriesOf(1_000, decayed);
  const packed = PackedEntries.ofRule({ seed, ...packEntries(entries) });

  test("are those that were packed, whole and in part", () => {
    expect([...packed]).toStrictEqual(entries);
    expect(Array.from(packed.slice(10, 20).slice(2, 5))).toStrictEqual(entries.slice(12, 15));
    expect([...partsOf(packed, 300)].map((part) => part.length)).toStrictEqual([300, 300, 300, 100]);
    expect(Array.from(packed.slice(990, 2_000))).toStrictEqual(entries.slice(990));
  });

  test("grow, and give back any number of the first", () => {
    const log = new GrowingEntries({ seed, ...packEntries(entries.slice(0, 3)) });
    for (let at = 3; at < 1_000; at += 7) log.add(entries.slice(at, at + 7));
    for (const count of [0, 3, 500, 1_000]) expect([...log.first(count)]).toStrictEqual(entries.slice(0, count));
  });

  test("of other seeds keep them in a file", () => {
    const jumps = entries.map((entry, k) => ({ ...entry, seed: entry.seed + BigInt(Math.floor(k / 9)) * 1_000n }));
    const header = { format: 1, base: "0".repeat(64), noise: "normal", seed, hyperparameters: {} } as const;
    const trainable = [{ name: "w", shape: [1], dtype: "F32" as const }];
    const read = decodeStepLog(encodeEntries({ ...header, trainable }, jumps)).entries;
    expect([...read]).toStrictEqual(jumps);
    expect(Array.from(read.slice(500, 503))).toStrictEqual(jumps.slice(500, 503));
  });
});

test.each(devices.filter(({ name }) => name === "plain" || name === "native"))(
  "100,000 entries give the same bits part by part: $name",
  async (device) => {
    const entries = entriesOf(100_000, true);
    const [whole, parts] = [await smallest(device), await smallest(device)];
    whole.update(entries);
    await parts.replay(PackedEntries.ofRule({ seed, ...packEntries(entries) }));
    expect(await parts.digest()).toBe(await whole.digest());
    expect(await parts.digest()).not.toBe(await (await smallest(device)).digest());
  },
);

// Half a minute.
test.runIf(process.env["STEPLOG_LONG_TESTS"] && devices.some(({ name }) => name === "native"))(
  "a log of 10^6 steps of 128 estimates is replayed in little more memory than its bytes",
  { timeout: 9 * 60_000 },
  async () => {
    const native = devices.find(({ name }) => name === "native");
    if (!native) throw new Error("the native device opens");
    const model = await smallest(native);
    const scalars = new Uint8Array(2 * 128e6).fill(0x38);
    const before = process.memoryUsage.rss();
    let most = before;
    const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 50);
    await model.replay(PackedEntries.ofRule({ seed, scalars, decays: null }));
    clearInterval(timer);
    expect(most - before).toBeLessThan(100e6);
  },
);
