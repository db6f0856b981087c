/** What cannot start here ends at once and says why: without its device, where none takes another in its place, or its port. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import { runSteplog, startSteplog } from "../support/processes.ts";
import { urlOf } from "./follow.ts";
import { testService } from "./service.ts";

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
    expect(stderr).not.toContain("restarting");
    expect(performance.now() - began).toBeLessThan(30_000);
  },
);

test(
  "what the next start would refuse too ends the service, and is not tried for ever",
  { timeout: 90_000 },
  async () => {
    const service = await testService();
    const documents = join(service.folder, "documents.json");
    await writeFile(documents, "{}");
    const start = startSteplog(["start", "--port", "0"], { ...service.env, STEPLOG_PERSISTED_DOCUMENTS: documents });
    await urlOf(start);
    await writeFile(documents, "not JSON");
    process.kill(await gatewayOf(start.child.pid ?? 0), "SIGKILL");
    expect(await start.ended).toBe(3);
    // The first end may have been anything; the second says what it is.
    expect(start.output().match(/exited unexpectedly \(\w+\); restarting it/gu)).toEqual([
      "exited unexpectedly (SIGKILL); restarting it",
    ]);
    expect(start.output()).toMatch(/INVALID_ARGUMENT: The server has ended: .*documents\.json/u);
  },
);

test.each(["server", "start"])(
  "a port that is taken ends steplog %s, and says so",
  { timeout: 60_000 },
  async (name) => {
    const [folder, database] = [await scratch(), await testDatabase()];
    onTestFinished(() => database.drop());
    const other = createServer();
    onTestFinished(() => void other.close());
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const env = { DATABASE_URL: database.url, STEPLOG_DATA: folder };
    const { code, stderr } = await runSteplog([name, "--port", String(port)], env);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(new RegExp(`UNAVAILABLE: .*Cannot listen on 127\\.0\\.0\\.1:${port}: .*--port`, "u"));
  },
);

/** The process that `steplog start` runs as its gateway. */
async function gatewayOf(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").map(Number);
  for (const child of children)
    if ((await readFile(`/proc/${child}/cmdline`, "utf8")).includes("\0server\0")) return child;
  throw new Error(`no gateway among the processes ${children.join(", ")}`);
}
