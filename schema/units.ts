/** Counts, sizes and times in words, for messages and command lines. */

export const secondsOfDay = 86_400;
export const msOfDay = 1_000 * secondsOfDay;

/** A number with its noun: "1 row", "2 rows"; `many` for nouns whose plural has no mere s. */
export function counted(count: number, noun: string, many = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : many}`;
}

/** 1,234,567 bytes as 1.2 MB (units of 1000). */
export function formatBytes(bytes: number): string {
  return bytes === 1 ? "1 byte" : scaled(bytes, [" bytes", " kB", " MB", " GB", " TB"]);
}

/** Four decimals; the loss of a run that diverged may have many digits, and is written as 1.70e11. */
export function formatLoss(loss: number): string {
  return Math.abs(loss) < 100_000 ? loss.toFixed(4) : loss.toExponential(2).replace("e+", "e");
}

/** 124,439,808 as 124.4 M. */
export function formatCount(count: number): string {
  return scaled(count, ["", " k", " M", " B", " T"]);
}

/** In the largest of `units`, each 1000 of the one before, in which it is at least 1. */
function scaled(value: number, units: readonly string[]): string {
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${power === 0 ? value : (value / 1000 ** power).toFixed(1)}${units[power] ?? ""}`;
}

/** 3725 seconds as 1h 02m 05s. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  if (h > 0) return `${h}h ${two(m)}m ${two(s)}s`;
  return m > 0 ? `${m}m ${two(s)}s` : `${s}s`;
}
