/**
 * Event files of TensorBoard: records of length, masked CRC-32C, bytes, masked CRC-32C; the bytes are an Event (event.proto) with
 * wall_time 1, step 2, and file_version 3 or summary 5 of values 1 with tag 1 and simple_value 2.
 */
import { mkdir, open, readFile, readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { type OpenTracker, type Point, type Tracker, note } from "./tracker.ts";

/** Each opening writes a file of its own; TensorBoard reads all of a folder as one run. */
export function tensorboardFolder(folder: string): OpenTracker {
  return { name: "--tensorboard", open: () => openFolder(folder) };
}

async function openFolder(folder: string): Promise<Tracker> {
  await mkdir(folder, { recursive: true });
  const last = new Map<string, number>();
  const names = (await readdir(folder)).filter((name) => name.includes("tfevents"));
  for (const name of names) for (const point of pointsOf(await readFile(join(folder, name)))) note(last, point);
  const stamp = String(Math.floor(Date.now() / 1_000)).padStart(10, "0");
  const file = await open(
    join(folder, `events.out.tfevents.${stamp}.${hostname()}.${process.pid}.${names.length}`),
    "a",
  );
  const now = () => Date.now() / 1_000;
  await file.appendFile(record(Buffer.concat([double(1, now()), bytes(3, Buffer.from("brain.Event:2"))])));
  return {
    last,
    write: (points) => file.appendFile(Buffer.concat(points.map((point) => record(eventOf(point, now()))))),
    close: () => file.close(),
  };
}

export function eventOf({ step, values }: Point, wallTime: number): Buffer {
  const summary = Object.entries(values).map(([series, value]) =>
    bytes(1, Buffer.concat([bytes(1, Buffer.from(series)), float(2, value)])),
  );
  return Buffer.concat([double(1, wallTime), tag(2, 0), varint(step), bytes(5, Buffer.concat(summary))]);
}

export function record(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, maskedCrc(length), data, maskedCrc(data)]);
}

function maskedCrc(data: Buffer): Buffer {
  const crc = crc32c(data);
  const out = Buffer.alloc(4);
  out.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return out;
}

/** Castagnoli's polynomial, reflected. Node has only the other one. */
export function crc32c(data: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const tag = (field: number, type: number) => varint(field * 8 + type);
const bytes = (field: number, data: Buffer) => Buffer.concat([tag(field, 2), varint(data.length), data]);

function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([tag(field, 1), data]);
}

function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([tag(field, 5), data]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...out, rest]);
    out.push((rest % 128) + 128);
  }
}

/** The scalars of an event file, up to a record that was cut off. */
export function* pointsOf(file: Buffer): Generator<Point> {
  for (let at = 0; at + 12 <= file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    if (at + length + 16 > file.length) return;
    const point = pointOf(file.subarray(at + 12, at + 12 + length));
    if (point) yield point;
    at += length + 16;
  }
}

function pointOf(event: Buffer): Point | null {
  const fields = fieldsOf(event);
  const values = [...fields].flatMap(([field, summary]) =>
    field === 5 && Buffer.isBuffer(summary)
      ? [...fieldsOf(summary)].flatMap(([, value]) => (Buffer.isBuffer(value) ? [scalarOf(value)] : []))
      : [],
  );
  const step = fields.find(([field]) => field === 2)?.[1];
  return values.length === 0 ? null : { step: typeof step === "number" ? step : 0, values: Object.fromEntries(values) };
}

function scalarOf(value: Buffer): [string, number] {
  const fields = new Map(fieldsOf(value));
  return [String(fields.get(1)), Number(fields.get(2))];
}

function fieldsOf(message: Buffer): [number, number | Buffer][] {
  const fields: [number, number | Buffer][] = [];
  let at = 0;
  const number = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message.readUInt8(at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = number();
    const [field, type] = [Math.floor(key / 8), key % 8];
    if (type === 0) fields.push([field, number()]);
    else {
      const length = type === 2 ? number() : type === 1 ? 8 : 4;
      const data = message.subarray(at, at + length);
      fields.push([field, type === 5 ? data.readFloatLE() : type === 1 ? data.readDoubleLE() : data]);
      at += length;
    }
  }
  return fields;
}
