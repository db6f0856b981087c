/** Traces of a process of the service, if somebody wants them. */
import type { Log } from "../schema/log.ts";
import type { ServiceConfig } from "./config.ts";
import type { Traces } from "./open-telemetry.ts";

/** Null, and nothing is loaded, unless they are wanted. */
export async function openTraces(
  { traces }: Pick<ServiceConfig, "traces">,
  service: string,
  log: Log,
): Promise<Traces | null> {
  if (!traces) return null;
  const { startTraces } = await import("./open-telemetry.ts");
  return startTraces(service, log);
}

/**
 * The last thing that a process does. A collector that does not answer would keep it for as long as OpenTelemetry tries again.
 */
export async function closeTraces(traces: Traces | null): Promise<void> {
  if (traces === null || (await traces.close())) return;
  // After whoever called has set the exit code.
  setImmediate(() => process.exit());
}
