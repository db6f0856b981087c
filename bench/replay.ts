/** bench replay: applies log entries in memory to as many elements as a model has, in the pieces that a rebuild uses. */
import type { Device, TensorPiece, WeightDtype } from "../engine/devices/device.ts";
import { bytesPerElement, elementCount } from "../engine/devices/device.ts";
import { configureModel } from "../engine/model/families/all.ts";
import type { Noise } from "../engine/numbers/noise.ts";
import { pieceBytes } from "../engine/replay/pieces.ts";
import { toBfloat16 } from "../engine/numbers/scalar.ts";
import type { LogEntry } from "../schema/step-log.ts";
import { ruleSeed } from "../schema/step-log.ts";
import { configNamed } from "./configs.ts";
import { openDevice } from "./device.ts";
import type { Machine, Sample, Summary } from "./measure.ts";
import { machine, memory, resetPeak, summarise, timed } from "./measure.ts";

export interface ReplayOptions {
  readonly config: string;
  readonly entries: number;
  readonly noise: Noise;
  readonly dtype: WeightDtype;
  readonly device: string;
  readonly runs: number;
  readonly threads?: number;
}

export interface ReplayResult {
  readonly bench: "replay";
  readonly options: ReplayOptions;
  readonly device: string;
  readonly elements: number;
  /** Seconds for all entries on all elements. */
  readonly replay: Summary;
  /** 10^9 updates of one element per second. */
  readonly gigaUpdatesPerSecond: number;
  readonly peakMemory: number;
  readonly machine: Machine;
}

export async function benchReplay(options: ReplayOptions): Promise<ReplayResult> {
  const pieces = piecesOf(await configNamed(options.config), options.dtype);
  const device = await openDevice(options);
  const entries = entriesOf(options.entries);
  await replayAll(device, pieces.slice(0, 1), entries, options.noise);
  resetPeak();
  const samples: Sample[] = [];
  for (let run = 0; run < options.runs; run++) {
    samples.push((await timed(() => replayAll(device, pieces, entries, options.noise))).sample);
  }
  const elements = pieces.reduce((sum, { bytes, dtype }) => sum + bytes.length / bytesPerElement[dtype], 0);
  const replay = summarise(samples);
  const result: ReplayResult = {
    bench: "replay",
    options,
    device: `${device.name}: ${device.description}`,
    elements,
    replay,
    gigaUpdatesPerSecond: (elements * options.entries) / replay.median / 1e9,
    peakMemory: memory().peak,
    machine: machine(),
  };
  device.dispose();
  return result;
}

/** A repeatable replay with its own memory. */
export async function preparedReplay(
  device: Device,
  options: Pick<ReplayOptions, "config" | "dtype" | "entries" | "noise">,
): Promise<() => Promise<void>> {
  const pieces = piecesOf(await configNamed(options.config), options.dtype);
  const entries = entriesOf(options.entries);
  return () => replayAll(device, pieces, entries, options.noise);
}

function entriesOf(count: number): LogEntry[] {
  return Array.from({ length: count }, (_, k) => {
    return { seed: ruleSeed(1, k), scalar: toBfloat16(1e-6 * Math.sin(k + 1)) };
  });
}

/** All tensors of the config in pieces, each with its own memory, as when a model is read. */
function piecesOf(config: object, dtype: WeightDtype): TensorPiece[] {
  const size = bytesPerElement[dtype];
  const most = pieceBytes / size;
  return configureModel(config).tensors.flatMap(({ name, shape }) => {
    const total = elementCount(shape);
    return Array.from({ length: Math.ceil(total / most) }, (_, k) => {
      const count = Math.min(most, total - k * most);
      return { name, dtype, first: k * most, bytes: new Uint8Array(count * size).fill(0x3c) };
    });
  });
}

async function replayAll(
  device: Device,
  pieces: readonly TensorPiece[],
  entries: readonly LogEntry[],
  noise: Noise,
): Promise<void> {
  for (const piece of pieces) await device.replay(piece, entries, noise);
}
