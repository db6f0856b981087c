/** How a step of an install fails: which step, why, and what to do. */
import type { Ran } from "./programs.ts";
import { lastLines } from "./programs.ts";

export const noRoomAdvice = "Free some gigabytes, or set STEPLOG_DEVICES to a folder on a larger disk.";

/** A step that failed. Another source of the library may still do. */
export class StepFailure extends Error {
  constructor(step: string, why: string, advice: string) {
    super(`${step} failed: ${why}${/[.!?]$/u.test(why) ? "" : "."} ${advice}`);
    this.name = "StepFailure";
  }
}

/** @throws StepFailure unless the program ended well */
export function mustSucceed(step: string, { status, output }: Ran, advise: (output: string) => string): void {
  if (status === 0) return;
  throw new StepFailure(step, `${lastLines(output)} (${describe(status)})`, adviceFor(output) ?? advise(output));
}

function describe(status: Ran["status"]): string {
  if (status === null) return "it could not be started";
  return typeof status === "number" ? `exit status ${status}` : `ended by ${status}`;
}

/** What helps whatever the step was. */
function adviceFor(output: string): string | null {
  if (/no space left|ENOSPC|disk quota exceeded|EDQUOT/iu.test(output)) return noRoomAdvice;
  if (/EACCES|permission denied/iu.test(output)) return "Fix the owner or the mode of what it names.";
  return null;
}
