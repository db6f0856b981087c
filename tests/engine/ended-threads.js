/**
 * A process whose threads use the addon and are ended while they do, at random moments, and with the process itself. It
 * must exit with 0: an addon that throws into an environment that is ending aborts the process.
 *
 *   node ended-threads.js ADDON FILE THREADS SEED      FILE: what weights are mapped from, of 64 KiB
 */
import { once } from "node:events";
import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

/**
 * @typedef {{
 *   instructionSets: (this: void) => string[];
 *   NativeDevice: new (instructionSet: string, threads: number) => import("../../engine/native/addon.ts").NativeDevice;
 * }} Addon
 */

const given = isMainThread ? process.argv.slice(2) : /** @type {string[]} */ (workerData);
const [addonPath = "", file = "", threads = "1", seed = "1"] = given;

/** Lehmer's generator. */
let state = Number(seed) % 2_147_483_647 || 1;
/** @param {number} limit */
function below(limit) {
  state = (state * 48_271) % 2_147_483_647;
  return state % limit;
}

if (isMainThread) await endThreads(Number(threads));
else await use();

/** @param {number} count */
async function endThreads(count) {
  for (let i = 0; i < count; i++) {
    const thread = await start();
    await delay(below(12));
    await thread.terminate();
  }
  await start();
  process.exit(0);
}

/** A thread that has begun to use the addon. */
async function start() {
  const thread = new Worker(fileURLToPath(import.meta.url), {
    workerData: [addonPath, file, "0", String(below(2 ** 30))],
  });
  await once(thread, "message");
  return thread;
}

/** Every method of the addon, again and again: some calls wait in its queue, some run, some are being made. */
async function use() {
  const addon = /** @type {Addon} */ (createRequire(import.meta.url)(addonPath));
  const bytes = new Uint8Array(4 * 64 * 64);
  for (let round = 0; ; round++) {
    const calls = callsOf(addon, bytes);
    for (let i = 0; i < 40; i++) {
      const call = calls[below(calls.length)];
      const work = (async () => call?.())().catch(() => {});
      if (below(4) === 0) await work;
    }
    if (round === 0) parentPort?.postMessage("using the addon");
  }
}

/**
 * @param {Addon} addon
 * @param {Uint8Array} bytes
 * @returns {(() => unknown)[]}
 */
function callsOf({ NativeDevice, instructionSets }, bytes) {
  const device = new NativeDevice("", 2);
  const spec = { shape: [64, 64], dtype: 0, trainable: true, tensor: 7 };
  const made = device.createWeight(spec, bytes);
  const mapped = device.mapWeight({ ...spec, trainable: below(2) === 0 }, file, 64 * below(4), below(2) === 0);
  /** @type {[BigUint64Array, Float32Array, Float32Array]} */
  const entries = [BigUint64Array.of(3n, 4n), Float32Array.of(0.5, 0.25), Float32Array.of(1, 1)];
  /** @param {number} table */
  const pass = (table) => ({
    code: Int32Array.of(0, table, 0, 8, 0, table, -1, 0, 12, 1, table, -1, 1, 0),
    numbers: Float64Array.of(1, 0),
    lists: [Int32Array.from({ length: 256 }, (_, i) => i % 64)],
    tables: [],
    perturbation: { seed: 1n, size: 0.001, noise: 0, sides: 3 },
    bf16: false,
    products: below(3),
    into: null,
  });
  return [
    () => device.run(pass(made)),
    () => device.run(pass(mapped)),
    () => device.run({ ...pass(made), code: Int32Array.of(99) }),
    () => device.update(Int32Array.of(made), ...entries, 0),
    () => device.readWeight(below(2) === 0 ? made : mapped),
    () => device.replay(bytes.slice(), 0, 7, 0, ...entries, 1),
    () => device.noise(1 << 12, 0, 5n, 7, 0),
    () => device.timings(),
    () => device.peak(false),
    () => device.freeCache(device.createCache()),
    () => device.freeWeight(device.createWeight(spec, bytes)),
    () => [device.instructionSet, device.threads, device.multipliesBf16, instructionSets()],
  ];
}
