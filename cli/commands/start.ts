/** steplog start: the whole service on this machine, until Ctrl-C. */
import { readConfig } from "../config.ts";
import { print } from "../output.ts";
import { stopSignal, whenAborted } from "../process.ts";
import { seedModels, startService } from "../service.ts";

export async function start(options: { port?: number }): Promise<void> {
  const read = readConfig();
  const config = { ...read, port: options.port ?? read.port };
  const signal = stopSignal();
  if (await seedModels(config.modelsDir)) print(`The models folder was empty; the demo base is in it now, as "demo".`);
  const service = await startService({ config, logTo: "inherit", restart: true });
  print(`
Steplog is up.
  dashboard   ${service.url}/
  GraphiQL    ${service.url}/graphql
  GraphQL     ${service.url}/graphql (HTTP), ${service.url.replace(/^http/u, "ws")}/graphql (WebSocket)
  models      ${config.modelsDir}
  device      ${service.device}
Ctrl-C stops it; fine-tunes under way go on at the next start.
`);
  await whenAborted(signal);
  print("Stopping: the worker gives its job back, streams are closed.");
  await service.stop();
}
