/**
 * How much of the machine's memory this process has: everything in it, the other threads and what they hold included. On Linux
 * also the most since the last look; elsewhere that is not known.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { MemoryGauge } from "../train/memory-readings.ts";

export const residentMemory: MemoryGauge = {
  restart() {
    try {
      // Sets the peak back to what is there now (proc(5)).
      writeFileSync("/proc/self/clear_refs", "5");
    } catch {
      // Then `read` knows no peak either, or one since the process began.
    }
  },
  read() {
    return { residentBytes: process.memoryUsage.rss(), peakBytes: peakBytes() };
  },
};

function peakBytes(): number | null {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1_024;
  } catch {
    return null;
  }
}
