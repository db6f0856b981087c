/** When a run has had its slice of a worker's time. From then on the store is asked, again and again, whether it gives way. */
import type { KeptFolder } from "../engine/train/kept-weights.ts";
import { renewMs } from "../schema/limits.ts";

export interface TimeSlice {
  readonly ms: number;
  readonly kept: KeptFolder;
}

/** @param ms null for a job that never gives way */
export function timeSliceOf(ms: number | null, givesWay: () => Promise<boolean>, leave: () => void) {
  let timer: NodeJS.Timeout | undefined;
  let isOver = ms === null;
  const look = async () => {
    // A store that does not answer now is asked again; whether the lease is lost, its renewal finds out.
    const gives = await givesWay().catch(() => false);
    if (isOver) return;
    if (gives) leave();
    else timer = setTimeout(() => void look(), renewMs);
  };
  return {
    begin() {
      if (!isOver) timer ??= setTimeout(() => void look(), ms ?? 0);
    },
    end() {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
