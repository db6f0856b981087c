/**
 * Releases one apart, while runs go on: gateway and worker of this tree, and of the commit before its newest migration, which
 * is built here. So what changed the tables last is always between the two.
 */
import { execFile } from "node:child_process";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { packagePath } from "../../schema/package.ts";
import { scratch } from "../support/models.ts";
import { testDatabase } from "../support/postgres.ts";
import { firstTry } from "../support/first-try.ts";
import { startSteplog } from "../support/processes.ts";
import { collectSteps, expectEveryStepOnce, expectRebuilt, steps } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

const run = promisify(execFile);
const here = packagePath(".");
const git = async (...args: string[]) => (await run("git", ["-C", here, ...args])).stdout.trim();

/** Null where the history is not there: in a clone of the last commit alone. */
const earlier = await git("log", "-1", "--format=%H", "--", "migrations/*.sql").then(
  (migrated) => git("rev-parse", `${migrated}~1`),
  () => null,
);
const why = "the clone has no history: git fetch --unshallow";
if (process.env["CI"] && earlier === null) throw new Error(`${why}. CI has what tests need.`);
const skipped = earlier === null ? ` (skipped: ${why})` : "";

test.runIf(earlier !== null)(
  `a run goes on while gateway and workers are replaced one by one, forwards and back${skipped}`,
  { ...firstTry, timeout: 300_000 },
  async () => {
    const program = await built(earlier ?? "");
    const database = await testDatabase({ empty: true });
    onTestFinished(() => database.drop());
    const service = await testService(database.url);
    const oldWorker = () => startSteplog(["worker"], service.env, program);

    // All of the release before, then a worker of this one, which changes the tables under the others.
    const oldServer = startSteplog(["server", "--port", "0"], service.env, program);
    const url = String((await oldServer.ready)["url"]);
    const client = new SteplogClient({ url });
    const first = oldWorker();
    await first.ready;
    const id = await createRun(service, client, steps);
    const { seen, done } = collectSteps(client, id);
    await until("the first steps", 60_000, () => seen.length > 50);
    const newWorker = await service.startWorker();
    expect(await first.kill("SIGTERM")).toBe(0);
    const atChange = seen.length;
    await until("steps of the new worker", 60_000, () => seen.length > atChange + 50);

    // A gateway of this release in the place of the other, and a worker of the one before again.
    expect(await oldServer.kill("SIGTERM")).toBe(0);
    await service.startServer(Number(new URL(url).port));
    const second = oldWorker();
    await second.ready;
    expect(await newWorker.kill("SIGTERM")).toBe(0);
    await done;
    expectEveryStepOnce(seen);
    await expectRebuilt(service, client, id);
    const created = await createRun(service, client, 20);
    expect((await client.wait(created)).status).toBe("SUCCEEDED");
    await expectRebuilt(service, client, created, 20);
  },
);

/** The commit's program, without the addon: the plain device needs none. */
async function built(commit: string): Promise<string> {
  const folder = await scratch();
  await run("bash", ["-c", `git -C "${here}" archive ${commit} | tar -x -C "${folder}"`]);
  await rm(join(folder, "node_modules"), { recursive: true, force: true });
  await symlink(join(here, "node_modules"), join(folder, "node_modules"));
  await mkdir(join(folder, "dist"), { recursive: true });
  await run(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
    cwd: folder,
  });
  return join(folder, "dist/cli/steplog.js");
}
