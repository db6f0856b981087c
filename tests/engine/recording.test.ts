/** Recorded passes, with values that only say what is alive. */
import { describe, expect, test } from "vitest";
import type { Block, Recorded, Work } from "../../engine/devices/recorded.ts";
import { Recording } from "../../engine/devices/recording.ts";
import { regionsOf } from "../../engine/devices/recording-plan.ts";

interface Value {
  readonly elements: number;
  freed: boolean;
}

/** Counts elements of values and of held weights. */
class Memory {
  now = 0;
  peak = 0;
  readonly ran: string[] = [];

  make(elements: number): Value {
    this.now += elements;
    this.peak = Math.max(this.peak, this.now);
    return { elements, freed: false };
  }

  free = (value: Value) => {
    if (value.freed) throw new Error("freed twice");
    value.freed = true;
    this.now -= value.elements;
  };
}

interface Plain {
  readonly name?: string;
  readonly columns?: number;
  readonly sides?: number;
  readonly rows?: number;
  readonly held?: number;
  readonly lengths?: readonly number[];
  readonly shared?: readonly Recorded<Value>[];
  readonly once?: boolean;
  readonly fails?: (at: Block) => boolean;
}

const [rows, width] = [64, 4];

function recordingOf(memory: Memory, heldBytes = 1_000, cellElements = 64) {
  const recording = new Recording<Value>({ free: memory.free, cellElements, heldBytes });
  const operation = (inputs: readonly Recorded<Value>[], options: Plain = {}) => {
    const { columns = width, held = 0, fails, name = "" } = options;
    const sides = options.sides ?? Math.max(1, ...inputs.map((input) => input.operation.sides));
    const start = (): Work<Value> => {
      const weights = memory.make(held);
      memory.ran.push(name);
      return {
        block(at, operands) {
          if (operands.some((operand) => operand.freed)) throw new Error("used after it was freed");
          if (fails?.(at)) throw new Error("no memory");
          return memory.make(at.rows * columns);
        },
        end: () => memory.free(weights),
      };
    };
    const size = { rows: options.rows ?? rows, columns, sides };
    return recording.record({ ...options, ...size, kind: "blocks", inputs, held, start });
  };
  return { recording, operation };
}

type Record = ReturnType<typeof recordingOf>["operation"];

/** A layer with a wide middle, as a feed-forward layer has. */
function layer(operation: Record, x: Recorded<Value>): Recorded<Value> {
  const wide = operation([operation([x], { held: 200 })], { columns: 8 * width, held: 400 });
  return operation([x, operation([wide], { held: 400 })]);
}

function peakOf(layers: number, heldBytes?: number): number {
  const memory = new Memory();
  const { recording, operation } = recordingOf(memory, heldBytes);
  let x = operation([], { sides: 2 });
  for (let i = 0; i < layers; i++) x = layer(operation, x);
  recording.run(x, () => undefined);
  recording.end();
  expect(memory.now).toBe(0);
  return memory.peak;
}

describe("a recorded pass", () => {
  test("needs as much memory with many layers as with few", () => {
    expect(peakOf(48)).toBe(peakOf(3));
  });

  test("has a wide activation for some rows of one side at a time, unless that would hold too many weights", () => {
    const all = 2 * rows * 8 * width;
    expect(peakOf(4)).toBeLessThan(all);
    expect(peakOf(4, 500)).toBeGreaterThan(all);
  });

  test("runs what the result needs, once, and passes its cells on in order", () => {
    const memory = new Memory();
    const { recording, operation } = recordingOf(memory);
    const x = operation([], { name: "x" });
    const needed = operation([x, x], { name: "needed", sides: 2 });
    operation([x], { name: "not needed" });
    const cells = recording.run(needed, (seen) => seen.map((side) => side.map(({ elements }) => elements)));
    expect(memory.ran).toEqual(["x", "needed"]);
    expect(cells).toEqual([0, 1].map(() => [16, 16, 16, 16].map((some) => some * width)));
    expect(memory.now).toBe(0);
  });

  test("computes a second result again, unless that would append to caches twice", () => {
    const memory = new Memory();
    const { recording, operation } = recordingOf(memory);
    const x = operation([], { name: "x" });
    const cached = operation([x], { once: true });
    for (const _ of [1, 2]) recording.run(x, () => undefined);
    expect(memory.ran).toEqual(["x", "x"]);
    expect(() => recording.run(cached, () => undefined)).toThrow("one result");
    recording.end();
    expect(() => recording.run(x, () => undefined)).toThrow("has not ended");
  });

  test.each([0, 1, 2])("frees everything when block %s fails, or the use of the result", (index) => {
    const memory = new Memory();
    const { recording, operation } = recordingOf(memory);
    const x = layer(operation, operation([], { sides: 2 }));
    const failing = operation([x], { held: 10, fails: (at) => at.side === 1 && at.index === index });
    expect(() => recording.run(layer(operation, failing), () => undefined)).toThrow("no memory");
    expect(memory.now).toBe(0);
    const broken = () => {
      throw new Error("no result");
    };
    expect(() => recording.run(x, broken)).toThrow("no result");
    expect(memory.now).toBe(0);
  });

  test("keeps sequences whole, and all rows together where two groupings of them meet", () => {
    const blocks = (...lengths: readonly (readonly number[])[]) => {
      const { recording, operation } = recordingOf(new Memory());
      const x = lengths.reduce((before, each) => operation([before], { lengths: each }), operation([]));
      return recording.run(x, ([side = []]) => side.map(({ elements }) => elements / width));
    };
    expect(blocks([1, 30, 7, 7, 2, 17])).toEqual([1, 30, 16, 17]);
    expect(blocks([32, 32], [30, 34])).toEqual([64]);
  });

  test("computes what a block reads whole before the first block", () => {
    const memory = new Memory();
    const { recording, operation } = recordingOf(memory);
    const x = operation([], { name: "x" });
    const prefix = operation([], { name: "prefix", rows });
    const y = operation([x], { shared: [prefix] });
    expect(regionsOf([x, prefix, y], 1_000)).toEqual([[x, prefix], [y]]);
    recording.run(y, () => undefined);
    expect(memory.now).toBe(0);
  });
});
