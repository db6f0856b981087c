/** steplog server: the gateway alone, against DATABASE_URL. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { Logger } from "pino";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { packagePath } from "../../schema/package.ts";
import { startServer } from "../../server/server.ts";
import { openStore } from "../../store/store.ts";
import { type ServiceConfig, needDatabaseUrl, readConfig, storeOptions } from "../config.ts";
import { openOption, portOption } from "../options.ts";
import { closeTraces, openTraces } from "../traces.ts";
import { createLog, prepareWhenUp, reportReady, runService, stopSignal, whenAborted } from "../process.ts";

export function define(command: Command): void {
  command
    .description(
      "Run the gateway alone: the API, the page and the documentation. It needs DATABASE_URL, and workers beside it.",
    )
    .addOption(portOption())
    .addOption(openOption())
    .addHelpText(
      "after",
      "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog server --port 4000",
    )
    .action(server);
}

interface ServerOptions {
  readonly port?: number;
  readonly openToEveryone?: true;
}

async function server(options: ServerOptions): Promise<void> {
  const config = readConfig();
  const log = createLog("server", config.logLevel);
  await runService(log, () => serve(config, options, log));
}

async function serve(config: ServiceConfig, options: ServerOptions, log: Logger): Promise<void> {
  const databaseUrl = needDatabaseUrl(config);
  const signal = stopSignal();
  const tracing = await openTraces(config, "steplog-gateway", log);
  const store = await openStore({ databaseUrl, ...storeOptions(config), log, tracing });
  const sandbox = new Sandbox();
  try {
    if (!(await prepareWhenUp(store, log, signal))) return;
    const running = await startServer({
      store,
      log,
      sandbox,
      host: config.host,
      port: options.port ?? config.port,
      openToEveryone: options.openToEveryone ?? config.openToEveryone,
      modelsDir: config.modelsDir,
      uploadsDir: join(config.storageDir, "uploads"),
      dashboardDir: built("dashboard/dist"),
      docsDir: built("docs/dist"),
      apiToken: config.apiToken,
      publicUrl: config.publicUrl,
      corsOrigins: config.corsOrigins,
      allowedHosts: config.allowedHosts,
      allowPrivateWebhooks: config.allowPrivateWebhooks,
      completions: config.completions,
      keepExportsS: config.keepExportsS,
      documents: config.documents,
      rateLimits: config.rateLimits,
      metricsToken: config.metricsToken,
      tracing,
    });
    reportReady({ url: running.url });
    await whenAborted(signal);
    await running.close();
  } finally {
    sandbox.close();
    await store.close();
    await closeTraces(tracing);
  }
}

/** A folder of pages, if it was built. */
function built(name: string): string | undefined {
  const folder = packagePath(name);
  return existsSync(join(folder, "index.html")) ? folder : undefined;
}
