/**
 * Feeds one door, in a process of its own: child.ts DOOR SEED FIRST COUNT FOLDER. It tells the number of each input before
 * it feeds it, so that the parent knows which one hangs or kills it, and ends with a report.
 */
import { SteplogError } from "../../schema/errors.ts";
import { doors } from "./doors.ts";
import { Random } from "./mutate.ts";

export type ChildMessage =
  | { readonly type: "ready" }
  | { readonly type: "feeding"; readonly input: number }
  | { readonly type: "fault"; readonly input: number; readonly message: string; readonly bytes: string }
  | { readonly type: "end"; readonly taken: number; readonly refused: number; readonly peakMb: number };

const [name = "", seed = "", first = "", count = "", folder = ""] = process.argv.slice(2);

function tell(message: ChildMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

const open = doors[name];
if (!open) throw new Error(`there is no door ${name}; there are ${Object.keys(doors).join(", ")}`);
const door = await open(folder);
await tell({ type: "ready" });
const start = Number(first);
let taken = 0;
let refused = 0;
for (let input = start; input < start + Number(count); input++) {
  const bytes = door.input(new Random(Number(seed) * 1_000_003 + input));
  await tell({ type: "feeding", input });
  try {
    await door.feed(bytes);
    taken += 1;
  } catch (error) {
    if (error instanceof SteplogError && error.code !== "INTERNAL") refused += 1;
    else {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      await tell({ type: "fault", input, message, bytes: Buffer.from(bytes).toString("base64").slice(0, 2_000) });
    }
  }
}
await door.close?.();
await tell({ type: "end", taken, refused, peakMb: process.resourceUsage().maxRSS / 1_024 });
process.disconnect();
