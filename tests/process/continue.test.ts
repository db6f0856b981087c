/** A run, more steps for it, and the weights of both: real processes. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { outcomeOf } from "../../cli/follow.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { createRun, testService, until } from "./service.ts";

test("a continued run's log rebuilds the weights that its worker had", { timeout: 120_000 }, async () => {
  const service = await testService();
  const { client } = await service.startServer();
  await service.startWorker();
  const endOf = async (id: string) => {
    await until("the end", 60_000, async () => (await outcomeOf(client, id)).status === "SUCCEEDED");
    return outcomeOf(client, id);
  };
  const id = await createRun(service, client, 30);
  const whole = await endOf(await createRun(service, client, 50));
  await endOf(id);
  const { continueFineTune } = await client.query<{ continueFineTune: { fineTune: { id: string } } }>(
    `mutation ($input: ContinueFineTuneInput!) { continueFineTune(input: $input) { fineTune { id } } }`,
    { input: { fineTune: id, steps: 20 } },
  );
  const more = await endOf(continueFineTune.fineTune.id);
  expect(more.progress.step).toBe(20);
  const [checkpoint] = more.checkpoints.nodes;
  if (!checkpoint) throw new Error("a run ends with a checkpoint");
  expect(checkpoint).toMatchObject({ entries: 50, weightsDigest: whole.checkpoints.nodes[0]?.weightsDigest });

  const bytes = Buffer.from(await (await client.download(checkpoint.logUrl)).arrayBuffer());
  expect(bytes).toHaveLength(checkpoint.logBytes);
  const base = await openModelFolder(service.modelPath);
  const out = join(service.folder, "rebuilt");
  const log = decodeStepLog(bytes);
  const { digest } = await reconstruct({ base, log, out, device: createPlainDevice(), verify: false, replace: false });
  expect(digest).toBe(checkpoint.weightsDigest);
});
