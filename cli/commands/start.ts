/** steplog start: the whole service on this machine, until Ctrl-C. */
import type { Command } from "commander";
import type { SteplogError } from "../../schema/errors.ts";
import { type ServeMode, readConfig } from "../config.ts";
import { openOption, portOption, serveOption } from "../options.ts";
import { print } from "../output.ts";
import { stopSignal, whenAborted } from "../process.ts";
import { seedModels, startService } from "../service.ts";

export function define(command: Command): void {
  command
    .description(
      "Run Postgres (embedded, unless DATABASE_URL is set), the gateway and a worker on this machine. Ctrl-C stops them.",
    )
    .addOption(portOption())
    .addOption(openOption())
    .addOption(serveOption())
    .addHelpText("after", "\nExample:\n  steplog start --port 4001")
    .action(start);
}

async function start(options: { port?: number; openToEveryone?: true; serve?: ServeMode }): Promise<void> {
  const read = readConfig();
  const openToEveryone = options.openToEveryone ?? read.openToEveryone;
  const serve = { ...read.serve, mode: options.serve ?? read.serve.mode };
  const config = { ...read, port: options.port ?? read.port, openToEveryone, serve };
  const signal = stopSignal();
  if (await seedModels(config.modelsDir)) print(`The models folder was empty; it now has the demo model, "demo".`);
  let onFailure: (error: SteplogError) => void = () => {};
  const failed = new Promise<SteplogError>((resolve) => (onFailure = resolve));
  const part = { config, logTo: "inherit", restart: true, onFailure, signal } as const;
  const service = await startService(part).catch((error: unknown) => {
    if (signal.aborted) return null;
    throw error;
  });
  if (!service) return;
  print(`
Steplog is running.
  dashboard   ${service.url}/
  GraphiQL    ${service.url}/graphql
  GraphQL     ${service.url}/graphql (HTTP), ${service.url.replace(/^http/u, "ws")}/graphql (WebSocket)
  models      ${config.modelsDir}
  device      ${service.device}
Ctrl-C stops it; unfinished fine-tunes continue at the next start.
`);
  const failure = await Promise.race([whenAborted(signal), failed]);
  print("Stopping: the worker releases its job, and live streams are closed.");
  await service.stop();
  if (failure) throw failure;
}
