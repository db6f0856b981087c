/**
 * Which processor TensorFlow ran each operation on, from its own log. It places an operation that has no kernel for the GPU on
 * the CPU without a word, and then copies its operands there and back.
 */

/** Makes TensorFlow log each operation that it runs, with its device. */
export const placementEnvironment = { TF_CPP_MIN_LOG_LEVEL: "0", TF_CPP_VMODULE: "execute=1" } as const;

export interface Placement {
  readonly operation: string;
  /** How often it ran, by the name of the processor: CPU:0, GPU:0. */
  readonly runs: Readonly<Record<string, number>>;
}

/** Counts the lines "Executing op NAME in device .../device:CPU:0", as they come. */
export function countPlacements(): { line: (text: string) => void; placements: () => Placement[] } {
  const counts = new Map<string, Record<string, number>>();
  return {
    line: (text) => {
      const [, operation, processor] = /Executing op (\S+) in device \S*device:(\w+:\d+)/u.exec(text) ?? [];
      if (operation === undefined || processor === undefined) return;
      const runs = counts.get(operation) ?? {};
      runs[processor] = (runs[processor] ?? 0) + 1;
      counts.set(operation, runs);
    },
    placements: () =>
      [...counts]
        .map(([operation, runs]) => ({ operation, runs }))
        .toSorted((a, b) => (a.operation < b.operation ? -1 : 1)),
  };
}

/** Operations that ran on a CPU. */
export function onCpu(placements: readonly Placement[]): string[] {
  return placements
    .filter(({ runs }) => Object.keys(runs).some((name) => name.startsWith("CPU")))
    .map((p) => p.operation);
}
