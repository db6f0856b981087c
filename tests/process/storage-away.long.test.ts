/**
 * An S3 that goes while a worker rebuilds weights, in the middle of their upload and of a download, and comes back: who waits
 * says for what, nothing is rebuilt twice, and nothing is half there. Real processes, and a real S3 server.
 */
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { directly } from "../store/fixtures.ts";
import { randomModel, scratch } from "../support/models.ts";
import { relayTo } from "../support/relay.ts";
import { firstTry } from "../support/first-try.ts";
import { startS3, whyNoS3 } from "../support/s3/s3.ts";
import { type TestService, createRun, testService, until } from "./service.ts";

/** 48 MB of weights: they go in parts, and do not fit into the buffers on their way. */
const largeConfig = { vocab_size: 750_000 };
const patienceMs = 60_000;
const waits = /^The weights are made and wait for the storage\. .*does not answer/u;

test.skipIf(whyNoS3 !== null)(
  "an S3 that goes in the middle of a rebuild, an upload and a download, and comes back",
  { ...firstTry, timeout: 300_000 },
  async () => {
    const s3 = await startS3();
    onTestFinished(() => s3.end());
    const service = await testService(undefined, { ...s3.env("large"), STEPLOG_DEVICE: "native" });
    await cp(await randomModel("F32", largeConfig), join(service.folder, "models", "large"), { recursive: true });
    const relay = await relayTo(s3.endpoint);
    onTestFinished(() => relay.close());
    const near = { STEPLOG_S3_ENDPOINT: relay.url, STEPLOG_LOG_LEVEL: "info" };
    const [{ client }, worker] = await Promise.all([service.startServer(), service.startWorker(near)]);
    const changes = { baseModel: "large", batchSize: 1, checkpointEvery: 2, keepWeights: false };
    const { checkpoints } = await client.wait(await createRun(service, client, 4, changes));
    const [last, middle] = checkpoints.nodes;
    if (!last || !middle) throw new Error("the run has two checkpoints");

    relay.freezeAfter(Infinity);
    const rebuilt = client.rebuild(last.id);
    await until("the upload", patienceMs, () => relay.sends() > 50);
    await s3.kill();
    await until("the reason", patienceMs, async () => waits.test(await errorOf(client, last.id)));
    await s3.start();
    const stored = await rebuilt;
    expect(stored).toMatchObject({ weightsStatus: "STORED", weightsError: null });

    const other = client.rebuild(middle.id);
    await until("the other rebuild", patienceMs, () => isRebuilding(service));
    await s3.kill();
    await until("the reason", patienceMs, async () => waits.test(await errorOf(client, middle.id)));
    await s3.start();
    expect(await other).toMatchObject({ weightsStatus: "STORED", weightsError: null });
    expect(worker.output().match(/"kind":"MATERIALISE".*Claimed a job/gu)).toHaveLength(2);

    const weights = stored.weightsFiles.find(({ name }) => name.endsWith(".safetensors"));
    const reader = (await client.download(weights?.url ?? "")).stream.getReader();
    expect((await reader.read()).value?.length).toBeGreaterThan(0);
    await s3.kill();
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    await expect(rest()).rejects.toBeInstanceOf(TypeError);
    const folder = await scratch();
    await expect(client.downloadWeights(stored, folder)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await readdir(folder)).toEqual([]);
    await s3.start();
    await client.downloadWeights(stored, folder);
    expect(await readdir(folder)).toContain(weights?.name);
  },
);

async function errorOf(client: SteplogClient, id: string): Promise<string> {
  const text = "query ($id: ID!) { node(id: $id) { ... on Checkpoint { weightsStatus weightsError } } }";
  interface Seen {
    readonly node: { readonly weightsStatus: string; readonly weightsError: string | null };
  }
  const { node } = await client.query<Seen>(text, { id });
  expect(node.weightsStatus).toBe("QUEUED");
  return node.weightsError ?? "";
}

/** Whether a worker has a rebuild. */
function isRebuilding({ env }: TestService): Promise<boolean> {
  return directly(env["DATABASE_URL"] ?? "", async (sql) => {
    const held = await sql`select 1 from jobs where kind = 'MATERIALISE' and lease_worker is not null`;
    return held.length > 0;
  });
}
