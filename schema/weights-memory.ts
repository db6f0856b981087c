/** What the weights of a base model need in memory, as far as their number and format tell. */

/**
 * A lower bound in bytes: bfloat16 weights are held as they are, others as float32. Each step reads all of them, frozen ones
 * too: where they do not fit into memory, each step reads them from the disk.
 */
export function weightsInMemory({ dtype, parameters }: { dtype: string; parameters: number }): number {
  return parameters * (dtype.includes("BF16") ? 2 : 4);
}
