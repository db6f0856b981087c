/** Many requests at once: each is answered as it would be alone, whatever joins, leaves, fails or is interrupted beside it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../engine/devices/device.ts";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { generate } from "../../engine/generation/generate.ts";
import { sampler } from "../../engine/generation/sampling.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { loadModel } from "../../engine/model/model.ts";
import type { ServedModel } from "../../engine/thread/serving-messages.ts";
import { devicesHere, threadsOf } from "../support/open-devices.ts";
import { Server, checkpointOf, generating, promptOf, scoring, served } from "./serving.harness.ts";

const present = (await devicesHere()).flatMap((device) => ("open" in device ? [device] : []));
const apart = present.filter(({ name }) => name === "native" || name === "plain");

describe.each(apart)("on $name", ({ name, open }) => {
  let device: Device;
  beforeAll(async () => void (device = await open(threadsOf(name))));
  afterAll(() => device.dispose());

  test("each of 8 sequences of a base and its adapters reads as it does alone", async () => {
    const base = await served({}, null);
    const models = [
      base,
      (await checkpointOf(base, "lora", "a")).model,
      (await checkpointOf(base, "lora", "b", 0.5)).model,
    ];
    const asked = Array.from({ length: 8 }, (_, i) => ({
      id: `${i}`,
      model: models[i % 3] ?? base,
      prompt: promptOf(i, [3, 70, 1, 129, 64, 65, 9, 2][i] ?? 5),
      task: generating({ maxTokens: 6 + i, logprobs: 0 }, { seed: i, temperature: i % 2, repetitionPenalty: 1.1 }),
    }));
    const together = new Server(device);
    for (const [i, one] of asked.entries()) {
      await together.add(one);
      // Some join while others are being written.
      if (i % 3 === 2) await together.run(() => together.told.length % 5 === 4);
    }
    await together.run();
    const apart = new Server(device);
    for (const one of asked) expect(together.answer(one.id).choices[0]).toStrictEqual(await apart.alone(one));
    for (const server of [together, apart]) server.end();
  });

  test("prompts of adapters of the same layers share a pass, and read as they do alone", async () => {
    const base = await served({}, null);
    const all = ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"];
    const models = {
      base,
      a: (await checkpointOf(base, "lora", "a", 0.25, all)).model,
      b: (await checkpointOf(base, "lora", "b", 0.5, all)).model,
      c: (await checkpointOf(base, "lora", "c", -0.5, all)).model,
      few: (await checkpointOf(base, "lora", "few", 0.5, ["q_proj"])).model,
    };
    const start = promptOf(11, 70);
    const asked = (["a", "base", "b", "few", "c", "a", "b", "base"] as const).map((name, i) => ({
      name,
      id: `${i}`,
      model: models[name],
      ...(i % 4 === 3
        ? { task: scoring([{ prompt: promptOf(i, 5), completion: [7, 8, 9 + i] }], 0) }
        : {
            prompt: [...start, ...promptOf(i, 1 + 9 * i)],
            task: generating({ maxTokens: 3, logprobs: 0 }, { seed: i, temperature: 0 }),
          }),
    }));
    const passes: number[] = [];
    const server = new Server(watched(device, (sequences) => passes.push(sequences)));
    for (const name of ["a", "b", "c", "few"] as const)
      await server.alone({ model: models[name], prompt: [5], task: generating({ maxTokens: 1 }) });
    passes.length = 0;
    for (const one of asked) await server.add(one);
    await server.run();
    // a, b and c; what starts as they do waits for what is kept of them.
    expect(Math.max(...passes)).toBe(3);
    for (const one of asked) {
      const apart = new Server(device);
      await apart.add(one);
      await apart.run();
      const [seen, alone] = [server.answer(one.id), apart.answer(one.id)];
      expect(seen).toMatchObject({ code: null, ended: {} });
      expect(seen.choices).toStrictEqual(alone.choices);
      expect(seen.ended?.scores).toStrictEqual(alone.ended?.scores);
      apart.end();
    }
    server.end();
  });

  test("a sequence that was interrupted goes on as it would have", async () => {
    const model = await served();
    const task = generating({ maxTokens: 20, logprobs: 0 }, { frequencyPenalty: 0.5 });
    const asked = { model, prompt: promptOf(1, 70), task };
    const whole = await new Server(device).alone(asked);
    expect(whole.tokens).toHaveLength(20);
    for (const cut of [1, 13]) {
      const server = new Server(device);
      await server.add({ ...asked, id: "rest", done: [{ tokens: whole.tokens.slice(0, cut), finish: null }] });
      await server.add({ ...asked, id: "beside" });
      await server.run();
      const { choices, ended } = server.answer("rest");
      expect(choices[0]?.tokens).toStrictEqual(whole.tokens.slice(cut));
      expect(choices[0]?.logprobs).toStrictEqual(whole.logprobs.slice(cut));
      expect(whole.text.endsWith(choices[0]?.text ?? "none")).toBe(true);
      expect(ended?.usage).toMatchObject({ promptTokens: 70, completionTokens: 20 });
      server.end();
    }
  });
});

/** Tells of each pass over prompts how many sequences it has. */
function watched(device: Device, tell: (sequences: number) => void): Device {
  return {
    ...device,
    begin(perturbation, precision, options) {
      const pass = device.begin(perturbation, precision, options);
      if (options?.products !== "panels") return pass;
      const attention = pass.attention.bind(pass);
      pass.attention = (q, k, v, shape) => (tell(shape.lengths.length), attention(q, k, v, shape));
      return pass;
    },
  };
}

describe("a request", () => {
  const device = createPlainDevice();
  afterAll(() => device.dispose());

  test("is answered as generate does, each choice with draws of its own", async () => {
    const model = await served();
    const prompt = promptOf(3, 9);
    const server = new Server(device);
    await server.add({ id: "a", model, prompt, task: generating({ n: 3, maxTokens: 5 }) });
    await server.run();
    const loaded = await loadModel(await openModelFolder(model.modelPath), device, "rademacher");
    for (const [choice, { tokens, finish }] of server.answer("a").choices.entries()) {
      const choose = sampler({ temperature: 1, seed: 5 }, { prompt, choice });
      expect(tokens).toStrictEqual(await generate(loaded, prompt, 5, choose));
      expect(finish).toBe(tokens.at(-1) === 2 ? "END" : "LENGTH");
    }
    const written = server.answer("a").choices.reduce((sum, { tokens }) => sum + tokens.length, 0);
    expect(server.answer("a").ended?.usage).toStrictEqual({
      promptTokens: 9,
      cachedTokens: 0,
      completionTokens: written,
    });
  });

  test("ends before a stop string, and tells log-probabilities", async () => {
    const model = await served();
    const server = new Server(device);
    const plainText = await server.alone({ model, prompt: [5, 6], task: generating() });
    const stop = plainText.text.slice(4, 6);
    await server.add({ id: "s", model, prompt: [5, 6], task: generating({ stop: [stop], logprobs: 2 }) });
    await server.run();
    const [choice] = server.answer("s").choices;
    expect(choice).toMatchObject({ finish: "STOP", text: plainText.text.slice(0, plainText.text.indexOf(stop)) });
    const pieces = server.told.flatMap((told) => (told.type === "piece" && told.id === "s" ? [told.piece] : []));
    for (const { tokens, logprobs } of pieces) {
      expect(logprobs?.map(({ token }) => token)).toStrictEqual(tokens);
      expect(logprobs?.[0]?.top).toHaveLength(2);
      expect(logprobs?.[0]?.logprob).toBeLessThanOrEqual(logprobs?.[0]?.top[0]?.logprob ?? -Infinity);
    }
  });

  test("waits while the caches of others fill the budget", async () => {
    const model = await served({}, null);
    const server = new Server(device);
    await server.alone({ model, prompt: [4], task: generating({ maxTokens: 1 }) });
    // 40 tokens of 2 layers with a head of 8 columns, keys and values.
    await server.budget((server.warm[0]?.bytes ?? 0) + 1.5 * 40 * 2 * 2 * 8 * 4);
    for (const id of ["a", "b", "c"]) {
      await server.add({
        id,
        model,
        prompt: [7, id.length],
        task: generating({ maxTokens: 15 }, { logitBias: [[2, -100]] }),
      });
    }
    await server.run();
    const order = server.told.flatMap((told) => ("id" in told && told.id !== "alone" ? [told.id] : []));
    expect(order.indexOf("c")).toBeGreaterThan(order.lastIndexOf("a"));
    expect(order.indexOf("b")).toBeLessThan(order.lastIndexOf("a"));
    expect(["a", "b", "c"].every((id) => server.answer(id).ended !== null)).toBe(true);
  });

  test("takes over a prompt that starts like an earlier one", async () => {
    const model = await served();
    const shared = promptOf(2, 150);
    const server = new Server(device);
    const first = await server.alone({ model, prompt: [...shared, 7], task: generating() });
    const other = [...shared.slice(0, 140), ...promptOf(9, 30)];
    await server.add({ id: "b", model, prompt: other, task: generating() });
    await server.add({ id: "c", model, prompt: [...shared, 7], task: generating() });
    await server.run();
    expect(server.answer("b").ended?.usage.cachedTokens).toBe(128);
    expect(server.answer("c").choices[0]).toStrictEqual(first);
    expect(server.answer("b").choices[0]).toStrictEqual(
      await new Server(device).alone({ model, prompt: other, task: generating() }),
    );
  });

  test("to score has the losses of the model, whatever is beside it", async () => {
    const model = await served();
    const long = promptOf(4, 150);
    const rows = [
      ...[3, 40, 90].map((length, i) => ({ prompt: promptOf(i, 4), completion: promptOf(i + 20, length) })),
      ...[5, 6, 7].map((token) => ({ prompt: long, completion: [token, 8] })),
    ];
    const server = new Server(device);
    for (const logprobs of [null, 3]) {
      await server.add({ id: `${logprobs}`, model, task: scoring(rows, logprobs) });
      await server.add({ id: "beside", model, prompt: promptOf(5, 70), task: generating() });
      await server.run();
      const { ended } = server.answer(`${logprobs}`);
      const loaded = await loadModel(await openModelFolder(model.modelPath), device, "rademacher");
      for (const [i, { prompt, completion }] of rows.entries()) {
        const losses = await loaded.losses([
          {
            ids: Int32Array.from([...prompt, ...completion]),
            positions: Int32Array.from(completion, (_, at) => prompt.length - 1 + at),
            targets: Int32Array.from(completion),
          },
        ]);
        const score = ended?.scores?.[i] ?? [];
        expect(score.map(({ token }) => token)).toStrictEqual(completion);
        score.forEach(({ logprob, top }, at) => {
          expect(logprob).toBeCloseTo(-(losses[at] ?? NaN), 4);
          expect(top).toHaveLength(logprobs ?? 0);
        });
      }
      // Three rows have the same long prompt, which is computed once.
      expect(ended?.usage.cachedTokens).toBe(logprobs === null ? 2 * 128 : 3 * 128);
    }
  });
});

test("a text that grows beyond the short factors of longrope reads as it does alone, also when it is cut", async () => {
  const model = await served({
    model_type: "phi3",
    pad_token_id: 0,
    original_max_position_embeddings: 40,
    rope_theta: 100,
    rope_scaling: { type: "longrope", short_factor: [1, 1, 1, 1], long_factor: [1, 3, 9, 27] },
  });
  const device = createPlainDevice();
  const asked = [36, 39, 40, 41, 90].map((length, i) => ({
    id: `${i}`,
    model,
    prompt: promptOf(i, length),
    task: generating({ maxTokens: 8 }, { temperature: 0 }),
  }));
  const server = new Server(device);
  for (const one of asked) await server.add(one);
  await server.run();
  const loaded = await loadModel(await openModelFolder(model.modelPath), device, "rademacher");
  for (const one of asked) {
    const [choice] = server.answer(one.id).choices;
    expect(choice?.tokens).toStrictEqual(await generate(loaded, one.prompt, 8));
    const cut = new Server(device);
    await cut.add({ ...one, done: [{ tokens: choice?.tokens.slice(0, 6) ?? [], finish: null }] });
    await cut.run();
    expect(cut.answer(one.id).choices[0]?.tokens).toStrictEqual(choice?.tokens.slice(6));
  }
});

test("a request that cannot be answered fails alone, with its code", async () => {
  const model = await served();
  const device = createPlainDevice();
  const server = new Server(device);
  const task = generating();
  const refused = [
    { id: "empty", model, prompt: [], task },
    { id: "vocabulary", model, prompt: [1, 300], task },
    { id: "context", model, prompt: promptOf(1, 395), task },
    { id: "rows", model, task: scoring([]) },
    { id: "nothing", model, task: scoring([{ prompt: [1], completion: [] }]) },
    { id: "unknown", model: { ...model, modelPath: `${model.modelPath}-gone`, base: "gone" }, prompt: [1], task },
    { id: "changed", model: { ...model, base: "0".repeat(64) }, prompt: [1], task },
  ];
  await server.add({ id: "good", model, prompt: [1, 5], task });
  for (const one of refused) await server.add(one);
  await server.run();
  expect(refused.map(({ id }) => server.answer(id).code)).toStrictEqual([
    ...refused.slice(0, 5).map(() => "INVALID_ARGUMENT"),
    "NOT_FOUND",
    "BASE_MISMATCH",
  ]);
  expect(server.answer("context").message).toContain("395 tokens and 12 more do not fit");
  expect(server.answer("good").ended).not.toBeNull();
});

describe("a pass that fails", () => {
  /** A device on which a pass with such a token fails. */
  function failing(device: Device, token: number): Device {
    return {
      ...device,
      begin(...args) {
        const pass = device.begin(...args);
        const embed = pass.embed.bind(pass);
        pass.embed = (table, ids) => {
          if (ids.includes(token)) throw new Error("the pass failed");
          return embed(table, ids);
        };
        return pass;
      },
    };
  }

  test("costs only the request that made it fail", async () => {
    const model: ServedModel = await served();
    const plain = createPlainDevice();
    const task = generating();
    const bad = await new Server(plain).alone({ model, prompt: [9], task });
    const token = bad.tokens[4] ?? 0;
    const prompts = Array.from({ length: 6 }, (_, i) => promptOf(i + 40, 5)).filter((ids) => !ids.includes(token));
    const expected = await Promise.all(prompts.map((prompt) => new Server(plain).alone({ model, prompt, task })));
    const good = prompts.filter((_, i) => !expected[i]?.tokens.slice(0, -1).includes(token));
    expect(good.length).toBeGreaterThan(2);
    const server = new Server(failing(plain, token));
    await server.add({ id: "bad prompt", model, prompt: [5, token, 6], task });
    await server.add({ id: "bad", model, prompt: [9], task });
    for (const [i, prompt] of good.entries()) await server.add({ id: `${i}`, model, prompt, task });
    await server.run();
    expect([server.answer("bad prompt").code, server.answer("bad").code]).toStrictEqual(["INTERNAL", "INTERNAL"]);
    for (const [i, prompt] of good.entries()) {
      expect(server.answer(`${i}`).choices[0]).toStrictEqual(expected[prompts.indexOf(prompt)]);
    }
  });
});

test("caches are freed when a sequence ends, is cancelled or fails", async () => {
  const plain = createPlainDevice();
  let caches = 0;
  const counting: Device = {
    ...plain,
    createCache: () => ((caches += 1), plain.createCache()),
    copyCache: (cache, rows) => ((caches += 1), plain.copyCache(cache, rows)),
    freeCache: (cache) => ((caches -= 1), plain.freeCache(cache)),
  };
  const model = await served();
  const server = new Server(counting);
  await server.add({ id: "n", model, prompt: promptOf(1, 100), task: generating({ n: 3 }) });
  await server.add({ id: "gone", model, prompt: promptOf(2, 10), task: generating({ maxTokens: 300 }) });
  await server.add({ id: "score", model, task: scoring([{ prompt: [1, 2], completion: [3, 4] }]) });
  await server.run(() => (server.answer("gone").choices[0]?.tokens.length ?? 0) > 3);
  await server.cancel("gone");
  await server.run();
  expect(server.answer("gone").ended?.usage.completionTokens).toBe(server.answer("gone").choices[0]?.tokens.length);
  await server.budget(0);
  expect(caches).toBe(0);
  expect(server.warm).toStrictEqual([]);
});
