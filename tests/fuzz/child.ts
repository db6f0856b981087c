/**
 * Feeds one door, in a process of its own: child.ts DOOR SEED FIRST COUNT FOLDER. It tells the number of each input before
 * it feeds it, so that the parent knows which one hangs or kills it. It ends after the last input, or early when it has
 * taken too much memory: its highest memory never sinks, so only a new process can show that the next inputs keep the limit.
 */
import { join } from "node:path";
import { SteplogError } from "../../schema/errors.ts";
import type { Door } from "./door.ts";
import { doors } from "./doors.ts";
import { Random } from "./mutate.ts";

/** Of one process that is fed all inputs, so that memory which is never given back shows. */
export const maxMb = 1_024;

export interface Counts {
  readonly taken: number;
  readonly refused: number;
  readonly peakMb: number;
}

export type ChildMessage =
  | { readonly type: "ready" }
  | { readonly type: "feeding"; readonly input: number }
  | { readonly type: "fed"; readonly input: number; readonly counts: Counts }
  | { readonly type: "fault"; readonly input: number; readonly message: string }
  | { readonly type: "end" };

const [name = "", seed = "", first = "", count = "", folder = ""] = process.argv.slice(2);

function tell(message: ChildMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

process.on("disconnect", () => process.exit());
const open = doors[name];
if (!open) throw new Error(`there is no door ${name}; there are ${Object.keys(doors).join(", ")}`);
/** Several inputs at once, as most of an input's time is waiting for files, threads or a server. */
const copies = 4;
const whole = await open(join(folder, "0"));
const others = Array.from({ length: whole.atOnce === undefined ? copies - 1 : 0 }, (_, i) =>
  open(join(folder, `${i + 1}`)),
);
const lanes = [...Array.from({ length: whole.atOnce ?? 1 }, () => whole), ...(await Promise.all(others))];
await tell({ type: "ready" });
let next = Number(first);
const end = next + Number(count);
const counts = { taken: 0, refused: 0, peakMb: 0 };
await Promise.all(lanes.map(feedNext));
await Promise.all([...new Set(lanes)].map(async (door) => door.close?.()));
await tell({ type: "end" });
process.disconnect();

async function feedNext(door: Door): Promise<void> {
  while (next < end && counts.peakMb < maxMb) {
    const input = next;
    next += 1;
    await tell({ type: "feeding", input });
    const bytes = door.input(new Random(Number(seed) * 1_000_003 + input));
    const fault = (await feed(door, bytes)) ?? watchMemory();
    const start = Buffer.from(bytes).toString("base64").slice(0, 2_000);
    if (fault !== null) await tell({ type: "fault", input, message: `${fault}\n${bytes.length} bytes: ${start}` });
    await tell({ type: "fed", input, counts });
  }
}

/** What was wrong with the answer, or null. */
async function feed(door: Door, bytes: Uint8Array): Promise<string | null> {
  try {
    await door.feed(bytes);
    counts.taken += 1;
  } catch (error) {
    if (!(error instanceof SteplogError) || error.code === "INTERNAL") return described(error);
    counts.refused += 1;
  }
  return null;
}

function described(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${described(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

function watchMemory(): string | null {
  counts.peakMb = process.resourceUsage().maxRSS / 1_024;
  return counts.peakMb < maxMb ? null : `the process has taken ${Math.round(counts.peakMb)} MB`;
}
