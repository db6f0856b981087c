/** steplog server: the gateway alone, against DATABASE_URL. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { Sandbox } from "../../sandbox/sandbox.ts";
import { packagePath } from "../../schema/package.ts";
import { startServer } from "../../server/server.ts";
import { openStore } from "../../store/store.ts";
import { needDatabaseUrl, readConfig, storeOptions } from "../config.ts";
import { openOption, portOption } from "../options.ts";
import { closeTraces, openTraces } from "../traces.ts";
import { createLog, prepareWhenUp, reportReady, stopSignal, whenAborted } from "../process.ts";

export function define(command: Command): void {
  command
    .addOption(portOption())
    .addOption(openOption())
    .addHelpText(
      "after",
      "\nExample:\n  DATABASE_URL=postgres://user:secret@localhost/steplog steplog server --port 4000",
    )
    .action(server);
}

async function server(options: { port?: number; openToEveryone?: true }): Promise<void> {
  const config = readConfig();
  const databaseUrl = needDatabaseUrl(config);
  const signal = stopSignal();
  const log = createLog("server", config.logLevel);
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
      dashboardDir: builtDashboard(),
      apiToken: config.apiToken,
      publicUrl: config.publicUrl,
      corsOrigins: config.corsOrigins,
      allowedHosts: config.allowedHosts,
      allowPrivateWebhooks: config.allowPrivateWebhooks,
      completions: config.completions,
      keepExportsS: config.keepExportsS,
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

function builtDashboard(): string | undefined {
  const folder = packagePath("dashboard/dist");
  return existsSync(join(folder, "index.html")) ? folder : undefined;
}
