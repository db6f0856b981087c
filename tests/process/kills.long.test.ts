/**
 * Everything is killed while everything goes on: workers, the gateway and Postgres by SIGKILL, workers frozen for longer than
 * a lease, and one cut off from Postgres, under eight runs of two projects with keys, their subscribers, streamed answers,
 * mutations, and receivers of webhooks that answer, refuse and hang by turns. What was acknowledged is there, once; every bit
 * is the one that nobody disturbed; and no project sees another's. Real processes, and an embedded Postgres as users have it.
 *
 * Five kills; STEPLOG_KILLS=60 makes sixty, in longer runs. STEPLOG_SEED gives the order, which the test prints.
 */
import { appendFile, cp } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { firstTry } from "../support/first-try.ts";
import { randomModel } from "../support/models.ts";
import { expectEveryStepOnce, expectRebuilt } from "./follow.ts";
import { evidence } from "./evidence.ts";
import { type Kill, killsOf, restartablePostgres, startVictims } from "./kills.ts";
import { deliverAll, expectAllThere, expectApart, expectDelivered, expectSame } from "./promises.ts";
import { testService, until } from "./service.ts";
import { Tenant, answerTokens } from "./tenant.ts";

const count = Number(process.env["STEPLOG_KILLS"] ?? 5);
const seed = Number(process.env["STEPLOG_SEED"] ?? Math.floor(Math.random() * 1e6));
/** A file that tells when which kill was made; for whoever waits for sixty. */
const trace = process.env["STEPLOG_KILLS_TRACE"];
const runsOfOne = 4;
/** So many that they outlast the kills, each of which takes some seconds. */
const steps = count > 10 ? 25 * count : 150;

/** In which some step of some run comes, unless all of them are stuck. */
const stuckMs = 150_000;
/** Of one kill, on a machine that does much else. */
const longestMs = 90_000;
const timeout = Math.max(900_000, count * longestMs);

test(
  `${count} kills under runs, answers, mutations and webhooks of two projects`,
  { ...firstTry, timeout },
  async () => {
    console.info(`STEPLOG_KILLS=${count} STEPLOG_SEED=${seed}`);
    const postgres = await restartablePostgres();
    const token = "open-sesame";
    const gateway = { STEPLOG_API_TOKEN: token, STEPLOG_WEBHOOK_ALLOW_PRIVATE: "localhost" };
    const kept = await evidence();
    const service = await testService(postgres.url, { ...gateway, ...kept.env });
    const long = { max_position_embeddings: answerTokens + 10, hidden_size: 32, eos_token_id: 63 };
    await cp(await randomModel("F32", long), join(service.folder, "models", "long"), { recursive: true });
    const victims = await startVictims(service, postgres);
    kept.keepWhenFailed(service.started, postgres.url);

    const tenant = (name: string, itsSeed: number) =>
      Tenant.create({ url: victims.url, token, name, seed: itsSeed, steps });
    const tenants = [await tenant("one", 11), await tenant("other", 12)];
    const calm = await Promise.all(
      tenants.map(async (one) => {
        const id = await one.train("calm");
        const [answer] = await Promise.all([one.answer("calm"), one.ended(id)]);
        await expectRebuilt(service, one.client, id, steps);
        return { id, answer, result: await one.result(id) };
      }),
    );
    expect(calm[0]?.result.log.equals(calm[1]?.result.log ?? Buffer.alloc(0))).toBe(false);

    const [lender, borrower] = tenants;
    await lender?.lend(calm[0]?.id ?? "", borrower ?? lender);
    const borrowed = await borrower?.borrow("calm, borrowed");

    const over = new AbortController();
    const busy = Promise.all(tenants.map((one) => one.keepBusy(over.signal)));
    busy.catch(() => {});
    const runs = await Promise.all(
      tenants.map((one) => Promise.all(Array.from({ length: runsOfOne }, (_, n) => one.train(`run ${n}`)))),
    );
    // Spread over the work, however fast the machine is, so that each of them meets runs that are not over.
    const followed = () =>
      tenants.flatMap((one) => [...one.following.values()]).reduce((sum, { seen }) => sum + seen.length, 0);
    const all = tenants.length * (1 + runsOfOne) * steps;
    // Some are done by now, and more of them where everything takes longer.
    const first = followed();
    const done: Partial<Record<Kill, number>> = {};
    let whileTraining = 0;
    for (const [index, kill] of killsOf(count, seed).entries()) {
      const share = first + Math.floor(((all - first) * index) / count);
      await until(`step ${share} of all runs, before kill ${index + 1}`, stuckMs, () => followed() >= share, followed);
      if (trace) await appendFile(trace, `${new Date().toISOString()} ${index} ${kill} ${followed()}\n`);
      if (followed() < all) whileTraining += 1;
      await victims.disturb(kill);
      done[kill] = (done[kill] ?? 0) + 1;
    }
    await victims.restored();
    await Promise.all(tenants.map((one, n) => Promise.all((runs[n] ?? []).map((id) => one.ended(id)))));
    over.abort();
    await busy;

    await deliverAll(postgres.url);
    for (const [n, one] of tenants.entries()) {
      for (const { seen } of one.following.values()) expectEveryStepOnce(seen, steps);
      for (const id of runs[n] ?? []) expectSame(await one.result(id), calm[n]?.result);
      expect(one.answers).not.toEqual([]);
      for (const answer of one.answers) expect(answer).toBe(calm[n]?.answer);
      await expectAllThere(one);
      await expectDelivered(postgres.url, one);
    }
    expect(borrower?.borrowed).not.toEqual([]);
    for (const answer of borrower?.borrowed ?? []) expect(answer).toBe(borrowed);
    await expectApart(tenants);
    console.info(JSON.stringify({ kills: done, whileTraining, ...summary(tenants) }));
  },
);

function summary(tenants: readonly Tenant[]) {
  const sum = (of: (one: Tenant) => number) => tenants.reduce((total, one) => total + of(one), 0);
  return {
    steps: tenants.length * runsOfOne * steps,
    mutationsKept: sum(({ datasets, following }) => datasets.length + following.size),
    requestsLost: sum(({ failures }) => failures),
    answers: sum(({ answers }) => answers.length),
    borrowedAnswers: sum(({ borrowed }) => borrowed.length),
    tokensStreamed: sum(({ answers, borrowed }) =>
      [...answers, ...borrowed].reduce((all, answer) => all + answer.split(" ").length, 0),
    ),
    webhooks: sum(({ acknowledged }) => acknowledged.size),
    deliveriesReceived: sum(({ received }) => received.length),
    // Whoever died had not noted the answer.
    deliveriesDoubled: sum(({ acknowledged }) => [...acknowledged.values()].reduce((all, times) => all + times - 1, 0)),
  };
}
