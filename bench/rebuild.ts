/** bench rebuild: rebuilds a model on disk from a log, and compares the time with a prediction from the speed of replay. */
import { rm } from "node:fs/promises";
import type { WeightDtype } from "../engine/devices/device.ts";
import { elementCount } from "../engine/devices/device.ts";
import { baseHash } from "../engine/model/files/folder.ts";
import { trainableTensors } from "../engine/model/trainable.ts";
import type { Noise } from "../engine/numbers/noise.ts";
import { reconstruct } from "../engine/replay/reconstruct.ts";
import { toBfloat16 } from "../engine/numbers/scalar.ts";
import type { LogEntry, StepLogHeader } from "../schema/step-log.ts";
import { decodeStepLog, encodeEntries, ruleSeed } from "../schema/step-log.ts";
import { openDevice } from "./device.ts";
import type { Machine } from "./measure.ts";
import { machine, memory, resetPeak, timed } from "./measure.ts";
import { randomModel } from "./model.ts";
import { benchReplay } from "./replay.ts";

export interface RebuildOptions {
  readonly config: string;
  readonly entries: number;
  readonly noise: Noise;
  readonly dtype: WeightDtype;
  readonly device: string;
  readonly threads?: number;
}

export interface RebuildResult {
  readonly bench: "rebuild";
  readonly options: RebuildOptions;
  readonly device: string;
  /** Bytes of the .steplog file, and of the rebuilt weights. */
  readonly logBytes: number;
  readonly bytes: number;
  /** Seconds from the open base and log to the finished folder. */
  readonly seconds: number;
  /** Predicted seconds of the updates alone, from the speed of `bench replay` before and after. */
  readonly foretold: number;
  readonly ratio: number;
  readonly peakMemory: number;
  readonly machine: Machine;
}

/** Entries replayed in memory to measure the speed. */
const sampleEntries = 200;

export async function benchRebuild(options: RebuildOptions): Promise<RebuildResult> {
  const folder = await randomModel(options.config, options.dtype);
  const header: StepLogHeader = {
    format: 1,
    base: await baseHash(folder),
    trainable: trainableTensors(folder),
    noise: options.noise,
    seed: 1,
    hyperparameters: {},
  };
  const entries = Array.from({ length: options.entries }, (_, k): LogEntry => {
    return { seed: ruleSeed(1, k), scalar: toBfloat16(1e-6 * Math.sin(k + 1)) };
  });
  const file = encodeEntries(header, entries);
  const sample = { ...options, entries: Math.min(sampleEntries, options.entries), runs: 3 };
  const before = await benchReplay(sample);
  const device = await openDevice(options);
  const out = `${folder.path}-rebuilt-${process.pid}`;
  resetPeak();
  try {
    const log = decodeStepLog(file);
    const { result, sample: taken } = await timed(() =>
      reconstruct({ base: folder, log, out, device, verify: false, replace: false }),
    );
    const peakMemory = memory().peak;
    const after = await benchReplay(sample);
    const elements = header.trainable.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const speed = (before.gigaUpdatesPerSecond + after.gigaUpdatesPerSecond) / 2;
    const foretold = (elements * options.entries) / speed / 1e9;
    return {
      bench: "rebuild",
      options,
      device: before.device,
      logBytes: file.length,
      bytes: result.bytes,
      seconds: taken.seconds,
      foretold,
      ratio: taken.seconds / foretold,
      peakMemory,
      machine: machine(),
    };
  } finally {
    device.dispose();
    await rm(out, { recursive: true, force: true });
  }
}
