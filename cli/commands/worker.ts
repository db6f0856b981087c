/** steplog worker: a worker alone, against DATABASE_URL. */
import { hostname } from "node:os";
import { chooseDevice } from "../../engine/devices/choose.ts";
import { openStore } from "../../store/store.ts";
import { registerModels, watchModels } from "../../models/registration.ts";
import { runWorker } from "../../worker/worker.ts";
import { needDatabaseUrl, readConfig } from "../config.ts";
import { createLog, reportReady, stopSignal } from "../process.ts";

export async function worker(): Promise<void> {
  const config = readConfig();
  const databaseUrl = needDatabaseUrl(config);
  const signal = stopSignal();
  const log = createLog("worker", config.logLevel);
  const { device, why } = await chooseDevice(config.device, { threads: config.threads });
  const deviceNote = `${device.name}: ${device.description} (${why})`;
  device.dispose();
  log.info({ device: device.name }, `Computes on ${deviceNote}.`);
  const store = await openStore({ databaseUrl, storageDir: config.storageDir, log });
  try {
    await store.migrate();
    const models = await registerModels(store, config.modelsDir, log);
    log.info({ models, modelsDir: config.modelsDir }, `Registered ${models.length} base models.`);
    reportReady({ models, device: deviceNote });
    const name = `${hostname()}-${process.pid}`;
    const shared = { store, name, modelsDir: config.modelsDir, log, signal };
    const compute = { device: device.name, deviceNote, threads: config.threads };
    await Promise.all([runWorker({ ...shared, ...compute }), watchModels(shared)]);
  } finally {
    await store.close();
  }
}
