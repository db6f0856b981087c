/** Following a run as a subscriber does, and rebuilding what it trained. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { SteplogClient } from "../../client/index.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { type TestService, until } from "./service.ts";

/** Some seconds of training, so that processes are killed while it runs. */
export const steps = 500;

/** `done` rejects for whoever waits for it; a test that fails before has its own reason. */
export function collectSteps(client: SteplogClient, id: string): { seen: number[]; done: Promise<void> } {
  const seen: number[] = [];
  const collect = async () => {
    for await (const update of client.follow(id, { patienceMs }))
      if (update.type === "step") seen.push(update.step.step);
  };
  const done = collect();
  done.catch(() => {});
  return { seen, done };
}

/** Longer than any outage, on any machine: that a service does not come back, the test finds out itself. */
const patienceMs = 600_000;

export function expectEveryStepOnce(seen: readonly number[], count = steps): void {
  expect(seen).toStrictEqual(Array.from({ length: count }, (_, k) => k + 1));
}

/** Downloads log and trained weights, rebuilds, and compares. Their digest. */
export async function expectRebuilt(
  service: TestService,
  client: SteplogClient,
  id: string,
  count = steps,
): Promise<string> {
  const outcome = await client.fineTune(id);
  expect(outcome).toMatchObject({ status: "SUCCEEDED", error: null });
  const [checkpoint] = outcome.checkpoints.nodes;
  if (!checkpoint?.weightsUrl) throw new Error("the last checkpoint has weights");
  const bytesAt = async (url: string) => Buffer.from(await (await client.download(url)).bytes());
  const log = decodeStepLog(await bytesAt(checkpoint.logUrl));
  expect(log.entries).toHaveLength(count);
  expect(Buffer.from(log.chain).toString("hex")).toBe(checkpoint.chainHash);
  const out = join(service.folder, `rebuilt-${id}`);
  const base = await openModelFolder(service.modelPath);
  const { digest } = await reconstruct({ base, log, out, device: createPlainDevice(), verify: false, replace: false });
  expect(digest).toBe(checkpoint.weightsDigest);
  const trained = await bytesAt(checkpoint.weightsUrl);
  expect((await readFile(join(out, "model.safetensors"))).equals(trained)).toBe(true);
  return digest;
}

/** The URL in what `start` prints. */
export async function urlOf({ output }: { output: (this: void) => string }): Promise<string> {
  await until("the URLs", 60_000, () => output().includes("Ctrl-C stops it"));
  const url = /GraphQL\s+(http\S+)\/graphql/u.exec(output())?.[1];
  if (!url) throw new Error(`no URL in ${output()}`);
  return url;
}
