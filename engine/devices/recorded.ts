/** Recorded operations of a pass (recording.ts). V is a device's value of some rows of an activation on one side. */
import type { Activation } from "./device.ts";

/** Rows first, ..., first + rows - 1 on one side. */
export interface Block {
  readonly side: number;
  readonly index: number;
  readonly first: number;
  readonly rows: number;
}

/** [sides][blocks]. One side counts for both. */
export type Cells<V> = readonly (readonly V[])[];

/** An operation while its blocks are computed: all of one side, then those of the other. */
export interface Work<V> {
  block(at: Block, inputs: readonly V[]): V;
  /** Frees what the blocks shared. */
  end?(): void;
}

interface Common<V> extends Activation {
  /** 1 as long as both sides are equal. */
  readonly sides: number;
  readonly inputs: readonly Recorded<V>[];
  /** Lengths of the sequences whose rows must stay together. */
  readonly lengths?: readonly number[];
  /** Whether it changes something, so that it may not run twice. */
  readonly once?: boolean;
}

/** Each block of rows depends on the same block of the inputs, and on all of `shared`. */
export interface BlockOperation<V> extends Common<V> {
  readonly kind: "blocks";
  readonly shared?: readonly Recorded<V>[];
  /** Bytes that `start` makes for the blocks to share: weights under a perturbation. */
  readonly held?: number;
  start(shared: readonly Cells<V>[]): Work<V>;
}

/** Computed at once, from whole inputs. */
export interface WholeOperation<V> extends Common<V> {
  readonly kind: "whole";
  /** @returns the cells of `blocks`, for each side */
  compute(inputs: readonly Cells<V>[], blocks: readonly Block[]): V[][];
}

export type Operation<V> = BlockOperation<V> | WholeOperation<V>;

/** A recorded operation, and the activation that it will compute. */
export interface Recorded<V> extends Activation {
  readonly operation: Operation<V>;
}

export function sharedBy<V>(operation: Operation<V>): readonly Recorded<V>[] {
  return operation.kind === "blocks" ? (operation.shared ?? []) : [];
}
