/** A device that was asked for and is not here ends a worker, and a whole service, at once: neither takes another in its place. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import { runSteplog } from "../support/processes.ts";

test.each([["worker"], ["start", "--port", "0"]])(
  "steplog %s ends within seconds, and says which command installs it",
  { timeout: 60_000 },
  async (...args) => {
    const [folder, database] = [await scratch(), await testDatabase()];
    onTestFinished(() => database.drop());
    await mkdir(join(folder, "devices"));
    const began = performance.now();
    const { code, stderr } = await runSteplog(args, {
      DATABASE_URL: database.url,
      STEPLOG_DATA: folder,
      STEPLOG_DEVICE: "tfjs-tensorflow",
      STEPLOG_DEVICES: join(folder, "devices"),
      NODE_PATH: "",
    });
    expect({ code, stderr }).toMatchObject({ code: 3 });
    expect(stderr).toMatch(
      /DEVICE_UNAVAILABLE: .*tfjs-tensorflow cannot be opened: .*steplog device install tfjs-gpu, or tfjs-cpu/u,
    );
    expect(performance.now() - began).toBeLessThan(30_000);
  },
);
