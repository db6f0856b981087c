/** A log replayed onto weights that a device has: of a run that goes on, of a model that answers or is evaluated. */
import type { LogEntries } from "../../schema/log-entries.ts";
import type { Device, Weight } from "../devices/device.ts";
import type { Noise } from "../numbers/noise.ts";
import { applyInParts } from "./timed-parts.ts";

/** So many entries are worth the way of the weights to the host and back, which takes as long as a few of them. */
const worthTheWay = 16;

/** @param before is waited for again and again; what it throws ends the work, and leaves the weights anyhow */
export function replayOnto(
  device: Device,
  weights: readonly Weight[],
  entries: LogEntries,
  noise: Noise,
  before?: () => Promise<void>,
): Promise<void> {
  if (device.replayOutside && entries.length >= worthTheWay) {
    return device.replayOutside(weights, (piece) =>
      applyInParts(entries, (part) => device.replay(piece, part, noise), before),
    );
  }
  const update = (part: LogEntries) => {
    device.update(weights, part, noise);
    return device.settled?.();
  };
  return applyInParts(entries, update, before);
}
