/**
 * steplog/log: reads a .steplog file, checks it, and rebuilds the weights that it describes. A log holds, for each estimate of
 * each step, a seed and a scalar; with the base model it is the fine-tuned model, bit for bit (docs/STEP_LOG.md). Nothing
 * here needs a service.
 */
import { resolve } from "node:path";
import { chooseDevice } from "../engine/devices/choose.ts";
import { baseHash, openModelFolder } from "../engine/model/files/folder.ts";
import { tensorId } from "../engine/numbers/noise.ts";
import { reconstruct, type Reconstruction } from "../engine/replay/reconstruct.ts";
import { matchBase } from "../engine/replay/replay.ts";
import { update } from "../engine/replay/update.ts";
import type { OnProgress, Verification } from "../engine/replay/verify.ts";
import { invariant } from "../schema/errors.ts";
import type { OutputDtype } from "../schema/output-dtype.ts";
import { decodeStepLog, type LogEntries, type LogEntry, type StepLog, type StepLogHeader } from "../schema/step-log.ts";

export { SteplogError, errorCodes } from "../schema/errors.ts";
export type { ErrorCode, InputIssue } from "../schema/errors.ts";
export type { LogEntries, LogEntry, StepLogHeader, TrainableTensor } from "../schema/step-log.ts";
export type { OnProgress, OutputDtype, Reconstruction, Verification };

/** A .steplog file in memory. */
export interface Log extends StepLog {
  /** As an array, made when it is first read: an object for each entry takes far more memory than the file. */
  readonly entries: readonly LogEntry[];
  /** Hash over header and entries, 64 hex digits. Two logs with the same one are the same model. */
  readonly chainHash: string;
}

/**
 * Reads a .steplog file and verifies its chain hash.
 * @param bytes the whole file
 * @throws SteplogError LOG_INVALID when the bytes are not a whole, undamaged log of a known version
 */
export function readLog(bytes: Uint8Array): Log {
  const packed = decodeStepLog(bytes);
  let entries: readonly LogEntry[] | undefined;
  const log: Log = {
    ...packed,
    get entries() {
      return (entries ??= [...packed.entries]);
    },
    chainHash: Buffer.from(packed.chain).toString("hex"),
  };
  packedLogs.set(log, packed);
  return log;
}

/** What the logs of `readLog` were made from, so that a replay needs no objects. */
const packedLogs = new WeakMap<StepLog, StepLog>();

/**
 * Checks that a log belongs to a base model: computes the model's base hash, for which every weight is read, and compares it
 * and the trained tensors with the log's header.
 * @param baseDir a model folder in Hugging Face layout
 * @throws SteplogError BASE_MISMATCH with both hashes, LOG_INVALID, NOT_FOUND, MODEL_INVALID, MODEL_UNSUPPORTED
 */
export async function verifyBase(log: StepLog, baseDir: string): Promise<void> {
  const base = await openModelFolder(resolve(baseDir));
  matchBase(base, log.header, await baseHash(base));
}

export interface ReplayOptions {
  /** The base model's folder, in Hugging Face layout. */
  readonly baseDir: string;
  readonly log: StepLog;
  /** Where to write the fine-tuned model, as transformers loads it, or the adapter, as peft loads it. */
  readonly outDir: string;
  /** Compute device, as STEPLOG_DEVICE names it; "auto" when left out. All give the same bits. */
  readonly device?: string;
  /** Folder of the devices that `steplog device install` made (STEPLOG_DEVICES); none when left out. */
  readonly devicesDir?: string;
  /**
   * Whether to read the result back and replay a sample of its weights, or all, a second time in plain TypeScript; false when
   * left out.
   */
  readonly verify?: boolean | "all";
  /** Whether to replace `outDir` if it exists; false when left out. */
  readonly replace?: boolean;
  /** For a LoRA adapter: write the whole model with the adapter merged into it; false when left out. */
  readonly merge?: boolean;
  /** The dtype of all tensors that are written; those of training and of the base when left out. */
  readonly dtype?: OutputDtype;
  /** Called as the work proceeds: the stage, and how many bytes of how many (elements, while verifying). */
  readonly onProgress?: OnProgress;
}

/**
 * Rebuilds the weights of a log from its base into a folder, which appears when it is complete. Memory does not grow with the
 * model: weights pass through in pieces of 16 MiB.
 * @returns the weights digest, chain hash and digest of the written files (64 hex digits each), the number of entries, and
 *   bytes written
 * @throws SteplogError BASE_MISMATCH, LOG_INVALID, MODEL_INVALID, MODEL_UNSUPPORTED, DEVICE_UNAVAILABLE; CONFLICT when
 *   `outDir` exists; INVALID_ARGUMENT for a merge of what is not a LoRA adapter, or a weight that
 *   `dtype` cannot hold; INTERNAL when verification fails
 */
export async function replay({ baseDir, log: given, outDir, ...options }: ReplayOptions): Promise<Reconstruction> {
  const log = packedLogs.get(given) ?? given;
  const base = await openModelFolder(resolve(baseDir));
  const { device } = await chooseDevice(options.device ?? "auto", { devicesDir: options.devicesDir ?? null });
  try {
    return await reconstruct({
      base,
      log,
      device,
      out: resolve(outDir),
      verify: options.verify ?? false,
      replace: options.replace ?? false,
      merge: options.merge ?? false,
      dtype: options.dtype ?? null,
      ...(options.onProgress && { onProgress: options.onProgress }),
    });
  } finally {
    device.dispose();
  }
}

/** Weights of one tensor, flat in row-major order: float32, or bfloat16 as its 16 bits. */
export type TensorValues = Float32Array | Uint16Array;

export interface ReplayTensorOptions {
  /** Name of the tensor, as in the log's header: it selects the noise. */
  readonly name: string;
  /** `header.noise` of the log. */
  readonly noise: StepLogHeader["noise"];
  /** Flat index in the tensor of the first of `values`; 0 when left out. */
  readonly first?: number;
}

/**
 * Applies log entries in order to weights in memory, in place. For each entry, every weight w becomes w * decay - scalar * n,
 * where n is the entry's noise at the weight, an integer; rounded to the weight's format after each operation, as
 * docs/STEP_LOG.md defines under "Update" (MeZO's update, arXiv 2305.17333, Algorithm 1). Runs in plain TypeScript.
 * @param values the tensor's elements before training, or a run of them; shape [count]
 */
export function replayTensor(values: TensorValues, entries: LogEntries, options: ReplayTensorOptions): void {
  const { name, noise, first = 0 } = options;
  invariant(Number.isSafeInteger(first) && first >= 0, "the first element has an index from 0");
  update(values, first, tensorId(name), noise, entries);
}
