/** bench serve in its four forms, each with a service of its own, on a model that computes in no time. */
import { expect, test } from "vitest";
import type { BesideResult } from "../../bench/serve/beside.ts";
import type { ColdResult } from "../../bench/serve/cold.ts";
import type { ManyResult } from "../../bench/serve/many.ts";
import type { ServeResult } from "../../bench/serve/serve.ts";
import { sum } from "../../engine/numbers/mean.ts";
import { scratch } from "../support/models.ts";
import { bench } from "./program.ts";

const small = ["serve", "--config", "tiny", "--device", "plain", "--prompt", "4", "--tokens", "6", "--clients", "2"];

async function measured(args: readonly string[], folder: string): Promise<unknown> {
  const { status, stdout, stderr } = bench([...small, ...args, "--json"], folder);
  expect({ status, stderr: status === 0 ? "" : stderr }).toStrictEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as unknown;
}

test("serve compares the service with the engine alone, round by round", { timeout: 120_000 }, async () => {
  const { one, together } = (await measured(["--rounds", "2"], await scratch())) as ServeResult;
  for (const [{ clients, rounds, added }, count] of [[one, 1] as const, [together, 2] as const]) {
    expect({ clients, rounds: rounds.length }).toStrictEqual({ clients: count, rounds: 2 });
    const first = rounds.map(({ engine, service }) => service.first - engine.first);
    expect(added.first).toBeCloseTo((Math.max(...first) + Math.min(...first)) / 2, 9);
    for (const { engine, service } of rounds) {
      for (const { first, token, tokensPerSecond } of [engine, service]) {
        for (const value of [first, token, tokensPerSecond]) expect(value).toBeGreaterThan(0);
      }
    }
  }
});

test("serve --cold asks checkpoints that nobody has asked", { timeout: 120_000 }, async () => {
  const steps = ["--adapter-steps", "3", "--full-steps", "2"];
  const result = (await measured(["--cold", "--rounds", "2", ...steps], await scratch())) as ColdResult;
  expect(result.adapters.map(({ entries }) => entries)).toStrictEqual([3, 6]);
  expect(result.full.map(({ entries }) => entries)).toStrictEqual([2, 4]);
  const total = (what: "cold" | "warm") => sum(result.full, (one) => one[what]);
  expect(total("cold")).toBeGreaterThan(2 * total("warm"));
  expect(result.engine.entries).toBe(4);
  for (const value of Object.values(result.engine)) expect(value).toBeGreaterThan(0);
});

test("serve --beside has clients ask beside a run that trains", { timeout: 120_000 }, async () => {
  const result = (await measured(["--beside", "--seconds", "3", "--batch", "1"], await scratch())) as BesideResult;
  expect(result.steps).toBeGreaterThan(0);
  expect(result.withoutRun).toMatchObject([
    { clients: 1, steps: null },
    { clients: 2, steps: null },
  ]);
  for (const { answers, tokensPerSecond, steps } of result.besideRun) {
    expect(answers).toBeGreaterThan(0);
    expect(tokensPerSecond).toBeGreaterThan(0);
    expect(steps).toBeGreaterThan(0);
  }
});

test("serve --many asks every adapter of one base", { timeout: 120_000 }, async () => {
  const result = (await measured(["--many", "5", "--rounds", "2"], await scratch())) as ManyResult;
  expect(result.cold).toHaveLength(5);
  for (const { first, token, tokensPerSecond } of Object.values(result.together)) {
    for (const value of [first, token, tokensPerSecond]) expect(value).toBeGreaterThan(0);
  }
  expect(result.memory.adapters).toBeGreaterThan(0);
});
