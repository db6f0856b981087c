/**
 * The step log: a header and a list of (seed, scalar) pairs that, with the base model, define a fine-tuned model.
 * docs/STEP_LOG.md specifies the format; this file encodes and decodes .steplog files and computes the hash chain. The same
 * header and entries always give the same bytes.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { SteplogError, invariant } from "./errors.ts";
import { counted } from "./units.ts";
import type { LogEntries, LogEntry, PackedNumbers, RuledEntries, SeedRuns } from "./log-entries.ts";
import { PackedEntries, ones, ruleSeed } from "./log-entries.ts";

export type { LogEntries, LogEntry, RuledEntries } from "./log-entries.ts";
export { ruleSeed } from "./log-entries.ts";

export const stepLogVersion = 1;

/** What was trained, from which base, with which noise. Serialised as canonical JSON, whose bytes start the chain. */
const stepLogHeaderSchema = z.strictObject({
  format: z.literal(stepLogVersion),
  /** Base hash, 64 hex digits. */
  base: z.string().regex(/^[0-9a-f]{64}$/u),
  /** Trained tensors, sorted by name. dtype is the format in which the tensor was trained, as safetensors names it. */
  trainable: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        shape: z.array(z.int().min(0)),
        dtype: z.enum(["F32", "BF16"]),
      }),
    )
    .min(1),
  noise: z.enum(["normal", "rademacher"]),
  /** Set if the trained tensors are LoRA adapters: how they were initialised. docs/STEP_LOG.md, "Adapters". */
  lora: z
    .strictObject({
      rank: z.int().positive(),
      alpha: z.number().positive(),
      seed: z.int().min(0).max(0xffff_ffff),
    })
    .optional(),
  /** Set if the trained tensor is a prefix: how it was initialised. docs/STEP_LOG.md, "Prefixes". */
  prefix: z
    .strictObject({
      length: z.int().positive(),
      seed: z.int().min(0).max(0xffff_ffff),
      /** SHA-256 of its initial bytes, 64 hex digits. */
      digest: z.string().regex(/^[0-9a-f]{64}$/u),
    })
    .optional(),
  /** Run seed, unsigned 32 bits. Entry k has the seed (run seed << 32) + k unless the log stores another. */
  seed: z.int().min(0).max(0xffff_ffff),
  /** For information only; a replay does not use them. */
  hyperparameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

export type StepLogHeader = z.output<typeof stepLogHeaderSchema>;
export type TrainableTensor = StepLogHeader["trainable"][number];

export interface StepLog {
  readonly header: StepLogHeader;
  readonly headerBytes: Uint8Array;
  readonly entries: LogEntries;
  readonly chain: Uint8Array;
}

/** A log as the store keeps it: seeds follow the rule (`ruleSeed`), scalars and decays are packed. */
export interface PackedLog extends PackedNumbers {
  readonly headerBytes: Uint8Array;
  readonly chain: Uint8Array;
}

// Header

export function encodeHeader(header: StepLogHeader): Uint8Array {
  return new TextEncoder().encode(canonicalJson(stepLogHeaderSchema.parse(header)));
}

/** @throws LOG_INVALID naming the field, if the bytes are not a canonical header of this version. */
export function decodeHeader(bytes: Uint8Array): StepLogHeader {
  const text = new TextDecoder().decode(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SteplogError("LOG_INVALID", "The log's header is not valid JSON. The file is damaged.", [], { cause });
  }
  const parsed = stepLogHeaderSchema.safeParse(value);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({ field: issue.path.join("."), message: issue.message }));
    throw new SteplogError("LOG_INVALID", "The log's header does not have the fields of a version 1 header.", issues);
  }
  if (canonicalJson(parsed.data) !== text) {
    throw new SteplogError("LOG_INVALID", "The log's header is not canonical JSON (sorted keys, no white space).");
  }
  return parsed.data;
}

/** JSON with keys in code-unit order and no white space: one value, one text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

// Chain

/** chain_0 = SHA-256(header); chain_{k+1} = SHA-256(chain_k || seed u64 || scalar f32 || decay f32), little-endian. */
export class Chain {
  #hash: Uint8Array;
  readonly #record = new DataView(new ArrayBuffer(16));

  constructor(hash: Uint8Array) {
    invariant(hash.length === 32, "a chain hash has 32 bytes");
    this.#hash = hash;
  }

  static start(headerBytes: Uint8Array): Chain {
    return new Chain(createHash("sha256").update(headerBytes).digest());
  }

  /** An entry without decay is hashed with decay 1. */
  add(entry: LogEntry): void {
    this.#record.setBigUint64(0, entry.seed, true);
    this.#record.setFloat32(8, entry.scalar, true);
    this.#record.setFloat32(12, entry.decay ?? 1, true);
    this.#hash = createHash("sha256").update(this.#hash).update(this.#record).digest();
  }

  get hash(): Uint8Array {
    return this.#hash;
  }
}

// Packed numbers

export function packScalars(scalars: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(scalars.length * 2));
  const bits = new DataView(new ArrayBuffer(4));
  scalars.forEach((scalar, index) => {
    bits.setFloat32(0, scalar);
    invariant(bits.getUint16(2) === 0, `scalar ${scalar} is a bfloat16`);
    view.setUint16(index * 2, bits.getUint16(0), true);
  });
  return new Uint8Array(view.buffer);
}

export function packDecays(decays: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(decays.length * 4));
  decays.forEach((decay, index) => view.setFloat32(index * 4, decay, true));
  return new Uint8Array(view.buffer);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The entries of a packed log, whose seeds follow the rule. */
export function unpackEntries({ seed, scalars, decays }: RuledEntries): PackedEntries {
  return PackedEntries.ofRule({ seed, scalars, decays });
}

/** The packed numbers of entries; decays only if one has some, and then 1 for the others. */
export function packEntries(entries: LogEntries): PackedNumbers {
  const scalars = new DataView(new ArrayBuffer(entries.length * 2));
  const bits = new DataView(new ArrayBuffer(4));
  let decays: DataView | null = null;
  let index = 0;
  for (const { scalar, decay } of entries) {
    bits.setFloat32(0, scalar);
    invariant(bits.getUint16(2) === 0, `scalar ${scalar} is a bfloat16`);
    scalars.setUint16(index * 2, bits.getUint16(0), true);
    if (decay !== undefined) decays ??= viewOf(ones(entries.length));
    decays?.setFloat32(index * 4, decay ?? 1, true);
    index += 1;
  }
  return { scalars: new Uint8Array(scalars.buffer), decays: decays && new Uint8Array(decays.buffer) };
}

// The file format
//
//   offset  bytes   content
//   0       8       magic "STEPLOG" and 0
//   8       4       version, u32
//   12      4       length of the header, u32
//   16      4       number of entries, u32
//   20      4       number of seed runs, u32 (0: every seed follows the rule)
//   24      4       1 if entries have decays, else 0, u32
//   28      h       header, canonical JSON
//           12 a run   seed runs: count u32, first seed u64; seeds within a run increase by one
//           2 an entry scalars, bfloat16
//           4 an entry decays, float32, if there are any
//           32      chain hash
// All numbers are little-endian.

const magic = new TextEncoder().encode("STEPLOG\0");
const fixedBytes = 28;

/** The bytes of a .steplog file for a log whose seeds follow the rule. */
export function encodeStepLog(log: PackedLog): Uint8Array {
  return assemble(log, null);
}

/** The bytes of a .steplog file for any log. Seeds are stored only if some do not follow the rule. */
export function encodeEntries(header: StepLogHeader, entries: LogEntries): Uint8Array {
  const headerBytes = encodeHeader(header);
  const packed = { headerBytes, ...packEntries(entries), chain: chainOf(headerBytes, entries) };
  return assemble(packed, storedRuns(entries, header.seed));
}

function chainOf(headerBytes: Uint8Array, entries: LogEntries): Uint8Array {
  const chain = Chain.start(headerBytes);
  for (const entry of entries) chain.add(entry);
  return chain.hash;
}

/** Null if all seeds follow the rule. */
function storedRuns(entries: LogEntries, runSeed: number): SeedRuns | null {
  const starts: number[] = [];
  const firsts: bigint[] = [];
  let next: bigint | null = null;
  let index = 0;
  for (const { seed } of entries) {
    if (seed !== next) {
      starts.push(index);
      firsts.push(seed);
    }
    next = seed + 1n;
    index += 1;
  }
  const byRule = starts.length === 0 || (starts.length === 1 && firsts[0] === ruleSeed(runSeed, 0));
  return byRule ? null : { starts: Uint32Array.from(starts), firsts: BigUint64Array.from(firsts) };
}

/** A log whose seeds follow the rule, to be read part by part; each part may be read once. */
export interface LogParts {
  readonly headerBytes: Uint8Array;
  readonly chain: Uint8Array;
  readonly entries: number;
  readonly decayed: boolean;
  readonly scalars: () => AsyncIterable<Uint8Array>;
  /** Empty unless `decayed`. */
  readonly decays: () => AsyncIterable<Uint8Array>;
}

/** The bytes of `encodeStepLog`, part by part: a log of any length takes little memory. */
export async function* streamStepLog(log: LogParts): AsyncGenerator<Uint8Array> {
  yield startOf(log, 0);
  yield log.headerBytes;
  yield* log.scalars();
  if (log.decayed) yield* log.decays();
  yield log.chain;
}

function assemble(log: PackedLog, seedRuns: SeedRuns | null): Uint8Array {
  const runs = seedRuns ?? { starts: new Uint32Array(), firsts: new BigUint64Array() };
  const entries = log.scalars.length / 2;
  const start = startOf({ ...log, entries, decayed: log.decays !== null }, runs.starts.length);
  const runBytes = packRuns(runs, entries);
  return Buffer.concat([start, log.headerBytes, runBytes, log.scalars, log.decays ?? new Uint8Array(), log.chain]);
}

/** What comes before the header. */
function startOf(log: Pick<LogParts, "headerBytes" | "entries" | "decayed">, runs: number): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(fixedBytes));
  new Uint8Array(fixed.buffer).set(magic);
  fixed.setUint32(8, stepLogVersion, true);
  fixed.setUint32(12, log.headerBytes.length, true);
  fixed.setUint32(16, log.entries, true);
  fixed.setUint32(20, runs, true);
  fixed.setUint32(24, log.decayed ? 1 : 0, true);
  return new Uint8Array(fixed.buffer);
}

function packRuns({ starts, firsts }: SeedRuns, entries: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(starts.length * 12));
  starts.forEach((start, run) => {
    view.setUint32(run * 12, (starts[run + 1] ?? entries) - start, true);
    view.setBigUint64(run * 12 + 4, firsts[run] ?? 0n, true);
  });
  return new Uint8Array(view.buffer);
}

/** Size in bytes of a file with `entries` entries whose seeds follow the rule. */
export function stepLogBytes(headerBytes: number, entries: number, decayed: boolean): number {
  return fixedBytes + headerBytes + entries * (decayed ? 6 : 2) + 32;
}

/**
 * Reads a .steplog file and verifies its hash chain.
 * @throws LOG_INVALID if the file is truncated, has trailing bytes, an unknown version or an invalid header, or if its
 *   chain hash does not match its entries.
 */
export function decodeStepLog(bytes: Uint8Array): StepLog {
  const fixed = readFixed(bytes);
  const runsAt = fixedBytes + fixed.headerLength;
  const scalarsAt = runsAt + fixed.runs * 12;
  const decaysAt = scalarsAt + fixed.entries * 2;
  const chainAt = decaysAt + (fixed.decayed ? fixed.entries * 4 : 0);
  refuseWrongLength(bytes.length, chainAt + 32);

  const headerBytes = bytes.slice(fixedBytes, runsAt);
  const header = decodeHeader(headerBytes);
  const numbers = {
    scalars: bytes.slice(scalarsAt, decaysAt),
    decays: fixed.decayed ? bytes.slice(decaysAt, chainAt) : null,
  };
  const entries =
    fixed.runs === 0
      ? PackedEntries.ofRule({ seed: header.seed, ...numbers })
      : new PackedEntries(numbers, readRuns(viewOf(bytes.subarray(runsAt, scalarsAt)), fixed.runs, fixed.entries));
  refuseNonFinite(entries);

  const chain = bytes.slice(chainAt);
  refuseWrongChain(headerBytes, entries, chain);
  return { header, headerBytes, entries, chain };
}

function readFixed(bytes: Uint8Array) {
  if (bytes.length < fixedBytes || !magic.every((byte, index) => bytes[index] === byte)) {
    throw new SteplogError("LOG_INVALID", "This is not a .steplog file: it does not start with the bytes STEPLOG.");
  }
  const view = viewOf(bytes);
  const version = view.getUint32(8, true);
  if (version !== stepLogVersion) {
    const advice = "Use a release of Steplog that supports it.";
    throw new SteplogError(
      "LOG_INVALID",
      `The .steplog file has version ${version}; this release reads version ${stepLogVersion}. ${advice}`,
    );
  }
  const decayed = view.getUint32(24, true);
  if (decayed > 1) throw new SteplogError("LOG_INVALID", `The .steplog file's decay flag is ${decayed}, not 0 or 1.`);
  return {
    headerLength: view.getUint32(12, true),
    entries: view.getUint32(16, true),
    runs: view.getUint32(20, true),
    decayed: decayed === 1,
  };
}

function refuseWrongLength(seen: number, expected: number): void {
  if (seen === expected) return;
  const what = seen < expected ? "truncated" : "followed by trailing bytes";
  throw new SteplogError(
    "LOG_INVALID",
    `The .steplog file is ${what}: it has ${counted(seen, "byte")}, and should have ${expected}.`,
  );
}

/** Runs without entries are left out. */
function readRuns(view: DataView, runs: number, entries: number): SeedRuns {
  const starts = new Uint32Array(runs);
  const firsts = new BigUint64Array(runs);
  let [at, used] = [0, 0];
  for (let run = 0; run < runs && at <= entries; run++) {
    const count = view.getUint32(run * 12, true);
    if (count === 0) continue;
    starts[used] = at;
    firsts[used++] = view.getBigUint64(run * 12 + 4, true);
    at += count;
  }
  if (at !== entries) {
    throw new SteplogError(
      "LOG_INVALID",
      `The .steplog file's seed runs do not add up to its ${counted(entries, "entry", "entries")}.`,
    );
  }
  return { starts: starts.subarray(0, used), firsts: firsts.subarray(0, used) };
}

function refuseNonFinite(entries: LogEntries): void {
  let index = 0;
  for (const { scalar, decay = 1 } of entries) {
    if (!Number.isFinite(scalar) || !Number.isFinite(decay)) {
      throw new SteplogError("LOG_INVALID", `Entry ${index} of the log is not finite.`);
    }
    index += 1;
  }
}

function refuseWrongChain(headerBytes: Uint8Array, entries: LogEntries, expected: Uint8Array): void {
  const chain = chainOf(headerBytes, entries);
  if (Buffer.compare(chain, expected) === 0) return;
  const [seen, stored] = [chain, expected].map((hash) => Buffer.from(hash).toString("hex"));
  throw new SteplogError(
    "LOG_INVALID",
    `The log's chain hash does not match: its entries give ${seen}, but the file has ${stored}. The file was changed or damaged.`,
  );
}
