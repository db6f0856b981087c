/** A run, more steps for it, and the weights of both: real processes. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { firstTry } from "../support/first-try.ts";
import { createRun, testService } from "./service.ts";

test("a continued run's log rebuilds the weights that its worker had", { ...firstTry, timeout: 120_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  await service.startWorker();
  const id = await createRun(service, client, 30);
  const whole = await client.wait(await createRun(service, client, 50));
  await client.wait(id);
  const more = await client.wait((await client.continue(id, { steps: 20 })).id);
  expect(more.progress.step).toBe(20);
  const [checkpoint] = more.checkpoints.nodes;
  if (!checkpoint) throw new Error("a run ends with a checkpoint");
  expect(checkpoint).toMatchObject({ entries: 50, weightsDigest: whole.checkpoints.nodes[0]?.weightsDigest });

  const bytes = Buffer.from(await (await client.download(checkpoint.logUrl)).bytes());
  expect(bytes).toHaveLength(checkpoint.logBytes);
  const base = await openModelFolder(service.modelPath);
  const out = join(service.folder, "rebuilt");
  const log = decodeStepLog(bytes);
  const { digest } = await reconstruct({ base, log, out, device: createPlainDevice(), verify: false, replace: false });
  expect(digest).toBe(checkpoint.weightsDigest);
});
