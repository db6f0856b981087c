/**
 * A worker without room for what it brings from elsewhere, copies of a base and of rows from an S3: its jobs wait and say which
 * folder is full, nothing half written is used, and all goes on once there is room. A checkpoint of all weights answers although
 * there is no room to keep its folder, and after kill -9 from the folder that another worker has kept. Real processes, and a real
 * S3 server.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { startS3, whyNoS3 } from "../support/s3/s3.ts";
import { firstTry } from "../support/first-try.ts";
import { smallDisk, whyNoDisk } from "../support/small-disk.ts";
import { createRun, modelsOf, testService, until } from "./service.ts";

const patienceMs = 60_000;
const why = whyNoDisk ?? whyNoS3;

test.skipIf(why !== null)(
  `copies and rebuilt folders that find no room${why === null ? "" : ` (skipped: ${why})`}`,
  { ...firstTry, timeout: 240_000 },
  async () => {
    const s3 = await startS3();
    onTestFinished(() => s3.end());
    const service = await testService(undefined, s3.env("of-tests"));
    const folder = join(service.folder, "other");
    await mkdir(join(folder, "models"), { recursive: true });
    const [cacheDir, servingDir] = [join(folder, "cache"), join(folder, "serving")];
    const [cache, serving] = [await smallDisk(cacheDir, "size=16k"), await smallDisk(servingDir, "size=16k")];
    const [{ client }, owner] = await Promise.all([service.startServer(), service.startWorker()]);
    const first = await client.wait(await createRun(service, client, 3));
    const worker = await service.startWorker({ STEPLOG_DATA: folder });
    await until("the model to be stored", patienceMs, async () => (await modelsOf(client)).length === 2);
    expect(await owner.kill("SIGTERM")).toBe(0);

    const id = await createRun(service, client, 3);
    const asked = () => client.fineTune(id).catch(() => null);
    const reason = async () => (await asked())?.waitingReason ?? "";
    await until("the reason", patienceMs, async () =>
      (await reason()).includes("UNAVAILABLE: The cache folder other/cache has no room left"),
    );
    expect(worker.output()).toContain(cacheDir);
    await expectWhole(cacheDir);
    await cache.remount("size=64m");
    const run = await client.wait(id);
    expect(run.status).toBe("SUCCEEDED");
    const [digest, expected] = [run, first].map(({ checkpoints }) => checkpoints.nodes[0]?.weightsDigest);
    expect(digest).toBe(expected);
    await expectWhole(cacheDir);

    const checkpoint = run.checkpoints.nodes[0]?.id ?? "";
    const answer = await answerOf(client, checkpoint);
    expect(answer).not.toEqual([]);
    await until("a worker that says so", patienceMs, () => worker.output().includes("could not be kept in a folder"));
    expect(await readdir(servingDir)).toEqual([]);
    await serving.remount("size=64m");
    await worker.kill("SIGKILL");
    const next = await service.startWorker({ STEPLOG_DATA: folder });
    expect(await answerOf(client, checkpoint)).toEqual(answer);
    const kept = async () => (await readdir(servingDir)).filter((name) => !name.includes(".partial-"));
    await until("a folder that is kept", patienceMs, async () => (await kept()).length === 1);
    await next.kill("SIGKILL");
    await service.startWorker({ STEPLOG_DATA: folder });
    expect(await answerOf(client, checkpoint)).toEqual(answer);
  },
);

/** Copies appear whole, or not at all. */
async function expectWhole(cacheDir: string): Promise<void> {
  const files = join(cacheDir, "files");
  for (const name of await readdir(files)) {
    const bytes = await readFile(join(files, name));
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(name);
  }
}

async function answerOf(client: SteplogClient, checkpoint: string): Promise<readonly number[]> {
  const sampling = { tokens: [3, 4, 5], maxTokens: 8, seed: 1 };
  const { id } = await client.createCompletion({ model: { checkpoint }, ...sampling });
  const tokens: number[] = [];
  for await (const { piece } of client.completionPieces(id)) tokens.push(...(piece.tokens ?? []));
  return tokens;
}
