/** The addon survives the end of its thread: a worker ends the engine's when it loses a lease, whatever it does just then. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";
import { propertySeed } from "./devices.inputs.ts";
import { instructionSets } from "./native.inputs.ts";

const program = fileURLToPath(new URL("ended-threads.js", import.meta.url));
const { path } = createRequire(import.meta.url)("node-gyp-build") as { path: (this: void, folder: string) => string };

async function endThreads(count: number) {
  const file = join(await scratch(), "weights");
  await writeFile(file, new Uint8Array(65_536));
  const args = [program, path(packagePath("engine/native")), file, String(count), String(propertySeed)];
  const { status, signal, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return { status, signal, stderr };
}

test.runIf(instructionSets.length > 0)("threads end at any moment of the addon's work", async () => {
  expect(await endThreads(12)).toStrictEqual({ status: 0, signal: null, stderr: "" });
});

// About a minute.
test.runIf(instructionSets.length > 0 && process.env["STEPLOG_LONG_TESTS"])(
  "200 threads end at any moment of the addon's work",
  { timeout: 10 * 60_000 },
  async () => {
    expect(await endThreads(200)).toStrictEqual({ status: 0, signal: null, stderr: "" });
  },
);
