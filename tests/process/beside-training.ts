/**
 * Many requests at once beside a run, with real processes: each is answered or refused as BUSY, none stays behind, the run goes
 * on meanwhile, and its log and its weights are those of a run that nobody disturbed.
 */
import OpenAI, { APIError } from "openai";
import postgres from "postgres";
import { expect, onTestFinished } from "vitest";
import { z } from "zod";
import { expectRebuilt } from "./follow.ts";
import { createRun, testService, until } from "./service.ts";

const queueLimit = 8;

interface Crowd {
  /** Of the run: more than it makes while the requests are answered. */
  readonly steps: number;
  readonly requests: number;
  /** How far a log-probability may be from what it is for a request alone: 0 on devices that compute rows apart. */
  readonly tolerance: number;
}

/** @param env of the worker */
export async function expectAnswersBesideRun(env: Record<string, string>, crowd: Crowd): Promise<void> {
  const { steps, requests, tolerance } = crowd;
  const service = await testService();
  const { client, url } = await service.startServer(0, { STEPLOG_QUEUE_LIMIT: String(queueLimit) });
  await service.startWorker(env);
  const hasEnded = async (id: string) => (await client.fineTune(id)).status === "SUCCEEDED";
  const stepsOf = async (id: string) => (await client.fineTune(id)).progress.step;

  const undisturbed = await createRun(service, client, steps);
  await until("the undisturbed run", 100_000, () => hasEnded(undisturbed));
  const expected = await expectRebuilt(service, client, undisturbed, steps);

  const id = await createRun(service, client, steps);
  await until("some steps", 30_000, async () => (await stepsOf(id)) > 0);
  const before = await stepsOf(id);
  const answers = await Promise.all(Array.from({ length: requests }, (_, seed) => ask(url, seed)));
  const after = await stepsOf(id);

  const answered = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status === 429);
  expect(answered.length + refused.length).toBe(requests);
  expect(answered.length).toBeGreaterThanOrEqual(queueLimit);
  expect(refused.length).toBeGreaterThan(0);
  for (const { body } of refused) expect(body).toEqual({ code: "busy", type: "rate_limit_error" });
  // Neither starves the other: the requests were answered before the run ended, which went on meanwhile.
  expect(after).toBeLessThan(steps);
  expect(after).toBeGreaterThan(before);

  await until("the end of the run", 100_000, () => hasEnded(id));
  expect(await expectRebuilt(service, client, id, steps)).toBe(expected);
  for (const { seed, body } of answered.slice(0, 5)) expectEqual(await ask(url, seed, false), body, tolerance);

  const sql = postgres(service.env["DATABASE_URL"] ?? "", { max: 1 });
  onTestFinished(() => sql.end());
  expect(await sql`select id from jobs union all select 1 from completions`).toHaveLength(0);
  console.info(
    `${answered.length} answered, ${refused.length} refused, ${after - before} of ${steps} steps meanwhile.`,
  );
}

function expectEqual({ body }: Answer, other: Answer["body"], tolerance: number): void {
  const [alone, beside] = z.array(z.array(z.number()).nonempty()).parse([body, other]);
  expect(beside).toHaveLength(alone?.length ?? NaN);
  const distances = alone?.map((logprob, at) => Math.abs(logprob - (beside?.[at] ?? NaN))) ?? [];
  expect(Math.max(...distances)).toBeLessThanOrEqual(tolerance);
}

interface Answer {
  readonly seed: number;
  readonly status: number;
  readonly body: unknown;
}

/**
 * An answer of up to 12 tokens to the package openai, streamed for every second seed. The model has no tokenizer, so the tokens
 * are told by their log-probabilities.
 */
async function ask(url: string, seed: number, isStreamed = seed % 2 === 1): Promise<Answer> {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const prompt = Array.from({ length: 8 }, (_, i) => (seed + 5 * i) % 60);
  const wanted = { model: "tiny", prompt, max_tokens: 12, seed, logprobs: 1 };
  try {
    if (!isStreamed) return { seed, status: 200, body: logprobsOf([await openai.completions.create(wanted)]) };
    const parts: OpenAI.Completion[] = [];
    for await (const part of await openai.completions.create({ ...wanted, stream: true })) parts.push(part);
    return { seed, status: 200, body: logprobsOf(parts) };
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    return { seed, status: Number(error.status), body: { code: error.code, type: error.type } };
  }
}

const logprobsOf = (parts: readonly OpenAI.Completion[]) =>
  parts.flatMap(({ choices }) => choices.flatMap(({ logprobs }) => logprobs?.token_logprobs ?? []));
