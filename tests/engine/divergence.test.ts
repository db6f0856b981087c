/** What counts as diverged, on series of losses and evaluations that are made from a seed: each test is repeated with many. */
import { describe, expect, test } from "vitest";
import { DivergenceWatch, type Evaluated } from "../../engine/train/divergence.ts";

/** Uniform from 0 to 1 (Park and Miller). */
function randomBy(seed: number): () => number {
  let state = seed * 7919 + 1;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

type Random = () => number;

/** Mean 0, variance 1. */
const normal = (random: Random) => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());

/** The loss of step t (from 0). */
type Series = (t: number, random: Random) => number;

interface Run {
  readonly steps: number;
  readonly batchSize?: number;
  readonly evaluations?: readonly Partial<Evaluated>[];
}

/** The step after which the run counted as diverged, null if it never did; and the watch. */
function watched(series: Series, { steps, batchSize = 16, evaluations = [] }: Run, seed: number) {
  const watch = new DivergenceWatch({ batchSize, accumulate: 1, bestMetric: "AUTO" });
  const random = randomBy(seed);
  let at: number | null = null;
  for (let step = 0; step <= steps; step++) {
    if (step > 0) watch.addLoss(series(step - 1, random));
    for (const one of evaluations) {
      if (one.step === step) watch.addEvaluation({ entries: step, step, rows: 256, loss: 1, accuracy: null, ...one });
    }
    if (watch.divergence) at ??= step;
  }
  return { at, watch };
}

const seeds = Array.from({ length: 10 }, (_, seed) => seed + 1);
const stepsOf = (series: Series, run: Run) => seeds.map((seed) => watched(series, run, seed).at);
const never = seeds.map(() => null);

/** The mean of the losses of `rows` rows, of which each is drawn from `one`. */
const batch =
  (rows: number, one: Series): Series =>
  (t, random) =>
    Array.from({ length: rows }, () => one(t, random)).reduce((sum, loss) => sum + loss, 0) / rows;

const learns = (t: number) => 0.2 + 2 * Math.exp(-t / 300);

describe("a healthy run never diverges:", () => {
  const wide: Series = (t, random) => learns(t) * Math.exp(normal(random) - 0.5);
  const rare: Series = (_, random) => (random() < 0.05 ? 6 : 0.02) * (0.5 + random());
  const twoKinds: Series = (_, random) => (random() < 0.5 ? 0.3 : 1.2) + 0.05 * normal(random);
  const wrong = (share: number): Series => batch(16, (_, random) => (random() < share ? 1 : 0));
  const healthy: readonly [string, Series, number][] = [
    ["rows whose losses differ by factors, one at a time", wide, 1],
    ["the same, 16 at a time", batch(16, wide), 16],
    ["rare rows with large losses, one at a time", rare, 1],
    ["the same, 16 at a time", batch(16, rare), 16],
    ["an easy and a hard class, one row at a time", twoKinds, 1],
    ["a plateau", (_, random) => 0.69 + 0.05 * normal(random), 16],
    ["errors in sixteenths", wrong(0.5), 16],
    ["errors that become few", (t, random) => wrong(0.45 * Math.exp(-t / 200) + 0.02)(t, random), 16],
    ["right or wrong, one row at a time", (_, random) => (random() < 0.3 ? 1 : 0), 1],
    ["losses without any noise", () => 2, 16],
    [
      "a bump that passes",
      (t, random) => (1 + 0.4 * Math.exp(-(((t - 300) / 60) ** 2))) * (0.7 + 0.07 * normal(random)),
      16,
    ],
    ["single losses that are not finite", (t, random) => (t % 50 === 7 ? NaN : learns(t) + 0.1 * normal(random)), 16],
  ];
  test.for(healthy)("%s", ([, series, batchSize]) => {
    expect(stepsOf(series, { steps: 1_000, batchSize })).toEqual(never);
  });

  test.runIf(process.env["STEPLOG_LONG_TESTS"])("nor in a million steps (about 20 s)", () => {
    for (const [what, series, batchSize] of healthy.filter(([, , rows]) => rows === 1)) {
      expect([what, watched(series, { steps: 1_000_000, batchSize }, 1).at]).toEqual([what, null]);
    }
  });
});

describe("at its end a run is judged that was too short for windows:", () => {
  const ended = (series: Series, run: Run, seed = 1) => {
    const { watch } = watched(series, run, seed);
    watch.end();
    return watch;
  };
  const noisy =
    (level: (t: number) => number): Series =>
    (t, random) =>
      level(t) * Math.exp(0.25 * normal(random));
  const before = { step: 0, accuracy: 0.9, loss: 0.3 };

  test("its losses have exploded", () => {
    const { divergence } = ended(
      noisy((t) => 2 * 1.5 ** t),
      { steps: 10 },
    );
    expect(divergence).toMatchObject({
      measure: "training loss",
      start: { firstStep: 1, lastStep: 1 },
      evaluation: null,
    });
    expect(divergence?.now).toMatchObject({ firstStep: 6, lastStep: 10 });
    for (const seed of seeds) {
      expect(
        ended(
          noisy(() => 2),
          { steps: 10 },
          seed,
        ).divergence,
      ).toBeNull();
      expect(
        ended(
          batch(1, (_, random) => 4 * random()),
          { steps: 20, batchSize: 1 },
          seed,
        ).divergence,
      ).toBeNull();
    }
  });

  test("its validation rows got clearly worse, and so did its losses", () => {
    const worse = { steps: 10, evaluations: [before, { step: 10, accuracy: 0.5, loss: 2 }] };
    const { divergence, overfit } = ended(
      noisy((t) => (t < 5 ? 1 : 2)),
      worse,
    );
    expect([divergence?.measure, divergence?.evaluation?.step, overfit]).toEqual(["accuracy", 0, null]);
  });

  test("or its losses did not: then it has overfitted", () => {
    const worse = { steps: 10, evaluations: [before, { step: 10, accuracy: 0.5, loss: 2 }] };
    const { divergence, overfit } = ended(
      noisy((t) => (t < 5 ? 2 : 0.5)),
      worse,
    );
    expect([divergence, overfit?.measure]).toEqual([null, "accuracy"]);
  });

  test("nothing got worse by more than noise", () => {
    const level = { steps: 10, evaluations: [before, { step: 10, accuracy: 0.85, loss: 0.32 }] };
    for (const seed of seeds) {
      const { divergence, overfit } = ended(
        noisy(() => 1),
        level,
        seed,
      );
      expect([divergence, overfit]).toEqual([null, null]);
    }
  });
});

describe("a run that goes wrong is caught", () => {
  const jump =
    (at: number, factor: number, sigma: number): Series =>
    (t, random) =>
      (t < at ? 2 : 2 * factor) * Math.exp(sigma * normal(random));
  /** How many steps after `from` at the latest, over the seeds. */
  const latest = (series: Series, from: number, batchSize = 16) =>
    Math.max(...stepsOf(series, { steps: from + 600, batchSize }).map((at) => (at ?? Infinity) - from));

  test.for([1, 3, 20, 200, 1_000])("when its loss jumps to ten times its start after step %i", (at) => {
    expect(latest(jump(at, 10, 0.25), at)).toBeLessThanOrEqual(48);
  });

  test("when it explodes from step to step, without an end", () => {
    expect(latest((t, random) => 2 * 1.5 ** t * Math.exp(0.25 * normal(random)), 0)).toBeLessThanOrEqual(32);
    expect(latest((t) => (t < 100 ? 2 : Infinity), 100)).toBeLessThanOrEqual(48);
  });

  test("batch by batch of one row, if later", () => {
    expect(latest(jump(200, 10, 0.8), 200, 1)).toBeLessThanOrEqual(64);
    expect(latest(jump(600, 2, 0.8), 600, 1)).toBeLessThanOrEqual(600);
  });

  test("when it slowly loses what it had learned, or what a continued run started with", () => {
    const slow: Series = (t, random) => (t < 1_000 ? learns(t) : 0.3 + (t - 1_000) / 1_000) + 0.1 * normal(random);
    expect(latest(slow, 1_000)).toBeLessThanOrEqual(600);
    const continued: Series = (t, random) => 0.5 + 0.5 * Math.min(1, t / 500) + 0.1 * normal(random);
    expect(latest(continued, 0)).toBeLessThanOrEqual(500);
  });

  test("with the numbers of its start, its best and now", () => {
    const { watch } = watched(jump(200, 10, 0.1), { steps: 300 }, 1);
    const level = (value: number) => expect.closeTo(value, 0) as number;
    expect(watch.divergence).toMatchObject({
      measure: "training loss",
      start: { value: level(2), firstStep: 1, lastStep: 64 },
      best: { value: level(2) },
    });
    const { now } = watch.divergence ?? {};
    expect([now?.firstStep, now?.value]).toEqual([(now?.lastStep ?? 0) - 63, expect.closeTo(7, -1)]);
  });
});

describe("the validation rows", () => {
  const evaluationsOf = (scores: readonly number[], losses: readonly number[] = []) =>
    scores.map((accuracy, index) => ({ step: 200 * index, accuracy, loss: losses[index] ?? 1 - accuracy }));
  const rising: Series = (t, random) => 0.5 + t / 3_500 + 0.05 * normal(random);
  const falling: Series = (t, random) => 0.5 - t / 3_500 + 0.05 * normal(random);

  test("that lose half of their gain, or many of a continued run's right answers, have diverged if the loss rose", () => {
    const gained = { steps: 800, evaluations: evaluationsOf([0.5, 0.76, 0.74, 0.58, 0.52]) };
    expect(stepsOf(rising, gained)).toEqual(seeds.map(() => 600));
    const continued = { steps: 400, evaluations: evaluationsOf([0.758, 0.7, 0.539]) };
    expect(stepsOf(rising, continued)).toEqual(seeds.map(() => 400));
    expect(watched(rising, gained, 1).watch.divergence).toEqual({
      measure: "accuracy",
      start: { value: 0.5, firstStep: 0, lastStep: 0 },
      best: { value: 0.76, firstStep: 200, lastStep: 200 },
      now: { value: 0.58, firstStep: 600, lastStep: 600 },
      evaluation: expect.objectContaining({ entries: 200, step: 200 }) as object,
    });
  });

  test("that got worse by their noise, or are few, have not", () => {
    expect(stepsOf(rising, { steps: 600, evaluations: evaluationsOf([0.5, 0.77, 0.75, 0.7]) })).toEqual(never);
    const few = evaluationsOf([0.5, 0.9, 0.6]).map((one) => ({ ...one, rows: 16 }));
    expect(stepsOf(rising, { steps: 400, evaluations: few })).toEqual(never);
  });

  test("that got worse while the training loss fell are overfitted instead", () => {
    const run = { steps: 600, evaluations: evaluationsOf([0.5, 0.9, 0.85, 0.6]) };
    expect(stepsOf(falling, run)).toEqual(never);
    expect(watched(falling, run, 1).watch.overfit).toMatchObject({ measure: "accuracy", best: { lastStep: 200 } });
    const recovered = { steps: 800, evaluations: evaluationsOf([0.5, 0.9, 0.85, 0.6, 0.88]) };
    expect(watched(falling, recovered, 1).watch.overfit).toBeNull();
  });

  test("without candidates are judged by their loss", () => {
    const evaluations = [2, 1, 1.1, 1.6, NaN].map((loss, index) => ({ step: 200 * index, loss, accuracy: null }));
    expect(stepsOf(rising, { steps: 800, evaluations })).toEqual(seeds.map(() => 600));
    expect(stepsOf(falling, { steps: 800, evaluations })).toEqual(never);
    expect(watched(falling, { steps: 800, evaluations }, 1).watch.overfit).toMatchObject({
      measure: "validation loss",
    });
  });

  test("name the best evaluation before the losses rose, not a lucky guess after", () => {
    const exploding: Series = (t, random) => (t < 410 ? 0.7 : 60) * Math.exp(0.2 * normal(random));
    const evaluations = evaluationsOf([0.5, 0.7, 0.68], [0.8, 0.6, 0.6]);
    const lucky = { step: 416, accuracy: 0.8, loss: 40 };
    const { watch } = watched(exploding, { steps: 480, evaluations: [...evaluations, lucky] }, 1);
    expect(watch.divergence).toMatchObject({ measure: "training loss", evaluation: { step: 200 } });
  });
});
