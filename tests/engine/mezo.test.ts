import { describe, expect, test } from "vitest";
import type { EncodedRow } from "../../dataset/encode.ts";
import { encodeRow } from "../../dataset/encode.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import type { Device } from "../../engine/devices/device.ts";
import { logHeader } from "../../engine/train/log-header.ts";
import type { Step } from "../../engine/train/mezo.ts";
import { beginning, train } from "../../engine/train/mezo.ts";
import { learningRateAt } from "../../engine/train/schedules.ts";
import { estimatesAt } from "../../schema/estimates.ts";
import type { MezoSettings } from "../../engine/train/settings.ts";
import { tokenLoss } from "../../engine/objective/objective.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import type { Model } from "../../engine/model/model.ts";
import { loadModel } from "../../engine/model/model.ts";
import { chosenTensors, headTensors } from "../../engine/model/trainable.ts";
import { fillNoise, sigma, tensorId } from "../../engine/numbers/noise.ts";
import { epochOrder, batchRows } from "../../engine/train/batches.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { perturbationSize, toBfloat16 } from "../../engine/numbers/scalar.ts";
import { decodeStepLog, encodeEntries, ruleSeed } from "../../schema/step-log.ts";
import { openDevices } from "../support/open-devices.ts";
import { golden, randomModel, scratch } from "../support/models.ts";

const settings: MezoSettings = {
  steps: 12,
  batchSize: 3,
  learningRate: 1e-3,
  epsilon: 1e-3,
  weightDecay: 0,
  noise: "normal",
  seed: 3,
};

const rows: EncodedRow[] = Array.from({ length: 7 }, (_, i) => {
  const ids = Array.from({ length: 4 + i }, (__, j) => (i * 13 + j * 7) % 64);
  return encodeRow(null, { input_ids: ids, labels: ids.map((id, j) => (j < 2 ? -100 : id)) });
});

const devices = await openDevices();

async function collect(model: Model, from = beginning, overrides: Partial<MezoSettings> = {}): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const step of train(model, tokenLoss(rows), { ...settings, ...overrides }, from)) steps.push(step);
  return steps;
}

async function load(path: string, device: Device, noise = settings.noise): Promise<Model> {
  return loadModel(await openModelFolder(path), device, noise);
}

describe("training, then rebuilding from the log", () => {
  const cases = devices.flatMap((device) =>
    (["F32", "BF16"] as const).flatMap((dtype) =>
      (["normal", "rademacher"] as const).flatMap((noise) =>
        [0, 0.1].map((weightDecay) => ({ device, name: device.name, dtype, noise, weightDecay })),
      ),
    ),
  );

  test.each(cases)("gives the same bytes: $name, $dtype, $noise, decay $weightDecay", async (kind) => {
    const path = await randomModel(kind.dtype);
    const model = await load(path, kind.device, kind.noise);
    const before = await model.digest();
    const steps = await collect(model, beginning, { steps: 6, noise: kind.noise, weightDecay: kind.weightDecay });
    const header = logHeader(await baseHash(model.folder), model, { ...settings, noise: kind.noise });
    const log = decodeStepLog(
      encodeEntries(
        header,
        steps.flatMap((step) => step.entries),
      ),
    );

    const out = `${await scratch()}/rebuilt`;
    const rebuilt = await reconstruct({
      base: model.folder,
      log,
      out,
      device: createPlainDevice(),
      verify: true,
      replace: false,
    });
    expect(rebuilt.digest).toBe(await model.digest());
    expect(rebuilt.digest).not.toBe(before);

    const read = await load(out, createPlainDevice());
    for (const { name } of model.trainable) {
      const same = Buffer.compare(await read.read(name), await model.read(name)) === 0;
      expect({ name, same }).toStrictEqual({ name, same: true });
    }
  });
});

test("a run that goes on from its log goes on as it would have", async () => {
  const path = await randomModel();
  const whole = await load(path, createPlainDevice());
  const steps = await collect(whole);
  const resumed = await load(path, createPlainDevice());
  resumed.update(steps.slice(0, 5).flatMap((step) => step.entries));
  expect(await collect(resumed, { entries: 5, step: 5 })).toStrictEqual(steps.slice(5));
  expect(await resumed.digest()).toBe(await whole.digest());
});

test("measuring leaves the stored weights as they are", async () => {
  const model = await load(await randomModel(), createPlainDevice());
  const before = await model.digest();
  await model.perturbedLosses(rows, { seed: 9n, size: 0.5, noise: "normal" });
  expect(await model.digest()).toBe(before);
});

test("the scalar is the bfloat16 of rate times projected gradient over sigma, and the weights move along the noise", async () => {
  const model = await load(await randomModel(), createPlainDevice());
  const [tensor] = model.trainable;
  if (!tensor) throw new Error("the model trains something");
  const before = new Float32Array((await model.read(tensor.name)).buffer.slice(0));
  const [step] = await collect(model, beginning, { steps: 1 });
  if (!step) throw new Error("a step was made");
  const [entry] = step.entries;
  if (!entry) throw new Error("a step leaves an entry");
  const exact = (settings.learningRate * step.projectedGradient) / sigma.normal;
  expect(Math.abs(entry.scalar - exact) / Math.abs(exact)).toBeLessThan(2 ** -8);
  const after = new Float32Array((await model.read(tensor.name)).buffer.slice(0));
  const n = new Int8Array(before.length);
  fillNoise(n, "normal", entry.seed, tensorId(tensor.name), 0);
  after.forEach((value, i) => expect(value).toBe(Math.fround((before[i] ?? 0) - entry.scalar * (n[i] ?? 0))));
});

test.each(["normal", "rademacher"] as const)(
  "the projected gradient is the derivative of the loss along the noise (%s)",
  async (noise) => {
    const model = await load(await randomModel(), createPlainDevice(), noise);
    const along = async (size: number) => {
      const { plus, minus } = await model.perturbedLosses(rows, { seed: 77n, size, noise });
      const mean = (losses: Float64Array) => losses.reduce((a, b) => a + b, 0) / losses.length;
      return (mean(plus) - mean(minus)) / (2 * size * sigma[noise]);
    };
    const [near, far] = [await along(2 ** -9), await along(2 ** -8)];
    // The error of central differences falls with the square of the size: extrapolating to size 0 changes little.
    const limit = near + (near - far) / 3;
    expect(Math.abs(near - limit)).toBeLessThan(0.02 * Math.max(0.1, Math.abs(limit)));
    // And against the loss itself, one side at a time: L(e) - L(-e) is odd in the direction.
    expect(Math.abs((await along(-(2 ** -9))) - near)).toBeLessThan(1e-3 * Math.max(0.1, Math.abs(near)));
  },
);

test("steps whose loss is not finite are logged with scalar 0, and three in a row end the run with advice", async () => {
  const model = await load(await randomModel(), createPlainDevice());
  const broken: Model = {
    ...model,
    sideLosses: (batch, perturbation) =>
      (perturbation?.seed ?? 0n) % 2n === 0n
        ? Promise.resolve([Float64Array.of(NaN), Float64Array.of(1)])
        : model.sideLosses(batch, perturbation),
  };
  const steps = await collect(broken, beginning, { weightDecay: 0.1 });
  expect(steps.map((step) => step.skipped !== null)).toStrictEqual(steps.map((_, k) => k % 2 === 0));
  expect(steps[0]?.entries).toMatchObject([{ scalar: 0, decay: 1 }]);
  expect(steps[0]?.skipped).toContain("NaN");

  const always: Model = {
    ...model,
    sideLosses: () => Promise.resolve([Float64Array.of(Infinity), Float64Array.of(1)]),
  };
  const seen: Step[] = [];
  const run = async () => {
    for await (const step of train(always, tokenLoss(rows), settings, beginning)) seen.push(step);
  };
  await expect(run()).rejects.toThrow(/LOSS|3 steps in a row.*learning rate/u);
  expect(seen).toHaveLength(3);
});

test.each(["SPSA", "ONE_SIDED", "FZOO"] as const)(
  "an infinite loss skips a step of %s, with clipping too",
  async (estimator) => {
    const model = await load(await randomModel(), createPlainDevice());
    for (const loss of [Infinity, -Infinity, NaN]) {
      const broken: Model = {
        ...model,
        // The first estimate of every second step.
        sideLosses: (batch, perturbation) =>
          (perturbation?.seed ?? 1n) % 4n === 0n
            ? Promise.resolve([Float64Array.of(loss), Float64Array.of(1)])
            : model.sideLosses(batch, perturbation),
      };
      const before = await model.digest();
      const [step] = await collect(broken, beginning, { steps: 1, estimator, estimates: 2, clipGradient: 1 });
      expect(step?.skipped).toContain(String(loss));
      expect(step?.entries.map(({ scalar }) => scalar)).toStrictEqual([0, 0]);
      expect(await model.digest()).toBe(before);
    }
  },
);

describe("the order of rows", () => {
  test("takes every row once an epoch, each epoch in another order", () => {
    const names = Array.from({ length: 10 }, (_, i) => i);
    const taken = Array.from({ length: 10 }, (_, t) => batchRows(names, 4, 5, t)).flat();
    const epochs = Array.from({ length: 4 }, (_, e) => taken.slice(e * 10, e * 10 + 10));
    for (const epoch of epochs) expect(epoch.toSorted((a, b) => a - b)).toStrictEqual(names);
    expect(new Set(epochs.map((epoch) => epoch.join())).size).toBe(4);
  });

  test("is the seed's alone", () => {
    expect(epochOrder(100, 1, 0)).toStrictEqual(epochOrder(100, 1, 0));
    expect(epochOrder(100, 1, 0)).not.toStrictEqual(epochOrder(100, 2, 0));
  });

  test("works for a batch larger than the dataset", () => {
    expect(batchRows(["a", "b"], 5, 0, 0).filter((row) => row === "a").length).toBeGreaterThanOrEqual(2);
  });
});

describe("the rate of a step", () => {
  const rates = (changes: Partial<MezoSettings>) =>
    Array.from({ length: 6 }, (_, t) => learningRateAt({ ...settings, steps: 6, learningRate: 8, ...changes }, t));

  test("is constant unless a schedule is asked for", () => {
    expect(rates({})).toStrictEqual([8, 8, 8, 8, 8, 8]);
  });

  test("rises in a line through the warm-up, and falls to 0 behind the last step", () => {
    expect(rates({ warmupSteps: 2 })).toStrictEqual([4, 8, 8, 8, 8, 8]);
    expect(rates({ warmupSteps: 2, schedule: "LINEAR" })).toStrictEqual([4, 8, 8, 6, 4, 2]);
    expect(rates({ warmupSteps: 9, schedule: "LINEAR" })).toHaveLength(6);
    const cosine = rates({ warmupSteps: 2, schedule: "COSINE" });
    [4, 8, 8, 4 + 4 * Math.SQRT1_2, 4, 4 - 4 * Math.SQRT1_2].forEach((rate, t) =>
      expect(cosine[t]).toBeCloseTo(rate, 12),
    );
  });

  test("is what a step says, scales its scalar, and its decay", async () => {
    const path = await randomModel();
    const steps = await collect(await load(path, createPlainDevice()), beginning, {
      schedule: "LINEAR",
      steps: 4,
      weightDecay: 0.1,
    });
    expect(steps.map(({ learningRate }) => learningRate)).toStrictEqual(
      [1, 0.75, 0.5, 0.25].map((part) => part * settings.learningRate),
    );
    for (const { entries, learningRate, projectedGradient } of steps) {
      const entry = entries[0] ?? { scalar: NaN };
      expect("decay" in entry && entry.decay).toBe(Math.fround(1 - learningRate * 0.1));
      const exact = (learningRate * projectedGradient) / sigma.normal;
      expect(Math.abs(entry.scalar - exact)).toBeLessThanOrEqual(Math.abs(exact) * 2 ** -8);
    }
  });
});

test("a projected gradient beyond the limit is cut to it, and told as it was", async () => {
  const path = await randomModel();
  const free = await collect(await load(path, createPlainDevice()), beginning, { steps: 1 });
  const gradient = Math.abs(free[0]?.projectedGradient ?? NaN);
  const limit = gradient / 4;
  const cut = await collect(await load(path, createPlainDevice()), beginning, { steps: 1, clipGradient: limit });
  expect(Math.abs(cut[0]?.projectedGradient ?? NaN)).toBe(gradient);
  const scalarOf = (steps: Step[]) => steps[0]?.entries[0]?.scalar ?? NaN;
  expect(scalarOf(cut) / scalarOf(free)).toBeCloseTo(0.25, 2);
  expect(
    await collect(await load(path, createPlainDevice()), beginning, { steps: 1, clipGradient: 2 * gradient }),
  ).toStrictEqual(free);
});

describe("several estimates a step", () => {
  const mean = (losses: Float64Array) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;

  test("are each measured at the weights before it, and their mean is applied", async () => {
    const path = await randomModel();
    const { learningRate, epsilon, noise } = settings;
    const changes = { steps: 2, estimates: 3, weightDecay: 0.1 };
    const steps = await collect(await load(path, createPlainDevice()), beginning, changes);
    const model = await load(path, createPlainDevice());
    const size = perturbationSize(epsilon, noise);
    for (const [t, { entries, projectedGradient }] of steps.entries()) {
      const batch = batchRows(rows, settings.batchSize, settings.seed, t);
      const gradients: number[] = [];
      for (const { seed } of entries) {
        const { plus, minus } = await model.perturbedLosses(batch, { seed, size, noise });
        gradients.push((mean(plus) - mean(minus)) / (2 * size * sigma[noise]));
      }
      const exact = gradients.map((gradient) => toBfloat16((learningRate * gradient) / 3 / sigma[noise]));
      expect(entries.map(({ scalar }) => scalar)).toStrictEqual(exact);
      expect(entries.map(({ decay }) => decay)).toStrictEqual([Math.fround(1 - learningRate * 0.1), 1, 1]);
      expect(projectedGradient).toBeCloseTo(Math.hypot(...gradients) / Math.sqrt(3), 10);
      model.update(entries);
    }
    const places = steps.flatMap(({ entries }) => entries.map(({ seed }) => seed));
    expect(places).toStrictEqual([0, 1, 2, 3, 4, 5].map((k) => ruleSeed(settings.seed, k)));
  });

  test("grow or shrink in a line to those of the last step, and a run goes on in the midst of that", async () => {
    const counts = (changes: Partial<MezoSettings>) =>
      Array.from({ length: 5 }, (_, t) => estimatesAt({ ...settings, steps: 5, ...changes }, t));
    expect(counts({ estimates: 2 })).toStrictEqual([2, 2, 2, 2, 2]);
    expect(counts({ estimates: 1, estimatesAtEnd: 5 })).toStrictEqual([1, 2, 3, 4, 5]);
    expect(counts({ estimates: 8, estimatesAtEnd: 2 })).toStrictEqual([8, 7, 5, 4, 2]);

    const path = await randomModel();
    const changes = { steps: 5, estimates: 1, estimatesAtEnd: 5 };
    const whole = await collect(await load(path, createPlainDevice()), beginning, changes);
    const resumed = await load(path, createPlainDevice());
    resumed.update(whole.slice(0, 3).flatMap(({ entries }) => entries));
    expect(await collect(resumed, { entries: 6, step: 3 }, changes)).toStrictEqual(whole.slice(3));
  });

  test("of which one is not finite leave the weights as they were", async () => {
    const model = await load(await randomModel(), createPlainDevice());
    const broken: Model = {
      ...model,
      sideLosses: (batch, perturbation) =>
        (perturbation?.seed ?? 0n) % 4n === 1n
          ? Promise.resolve([Float64Array.of(1), Float64Array.of(Infinity)])
          : model.sideLosses(batch, perturbation),
    };
    const [bad, good] = await collect(broken, beginning, { steps: 2, estimates: 2 });
    expect(bad?.entries.map(({ scalar }) => scalar)).toStrictEqual([0, 0]);
    expect(bad?.skipped).toContain("Infinity on the minus side");
    expect(good?.skipped).toBeNull();
  });
});

test.each(devices)("one-sided estimates share the loss without noise: $name", async (device) => {
  const path = await randomModel();
  const { epsilon, noise } = settings;
  const changes = { estimator: "ONE_SIDED", estimates: 2, steps: 3 } as const;
  const steps = await collect(await load(path, device), beginning, changes);
  const model = await load(path, device);
  const size = perturbationSize(epsilon, noise);
  const mean = (losses: Float64Array) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  for (const [t, { entries, loss }] of steps.entries()) {
    const batch = batchRows(rows, settings.batchSize, settings.seed, t);
    const still = mean(await model.losses(batch));
    expect(Math.abs(loss / still - 1)).toBeLessThan(1e-6);
    for (const { seed, scalar } of entries) {
      const { plus } = await model.perturbedLosses(batch, { seed, size, noise });
      const exact = (settings.learningRate * (mean(plus) - still)) / (size * sigma[noise]) / 2 / sigma[noise];
      expect(Math.abs(scalar - exact)).toBeLessThanOrEqual(Math.abs(exact) * 2 ** -8 + 1e-6);
    }
    model.update(entries);
  }
});

test("FZOO divides the slopes of a step by their spread, and leaves out slopes that are all the same", async () => {
  const path = await randomModel();
  const changes = { estimates: 4, steps: 1 } as const;
  const [plain] = await collect(await load(path, createPlainDevice()), beginning, {
    ...changes,
    estimator: "ONE_SIDED",
  });
  const [fzoo] = await collect(await load(path, createPlainDevice()), beginning, { ...changes, estimator: "FZOO" });
  const slopes = plain?.entries.map(({ scalar }) => (scalar * 4 * sigma.normal) / settings.learningRate) ?? [];
  const middle = slopes.reduce((sum, slope) => sum + slope, 0) / 4;
  const spread = Math.sqrt(slopes.reduce((sum, slope) => sum + (slope - middle) ** 2, 0) / 3);
  fzoo?.entries.forEach(({ scalar }, i) => {
    const exact = (settings.learningRate * (slopes[i] ?? NaN)) / spread / 4 / sigma.normal;
    expect(Math.abs(scalar / exact - 1)).toBeLessThan(2 ** -6);
  });

  const model = await load(path, createPlainDevice());
  const flat: Model = { ...model, sideLosses: (_, given) => Promise.resolve([Float64Array.of(given ? 2 : 1)]) };
  const [step] = await collect(flat, beginning, { ...changes, estimator: "FZOO" });
  expect(step).toMatchObject({ skipped: null, entries: [0, 0, 0, 0].map((scalar) => ({ scalar })) });
});

test.each(devices)("batches that are accumulated make the step of one large batch: $name", async (device) => {
  const path = await randomModel();
  const one = await collect(await load(path, device), beginning, { steps: 3, batchSize: 6 });
  const pieces = await collect(await load(path, device), beginning, { steps: 3, batchSize: 2, accumulate: 3 });
  for (const [t, step] of one.entries()) {
    const other = pieces[t];
    expect(Math.abs(step.loss / (other?.loss ?? NaN) - 1)).toBeLessThan(1e-6);
    const difference = Math.abs(step.projectedGradient - (other?.projectedGradient ?? NaN));
    expect(difference).toBeLessThan(0.01 * Math.max(1, Math.abs(step.projectedGradient)));
  }
});

describe("a part of the tensors", () => {
  test.each(devices)("moves alone, in training and in the rebuilt model: $name", async (device) => {
    const folder = await openModelFolder(await randomModel());
    const trainable = chosenTensors(folder, ["1.fc1.*", "embed_positions.weight"]);
    const model = await loadModel(folder, device, settings.noise, { trainable });
    const steps = await collect(model);
    const header = logHeader(await baseHash(folder), model, settings);
    const log = decodeStepLog(
      encodeEntries(
        header,
        steps.flatMap((step) => step.entries),
      ),
    );
    const out = `${await scratch()}/rebuilt`;
    const { digest } = await reconstruct({ base: folder, log, out, device, verify: true, replace: false });
    expect(digest).toBe(await model.digest());
    const [before, after] = [await load(folder.path, createPlainDevice()), await load(out, createPlainDevice())];
    const changed: string[] = [];
    for (const { name } of before.trainable) {
      if (Buffer.compare(await before.read(name), await after.read(name)) !== 0) changed.push(name);
    }
    expect(changed).toStrictEqual([
      "model.decoder.embed_positions.weight",
      "model.decoder.layers.1.fc1.bias",
      "model.decoder.layers.1.fc1.weight",
    ]);
  });

  test("is the head, with its bias where it has one, or the table that it is tied to", async () => {
    const namesOf = async (model: string) =>
      headTensors(await openModelFolder(golden("hf", model))).map(({ name }) => name);
    expect(await namesOf("opt")).toStrictEqual(["model.decoder.embed_tokens.weight"]);
    expect(await namesOf("mistral")).toStrictEqual(["lm_head.weight"]);
    expect(await namesOf("gpt2-hubnames")).toStrictEqual(["wte.weight"]);
    expect(await namesOf("roberta")).toStrictEqual(["lm_head.bias", "roberta.embeddings.word_embeddings.weight"]);
  });

  test("names what there is where a pattern fits nothing", async () => {
    const folder = await openModelFolder(await randomModel());
    expect(() => chosenTensors(folder, ["fc1.weight", "fc3.weight"])).toThrow(
      /"fc3.weight" matches no tensor .* fc2\.weight/u,
    );
    expect(chosenTensors(folder, ["layers.0.**"])).toHaveLength(16);
    expect(chosenTensors(folder, ["decoder.*.weight"]).map(({ name }) => name)).toStrictEqual([
      "model.decoder.embed_positions.weight",
      "model.decoder.embed_tokens.weight",
      "model.decoder.final_layer_norm.weight",
    ]);
  });
});
