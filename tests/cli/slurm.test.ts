/** steplog scale --slurm: how many workers are submitted, and how. Slurm's two commands are scripts here; deploy/slurm/try.sh has the real ones. */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { jobKinds } from "../../schema/jobs.ts";
import { packagePath } from "../../schema/package.ts";
import { newRun } from "../store/fixtures.ts";
import { steplogHere } from "../support/command.ts";
import { scratch } from "../support/models.ts";
import { type TestStore, testStore } from "../support/postgres.ts";

let service: TestStore;
beforeAll(async () => {
  service = await testStore();
  for (let run = 0; run < 3; run++) await newRun(service.store);
});
afterAll(() => service.drop());

let folder = "";
/** A squeue that lists the jobs that were submitted, and an sbatch that submits them: one line of arguments each. */
beforeEach(async () => {
  folder = await scratch();
  await mkdir(join(folder, "bin"));
  await writeFile(join(folder, "jobs"), "");
  await program("squeue", `echo "$@" >"${folder}/asked"; cut -d' ' -f1 "${folder}/jobs"`);
  await program(
    "sbatch",
    `echo "$STEPLOG_WORKER_POOL" >"${folder}/pool"; echo "$(wc -l <"${folder}/jobs") $*" >>"${folder}/jobs"; tail -n 1 "${folder}/jobs" | cut -d' ' -f1`,
  );
});

async function program(name: string, line: string): Promise<void> {
  const path = join(folder, "bin", name);
  await writeFile(path, `#!/bin/bash\nset -eu\n${line}\n`);
  await chmod(path, 0o755);
}

async function scale(...args: string[]) {
  const env = {
    DATABASE_URL: service.url,
    STEPLOG_DATA: folder,
    PATH: `${join(folder, "bin")}:${process.env["PATH"]}`,
  };
  return steplogHere(["scale", ...args], env);
}

const jobs = async () => (await readFile(join(folder, "jobs"), "utf8")).split("\n").filter((line) => line !== "");

test("as many as there is work for are submitted once, and those that are there are not submitted again", async () => {
  const looks = ["--slurm", "--json"];
  const answer = async () => JSON.parse((await scale(...looks)).stdout) as unknown;
  expect(await answer()).toEqual({ workersWanted: 3, jobs: 0, missing: 3, submitted: ["0", "1", "2"] });
  expect(await answer()).toEqual({ workersWanted: 3, jobs: 3, missing: 0, submitted: [] });
  const script = packagePath("deploy/slurm/worker.sbatch");
  expect(await jobs()).toEqual([0, 1, 2].map((id) => `${id} --parsable --job-name=steplog-worker ${script}`));
  const asked = await readFile(join(folder, "asked"), "utf8");
  expect(asked.trim()).toBe("--me --noheader --format=%i --name=steplog-worker --states=PENDING,CONFIGURING,RUNNING");
});

test("no more than --most, under a name, with options of sbatch", async () => {
  const { stdout, code } = await scale("--slurm", "--most", "2", "--name", "mine", "--", "--partition=gpu", "--mem=1G");
  expect([code, stdout]).toEqual([0, "3 workers wanted, 0 in Slurm's queue: 2 submitted: 0 1\n"]);
  expect((await jobs())[1]).toMatch(/^1 --parsable --job-name=mine --partition=gpu --mem=1G \//u);
  expect(await readFile(join(folder, "pool"), "utf8")).toBe("mine\n");
});

test("none is submitted for work that the workers of its name have left; those of another name may do it", async () => {
  const can = { kinds: jobKinds, families: ["opt"], precisions: ["FLOAT32"], memoryBytes: 1, models: [] } as const;
  const id = crypto.randomUUID();
  await service.store.workers.report({ id, name: "w", device: "plain", version: "1", pool: "poor", ...can });
  expect((await scale("--slurm", "--name", "poor")).stdout).toMatch(/^0 workers wanted/u);
  const rich = ["--slurm", "--dry-run", "--name", "rich", "--memory-from", "1000"];
  expect((await scale(...rich)).stdout).toMatch(/^0 workers wanted/u);
  expect((await scale(...rich, "--left-by", "poor")).stdout).toMatch(/^3 workers wanted/u);
  const env = { DATABASE_URL: service.url, STEPLOG_DATA: folder };
  const queue = async (...args: string[]) => (await steplogHere(["queue", ...args], env)).stdout;
  expect(await queue("--pool", "poor")).toContain(
    "Workers of the pool poor cannot do FINE_TUNE of tiny (16 bytes): no more of them are wanted for it.\n",
  );
  expect(await queue("--pool", "poor")).toContain("To do all of it at once: 0 workers.");
  const entries = [{ free: 3, leftBy: ["poor"], heldBy: [] }];
  expect(JSON.parse(await queue("--json", "--pool", "rich"))).toMatchObject({ workersWanted: 3, entries });
});

test("--dry-run submits nothing, and work of other sizes is not counted", async () => {
  const { stdout } = await scale("--slurm", "--dry-run");
  expect(stdout).toBe("3 workers wanted, 0 in Slurm's queue: 3 would be submitted.\n");
  expect((await scale("--slurm", "--memory-from", "1")).stdout).toMatch(/^0 workers wanted/u);
  expect(await jobs()).toEqual([]);
});

test("what Slurm refuses is told with its words, and a missing Slurm by name", async () => {
  await program("sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1");
  const refused = await scale("--slurm");
  expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("invalid partition specified: gpu")]);
  const env = { DATABASE_URL: service.url, STEPLOG_DATA: folder, PATH: "/nowhere" };
  const missing = await steplogHere(["scale", "--slurm"], env);
  expect([missing.code, missing.stderr]).toEqual([3, expect.stringContaining("squeue failed: it is not there.")]);
  expect((await scale()).stderr).toContain("Give --slurm");
});
