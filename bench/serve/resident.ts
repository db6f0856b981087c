/** Memory of a service that is measured. */
import { readFile } from "node:fs/promises";

/** Proportional set size of the process and its descendants that are node's, in MB; 0 where /proc has none. */
export async function residentMb(pid: number): Promise<number> {
  const text = (path: string) => readFile(path, "utf8").catch(() => "");
  if (!(await text(`/proc/${pid}/cmdline`)).includes("cli/steplog")) return 0;
  const own = /^Pss:\s+(\d+) kB/mu.exec(await text(`/proc/${pid}/smaps_rollup`));
  const children = (await text(`/proc/${pid}/task/${pid}/children`)).split(" ").filter((child) => child !== "");
  const others = await Promise.all(children.map((child) => residentMb(Number(child))));
  return Number(own?.[1] ?? 0) / 1_000 + others.reduce((a, b) => a + b, 0);
}
