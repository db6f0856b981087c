/** Seeded mutations of valid inputs: the same seed and number give the same input, on every machine. */

/** Numbers that readers get wrong: limits of types, and values next to them. */
const edges = [0, 1, 7, 127, 128, 255, 256, 32_767, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const jsonEdges = [...edges, -1, 0.5, 1e9, 1e15, 2 ** 53, 1e308, null, true, "", "x", [], {}, [[]], { a: null }];
const texts = [
  "\u0000",
  "\uD800",
  "\uFFFF",
  "{{",
  "{% for x in y %}",
  "(a+)+$",
  "../../x",
  "é",
  "👩‍👩‍👧",
  "'\"\\",
  "\r\n",
  "-",
  "1e999",
];

/** Random numbers of a seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to below `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  of<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined && values.length === 0) throw new Error("there is nothing to choose from");
    return value as T;
  }
}

/** One to five changes of the bytes. */
export function mutateBytes(seed: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(seed);
  for (let left = 1 + random.below(5); left > 0; left--) bytes = random.of(byteChanges)(bytes, random);
  return bytes;
}

type ByteChange = (bytes: Uint8Array, random: Random) => Uint8Array;

const byteChanges: readonly ByteChange[] = [
  (bytes, random) => setByte(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, random) => setByte(bytes, random, () => random.below(256)),
  (bytes, random) => setByte(bytes, random, () => random.of([0, 1, 127, 128, 254, 255])),
  // A number of four or eight bytes, in either order.
  (bytes, random) => {
    const size = random.of([2, 4, 8]);
    if (bytes.length < size) return bytes;
    const number = Buffer.alloc(8);
    number.writeBigUInt64LE(BigInt(random.of(edges)));
    const at = random.below(bytes.length - size + 1);
    const part = number.subarray(0, size);
    bytes.set(random.below(2) === 0 ? part : part.toReversed(), at);
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) =>
    splice(
      bytes,
      random,
      Uint8Array.from({ length: 1 + random.below(16) }, () => random.below(256)),
    ),
  (bytes, random) => splice(bytes, random, Buffer.from(random.of(texts))),
  // A part once more, elsewhere.
  (bytes, random) => splice(bytes, random, slice(bytes, random)),
  (bytes, random) => {
    const from = random.below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + random.below(64))]);
  },
];

function setByte(bytes: Uint8Array, random: Random, value: (byte: number) => number): Uint8Array {
  const at = random.below(bytes.length);
  if (bytes.length > 0) bytes[at] = value(bytes[at] ?? 0);
  return bytes;
}

function slice(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random.below(bytes.length + 1);
  return bytes.slice(from, from + random.below(256));
}

function splice(bytes: Uint8Array, random: Random, part: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

/** Changes multiply; above this size an input says nothing new and only takes time and memory. */
const maxJson = 200_000;

/** The JSON text with one to three values changed, and sometimes with bytes changed too. */
export function mutateJson(seed: string, random: Random): Uint8Array {
  const root = { value: JSON.parse(seed) as unknown };
  let text = seed;
  for (let left = 1 + random.below(3); left > 0; left--) {
    changeValue(root, random);
    if (isLarge(root.value)) break;
    text = written(root.value) ?? text;
  }
  const bytes = Buffer.from(text);
  return random.below(8) === 0 ? mutateBytes(bytes, random) : bytes;
}

/** The value as JSON; undefined if it is no JSON, or has more levels than JSON.stringify can write. */
function written(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** Whether the value's JSON is longer than `maxJson`, roughly; a value that is in two places counts twice. */
function isLarge(root: unknown): boolean {
  let length = 0;
  const left = [root];
  while (left.length > 0 && length <= maxJson) {
    const value = left.pop();
    length += 4 + (typeof value === "string" ? value.length : 0);
    if (typeof value !== "object" || value === null) continue;
    if (!Array.isArray(value)) for (const key of Object.keys(value)) length += 4 + key.length;
    for (const item of Object.values(value)) left.push(item);
  }
  return length > maxJson;
}

function changeValue(root: { value: unknown }, random: Random): void {
  let parent: Record<string, unknown> = root;
  let key = "value";
  // Down a random path, so that values near the root are changed as often as the many at the leaves.
  for (;;) {
    const value = parent[key];
    if (typeof value !== "object" || value === null || random.below(4) === 0) break;
    const keys = Object.keys(value);
    if (keys.length === 0) break;
    parent = value as Record<string, unknown>;
    key = random.of(keys);
  }
  parent[key] = random.of(valueChanges)(parent[key], random);
  if (random.below(6) === 0 && parent !== root && !Array.isArray(parent)) delete parent[key];
}

const valueChanges: readonly ((value: unknown, random: Random) => unknown)[] = [
  // A copy, since later changes may go into it.
  (_, random) => structuredClone(random.of(jsonEdges)),
  (_, random) => random.of(texts),
  (value, random) => (typeof value === "number" ? value * random.of([-1, 0.5, 2, 1e3, 1e9]) : value),
  (value, random) => (typeof value === "string" ? value + random.of(texts) : String(value)),
  (value, random) => (typeof value === "string" ? repeated(value, random.of([2, 100, 5_000])) : [value, value]),
  (value, random) => {
    let nested: unknown = value;
    for (let depth = random.of([1, 10, 2_000]); depth > 0; depth--) nested = depth % 2 === 0 ? [nested] : { a: nested };
    return nested;
  },
  (value, random) =>
    Array.isArray(value) ? Array.from({ length: random.of([0, 1, 3_000]) }, () => value[0] as unknown) : null,
];

function repeated(text: string, times: number): string {
  return text.repeat(Math.min(times, Math.ceil(maxJson / (text.length + 1))));
}
