/**
 * A pass that is recorded whole before any of it runs, for devices that compute in TypeScript. What is known by then keeps its
 * memory small: only operations that the asked result needs run, some rows at a time, and every activation is freed after its
 * last use.
 *
 * An activation is cells of whole sequences: [sides][blocks of rows]. Operations that compute row by row run one block after
 * the other through as many operations as their weights allow (recording-plan.ts), so a wide activation between them exists for
 * one block of one side only, and the weights of one side.
 */
import { invariant } from "../../schema/errors.ts";
import type { Block, Cells, Operation, Recorded, WholeOperation, Work } from "./recorded.ts";
import { sharedBy } from "./recorded.ts";
import { cutsOf, neededFor, regionsOf } from "./recording-plan.ts";

export interface RecordingOptions<V> {
  readonly free: (value: V) => void;
  /** Elements of a cell, at most, unless a sequence is longer. */
  readonly cellElements: number;
  /** Bytes of weights that operations may hold while blocks run through them. */
  readonly heldBytes: number;
}

export class Recording<V> {
  readonly #options: RecordingOptions<V>;
  #recorded: Recorded<V>[] | null = [];
  #ran = false;

  constructor(options: RecordingOptions<V>) {
    this.#options = options;
  }

  record(operation: Operation<V>): Recorded<V> {
    invariant(this.#recorded, "the pass has not ended");
    const { rows, columns } = operation;
    const recorded = { rows, columns, operation };
    this.#recorded.push(recorded);
    return recorded;
  }

  /**
   * Computes an activation and passes its cells to `use`. They are freed afterwards, and so is everything else, whatever fails.
   * A second result computes the pass again.
   */
  run<R>(asked: Recorded<V>, use: (cells: Cells<V>) => R): R {
    invariant(this.#recorded, "the pass has not ended");
    const needed = neededFor(this.#recorded, asked);
    invariant(!(this.#ran && needed.some(({ operation }) => operation.once)), "a pass with caches has one result");
    this.#ran = true;
    const running = new Running(needed, asked, this.#options);
    try {
      for (const region of regionsOf(needed, this.#options.heldBytes)) running.region(region);
      return use(running.cells(asked));
    } finally {
      running.free();
    }
  }

  end(): void {
    this.#recorded = null;
  }
}

interface Cell<V> {
  readonly value: V;
  uses: number;
}

class Running<V> {
  readonly #options: RecordingOptions<V>;
  readonly #cells = new Map<Recorded<V>, Cell<V>[][]>();
  /** How often each cell will be used, [sides]. */
  readonly #uses = new Map<Recorded<V>, number[]>();
  /** First row of each block, and the end, by the number of rows. */
  readonly #cuts: ReadonlyMap<number, readonly number[]>;

  constructor(needed: readonly Recorded<V>[], asked: Recorded<V>, options: RecordingOptions<V>) {
    this.#options = options;
    for (const each of needed)
      this.#uses.set(
        each,
        Array.from({ length: each.operation.sides }, () => 0),
      );
    for (const { operation } of needed) {
      operation.inputs.forEach((input) => this.#expect(input, operation.kind === "blocks" ? operation.sides : 0));
      sharedBy(operation).forEach((input) => this.#expect(input, 0));
    }
    this.#expect(asked, 0);
    this.#cuts = cutsOf(needed, options.cellElements);
  }

  /** Counts the uses of an activation's cells by an operation of `sides` sides, or one of all of them together (0). */
  #expect(input: Recorded<V>, sides: number): void {
    const uses = this.#uses.get(input) ?? [];
    if (sides === 0) uses.forEach((count, side) => (uses[side] = count + 1));
    for (let side = 0; side < sides; side++) {
      const from = Math.min(side, uses.length - 1);
      uses[from] = (uses[from] ?? 0) + 1;
    }
  }

  region(region: readonly Recorded<V>[]): void {
    const [first] = region;
    if (first?.operation.kind === "whole") this.#whole(first, first.operation);
    else this.#blocks(region);
  }

  #whole(recorded: Recorded<V>, operation: WholeOperation<V>): void {
    const values = operation.compute(
      operation.inputs.map((input) => this.cells(input)),
      this.#blocksOf(recorded.rows),
    );
    const uses = this.#uses.get(recorded) ?? [];
    this.#cells.set(
      recorded,
      values.map((side, i) => side.map((value) => ({ value, uses: uses[i] ?? 0 }))),
    );
    operation.inputs.forEach((input) => this.#releaseAll(input));
  }

  #blocks(region: readonly Recorded<V>[]): void {
    const works = new Map<Recorded<V>, Work<V>>();
    const blocks = this.#blocksOf(region[0]?.rows ?? 0);
    try {
      for (const side of [0, 1]) {
        for (const block of blocks) {
          for (const recorded of region) {
            if (side >= recorded.operation.sides) continue;
            this.#block(recorded, { ...block, side }, works);
            if (block.index === blocks.length - 1 && side === recorded.operation.sides - 1) {
              works.get(recorded)?.end?.();
              works.delete(recorded);
            }
          }
        }
      }
    } finally {
      for (const work of works.values()) work.end?.();
    }
    for (const { operation } of region) sharedBy(operation).forEach((input) => this.#releaseAll(input));
  }

  #block(recorded: Recorded<V>, at: Block, works: Map<Recorded<V>, Work<V>>): void {
    const { operation } = recorded;
    invariant(operation.kind === "blocks", "regions are of operations on blocks");
    let work = works.get(recorded);
    if (!work) works.set(recorded, (work = operation.start(sharedBy(operation).map((input) => this.cells(input)))));
    const inputs = operation.inputs.map((input) => this.#cell(input, at));
    const value = work.block(
      at,
      inputs.map((cell) => cell.value),
    );
    const uses = this.#uses.get(recorded)?.[at.side] ?? 0;
    const cells = this.#cells.get(recorded) ?? Array.from({ length: operation.sides }, () => []);
    this.#cells.set(recorded, cells);
    const side = cells[at.side];
    invariant(side, "the operation has this side");
    side[at.index] = { value, uses };
    for (const cell of inputs) this.#release(cell);
  }

  #cell(recorded: Recorded<V>, { side, index }: Block): Cell<V> {
    const sides = this.#cells.get(recorded) ?? [];
    const cell = sides[Math.min(side, sides.length - 1)]?.[index];
    invariant(cell && cell.uses > 0, "an operand is computed before its use");
    return cell;
  }

  cells(recorded: Recorded<V>): Cells<V> {
    return (this.#cells.get(recorded) ?? []).map((side) => side.map(({ value }) => value));
  }

  #blocksOf(rows: number): Block[] {
    const cuts = this.#cuts.get(rows) ?? [0, rows];
    return cuts.slice(1).map((end, index) => {
      const first = cuts[index] ?? 0;
      return { side: 0, index, first, rows: end - first };
    });
  }

  #releaseAll(recorded: Recorded<V>): void {
    this.#cells.get(recorded)?.forEach((side) => side.forEach((cell) => this.#release(cell)));
  }

  #release(cell: Cell<V>): void {
    cell.uses -= 1;
    if (cell.uses === 0) this.#options.free(cell.value);
  }

  free(): void {
    for (const sides of this.#cells.values()) {
      for (const cell of sides.flat()) if (cell.uses > 0) this.#options.free(cell.value);
    }
    this.#cells.clear();
  }
}
