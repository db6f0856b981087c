/** What to try after a run has failed, by the code of its error. The message says what was seen. */
import type { ErrorCode } from "../client/schema-types.ts";

/** Null where the message says it all. @param command the command line that does something with the run */
export function adviceFor(code: ErrorCode, command: (name: string) => string): string | null {
  const from = `from a checkpoint: ${command("fork")}`;
  const advice: Partial<Record<ErrorCode, string>> = {
    LOSS_NOT_FINITE: `Try a smaller learning rate, ${from} --set learningRate=RATE`,
    DIVERGED: `Try a smaller learning rate, or AUTO, ${from} --set learningRate=RATE`,
    OUT_OF_MEMORY: "Try a smaller batchSize, shorter rows, or a worker with more memory: steplog doctor",
    DEVICE_UNAVAILABLE: "See which devices open on the worker's machine: steplog device list",
    UNAVAILABLE: `Go on from its last checkpoint: ${command("fork")}`,
    MODEL_INVALID: "Add the model anew: steplog model add WHAT",
    INTERNAL: "This is a fault of Steplog. The worker's log says where.",
  };
  return advice[code] ?? null;
}
