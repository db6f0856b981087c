/**
 * The clock of the machine that gateway and workers run on is set an hour ahead, then an hour back, while runs train, answers
 * are streamed and webhooks are repeated. Postgres' clock decides, and durations are counted: nothing ends early or late, no
 * lease is lost, and every bit is the one of a quiet hour. Real processes.
 */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SteplogClient } from "../../client/index.ts";
import { settableClock } from "../support/clock.ts";
import { firstTry } from "../support/first-try.ts";
import { randomModel } from "../support/models.ts";
import { expectEveryStepOnce } from "./follow.ts";
import { deliverAll, expectDelivered, expectSame } from "./promises.ts";
import { testService, until } from "./service.ts";
import { Tenant, answerTokens } from "./tenant.ts";

const hourMs = 3_600_000;
const steps = 500;
const manySteps = 100_000;
/** Of training, after which a run ends. */
const maxSeconds = 8;

test(
  "clocks of gateway and workers that jump by an hour end nothing early or late",
  { ...firstTry, timeout: 240_000 },
  async () => {
    const clock = await settableClock();
    const token = "open-sesame";
    const gateway = { STEPLOG_API_TOKEN: token, STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" };
    const service = await testService(undefined, { ...clock.env, ...gateway });
    const long = { max_position_embeddings: answerTokens + 10, hidden_size: 32, eos_token_id: 63 };
    await cp(await randomModel("F32", long), join(service.folder, "models", "long"), { recursive: true });
    const [{ url, running }, ...workers] = await Promise.all([
      service.startServer(),
      service.startWorker(),
      service.startWorker(),
    ]);
    const one = await Tenant.create({ url, token, name: "one", seed: 11, steps });
    const calm = await one.train("calm");
    const [answer] = await Promise.all([one.answer("calm"), one.ended(calm)]);
    const guest = await guestOf(url, token, one.project);

    const over = new AbortController();
    const busy = one.keepBusy(over.signal);
    busy.catch(() => {});
    const limited = await one.train("bounded", { steps: manySteps, maxSeconds });
    const id = await one.train("while the clock jumps");
    const [seen, bounded] = [id, limited].map((run) => one.following.get(run)?.seen ?? []);
    if (!seen || !bounded) throw new Error("both runs are followed");
    await until("steps of the bounded run", 60_000, () => bounded.length > 0);
    const jumps = [hourMs, -hourMs, 0];
    for (const [index, aheadMs] of jumps.entries()) {
      const share = 1 + Math.floor((steps * index) / jumps.length);
      await until(`step ${share}`, 60_000, () => seen.length >= share);
      await clock.set(aheadMs, [running, ...workers]);
      await expectUsual(guest, id);
    }
    await one.ended(id);
    await until("the bounded run", 60_000, async () => (await one.client.fineTune(limited)).status === "SUCCEEDED");
    over.abort();
    await busy;

    expectEveryStepOnce(seen, steps);
    expectSame(await one.result(id), await one.result(calm));
    expect(one.answers).not.toEqual([]);
    for (const other of one.answers) expect(other).toBe(answer);
    await expectBounded(one.client, limited);
    const database = service.env["DATABASE_URL"] ?? "";
    await deliverAll(database);
    await expectDelivered(database, one);
  },
);

/** Who has a key of half an hour. */
async function guestOf(url: string, token: string, project: string): Promise<SteplogClient> {
  const operator = new SteplogClient({ url, token });
  const { createApiKey: made } = await operator.query<{ createApiKey: { key: string } }>(
    "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key } }",
    { input: { name: "guest", project, scopes: ["READ"], expiresInDays: 0.02 } },
  );
  return new SteplogClient({ url, token: made.key });
}

interface Seen {
  readonly workers: readonly object[];
  readonly fineTune: {
    readonly estimatedSecondsLeft: number | null;
    readonly events: readonly { readonly type: string }[];
  };
}

/** What a lost lease, or a worker that is taken for dead, leaves behind. */
const moved = new Set(["RESUMED", "RELEASED", "ATTEMPT_FAILED"]);

/** The key is valid, the workers are there, and the run stays at its first one and is soon over. */
async function expectUsual(guest: SteplogClient, id: string): Promise<void> {
  const text = "query ($id: ID!) { workers { name } fineTune(id: $id) { estimatedSecondsLeft events { type } } }";
  const { fineTune, workers } = await guest.query<Seen>(text, { id });
  expect(workers).toHaveLength(2);
  expect(fineTune.events.map(({ type }) => type).filter((type) => moved.has(type))).toEqual([]);
  if (fineTune.estimatedSecondsLeft !== null) expect(fineTune.estimatedSecondsLeft).toBeLessThan(600);
}

/** It has had its seconds, and not the hour that the clock says. */
async function expectBounded(client: SteplogClient, id: string): Promise<void> {
  const text = "query ($id: ID!) { fineTune(id: $id) { progress { step trainedSeconds } } }";
  interface Bounded {
    readonly fineTune: { readonly progress: { readonly step: number; readonly trainedSeconds: number } };
  }
  const { progress } = (await client.query<Bounded>(text, { id })).fineTune;
  expect(progress.step).toBeLessThan(manySteps);
  expect(progress.trainedSeconds).toBeGreaterThanOrEqual(maxSeconds);
  expect(progress.trainedSeconds).toBeLessThan(60);
}
