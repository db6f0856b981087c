/** Checks for free disk space before gigabytes are written. */
import { statfs } from "node:fs/promises";
import { SteplogError } from "../schema/errors.ts";
import { formatBytes } from "../schema/units.ts";

/** @throws UNAVAILABLE when the file system of `folder` has fewer than `bytes` free */
export async function needSpace(
  folder: string,
  bytes: number,
  advice = "set STEPLOG_MODELS to a folder on a larger disk",
): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new SteplogError(
    "UNAVAILABLE",
    `The model needs ${formatBytes(bytes)} more on the disk of ${folder}, which has ${formatBytes(free)} free. ` +
      `Free space, or ${advice}.`,
  );
}
